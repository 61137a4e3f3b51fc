//! From what was counted to findings.

use portico_model::finding::{Finding, Severity};

use super::column::ColumnScreen;
use super::detector::{Detector, place};
use super::grouped;
use super::ruleset::{Action, Rule};
use super::tally::{Hits, Share, Tally};
use crate::profile::convert::float_of_count;

/// Different nine-digit numbers that make a column of routing numbers likely without a telling name.
const ROUTING_SHAPED_MIN: u64 = 8;
/// Right check digits that are worth a look when they are too few to block.
const CHECKED_WARNING_MIN: u64 = 3;

/// What one rule saw in one column.
struct Seen<'a> {
    tally: &'a Tally,
    strong: bool,
}

impl ColumnScreen {
    pub(super) fn has_values(&self) -> bool {
        self.values > 0
    }

    /// Whether the column names people.
    pub(super) fn names_people(&self, rules: &[Rule]) -> bool {
        self.seen(rules).any(|(rule, seen)| rule.people && seen.strong)
    }

    /// What the rules found, in their order; `beside` says whether another column names people as far as a rule goes.
    pub(super) fn findings<'a>(
        &'a self,
        rules: &'a [Rule],
        beside: impl Fn(&Rule) -> bool + 'a,
    ) -> impl Iterator<Item = Finding> + 'a {
        self.seen(rules).filter_map(move |(rule, seen)| {
            let told = rule.alone.filter(|_| !beside(rule)).unwrap_or(rule.action);
            let severity = match if seen.strong { told } else { told.weaker() } {
                Action::Off => return None,
                Action::Warn => Severity::Warning,
                Action::Block => Severity::Blocking,
            };
            Some(self.finding(rule, severity, seen.tally))
        })
    }

    /// What the rules saw, rule by rule.
    fn seen<'a>(&'a self, rules: &'a [Rule]) -> impl Iterator<Item = (&'a Rule, Seen<'a>)> + 'a {
        let rule = |place: usize| rules.get(place);
        let of_detectors = self.detectors.iter().filter_map(move |(place, detector)| {
            rule(*place).and_then(|rule| Some((*place, rule, self.detected(rule, *detector)?)))
        });
        let counted =
            move |place: usize, hits| rule(place).and_then(|rule| Some((place, rule, self.counted(rule, hits)?)));
        let of_patterns = self.patterns.iter().filter_map(move |(place, _, hits)| counted(*place, hits));
        let of_names = self.names.iter().filter_map(move |(place, _, hits)| counted(*place, hits));
        let mut seen: Vec<_> = of_detectors.chain(of_patterns).chain(of_names).collect();
        seen.sort_by_key(|(place, ..)| *place);
        seen.into_iter().map(|(_, rule, seen)| (rule, seen))
    }

    fn detected(&self, rule: &Rule, detector: Detector) -> Option<Seen<'_>> {
        match detector {
            Detector::Card => self.shared(rule, &self.card, 1),
            Detector::Iban => self.shared(rule, &self.iban, 1),
            Detector::Routing => self.shared(rule, &self.routing, ROUTING_SHAPED_MIN),
            Detector::BirthSpread => {
                let tally = &self.births.tally;
                let strong = self.is_enough(rule, tally.count, tally.count);
                self.births.spread().then_some(Seen { tally, strong })
            }
            detector => self.counted(rule, self.hits.get(place(detector))?),
        }
    }

    fn counted<'a>(&self, rule: &Rule, hits: &'a Hits) -> Option<Seen<'a>> {
        let strong = self.is_enough(rule, hits.different(), hits.tally.count);
        (hits.tally.count > 0).then_some(Seen { tally: &hits.tally, strong })
    }

    fn is_enough(&self, rule: &Rule, different: u64, count: u64) -> bool {
        different >= rule.distinct && float_of_count(count) >= rule.share * float_of_count(self.values)
    }

    /// What a share of right check digits means, if anything.
    fn shared<'a>(&self, rule: &Rule, share: &'a Share, least: u64) -> Option<Seen<'a>> {
        let told = self.header.says(rule);
        let (shaped, valid) = share.evidence();
        if valid == 0 || !(told || share.is_likely(self.values)) {
            return None;
        }
        let tally = &share.tally;
        if told || (shaped >= least && valid * 2 >= shaped) {
            return Some(Seen { tally, strong: self.is_enough(rule, valid, tally.count) });
        }
        let weak = valid >= CHECKED_WARNING_MIN && valid * 4 >= shaped && shaped >= least;
        weak.then_some(Seen { tally, strong: false })
    }

    fn finding(&self, rule: &Rule, severity: Severity, tally: &Tally) -> Finding {
        let number = grouped(tally.count);
        let values = if tally.count == 1 { "value" } else { "values" };
        let seen = if rule.is_of_columns() {
            format!("By its name the column holds {}: {number} {values} could be that", rule.title)
        } else {
            format!(
                "{number} {values} {} what looks like {}",
                if tally.count == 1 { "holds" } else { "hold" },
                rule.title
            )
        };
        let advice = match severity {
            Severity::Blocking => {
                "drop the column, apply a remedy, clean the values, or declare it public with a reason"
            }
            Severity::Warning | Severity::Info => "check that they may be public",
        };
        let message = format!("{seen} ({}); {advice}.", rule.clause);
        Finding::on_column(&rule.id, severity, &self.name, tally.count, tally.rows.clone(), message)
    }
}

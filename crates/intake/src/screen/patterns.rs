//! Matching the patterns of rules.

use super::ruleset::Rule;
use super::ruleset::pattern::{Checksum, Pattern};
use super::words::{Mark, Said, is_near};

/// Bytes after words within which a match has to end.
const WINDOW: usize = 1024;

/// One rule's pattern in one column.
pub(super) struct Matcher {
    rule: usize,
    pattern: Pattern,
    checksum: Option<Checksum>,
    /// Words have to stand before a match: the rule has some, and the column's name does not say it.
    needs_words: bool,
}

impl Matcher {
    /// The matcher of a rule with a pattern, in a column whose name says it or not; `None` where nothing can match.
    pub(super) fn new(place: usize, rule: &Rule, said: bool) -> Option<Self> {
        let pattern = rule.pattern.clone()?;
        let of_names = !(rule.columns.is_empty() && rule.parts.is_empty() && rule.named.is_empty());
        let needs_words = !said && (of_names || !rule.near.is_empty());
        Some(Self { rule: place, pattern, checksum: rule.checksum, needs_words })
    }

    pub(super) fn needs_words(&self) -> bool {
        self.needs_words
    }

    /// Whether a value holds what the rule looks for.
    pub(super) fn is_in(&self, value: &[u8], marks: &[Mark]) -> bool {
        if !self.needs_words {
            return self.pattern.regex().find_iter(value).any(|found| self.is_right(found.as_bytes()));
        }
        if marks.is_empty() {
            return false;
        }
        let told = marks.iter().filter(|mark| mark.said == Said::Rule(self.rule));
        told.into_iter().any(|mark| {
            let window = value.get(..mark.end + WINDOW).unwrap_or(value);
            let found = self.pattern.regex().find_at(window, mark.end);
            found.is_some_and(|found| is_near(value, mark.end, found.start()) && self.is_right(found.as_bytes()))
        })
    }

    fn is_right(&self, found: &[u8]) -> bool {
        self.checksum.is_none_or(|checksum| checksum.is_right(found))
    }
}

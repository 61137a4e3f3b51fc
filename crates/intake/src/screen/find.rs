//! Where in a text the rules find something, and the text without it.
//!
//! Screening asks whether there is anything in a value; a [`Finder`] asks the very same matchers about parts of it, word by
//! word, until it knows the shortest run of words that they still find something in. So that what is redacted is what
//! screening finds, and screening of what is left finds nothing.

use std::sync::Arc;

use arrow_schema::Field;

use super::detector::{Detector, Detectors};
use super::headers::Header;
use super::patterns::Matcher;
use super::ruleset::{Action, Rule, RuleSet};
use super::scan::{Checked, Found, scan};
use super::words::Words;
use crate::names::SOURCE_NAME_KEY;

/// Bytes that may be looked at again for each byte of a text that holds something; past that, all of it goes.
const LOOKS_PER_BYTE: usize = 200;
/// The same for texts of a few words.
const LOOKS_LEAST: usize = 64 * 1024;
/// How armour begins and ends.
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
/// Times that a text is gone through.
const ROUNDS: usize = 4;
/// What stands in the place of a text that cannot be redacted in parts.
const ALL: &str = "[redacted]";

/// Finds what the rules on values look for in the texts of one column.
pub struct Finder {
    told: Detectors,
    wanted: Detectors,
    patterns: Vec<(String, Matcher)>,
    words: Arc<Words>,
    found: Found,
}

/// What was found, as it is named in the place of it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hit {
    Detector(Detector),
    Pattern(String),
}

/// A run of words to redact: from the first to before the last.
struct Span {
    start: usize,
    end: usize,
    hit: Hit,
}

impl Finder {
    /// A finder for a column, of all rules on values or of the one with this code; `None` if no rule looks there.
    #[must_use]
    pub fn new(field: &Field, rules: &RuleSet, only: Option<&str>) -> Option<Self> {
        let source = field.metadata().get(SOURCE_NAME_KEY).map(String::as_str);
        let header = Header::new(field.name(), source);
        let (mut told, mut wanted, mut patterns) = (Detectors::none(), Detectors::none(), Vec::new());
        let is_on = |rule: &Rule| rule.action.max(rule.alone.unwrap_or(Action::Off)) > Action::Off;
        for (place, rule) in rules.rules().iter().enumerate() {
            if !is_on(rule) || header.denies(rule) || only.is_some_and(|id| id != rule.id) {
                continue;
            }
            let says = header.says(rule);
            if let Some(detector) = rule.detector {
                wanted.add(detector);
                if says {
                    told.add(detector);
                }
            } else if let Some(matcher) = Matcher::new(place, rule, says) {
                patterns.push((rule.id.clone(), matcher));
            }
        }
        let nothing = wanted.is_empty() && patterns.is_empty();
        (!nothing).then(|| Self { told, wanted, patterns, words: rules.words(), found: Found::default() })
    }

    /// Whether the rules find anything in a text.
    pub fn finds(&mut self, text: &str) -> bool {
        self.look(text).is_some()
    }

    /// The text with `[redacted: email]` and the like in the place of what the rules find; `None` when they find nothing.
    pub fn redact(&mut self, text: &str) -> Option<String> {
        self.look(text)?;
        let mut left = without_armour(text);
        if !self.finds(&left) {
            return Some(left);
        }
        for _ in 0..ROUNDS {
            let words = words_of(&left);
            let Some(mut spans) = self.spans(&left, &words) else { break };
            spans.sort_by_key(|span| span.start);
            left = without(&left, &words, &spans);
            // What stood on both sides of a cut, or a name in brackets that says what stands after it.
            if !self.finds(&left) {
                return Some(left);
            }
        }
        Some(ALL.to_owned())
    }

    /// Runs of words in which something is; `None` when that takes too long.
    fn spans(&mut self, text: &str, words: &[(usize, usize)]) -> Option<Vec<Span>> {
        let mut budget = text.len().saturating_mul(LOOKS_PER_BYTE).max(LOOKS_LEAST);
        let mut spans: Vec<Span> = Vec::new();
        let mut open = vec![(0, words.len())];
        while let Some((from, to)) = open.pop() {
            let mut look = |from: usize, to: usize| {
                let part = part(text, words, from, to);
                budget = budget.checked_sub(part.len() + 1)?;
                Some(self.look(part))
            };
            if from >= to || look(from, to)?.is_none() {
                continue;
            }
            let middle = from + (to - from) / 2;
            if middle > from && (look(from, middle)?.is_some() || look(middle, to)?.is_some()) {
                open.extend([(from, middle), (middle, to)]);
                continue;
            }
            // One word, or what begins in one half and ends in the other.
            let (mut before, mut end) = (middle, to);
            while end - before > 1 {
                let between = before + (end - before) / 2;
                if look(from, between)?.is_some() { end = between } else { before = between }
            }
            let (mut start, mut after) = (from, middle);
            while after - start > 1 {
                let between = start + (after - start) / 2;
                if look(between, end)?.is_some() { start = between } else { after = between }
            }
            let hit = look(start, end)?.or(look(from, to)?)?;
            let (start, end) = widened(text, words, (start, end), (from, to), &hit);
            open.extend([(from, start), (end, to)]);
            spans.push(Span { start, end, hit });
        }
        Some(spans)
    }

    fn look(&mut self, text: &str) -> Option<Hit> {
        let bytes = text.as_bytes();
        scan(bytes, self.told, &self.words, &mut self.found);
        let hits = self.found.hits.and(self.wanted);
        if !hits.is_empty() {
            return Detector::ALL
                .iter()
                .map(|(detector, _)| *detector)
                .find(|detector| hits.has(*detector))
                .map(Hit::Detector);
        }
        let checked = self.found.checked.iter().filter(|check| check.is_valid).map(|check| match check.what {
            Checked::Card => Detector::Card,
            Checked::Iban => Detector::Iban,
            Checked::Routing => Detector::Routing,
        });
        if let Some(detector) = checked.into_iter().find(|detector| self.wanted.has(*detector)) {
            return Some(Hit::Detector(detector));
        }
        let marks = &self.found.marks;
        let pattern = self.patterns.iter().find(|(_, matcher)| matcher.is_in(bytes, marks));
        pattern.map(|(id, _)| Hit::Pattern(id.clone()))
    }
}

impl Hit {
    fn name(&self) -> String {
        let detector = match self {
            Self::Pattern(id) => return id.replace('_', " "),
            Self::Detector(detector) => *detector,
        };
        match detector {
            Detector::Email => "email",
            Detector::Phone => "phone",
            Detector::Ssn => "ssn",
            Detector::Itin => "itin",
            Detector::Card => "card",
            Detector::Ip => "address of a machine",
            Detector::Name | Detector::NameInText | Detector::Maiden => "name",
            Detector::Address | Detector::AddressInText => "street address",
            Detector::Iban | Detector::Routing | Detector::Account => "account",
            Detector::License => "licence",
            Detector::Passport => "passport",
            Detector::Plate => "plate",
            Detector::Pin | Detector::Password => "secret",
            Detector::Birth | Detector::BirthSpread => "birth date",
            Detector::Biometric => "biometric",
            Detector::Signature => "signature",
            Detector::Medicare => "medicare",
            Detector::Digest => "digest",
        }
        .to_owned()
    }

    fn names_someone(&self) -> bool {
        use Detector::{Address, AddressInText, Maiden, Name, NameInText, Signature};
        matches!(self, Self::Detector(Maiden | Name | NameInText | Signature | Address | AddressInText))
    }
}

/// The text without what stands in the armour of keys and signatures (RFC 7468, RFC 9580): what tells it is its head, and what
/// must not be public is its body. One without an end goes on to the end of the text.
fn without_armour(text: &str) -> String {
    // As long as the text, byte by byte.
    let upper = text.to_ascii_uppercase();
    let after = |from: usize, what: &str| Some(from + upper.get(from..)?.find(what)?);
    let (mut left, mut kept) = (String::with_capacity(text.len()), 0);
    while let Some(begin) = after(kept, BEGIN) {
        left.push_str(text.get(kept..begin).unwrap_or_default());
        left.push_str("[redacted: secret]");
        let end = after(begin, END).and_then(|end| after(end + END.len(), DASHES));
        kept = end.map_or(text.len(), |end| end + DASHES.len());
    }
    left.push_str(text.get(kept..).unwrap_or_default());
    left
}

/// Where the words of a text begin and end: what stands between spaces.
fn words_of(text: &str) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let mut start = None;
    for (place, character) in text.char_indices() {
        match (character.is_whitespace(), start) {
            (true, Some(begun)) => {
                words.push((begun, place));
                start = None;
            }
            (false, None) => start = Some(place),
            _ => {}
        }
    }
    words.extend(start.map(|begun| (begun, text.len())));
    words
}

/// The text from one word to before another, with what stands between.
fn part<'a>(text: &'a str, words: &[(usize, usize)], from: usize, to: usize) -> &'a str {
    let start = words.get(from).map_or(text.len(), |word| word.0);
    let end = to.checked_sub(1).and_then(|last| words.get(last)).map_or(start, |word| word.1);
    text.get(start..end).unwrap_or_default()
}

/// A span with the words around it that belong to what was found: the other groups of a number, the rest of a name. Rather a word too much than the half of a secret.
fn widened(
    text: &str,
    words: &[(usize, usize)],
    (mut start, mut end): (usize, usize),
    (from, to): (usize, usize),
    hit: &Hit,
) -> (usize, usize) {
    let word = |place: usize| part(text, words, place, place + 1);
    let belongs = |word: &str| {
        let bare = word.trim_matches(|character: char| !character.is_alphanumeric());
        let number = bare.chars().any(|character| character.is_ascii_digit()) && !bare.chars().any(char::is_lowercase);
        number || (hit.names_someone() && bare.chars().next().is_some_and(char::is_uppercase))
    };
    let ends = |word: &str| word.ends_with(['.', ';', ':', '!', '?']);
    while end < to && !ends(word(end - 1)) && belongs(word(end)) {
        end += 1;
    }
    while start > from && !ends(word(start - 1)) && belongs(word(start - 1)) {
        start -= 1;
    }
    (start, end)
}

/// The text with a name in the place of each span. A full stop or comma after it stays.
fn without(text: &str, words: &[(usize, usize)], spans: &[Span]) -> String {
    let mut left = String::with_capacity(text.len());
    let mut kept = 0;
    for span in spans {
        let start = words.get(span.start).map_or(text.len(), |word| word.0);
        let end = span.end.checked_sub(1).and_then(|last| words.get(last)).map_or(start, |word| word.1);
        left.push_str(text.get(kept..start).unwrap_or_default());
        left.push_str(&format!("[redacted: {}]", span.hit.name()));
        let redacted = text.get(start..end).unwrap_or_default();
        let stop = redacted.chars().next_back().filter(|last| matches!(last, '.' | ',' | ';' | '!' | '?' | ')'));
        left.extend(stop);
        kept = end;
    }
    left.push_str(text.get(kept..).unwrap_or_default());
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::DataType;

    fn redacted(text: &str) -> String {
        let field = Field::new("notes", DataType::Utf8, true);
        let mut finder = Finder::new(&field, &RuleSet::default(), None).unwrap();
        finder.redact(text).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn what_is_found_goes_and_the_rest_stays() {
        for (text, expect) in [
            ("pothole on the corner", "pothole on the corner"),
            ("write to jo@city.example.", "write to [redacted: email]."),
            ("a jo@city.example b mary@town.example c", "a [redacted: email] b [redacted: email] c"),
            ("card 4111 1111 1111 1111 was declined", "card [redacted: card] was declined"),
            ("caller's SSN is 219-09-1234, call back", "caller's SSN is [redacted: ssn], call back"),
        ] {
            assert_eq!(redacted(text), expect, "{text}");
        }
    }

    #[test]
    fn the_body_of_a_key_goes_with_its_head() {
        let body = "MIIEvQIBADANBgkq\n".repeat(60);
        let whole = format!("see -----begin private key-----\n{body}-----END PRIVATE KEY----- and call");
        assert_eq!(redacted(&whole), "see [redacted: secret] and call");
        let open = format!("see -----BEGIN RSA PRIVATE KEY-----\n{body}");
        assert_eq!(redacted(&open), "see [redacted: secret]");
    }

    #[test]
    fn a_text_of_nothing_else_is_done_in_time() {
        let text = "jo@city.example 219-09-1234 ".repeat(2_000);
        let left = redacted(&text);
        assert!(!left.contains('@') && !left.contains("219"));
    }
}

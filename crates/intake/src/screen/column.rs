//! Screening of one column.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_schema::{DataType, Field};

use super::births::Births;
use super::detector::{Detector, Detectors, place};
use super::headers::{Header, Shape, fits};
use super::patterns::Matcher;
use super::ruleset::{Action, Rule};
use super::scan::{Checked, Found, bare, scan};
use super::tally::{Hits, Share};
use super::words::Words;
use crate::profile::convert::{count, masked};
use crate::profile::hash;

/// Texts of a column that are remembered because nothing is in them; a power of two.
const REMEMBERED: usize = 1024;

/// What was found in one column.
pub(super) struct ColumnScreen {
    pub(super) name: String,
    pub(super) header: Header,
    /// Nothing is looked at: the column is not released.
    pub(super) dropped: bool,
    /// A type that numbers of people and accounts are not kept in.
    unlikely: bool,
    temporal: bool,
    /// What the column's name tells.
    told: Detectors,
    /// What the rules want of the values.
    wanted: Detectors,
    // What each rule looks at, with its place in the set.
    pub(super) detectors: Vec<(usize, Detector)>,
    pub(super) patterns: Vec<(usize, Matcher, Hits)>,
    pub(super) names: Vec<(usize, Shape, Hits)>,
    pub(super) values: u64,
    pub(super) hits: [Hits; Detector::ALL.len()],
    pub(super) card: Share,
    pub(super) iban: Share,
    pub(super) routing: Share,
    pub(super) births: Births,
    found: Found,
    /// Hashes of texts in which nothing is, each at the place of its low bits.
    clean: Vec<u64>,
}

impl ColumnScreen {
    pub(super) fn new(field: &Field, header: Header, rules: &[Rule], dropped: bool) -> Self {
        let unlikely = match field.data_type() {
            DataType::Boolean => true,
            DataType::Decimal128(_, scale) => *scale > 0,
            _ => false,
        };
        let temporal = matches!(field.data_type(), DataType::Date32 | DataType::Date64 | DataType::Timestamp(..));
        let mut screen = Self {
            name: field.name().clone(),
            dropped,
            unlikely,
            temporal,
            told: Detectors::none(),
            wanted: Detectors::none(),
            detectors: Vec::new(),
            patterns: Vec::new(),
            names: Vec::new(),
            values: 0,
            hits: std::array::from_fn(|_| Hits::new(1)),
            card: Share::default(),
            iban: Share::default(),
            routing: Share::default(),
            births: Births::default(),
            found: Found::default(),
            clean: Vec::new(),
            header,
        };
        for (place, rule) in rules.iter().enumerate() {
            if rule.action.max(rule.alone.unwrap_or(Action::Off)) > Action::Off && !screen.header.denies(rule) {
                screen.take(place, rule);
            }
        }
        screen
    }

    /// Looks for what a rule wants.
    fn take(&mut self, number: usize, rule: &Rule) {
        let says = self.header.says(rule);
        if let Some(detector) = rule.detector {
            self.wanted.add(detector);
            if says {
                self.told.add(detector);
            }
            if let Some(hits) = self.hits.get_mut(place(detector)) {
                hits.ask(rule.distinct);
            }
            self.detectors.push((number, detector));
        } else if let Some(matcher) = Matcher::new(number, rule, says) {
            self.patterns.push((number, matcher, Hits::new(rule.distinct)));
        } else if rule.pattern.is_none() && says && (!self.temporal || rule.fits == Shape::Date) {
            self.names.push((number, rule.fits, Hits::new(rule.distinct)));
        }
    }

    pub(super) fn push(&mut self, array: &ArrayRef, first_row: u64, words: &Words) {
        self.values += count(array.len() - array.logical_null_count());
        if self.dropped {
            return;
        }
        if self.temporal {
            self.push_dates(array, first_row);
        } else if let Some(texts) = array.as_string_opt::<i32>() {
            for (row, text) in (first_row..).zip(texts) {
                if let Some(text) = text {
                    self.text(text.as_bytes(), row, words);
                }
            }
        } else if let Some(bytes) = array.as_binary_opt::<i32>() {
            for (row, value) in (first_row..).zip(bytes) {
                if let Some(value) = value {
                    self.header(value, row, true);
                }
            }
        } else if self.unlikely {
            self.push_fractions(array, first_row);
        } else {
            self.push_numbers(array, first_row);
        }
    }

    fn push_dates(&mut self, array: &ArrayRef, first_row: u64) {
        for (_, _, hits) in &mut self.names {
            for (row, place) in (first_row..).zip(0..array.len()) {
                if array.is_valid(place) {
                    hits.add(row, || count(place));
                }
            }
        }
        if !self.wanted.has(Detector::BirthSpread) {
            return;
        }
        let days = cast(array, &DataType::Date32);
        if let Some(days) = days.as_ref().ok().and_then(|days| days.as_primitive_opt::<Date32Type>()) {
            for (row, day) in (first_row..).zip(days) {
                if let Some(day) = day {
                    self.births.add(day, row);
                }
            }
        }
    }

    /// Decimal numbers can be coordinates and nothing else that is looked for.
    fn push_fractions(&mut self, array: &ArrayRef, first_row: u64) {
        let (Some(numbers), DataType::Decimal128(_, scale)) =
            (array.as_primitive_opt::<Decimal128Type>(), array.data_type())
        else {
            return;
        };
        let coarse = u32::try_from(*scale - 3).ok().and_then(|places| 10_i128.checked_pow(places));
        let (Some(coarse), true) = (coarse, self.wants_degrees()) else { return };
        for (row, number) in (first_row..).zip(numbers) {
            if number.is_some_and(|number| number % coarse != 0) {
                self.degrees(row);
            }
        }
    }

    fn push_numbers(&mut self, array: &ArrayRef, first_row: u64) {
        macro_rules! whole {
            ($($kind:ty),*) => {
                $(if let Some(array) = array.as_primitive_opt::<$kind>() {
                    for (row, value) in (first_row..).zip(array) {
                        self.number(value.and_then(|value| u64::try_from(value).ok()), row);
                    }
                })*
            };
        }
        whole!(Int64Type, Int32Type, UInt64Type, UInt32Type, Decimal128Type);
        // Only rules on names and patterns speak of numbers this small.
        if self.wants_all() {
            whole!(Int16Type, Int8Type, UInt16Type, UInt8Type);
        }
        if let Some(array) = array.as_primitive_opt::<Float64Type>() {
            let degrees = self.wants_degrees();
            // Whole numbers beside nulls come as floats from some tools.
            for (row, value) in (first_row..).zip(array) {
                let Some(value) = value else { continue };
                if value.fract() == 0.0 && (0.0..9e15).contains(&value) {
                    self.number(Some(crate::profile::convert::whole(value)), row);
                } else if degrees && value.abs() <= 180.0 && (value * 1e3 - (value * 1e3).round()).abs() > 1e-6 {
                    self.degrees(row);
                }
            }
        }
    }

    fn wants_degrees(&self) -> bool {
        self.names.iter().any(|(_, shape, _)| *shape == Shape::PreciseDegrees)
    }

    fn degrees(&mut self, row: u64) {
        for (_, _, hits) in self.names.iter_mut().filter(|(_, shape, _)| *shape == Shape::PreciseDegrees) {
            hits.add(row, || row);
        }
    }

    /// Whether a rule on the column's name or a pattern has to see every value, be it ever so short.
    fn wants_all(&self) -> bool {
        !self.names.is_empty() || self.patterns.iter().any(|(_, matcher, _)| !matcher.needs_words())
    }

    fn number(&mut self, value: Option<u64>, row: u64) {
        let Some(value) = value else { return };
        if value < 10_000_000 && !self.wants_all() {
            return;
        }
        let mut buffer = [b'0'; 20];
        let used = spell(value, &mut buffer);
        self.found.clear();
        // A number has lost its leading zeros, which the buffer still holds.
        let may_lose = self.told.has(Detector::Ssn) || self.told.has(Detector::Routing);
        let lost = (7..9).contains(&used) && may_lose;
        let digits = buffer.get(buffer.len() - if lost { 9 } else { used }..).unwrap_or_default();
        bare(digits, self.told, false, &mut self.found);
        self.record(digits, row);
        let digits = buffer.get(buffer.len() - used..).unwrap_or_default();
        self.patterns(digits, row);
        self.header(digits, row, false);
    }

    fn text(&mut self, text: &[u8], row: u64, words: &Words) {
        if !self.names.is_empty() {
            self.header(text, row, false);
        }
        let hash = hash::of_bytes(text, 0);
        let place = masked(hash & count(REMEMBERED - 1));
        if self.clean.get(place) == Some(&hash) {
            return;
        }
        scan(text, self.told, words, &mut self.found);
        let quiet = self.found.hits.and(self.wanted).is_empty() && self.found.checked.is_empty();
        if !quiet {
            self.record(text, row);
        }
        if !self.patterns(text, row) && quiet {
            if self.clean.is_empty() {
                self.clean = vec![0; REMEMBERED];
            }
            if let Some(slot) = self.clean.get_mut(place) {
                *slot = hash;
            }
        }
    }

    fn record(&mut self, value: &[u8], row: u64) {
        let found = self.found.hits.and(self.wanted);
        if !found.is_empty() {
            for ((detector, _), hits) in Detector::ALL.iter().zip(&mut self.hits) {
                if found.has(*detector) {
                    hits.add(row, || hash::of_bytes(value, 0));
                }
            }
        }
        for check in &self.found.checked {
            let share = match check.what {
                Checked::Card => &mut self.card,
                Checked::Iban => &mut self.iban,
                Checked::Routing => &mut self.routing,
            };
            share.add(*check, row);
        }
    }

    /// True when a pattern was found.
    fn patterns(&mut self, value: &[u8], row: u64) -> bool {
        let mut any = false;
        for (_, matcher, hits) in &mut self.patterns {
            if matcher.is_in(value, &self.found.marks) {
                hits.add(row, || hash::of_bytes(value, 0));
                any = true;
            }
        }
        any
    }

    fn header(&mut self, value: &[u8], row: u64, is_bytes: bool) {
        for (_, shape, hits) in &mut self.names {
            if (is_bytes && *shape == Shape::PreciseDegrees) || fits(*shape, value) {
                hits.add(row, || hash::of_bytes(value, 0));
            }
        }
    }
}

/// Writes the digits of a number at the end of the buffer, and says how many there are.
fn spell(value: u64, buffer: &mut [u8; 20]) -> usize {
    let mut rest = value;
    let mut used = 0;
    for place in buffer.iter_mut().rev() {
        let [digit, ..] = (rest % 10).to_le_bytes();
        *place = b'0' + digit;
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    used
}

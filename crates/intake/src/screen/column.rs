//! Screening of one column.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    Decimal128Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_schema::{DataType, Field};
use portico_model::finding::{Finding, Severity};

use super::grouped;
use super::headers::{Header, HeaderRule, Shape, fits};
use super::rules::{Evidence, Rule, by_code};
use super::scan::{Checked, Context, Found, Kind, bare, scan};
use super::tally::{Share, Tally};
use crate::profile::convert::count;

/// Different nine-digit numbers that make a column of routing numbers likely without a telling name.
const ROUTING_SHAPED_MIN: u64 = 8;
/// One value in this many has to be what the column's name says for a rule on names to block: the others may be `none`.
const HEADER_SHARE: u64 = 20;
/// Right check digits that are worth a look when they are too few to block.
const CHECKED_WARNING_MIN: u64 = 3;

/// What was found in one column.
pub(super) struct ColumnScreen {
    name: String,
    context: Context,
    /// Nothing is looked at: the column is not released.
    dropped: bool,
    /// A type that numbers of people and accounts are not kept in.
    unlikely: bool,
    temporal: bool,
    headers: Vec<(&'static HeaderRule, Tally)>,
    values: u64,
    kinds: [Tally; Kind::ALL.len()],
    card: Share,
    iban: Share,
    routing: Share,
    found: Found,
}

impl ColumnScreen {
    pub(super) fn new(field: &Field, header: &Header, dropped: bool) -> Self {
        let unlikely = match field.data_type() {
            DataType::Boolean => true,
            DataType::Decimal128(_, scale) => *scale > 0,
            _ => false,
        };
        let temporal = matches!(field.data_type(), DataType::Date32 | DataType::Date64 | DataType::Timestamp(..));
        let believable = |rule: &&HeaderRule| !temporal || rule.shape == Shape::Date;
        Self {
            name: field.name().clone(),
            context: header.context(),
            dropped,
            unlikely,
            temporal,
            headers: header.rules().filter(believable).map(|rule| (rule, Tally::default())).collect(),
            values: 0,
            kinds: Default::default(),
            card: Share::default(),
            iban: Share::default(),
            routing: Share::default(),
            found: Found::default(),
        }
    }

    pub(super) fn has_values(&self) -> bool {
        self.values > 0
    }

    pub(super) fn push(&mut self, array: &ArrayRef, first_row: u64) {
        self.values += count(array.len() - array.logical_null_count());
        if self.dropped || self.unlikely {
            return;
        }
        if self.temporal {
            self.push_dates(array, first_row);
        } else if let Some(texts) = array.as_string_opt::<i32>() {
            for (row, text) in (first_row..).zip(texts) {
                if let Some(text) = text {
                    self.text(text.as_bytes(), row);
                }
            }
        } else if let Some(bytes) = array.as_binary_opt::<i32>() {
            for (row, value) in (first_row..).zip(bytes) {
                if let Some(value) = value {
                    self.header(value, row);
                }
            }
        } else {
            self.push_numbers(array, first_row);
        }
    }

    fn push_dates(&mut self, array: &ArrayRef, first_row: u64) {
        for (_, tally) in &mut self.headers {
            for (row, place) in (first_row..).zip(0..array.len()) {
                if array.is_valid(place) {
                    tally.add(row);
                }
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
        // Only header rules speak of numbers this small.
        if !self.headers.is_empty() {
            whole!(Int16Type, Int8Type, UInt16Type, UInt8Type);
        }
        if let Some(array) = array.as_primitive_opt::<Float64Type>() {
            // Whole numbers beside nulls come as floats from some tools.
            for (row, value) in (first_row..).zip(array) {
                let whole = value.filter(|value| value.fract() == 0.0 && (0.0..9e15).contains(value));
                self.number(whole.map(crate::profile::convert::whole), row);
            }
        }
    }

    fn number(&mut self, value: Option<u64>, row: u64) {
        let Some(value) = value else { return };
        if value < 10_000_000 && self.headers.is_empty() {
            return;
        }
        let mut buffer = [b'0'; 20];
        let used = spell(value, &mut buffer);
        self.found.kinds.clear();
        self.found.checked.clear();
        // A number has lost its leading zeros, which the buffer still holds.
        let lost = (7..9).contains(&used) && (self.context.ssn || self.context.routing);
        let digits = buffer.get(buffer.len() - if lost { 9 } else { used }..).unwrap_or_default();
        bare(digits, self.context, false, &mut self.found);
        self.record(row);
        self.header(buffer.get(buffer.len() - used..).unwrap_or_default(), row);
    }

    fn text(&mut self, text: &[u8], row: u64) {
        scan(text, self.context, &mut self.found);
        self.record(row);
        self.header(text, row);
    }

    fn record(&mut self, row: u64) {
        for kind in &self.found.kinds {
            let place = Kind::ALL.iter().position(|(other, _)| other == kind);
            if let Some(tally) = place.and_then(|place| self.kinds.get_mut(place)) {
                tally.add(row);
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

    fn header(&mut self, value: &[u8], row: u64) {
        for (rule, tally) in &mut self.headers {
            if fits(rule.shape, value) {
                tally.add(row);
            }
        }
    }

    pub(super) fn finish(self, person_beside: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        for ((_, code), tally) in Kind::ALL.iter().zip(&self.kinds) {
            findings.extend(by_code(code).and_then(|rule| self.finding(rule, rule.severity, tally)));
        }
        for (code, share, told, least) in [
            ("payment_card", &self.card, self.context.card, 1),
            ("iban", &self.iban, false, 1),
            ("bank_routing", &self.routing, self.context.routing, ROUTING_SHAPED_MIN),
        ] {
            let severity = judge(share, told, least, self.values);
            let rule = by_code(code);
            findings.extend(rule.zip(severity).and_then(|(rule, severity)| self.finding(rule, severity, &share.tally)));
        }
        for (rule, tally) in &self.headers {
            let Some(rule) = by_code(rule.code) else { continue };
            let alone = rule.code == "birth_date_column" && !person_beside;
            let few = tally.count < self.values / HEADER_SHARE;
            let severity = if alone || few { Severity::Warning } else { rule.severity };
            findings.extend(self.finding(rule, severity, tally));
        }
        findings
    }

    fn finding(&self, rule: &Rule, severity: Severity, tally: &Tally) -> Option<Finding> {
        if tally.count == 0 {
            return None;
        }
        let number = grouped(tally.count);
        let values = if tally.count == 1 { "value" } else { "values" };
        let seen = match rule.evidence {
            Evidence::Header => {
                format!("By its name the column holds {}: {number} {values} could be that", rule.description)
            }
            Evidence::Pattern | Evidence::Checksum | Evidence::Words => {
                let hold = if tally.count == 1 { "holds" } else { "hold" };
                format!("{number} {values} {hold} what looks like {}", rule.description)
            }
        };
        let advice = match severity {
            Severity::Blocking => "drop the column, clean the values, or declare it public with a reason",
            Severity::Warning | Severity::Info => "check that they may be public",
        };
        let message = format!("{seen} ({}); {advice}.", rule.basis);
        Some(Finding::on_column(rule.code, severity, &self.name, tally.count, tally.rows.clone(), message))
    }
}

/// What a share of right check digits means, if anything.
fn judge(share: &Share, told: bool, least: u64, values: u64) -> Option<Severity> {
    let (shaped, valid) = share.evidence();
    if valid == 0 || !(told || share.is_likely(values)) {
        None
    } else if told || (shaped >= least && valid * 2 >= shaped) {
        Some(Severity::Blocking)
    } else {
        (valid >= CHECKED_WARNING_MIN && valid * 4 >= shaped && shaped >= least).then_some(Severity::Warning)
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

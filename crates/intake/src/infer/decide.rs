//! What a column is, once all of its values have passed by, and what there is to say of that.

use portico_model::finding::Severity;

use super::temporal::{DateForm, Order};
use super::{Column, Live, Numbers, TemporalSeen};
use crate::cell::Tally;
use crate::reading::Reading;

/// Digits of `Decimal128`.
const PRECISION_MAX: u32 = 38;
/// With fewer values than this, most of them being numbers means nothing.
const MOSTLY_MIN: u64 = 10;

/// A column's type, and the findings on how it came about.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) reading: Reading,
    pub(crate) notes: Vec<Note>,
}

/// A finding without its column.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) rule: &'static str,
    pub(crate) severity: Severity,
    pub(crate) tally: Tally,
    pub(crate) message: String,
}

fn note(rule: &'static str, severity: Severity, tally: &Tally, message: impl Into<String>) -> Note {
    Note { rule, severity, tally: tally.clone(), message: message.into() }
}

impl Outcome {
    fn plain(reading: Reading) -> Self {
        Self { reading, notes: Vec::new() }
    }

    fn noted(reading: Reading, note: Note) -> Self {
        Self { reading, notes: vec![note] }
    }
}

impl Column {
    /// The column's type. `identifier`: its name says that its numbers are not for calculating.
    pub(crate) fn decide(&self, identifier: bool) -> Outcome {
        let mut outcome = match self.live {
            Live::Start => Outcome::plain(Reading::Text),
            Live::Number => self.numbers.decide(identifier, self.values),
            Live::Boolean => Outcome::plain(Reading::Boolean),
            Live::Temporal => self.temporal.as_ref().map_or(Outcome::plain(Reading::Text), TemporalSeen::decide),
            Live::Geometry => Outcome::plain(Reading::Wkb),
            Live::Text => self.decide_text(),
        };
        if !self.text.arrays.is_empty() {
            let message = "arrays are kept as JSON text";
            outcome.notes.push(note("array_as_json_text", Severity::Info, &self.text.arrays, message));
        }
        if !self.text.bad_geometries.is_empty() {
            let message = "geometries are not GeoJSON of RFC 7946; correct them, or leave the rows out";
            outcome.notes.push(note("invalid_geometry", Severity::Blocking, &self.text.bad_geometries, message));
        }
        outcome
    }

    fn decide_text(&self) -> Outcome {
        let text = &self.text;
        if text.from == Live::Start && text.short_years {
            let message = "the dates' years have two digits, so the column is text; declare a format such as %d-%b-%y in \
                           the data dictionary";
            let tally = Tally { count: self.values, rows: Vec::new() };
            return Outcome::noted(Reading::Text, note("date_kept_as_text", Severity::Info, &tally, message));
        }
        let bare_dates = if text.from == Live::Temporal { text.fitting } else { text.bare_dates };
        if !text.padded_dates.is_empty() && text.padded_dates.count + bare_dates == self.values {
            let message = "dates or times with spaces around them stay text; take the spaces out, or declare the type in the \
                           data dictionary";
            let note = note("padded_date_kept_as_text", Severity::Warning, &text.padded_dates, message);
            return Outcome::noted(Reading::Text, note);
        }
        let was = match text.from {
            Live::Number => "numbers",
            Live::Boolean => "true or false",
            Live::Temporal => "dates or times in one form",
            Live::Start | Live::Geometry | Live::Text => {
                let mostly = self.values >= MOSTLY_MIN && text.fitting >= self.values / 10 * 9;
                if text.others.is_empty() && text.arrays.is_empty() && text.fitting > 0 {
                    let tally = Tally { count: text.fitting, rows: Vec::new() };
                    let message = "all values are numbers, but written as text, which they stay; declare the type in the \
                                   data dictionary if they are for calculating";
                    return Outcome::noted(Reading::Text, note("number_kept_as_text", Severity::Info, &tally, message));
                }
                if !mostly || text.others.is_empty() {
                    return Outcome::plain(Reading::Text);
                }
                "numbers"
            }
        };
        let few = text.others.count <= self.values / 20;
        let severity = if few { Severity::Warning } else { Severity::Info };
        let message = format!(
            "the other {} values are {was}, so the whole column is text; declare the type or the spelling of null in \
             the data dictionary if these are faults",
            text.fitting
        );
        Outcome::noted(Reading::Text, note("type_widened", severity, &text.others, message))
    }
}

impl Numbers {
    fn decide(&self, identifier: bool, values: u64) -> Outcome {
        if let Some(note) = self.text_note(identifier, values) {
            return Outcome::noted(Reading::Text, note);
        }
        let mut outcome = if !self.exponents.is_empty() {
            self.decide_exponents()
        } else if self.fractions.is_empty() {
            self.decide_whole()
        } else {
            self.decide_fractions()
        };
        let wider = if self.fractions.is_empty() { &self.exponents } else { &self.fractions };
        if self.whole_first && !wider.is_empty() && outcome.reading != Reading::Text {
            let message = "the rows before hold whole numbers; these values have a fraction or an exponent, so the \
                           column holds decimal numbers";
            outcome.notes.push(note("type_widened", Severity::Info, wider, message));
        }
        outcome
    }

    /// Why the numbers stay text, if they do.
    fn text_note(&self, identifier: bool, values: u64) -> Option<Note> {
        if !self.dressed.is_empty() {
            let message = "numbers with separators of thousands, currency, percent or plus signs, or brackets stay text; \
                           declare `thousands` or `currency` in the data dictionary to make them numbers";
            return Some(note("number_kept_as_text", Severity::Info, &self.dressed, message));
        }
        if !self.padded.is_empty() {
            let message = "numbers with spaces around them stay text; take the spaces out, or declare the type in the \
                           data dictionary";
            return Some(note("padded_number_kept_as_text", Severity::Warning, &self.padded, message));
        }
        if !self.leading_zeros.is_empty() {
            let message = "values have leading zeros, so the column is text and keeps them";
            return Some(note("leading_zeros_kept", Severity::Info, &self.leading_zeros, message));
        }
        if identifier && (self.exponents.is_empty() || self.bare) && self.whole {
            let tally = Tally { count: values, rows: Vec::new() };
            let message = "the name says that the numbers identify something, so they are kept as text";
            return Some(note("identifier_kept_as_text", Severity::Info, &tally, message));
        }
        None
    }

    fn decide_exponents(&self) -> Outcome {
        if !self.lossy.is_empty() {
            let message = "the column has numbers with an exponent, and 64-bit floating point would lose digits of these; \
                           all stay text";
            return Outcome::noted(Reading::Text, note("number_kept_as_text", Severity::Warning, &self.lossy, message));
        }
        if !self.bare {
            return Outcome::plain(Reading::Float);
        }
        let message = "values such as 1E5 are read as numbers with an exponent; declare the type text in the data \
                       dictionary if they are codes";
        Outcome::noted(Reading::Float, note("exponent_read", Severity::Info, &self.exponents, message))
    }

    fn decide_whole(&self) -> Outcome {
        if self.oversized.is_empty() {
            return Outcome::plain(Reading::Integer);
        }
        let message = "whole numbers do not fit 64 bits";
        if let Some(reading) = decimal(self.digits_max, 0) {
            let message = format!("{message}; the column holds exact decimal numbers");
            return Outcome::noted(reading, note("type_widened", Severity::Info, &self.oversized, message));
        }
        let message = format!("{message}, nor 38 digits; they stay text");
        Outcome::noted(Reading::Text, note("number_kept_as_text", Severity::Warning, &self.oversized, message))
    }

    fn decide_fractions(&self) -> Outcome {
        let float_safe = self.lossy.is_empty();
        let exact = self.scale_min == self.scale_max || self.trailing_zero || !float_safe;
        if !exact {
            return Outcome::plain(Reading::Float);
        }
        if let Some(reading) = decimal(self.digits_max + self.scale_max, self.scale_max) {
            return Outcome::plain(reading);
        }
        if float_safe && !self.trailing_zero {
            return Outcome::plain(Reading::Float);
        }
        let message = "numbers need more than 38 digits to be kept exactly; they stay text";
        Outcome::noted(Reading::Text, note("number_kept_as_text", Severity::Warning, &self.fractions, message))
    }
}

fn decimal(precision: u32, scale: u32) -> Option<Reading> {
    if precision > PRECISION_MAX {
        return None;
    }
    Some(Reading::Decimal { precision: u8::try_from(precision).ok()?, scale: u8::try_from(scale).ok()? })
}

impl TemporalSeen {
    fn decide(&self) -> Outcome {
        if !self.past_midnight.is_empty() {
            let message = "times reach 24:00 or more, so the column is text";
            return Outcome::noted(
                Reading::Text,
                note("time_past_24h_kept_as_text", Severity::Info, &self.past_midnight, message),
            );
        }
        if !self.finer.is_empty() {
            let message = "times are finer than a microsecond, so the column is text and keeps them";
            return Outcome::noted(
                Reading::Text,
                note("time_too_fine_kept_as_text", Severity::Info, &self.finer, message),
            );
        }
        if !self.out_of_years.is_empty() {
            let message = "moments are, in UTC, outside of the years 1 to 9999, so the column is text";
            return Outcome::noted(
                Reading::Text,
                note("year_out_of_range_kept_as_text", Severity::Warning, &self.out_of_years, message),
            );
        }
        let Some(date) = self.form.date else { return Outcome::plain(Reading::Time) };
        if self.month_first && self.day_first && self.differs {
            let message = "every value may be day/month or month/day, so the column is text; declare the type and the \
                           format in the data dictionary";
            return Outcome::noted(
                Reading::Text,
                note("ambiguous_date", Severity::Warning, &Tally { count: 1, rows: Vec::new() }, message),
            );
        }
        let order = if self.month_first { Order::MonthFirst } else { Order::DayFirst };
        let reading = match (self.form.separator, self.form.zoned) {
            (0, _) => Reading::Date(order),
            (_, false) if self.midnights => Reading::Date(order),
            (_, false) => Reading::Timestamp(order),
            (_, true) => Reading::TimestampUtc(order),
        };
        let mut outcome = Outcome::plain(reading);
        let written = match (date, order) {
            (DateForm::YearFirst(_), _) => None,
            (DateForm::YearLast(_), Order::MonthFirst) => Some("month, day, year"),
            (DateForm::YearLast(_), Order::DayFirst) => Some("day, month, year"),
            (DateForm::DayMonthName(_) | DateForm::MonthName, _) => Some("day, name of the month, year"),
        };
        let whole = Tally { count: 1, rows: Vec::new() };
        if let Some(written) = written {
            let message = format!("dates are read as {written}; no other reading fits all of them");
            outcome.notes.push(note("date_format_read", Severity::Info, &whole, message));
        }
        if self.offsets {
            let message = "times with an offset are kept as the same moments in UTC";
            outcome.notes.push(note("offset_to_utc", Severity::Info, &whole, message));
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{Cell, Kind};

    type Told = (&'static str, u64, Vec<u64>);

    fn decided(values: &[&str], identifier: bool, kind: Kind) -> (Reading, Vec<Told>) {
        let mut column = Column::new();
        for (value, row) in values.iter().zip(1..) {
            if !value.is_empty() {
                column.observe(Cell { bytes: value.as_bytes(), kind }, row);
            }
        }
        let outcome = column.decide(identifier);
        let notes = outcome.notes.into_iter().map(|note| (note.rule, note.tally.count, note.tally.rows));
        (outcome.reading, notes.collect())
    }

    fn check(values: &[&str], reading: Reading, rules: &[&str]) {
        let (found, notes) = decided(values, false, Kind::Bare);
        assert_eq!(found, reading, "{values:?}");
        assert_eq!(notes.iter().map(|(rule, ..)| *rule).collect::<Vec<_>>(), rules, "{values:?}");
    }

    const fn decimal(precision: u8, scale: u8) -> Reading {
        Reading::Decimal { precision, scale }
    }

    #[test]
    fn numbers_keep_all_they_say() {
        check(&["1", "-20", "", "0"], Reading::Integer, &[]);
        check(&["1", "007"], Reading::Text, &["leading_zeros_kept"]);
        check(&["1.50", "10.25"], decimal(4, 2), &[]);
        check(&["1.5", "2.50", "3.25"], decimal(3, 2), &[]);
        check(&["1.5", "2.25", "3.125"], Reading::Float, &[]);
        check(&["2.0", "0.0027397260273972603"], Reading::Float, &[]);
        check(&["2.0", "1.0"], decimal(2, 1), &[]);
        check(&["41.80792179224785", "-87.663", "41.5"], Reading::Float, &[]);
        check(&["0.12345678901234567", "1.5"], decimal(18, 17), &[]);
        check(&["1", "2", "2.5"], decimal(2, 1), &["type_widened"]);
        check(&["1e5", "2"], Reading::Float, &["exponent_read"]);
        check(&["1E10", "2E3"], Reading::Float, &["exponent_read"]);
        check(&["1E5", "123456789012345678"], Reading::Text, &["number_kept_as_text"]);
        check(&["1E5", "1.23456789012345678"], Reading::Text, &["number_kept_as_text"]);
        check(&["1e400", "2"], Reading::Text, &["number_kept_as_text"]);
        check(&["1e-400", "2"], Reading::Text, &["number_kept_as_text"]);
        check(&[&format!("0.{}1", "0".repeat(400)), "2.25"], Reading::Text, &["number_kept_as_text"]);
        check(&["99999999999999999999", "1"], decimal(20, 0), &["type_widened"]);
        check(&["1,234", "5"], Reading::Text, &["number_kept_as_text"]);
        check(&["1", " 5"], Reading::Text, &["padded_number_kept_as_text"]);
        check(&["NaN", "1.5"], Reading::Text, &[]);
        check(&["", ""], Reading::Text, &[]);
        check(&[], Reading::Text, &[]);
    }

    #[test]
    fn a_late_change_widens_and_says_where() {
        let mut values = vec!["7"; 999];
        values.push("N/A");
        let (reading, notes) = decided(&values, false, Kind::Bare);
        assert_eq!(reading, Reading::Text);
        assert_eq!(notes, [("type_widened", 1, vec![1000])]);
        values.insert(0, "N/A");
        assert_eq!(decided(&values, false, Kind::Bare).1, [("type_widened", 2, vec![1, 1001])]);
    }

    #[test]
    fn identifiers_stay_text() {
        let check =
            |values: &[&str], expect: Reading| assert_eq!(decided(values, true, Kind::Bare).0, expect, "{values:?}");
        check(&["101", "102"], Reading::Text);
        check(&["8142251.0"], Reading::Text);
        check(&["1E10", "2E3"], Reading::Text);
        check(&["1.5"], decimal(2, 1));
    }

    #[test]
    fn booleans_are_true_and_false_and_nothing_else() {
        check(&["true", "False", "TRUE"], Reading::Boolean, &[]);
        check(&["yes", "no"], Reading::Text, &[]);
        check(&["true", "maybe"], Reading::Text, &["type_widened"]);
    }

    #[test]
    fn dates_are_read_only_without_doubt() {
        check(&["2024-01-31", "2024-02-01"], Reading::Date(Order::MonthFirst), &[]);
        check(&["1/31/2024", "2/1/2024"], Reading::Date(Order::MonthFirst), &["date_format_read"]);
        check(&["31/1/2024", "1/2/2024"], Reading::Date(Order::DayFirst), &["date_format_read"]);
        check(&["1/2/2024", "3/4/2024"], Reading::Text, &["ambiguous_date"]);
        check(&["1/1/2024", "2/2/2024"], Reading::Date(Order::MonthFirst), &["date_format_read"]);
        check(&["1/31/2024", "31/1/2024"], Reading::Text, &["type_widened"]);
        check(&["2024-01-31", "2024/02/01"], Reading::Text, &["type_widened"]);
        check(&["20240131"], Reading::Integer, &[]);
        check(&["23-Oct-14", "1-Nov-14"], Reading::Text, &["date_kept_as_text"]);
        check(&["2024-01"], Reading::Text, &[]);
        check(&["2024-01-31", " 2024-02-01"], Reading::Text, &["padded_date_kept_as_text"]);
        check(&[" 2024-01-31", "2024-02-01", "2024-02-02 "], Reading::Text, &["padded_date_kept_as_text"]);
        check(&[" 2024-01-31", "soon"], Reading::Text, &[]);
    }

    #[test]
    fn times_and_timestamps() {
        check(&["05:50:00", "23:59"], Reading::Time, &[]);
        check(&["05:50:00", "25:10:00"], Reading::Text, &["time_past_24h_kept_as_text"]);
        check(&["2024-01-31 10:00", "2024-01-31 10:00:05.5"], Reading::Timestamp(Order::MonthFirst), &[]);
        check(
            &["2024-01-31T10:00Z", "2024-01-31T10:00-05:00"],
            Reading::TimestampUtc(Order::MonthFirst),
            &["offset_to_utc"],
        );
        check(&["0001-01-01T00:00:00+14:00"], Reading::Text, &["year_out_of_range_kept_as_text"]);
        check(&["9999-12-31T23:00:00-02:00"], Reading::Text, &["year_out_of_range_kept_as_text"]);
        check(&["0001-01-01T00:00:00Z"], Reading::TimestampUtc(Order::MonthFirst), &[]);
        check(&["2024-01-31T10:00Z", "2024-01-31T10:00"], Reading::Text, &["type_widened"]);
        check(&["2014-01-01 00:00:00.123456789"], Reading::Text, &["time_too_fine_kept_as_text"]);
        check(&["2014-01-01 00:00:00.0000000"], Reading::Timestamp(Order::MonthFirst), &[]);
    }

    #[test]
    fn typed_formats_are_believed() {
        assert_eq!(decided(&["1", "2"], false, Kind::Text).0, Reading::Text);
        assert_eq!(decided(&["1", "2"], false, Kind::Text).1, [("number_kept_as_text", 2, vec![])]);
        assert_eq!(decided(&["2024-01-31"], false, Kind::Text).0, Reading::Date(Order::MonthFirst));
        let moments = ["2024-01-31 00:00:00", "2024-02-01 00:00:00"];
        assert_eq!(decided(&moments, false, Kind::Moment).0, Reading::Date(Order::MonthFirst));
        assert_eq!(decided(&moments, false, Kind::Bare).0, Reading::Timestamp(Order::MonthFirst));
    }
}

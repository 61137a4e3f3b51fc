//! Types a column from all of its values: a small state machine that starts with everything possible, drops what a
//! value refutes and never tries it again.
//!
//! ```text
//! Start ─▶ Number ─┐
//!       ─▶ Boolean ┼─▶ Text        (one value that does not fit; from then on it is only counted what would have fitted)
//!       ─▶ Temporal┘
//! ```
//!
//! Within `Number` everything that looks like one is gathered, and only the end decides between whole numbers,
//! decimals, floating point and text: one leading zero in the last row keeps a column of codes as text.

use crate::cell::{Cell, Kind, Tally};

mod decide;
pub(crate) mod number;
pub(crate) mod temporal;

use number::Shape;
use temporal::{Form, Temporal};

/// Digits after the point up to which no small number becomes zero as a double.
const SCALE_SAFE: u32 = 300;

/// What a column may still be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Live {
    Start,
    Number,
    Boolean,
    Temporal,
    Geometry,
    Text,
}

/// All that is kept of a column while its values pass by.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    live: Live,
    /// Values that are not null.
    values: u64,
    numbers: Numbers,
    temporal: Option<TemporalSeen>,
    text: TextSeen,
}

#[derive(Clone, Debug)]
struct Numbers {
    integers: u64,
    /// Whether the first number was whole.
    whole_first: bool,
    fractions: Tally,
    exponents: Tally,
    leading_zeros: Tally,
    padded: Tally,
    dressed: Tally,
    /// Whole numbers beyond 64 bits.
    oversized: Tally,
    digits_max: u32,
    scale_min: u32,
    scale_max: u32,
    trailing_zero: bool,
    /// Whether every fraction so far is nothing but zeros.
    whole: bool,
    /// Values of which a double loses digits.
    lossy: Tally,
    /// Whether the file's format has no numbers of its own, so that `1E5` may be a code.
    bare: bool,
}

#[derive(Clone, Debug)]
struct TemporalSeen {
    form: Form,
    month_first: bool,
    day_first: bool,
    /// Whether some value is another day when month and day change places.
    differs: bool,
    offsets: bool,
    finer: Tally,
    past_midnight: Tally,
    /// Moments that are, in UTC, outside of the years 1 to 9999.
    out_of_years: Tally,
    /// Whether all values are moments of a workbook at midnight: dates, that is.
    midnights: bool,
}

#[derive(Clone, Debug)]
struct TextSeen {
    /// What the column was before, or `Start` if never anything else.
    from: Live,
    /// Values that would fit `from`, or, if that is `Start`, are canonical numbers.
    fitting: u64,
    others: Tally,
    /// Whether every value is a date whose year has two digits.
    short_years: bool,
    /// Dates and times with spaces around them, and, where one of these came first, those without.
    padded_dates: Tally,
    bare_dates: u64,
    arrays: Tally,
    bad_geometries: Tally,
}

impl Column {
    pub(crate) fn new() -> Self {
        Self {
            live: Live::Start,
            values: 0,
            numbers: Numbers::new(),
            temporal: None,
            text: TextSeen {
                from: Live::Start,
                fitting: 0,
                others: Tally::default(),
                short_years: true,
                padded_dates: Tally::default(),
                bare_dates: 0,
                arrays: Tally::default(),
                bad_geometries: Tally::default(),
            },
        }
    }

    /// Takes one value that is not null.
    pub(crate) fn observe(&mut self, cell: Cell<'_>, row: u64) {
        self.values += 1;
        match cell.kind {
            Kind::Bare | Kind::Number | Kind::Boolean => {
                self.numbers.bare |= cell.kind == Kind::Bare;
                self.observe_bare(cell.bytes, row);
            }
            Kind::Text | Kind::Moment => self.observe_string(cell, row),
            Kind::Json => {
                self.text.arrays.add(row);
                self.turn_into_text(cell.bytes, row);
            }
            Kind::Wkb => self.live = Live::Geometry,
            Kind::BadGeometry => {
                self.values -= 1;
                self.live = Live::Geometry;
                self.text.bad_geometries.add(row);
            }
        }
    }

    fn observe_bare(&mut self, bytes: &[u8], row: u64) {
        match self.live {
            Live::Number => {
                let shape = number::shape(bytes);
                if shape == Shape::Not {
                    self.turn_into_text(bytes, row);
                } else {
                    self.numbers.add(shape, bytes, row);
                }
            }
            Live::Text => self.count_text(bytes, row),
            Live::Start => self.start(bytes, row),
            Live::Boolean => {
                if !is_boolean(bytes) {
                    self.turn_into_text(bytes, row);
                }
            }
            Live::Temporal => {
                if !self.fits_temporal(bytes, row) {
                    self.turn_into_text(bytes, row);
                }
            }
            Live::Geometry => self.turn_into_text(bytes, row),
        }
    }

    fn start(&mut self, bytes: &[u8], row: u64) {
        let shape = number::shape(bytes);
        if shape != Shape::Not {
            self.live = Live::Number;
            self.numbers.whole_first = matches!(shape, Shape::Integer { .. });
            self.numbers.add(shape, bytes, row);
        } else if is_boolean(bytes) {
            self.live = Live::Boolean;
        } else if !self.start_temporal(bytes, row) {
            self.turn_into_text(bytes, row);
        }
        if let Some(seen) = self.temporal.as_mut() {
            seen.midnights = false;
        }
    }

    /// A string of a format that has numbers of its own: it may be a date, but no number.
    fn observe_string(&mut self, cell: Cell<'_>, row: u64) {
        match self.live {
            Live::Text => self.count_text(cell.bytes, row),
            Live::Start => {
                if !self.start_temporal(cell.bytes, row) {
                    self.turn_into_text(cell.bytes, row);
                }
            }
            Live::Temporal => {
                if !self.fits_temporal(cell.bytes, row) {
                    self.turn_into_text(cell.bytes, row);
                }
            }
            Live::Number | Live::Boolean | Live::Geometry => self.turn_into_text(cell.bytes, row),
        }
        if let Some(seen) = self.temporal.as_mut() {
            seen.midnights = seen.midnights && cell.kind == Kind::Moment;
        }
    }

    fn start_temporal(&mut self, bytes: &[u8], row: u64) -> bool {
        let Some(value) = temporal::temporal(bytes) else { return false };
        let mut seen = TemporalSeen::new(value.form);
        seen.add(&value, row);
        self.temporal = Some(seen);
        self.live = Live::Temporal;
        true
    }

    fn fits_temporal(&mut self, bytes: &[u8], row: u64) -> bool {
        let (Some(seen), Some(value)) = (self.temporal.as_mut(), temporal::temporal(bytes)) else { return false };
        value.form == seen.form && seen.add(&value, row)
    }

    /// The value refutes what the column was.
    fn turn_into_text(&mut self, bytes: &[u8], row: u64) {
        if self.live != Live::Text {
            self.text.from = self.live;
            self.text.fitting = if self.live == Live::Start { 0 } else { self.values - 1 };
            self.live = Live::Text;
        }
        self.count_text(bytes, row);
    }

    fn count_text(&mut self, bytes: &[u8], row: u64) {
        let fits = match self.text.from {
            Live::Boolean => is_boolean(bytes),
            Live::Temporal => {
                let form = self.temporal.as_ref().map(|seen| seen.form);
                temporal::temporal(bytes).is_some_and(|value| Some(value.form) == form)
            }
            Live::Start | Live::Number | Live::Geometry | Live::Text => is_plain_number(bytes),
        };
        self.text.short_years = self.text.short_years && temporal::has_short_year(bytes);
        let trimmed = bytes.trim_ascii();
        if trimmed.len() < bytes.len() {
            if temporal::temporal(trimmed).is_some() {
                self.text.padded_dates.add(row);
            }
        } else if self.text.from == Live::Start && !self.text.padded_dates.is_empty() {
            self.text.bare_dates += u64::from(temporal::temporal(bytes).is_some());
        }
        if fits {
            self.text.fitting += 1;
        } else {
            self.text.others.add(row);
        }
    }
}

impl Numbers {
    fn new() -> Self {
        Self {
            integers: 0,
            whole_first: false,
            fractions: Tally::default(),
            exponents: Tally::default(),
            leading_zeros: Tally::default(),
            padded: Tally::default(),
            dressed: Tally::default(),
            oversized: Tally::default(),
            digits_max: 1,
            scale_min: u32::MAX,
            scale_max: 0,
            trailing_zero: false,
            whole: true,
            lossy: Tally::default(),
            bare: false,
        }
    }

    fn add(&mut self, shape: Shape, bytes: &[u8], row: u64) {
        match shape {
            Shape::Integer { digits } => {
                self.integers += 1;
                self.digits_max = self.digits_max.max(digits);
                if digits >= 19 && number::integer(bytes).is_none() {
                    self.oversized.add(row);
                }
                if digits > 15 && !number::survives_float(bytes) {
                    self.lossy.add(row);
                }
            }
            Shape::Decimal { digits, scale, significant, trailing_zero, whole } => {
                self.fractions.add(row);
                self.digits_max = self.digits_max.max(digits);
                self.scale_min = self.scale_min.min(scale);
                self.scale_max = self.scale_max.max(scale);
                // Doubles are printed `2.0` where they are whole, so that zero is not lost.
                self.trailing_zero |= trailing_zero && !(whole && scale == 1);
                self.whole = self.whole && whole;
                let long = significant > 15 || scale > SCALE_SAFE;
                if long && !(significant <= 17 && number::survives_float(bytes)) {
                    self.lossy.add(row);
                }
            }
            Shape::Exponent => {
                self.exponents.add(row);
                if !number::survives_exponent(bytes) {
                    self.lossy.add(row);
                }
            }
            Shape::LeadingZero => self.leading_zeros.add(row),
            Shape::Padded => self.padded.add(row),
            Shape::Dressed => self.dressed.add(row),
            Shape::Not => {}
        }
    }
}

impl TemporalSeen {
    fn new(form: Form) -> Self {
        Self {
            form,
            month_first: true,
            day_first: true,
            differs: false,
            offsets: false,
            finer: Tally::default(),
            past_midnight: Tally::default(),
            out_of_years: Tally::default(),
            midnights: true,
        }
    }

    /// Takes a value of the same form; `false` if neither order of day and month is left.
    fn add(&mut self, value: &Temporal, row: u64) -> bool {
        let (month_first, day_first) =
            (self.month_first && value.month_first.is_some(), self.day_first && value.day_first.is_some());
        if !month_first && !day_first {
            return false;
        }
        (self.month_first, self.day_first) = (month_first, day_first);
        self.differs = self.differs || value.month_first != value.day_first;
        self.offsets = self.offsets || value.offset_min != 0;
        self.midnights = self.midnights && value.time_us == 0 && value.form.date.is_some();
        if value.finer {
            self.finer.add(row);
        }
        if value.offset_min != 0 && !value.is_in_years() {
            self.out_of_years.add(row);
        }
        if value.time_us >= temporal::DAY_US {
            self.past_midnight.add(row);
        }
        true
    }
}

/// `true` and `false` in any of three cases.
pub(crate) fn is_boolean(bytes: &[u8]) -> bool {
    boolean(bytes).is_some()
}

/// The value of a boolean.
pub(crate) fn boolean(bytes: &[u8]) -> Option<bool> {
    match bytes {
        b"true" | b"True" | b"TRUE" => Some(true),
        b"false" | b"False" | b"FALSE" => Some(false),
        _ => None,
    }
}

fn is_plain_number(bytes: &[u8]) -> bool {
    let begins = bytes.first().is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'));
    begins && matches!(number::shape(bytes), Shape::Integer { .. } | Shape::Decimal { .. } | Shape::Exponent)
}

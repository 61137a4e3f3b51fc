//! Reads dates, times and timestamps off their bytes, and tells in which form they are written.

/// Microseconds of a day.
pub(crate) const DAY_US: i64 = 86_400_000_000;

/// 0001-01-01 and 9999-12-31 in days since 1970-01-01.
const YEARS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;

/// How a date is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DateForm {
    /// `2024-01-31`, with its separator.
    YearFirst(u8),
    /// `1/31/2024` or `31/1/2024`, with its separator: which of the two, the column tells.
    YearLast(u8),
    /// `31-Jan-2024`, `31 January 2024` or `31JAN2024`, with its separator or 0.
    DayMonthName(u8),
    /// `January 31, 2024` or `Jan 31 2024`.
    MonthName,
}

/// How a value is written. A column has one form or is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) date: Option<DateForm>,
    /// The byte between date and time; 0 where there is only one of them.
    pub(crate) separator: u8,
    pub(crate) half_days: bool,
    pub(crate) zoned: bool,
}

/// Which comes first where the year comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    MonthFirst,
    DayFirst,
}

/// A value as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Temporal {
    pub(crate) form: Form,
    /// Days since 1970-01-01 if the month comes first, or if there is no doubt.
    pub(crate) month_first: Option<i32>,
    /// Days since 1970-01-01 if the day comes first, or if there is no doubt.
    pub(crate) day_first: Option<i32>,
    /// Microseconds since midnight; an hour past 23 makes it [`DAY_US`] or more.
    pub(crate) time_us: i64,
    /// Minutes east of UTC.
    pub(crate) offset_min: i32,
    /// Whether digits beyond the microsecond were not zero.
    pub(crate) finer: bool,
}

impl Temporal {
    /// Days since 1970-01-01 in the given order.
    pub(crate) fn days(&self, order: Order) -> Option<i32> {
        match order {
            Order::MonthFirst => self.month_first,
            Order::DayFirst => self.day_first,
        }
    }

    /// Whether the moment, in UTC, lies in the years 1 to 9999, in whichever order day and month are read.
    pub(crate) fn is_in_years(&self) -> bool {
        let orders = [Order::MonthFirst, Order::DayFirst].into_iter().filter(|order| self.days(*order).is_some());
        orders.map(|order| self.moment_us(order)).all(|moment| moment.is_some_and(in_years))
    }

    /// Microseconds since 1970-01-01, in UTC where there is an offset.
    pub(crate) fn moment_us(&self, order: Order) -> Option<i64> {
        let local = i64::from(self.days(order)?).checked_mul(DAY_US)?.checked_add(self.time_us)?;
        local.checked_sub(i64::from(self.offset_min) * 60_000_000)
    }
}

/// Whether a moment, in microseconds since 1970-01-01, lies in the years 1 to 9999: others have no form that is read
/// everywhere.
pub(crate) fn in_years(moment_us: i64) -> bool {
    YEARS.contains(&moment_us.div_euclid(DAY_US))
}

/// Reads a value; `None` when it is no date, time or timestamp in a form that is known.
pub(crate) fn temporal(bytes: &[u8]) -> Option<Temporal> {
    if !(4..=40).contains(&bytes.len()) {
        return None;
    }
    let mut scan = Scan { rest: bytes };
    if let Some(time) = clock(&mut Scan { rest: bytes }).filter(|time| time.rest.is_empty()) {
        return time.finish(None, 0);
    }
    let date = date(&mut scan)?;
    if scan.rest.is_empty() {
        return Time::midnight().finish(Some(date), 0);
    }
    let separator = scan.byte().filter(|byte| matches!(byte, b' ' | b'T'))?;
    let mut time = clock(&mut scan)?;
    time.zone()?;
    time.finish(Some(date), separator)
}

/// Whether a text is a date whose year has two digits: nobody can tell its century.
pub(crate) fn has_short_year(bytes: &[u8]) -> bool {
    let mut parts = bytes.split(|byte| matches!(byte, b'-' | b'/' | b'.' | b' '));
    let (Some(first), Some(second), Some(third), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let number = |part: &[u8]| Scan { rest: part }.digits(1, 2).filter(|(_, length)| *length == part.len());
    let within = |part: &[u8], most: u32| number(part).is_some_and(|(value, _)| (1..=most).contains(&value));
    let plain = (within(first, 12) && within(second, 31)) || (within(first, 31) && within(second, 12));
    third.len() == 2 && number(third).is_some() && (plain || (within(first, 31) && month(second).is_some()))
}

struct Scan<'a> {
    rest: &'a [u8],
}

impl<'a> Scan<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(())
    }

    /// A run of digits, its length within the range.
    fn digits(&mut self, least: usize, most: usize) -> Option<(u32, usize)> {
        let length = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(least..=most).contains(&length) {
            return None;
        }
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some((digits.iter().fold(0, |value, byte| value * 10 + u32::from(byte - b'0')), length))
    }

    fn letters(&mut self) -> &'a [u8] {
        let length = self.rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let (letters, rest) = self.rest.split_at(length);
        self.rest = rest;
        letters
    }
}

struct Date {
    form: DateForm,
    month_first: Option<i32>,
    day_first: Option<i32>,
}

fn date(scan: &mut Scan<'_>) -> Option<Date> {
    if scan.rest.first()?.is_ascii_alphabetic() {
        let month = month(scan.letters())?;
        scan.eat(b' ')?;
        let (day, _) = scan.digits(1, 2)?;
        let _comma = scan.eat(b',');
        scan.eat(b' ')?;
        let (year, _) = scan.digits(4, 4)?;
        return certain(DateForm::MonthName, days(year, month, day)?);
    }
    let (first, length) = scan.digits(1, 4)?;
    let joined = scan.rest.first()?.is_ascii_alphabetic();
    let separator = if joined { 0 } else { scan.byte().filter(|byte| matches!(byte, b'-' | b'/' | b'.' | b' '))? };
    if scan.rest.first()?.is_ascii_alphabetic() {
        let month = month(scan.letters())?;
        if !joined {
            scan.eat(separator)?;
        }
        let (year, _) = scan.digits(4, 4)?;
        let known = days(year, month, if length <= 2 { first } else { return None })?;
        return certain(DateForm::DayMonthName(separator), known);
    }
    if separator == b' ' {
        return None;
    }
    let (second, _) = scan.digits(1, 2)?;
    scan.eat(separator)?;
    match length {
        4 if separator != b'.' => {
            let (day, _) = scan.digits(1, 2)?;
            certain(DateForm::YearFirst(separator), days(first, second, day)?)
        }
        1 | 2 => {
            let (year, _) = scan.digits(4, 4)?;
            let (month_first, day_first) = (days(year, first, second), days(year, second, first));
            let form = DateForm::YearLast(separator);
            (month_first.is_some() || day_first.is_some()).then_some(Date { form, month_first, day_first })
        }
        _ => None,
    }
}

fn certain(form: DateForm, days: i32) -> Option<Date> {
    Some(Date { form, month_first: Some(days), day_first: Some(days) })
}

fn month(name: &[u8]) -> Option<u32> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
    let short = |full: &str| name.len() == 3 && full.starts_with(&name);
    let index =
        NAMES.iter().position(|full| *full == name || short(full) || (*full == "september" && name == "sept"))?;
    u32::try_from(index + 1).ok()
}

/// Days since 1970-01-01 of a day of the Gregorian calendar in years 1 to 9999.
fn days(year: u32, month: u32, day: u32) -> Option<i32> {
    if year == 0 {
        return None;
    }
    let date = chrono::NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    Some(date.to_epoch_days())
}

struct Time<'a> {
    rest: &'a [u8],
    time_us: i64,
    half_days: bool,
    offset_min: Option<i32>,
    finer: bool,
}

impl Time<'_> {
    fn midnight() -> Self {
        Self { rest: &[], time_us: 0, half_days: false, offset_min: None, finer: false }
    }

    /// Reads what follows the time of a timestamp: nothing, `Z` or an offset.
    fn zone(&mut self) -> Option<()> {
        let mut scan = Scan { rest: self.rest.strip_prefix(b" ").unwrap_or(self.rest) };
        self.offset_min = match scan.rest {
            [] => return self.rest.is_empty().then_some(()),
            b"Z" | b"z" | b"UTC" => Some(0),
            _ => {
                let sign = match scan.byte()? {
                    b'+' => 1,
                    b'-' => -1,
                    _ => return None,
                };
                let (hours, minutes) = offset(&mut scan)?;
                Some(sign * i32::try_from(hours * 60 + minutes).ok()?)
            }
        };
        Some(())
    }

    fn finish(self, date: Option<Date>, separator: u8) -> Option<Temporal> {
        let form = Form {
            date: date.as_ref().map(|date| date.form),
            separator,
            half_days: self.half_days,
            zoned: self.offset_min.is_some(),
        };
        let past_midnight = self.time_us >= DAY_US;
        if date.is_some() && past_midnight {
            return None;
        }
        Some(Temporal {
            form,
            month_first: date.as_ref().map_or(Some(0), |date| date.month_first),
            day_first: date.as_ref().map_or(Some(0), |date| date.day_first),
            time_us: self.time_us,
            offset_min: self.offset_min.unwrap_or(0),
            finer: self.finer,
        })
    }
}

fn offset(scan: &mut Scan<'_>) -> Option<(u32, u32)> {
    let length = scan.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (hours, minutes) = if length == 4 {
        let (both, _) = scan.digits(4, 4)?;
        (both / 100, both % 100)
    } else {
        let (hours, _) = scan.digits(2, 2)?;
        let minutes = if scan.eat(b':').is_some() { scan.digits(2, 2)?.0 } else { 0 };
        (hours, minutes)
    };
    (scan.rest.is_empty() && hours <= 15 && minutes < 60).then_some((hours, minutes))
}

/// `H:MM`, `H:MM:SS`, `H:MM:SS.f`, and ` AM` or ` PM` after them.
fn clock<'a>(scan: &mut Scan<'a>) -> Option<Time<'a>> {
    let (hour, _) = scan.digits(1, 3)?;
    scan.eat(b':')?;
    let (minute, _) = scan.digits(2, 2)?;
    let mut second = 0;
    let mut fraction_us = 0;
    let mut finer = false;
    if scan.eat(b':').is_some() {
        second = scan.digits(2, 2)?.0;
        if scan.eat(b'.').is_some() {
            (fraction_us, finer) = fraction(scan)?;
        }
    }
    if minute > 59 || second > 59 {
        return None;
    }
    let mut hours = hour;
    let half = scan.rest.strip_prefix(b" ").unwrap_or(scan.rest);
    let half_days = match half.get(..2).map(<[u8]>::to_ascii_uppercase).as_deref() {
        Some(b"AM") => {
            hours = if (1..=12).contains(&hour) { hour % 12 } else { return None };
            true
        }
        Some(b"PM") => {
            hours = if (1..=12).contains(&hour) { hour % 12 + 12 } else { return None };
            true
        }
        _ => false,
    };
    let rest = if half_days { half.get(2..).unwrap_or_default() } else { scan.rest };
    scan.rest = rest;
    let time_us = (i64::from(hours) * 3600 + i64::from(minute) * 60 + i64::from(second)) * 1_000_000 + fraction_us;
    Some(Time { rest, time_us, half_days, offset_min: None, finer })
}

/// A fraction of a second as microseconds, and whether more digits followed that are not zero.
fn fraction(scan: &mut Scan<'_>) -> Option<(i64, bool)> {
    let length = scan.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&length) {
        return None;
    }
    let (digits, rest) = scan.rest.split_at(length);
    scan.rest = rest;
    let places = (0..6).map(|place| digits.get(place).map_or(0, |byte| i64::from(byte - b'0')));
    let finer = digits.iter().skip(6).any(|byte| *byte != b'0');
    Some((places.fold(0, |value, digit| value * 10 + digit), finer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, order: Order) -> Option<String> {
        let value = temporal(text.as_bytes())?;
        let moment = chrono::DateTime::from_timestamp_micros(value.moment_us(order)?)?;
        let pattern = match (value.form.date.is_some(), value.form.separator) {
            (true, 0) => "%Y-%m-%d",
            (true, _) => "%Y-%m-%d %H:%M:%S%.f",
            (false, _) => "%H:%M:%S%.f",
        };
        Some(moment.format(pattern).to_string())
    }

    #[test]
    fn every_form_is_read() {
        let check = |text: &str, expect: &str| {
            assert_eq!(shown(text, Order::MonthFirst).as_deref(), Some(expect), "{text:?}");
        };
        check("2024-02-29", "2024-02-29");
        check("2024/2/9", "2024-02-09");
        check("1/31/2024", "2024-01-31");
        check("31-Jan-2024", "2024-01-31");
        check("5 September 2024", "2024-09-05");
        check("05SEP2024", "2024-09-05");
        check("Sept 5, 2024", "2024-09-05");
        check("March 1 1999", "1999-03-01");
        check("2024-01-31T23:59:59.123456Z", "2024-01-31 23:59:59.123456");
        check("2024-01-31 01:00:00+03:00", "2024-01-30 22:00:00");
        check("2024-01-31T00:30:00-0500", "2024-01-31 05:30:00");
        check("12/08/2014 11:02:00 AM", "2014-12-08 11:02:00");
        check("5/19/2006 0:00:00", "2006-05-19 00:00:00");
        check("1/2/2020 12:05 am", "2020-01-02 00:05:00");
        check("23:59", "23:59:00");
        check("5:04:03.5", "05:04:03.500");
        check("12:30 PM", "12:30:00");
        assert_eq!(shown("31.12.2020", Order::DayFirst).as_deref(), Some("2020-12-31"));
        assert_eq!(shown("31.12.2020", Order::MonthFirst), None);
    }

    #[test]
    fn what_is_not_certain_is_not_read() {
        for text in [
            "2023-02-29",
            "20240131",
            "2024-01",
            "31-Jan-24",
            "01-01-13",
            "13/32/2020",
            "2024-01-31 24:00:00",
            "Jan 2024",
            "2024-01-31 10.39.15",
            "12:60",
            "1:2",
            "2024-01-31T",
            "2024-01-31T10:00 EST",
            "31/13/2020",
            "13:00 PM",
            "2024-01-31 ",
            "0000-01-01",
            "1-1-1",
            "2022.1.1",
            "15:00:00Z",
        ] {
            assert_eq!(temporal(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn years_of_two_digits_are_told() {
        let check = |text: &str, expect: bool| assert_eq!(has_short_year(text.as_bytes()), expect, "{text:?}");
        check("23-Oct-14", true);
        check("1/2/13", true);
        check("1/2/2013", false);
        check("27-1", false);
        check("a-b-12", false);
        check("40-12-34", false);
    }

    #[test]
    fn hours_past_midnight_are_told() {
        assert_eq!(temporal(b"25:10:00").unwrap().time_us, DAY_US + 4_200_000_000);
        assert!(temporal(b"24:00:00").unwrap().time_us >= DAY_US);
    }

    #[test]
    fn digits_beyond_the_microsecond_are_told() {
        assert!(!temporal(b"2014-01-01 00:00:00.1234560").unwrap().finer);
        assert!(temporal(b"2014-01-01 00:00:00.123456789").unwrap().finer);
    }
}

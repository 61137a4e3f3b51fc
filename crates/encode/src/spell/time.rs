//! Dates, times and durations in ISO 8601.

use super::number::integer;

/// Seconds of a day.
pub(crate) const DAY_SECONDS: i64 = 86_400;
const SECOND_NANOS: i64 = 1_000_000_000;

/// A date from its days since 1970: `2024-03-01`. Years beyond four digits have a sign.
pub(crate) fn date(out: &mut Vec<u8>, days: i64) {
    let (year, month, day) = civil(days);
    let [m1, m2] = two(month);
    let [d1, d2] = two(day);
    if (0..=9999).contains(&year) {
        let [y1, y2] = two(year / 100);
        let [y3, y4] = two(year % 100);
        out.extend_from_slice(&[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2]);
        return;
    }
    out.push(if year < 0 { b'-' } else { b'+' });
    let digits = itoa::Buffer::new().format(year.unsigned_abs()).len();
    for _ in digits..4 {
        out.push(b'0');
    }
    integer(out, year.unsigned_abs());
    out.extend_from_slice(&[b'-', m1, m2, b'-', d1, d2]);
}

/// A time of day: `09:05:00`, with a fraction where it is not zero. More than a day shows as more hours.
pub(crate) fn time(out: &mut Vec<u8>, seconds: i64, nanos: i64) {
    if seconds < 0 {
        // No time of day; it is shown as it is rather than as another one.
        out.push(b'-');
        let borrowed = i64::from(nanos > 0);
        return time(out, -(seconds + borrowed), (SECOND_NANOS - nanos) * borrowed);
    }
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours < 100 {
        out.extend_from_slice(&two(hours));
    } else {
        integer(out, hours);
    }
    let [m1, m2] = two(minutes);
    let [s1, s2] = two(seconds);
    out.extend_from_slice(&[b':', m1, m2, b':', s1, s2]);
    fraction(out, nanos);
}

/// A timestamp from its seconds since 1970 and the nanoseconds on top: `2024-03-01T12:34:56`, with a fraction
/// where it is not zero, and `Z` where it is in UTC.
pub(crate) fn timestamp(out: &mut Vec<u8>, seconds: i64, nanos: i64, utc: bool) {
    date(out, seconds.div_euclid(DAY_SECONDS));
    out.push(b'T');
    time(out, seconds.rem_euclid(DAY_SECONDS), nanos);
    if utc {
        out.push(b'Z');
    }
}

/// A length of time: `P1Y2M`, `P1DT2H3M4.5S`, `PT0S`. One sign in front where all parts agree, else one each.
/// Days stay days; hours, minutes and seconds come from the seconds.
pub(crate) fn interval(out: &mut Vec<u8>, months: i64, days: i64, seconds: i64, nanos: i64) {
    // Truncated, so that seconds and their fraction have one sign.
    let (seconds, nanos) =
        if seconds < 0 && nanos > 0 { (seconds + 1, nanos - SECOND_NANOS) } else { (seconds, nanos) };
    let parts = [months / 12, months % 12, days, seconds / 3600, seconds / 60 % 60, seconds % 60, nanos];
    let negative = parts.iter().all(|part| *part <= 0) && parts.iter().any(|part| *part < 0);
    let [years, months, days, hours, minutes, seconds, nanos] = if negative { parts.map(|part| -part) } else { parts };
    if negative {
        out.push(b'-');
    }
    out.push(b'P');
    let start = out.len();
    for (value, unit) in [(years, b'Y'), (months, b'M'), (days, b'D')] {
        if value != 0 {
            integer(out, value);
            out.push(unit);
        }
    }
    let clock = hours != 0 || minutes != 0 || seconds != 0 || nanos != 0;
    if !clock && out.len() > start {
        return;
    }
    out.push(b'T');
    for (value, unit) in [(hours, b'H'), (minutes, b'M')] {
        if value != 0 {
            integer(out, value);
            out.push(unit);
        }
    }
    if seconds != 0 || nanos != 0 || !clock {
        if nanos < 0 && seconds == 0 {
            out.push(b'-');
        }
        integer(out, seconds);
        fraction(out, nanos.abs());
        out.push(b'S');
    }
}

/// Three, six or nine digits of a second's fraction; nothing where it is zero.
fn fraction(out: &mut Vec<u8>, nanos: i64) {
    if nanos == 0 {
        return;
    }
    let (micros, rest_nanos) = (nanos / 1000, nanos % 1000);
    let (millis, rest_micros) = (micros / 1000, micros % 1000);
    out.push(b'.');
    out.extend_from_slice(&three(millis));
    if rest_micros != 0 || rest_nanos != 0 {
        out.extend_from_slice(&three(rest_micros));
    }
    if rest_nanos != 0 {
        out.extend_from_slice(&three(rest_nanos));
    }
}

/// Year, month and day of the proleptic Gregorian calendar, by counting in eras of 400 years that begin on
/// 1 March.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Two digits of a number below 100.
fn two(value: i64) -> [u8; 2] {
    let [low, ..] = value.to_le_bytes();
    [b'0' + low / 10 % 10, b'0' + low % 10]
}

/// Three digits of a number below 1000.
fn three(value: i64) -> [u8; 3] {
    let [hundreds, ..] = (value / 100).to_le_bytes();
    let [tens, ones] = two(value % 100);
    [b'0' + hundreds % 10, tens, ones]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelt(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates_are_iso() {
        let check = |days, text: &str| assert_eq!(spelt(|out| date(out, days)), text);
        check(0, "1970-01-01");
        check(-1, "1969-12-31");
        check(11_016, "2000-02-29");
        check(19_783, "2024-03-01");
        check(-719_528, "0000-01-01");
        check(-719_529, "-0001-12-31");
        check(2_932_896, "9999-12-31");
        check(2_932_897, "+10000-01-01");
        check(i64::from(i32::MAX), "+5881580-07-11");
        check(i64::from(i32::MIN), "-5877641-06-23");
    }

    #[test]
    fn timestamps_show_a_fraction_only_where_there_is_one() {
        let check = |s, n, utc, text: &str| assert_eq!(spelt(|out| timestamp(out, s, n, utc)), text);
        check(1_709_296_496, 0, false, "2024-03-01T12:34:56");
        check(1_709_296_496, 0, true, "2024-03-01T12:34:56Z");
        check(1_709_296_496, 120_000_000, false, "2024-03-01T12:34:56.120");
        check(1_709_296_496, 1_000, false, "2024-03-01T12:34:56.000001");
        check(-1, 999_999_999, true, "1969-12-31T23:59:59.999999999Z");
        let text = spelt(|out| timestamp(out, i64::MIN, 0, false));
        assert!(text.starts_with("-292277022657-01-27T"), "{text}");
    }

    #[test]
    fn times_of_day_are_shown_as_they_are() {
        let check = |s, n, text: &str| assert_eq!(spelt(|out| time(out, s, n)), text);
        check(0, 0, "00:00:00");
        check(32_700, 250_000_000, "09:05:00.250");
        check(86_400, 0, "24:00:00");
        check(-1, 500_000_000, "-00:00:00.500");
        check(-61, 0, "-00:01:01");
    }

    #[test]
    fn lengths_of_time_are_iso() {
        let check = |m, d, s, n, text: &str| assert_eq!(spelt(|out| interval(out, m, d, s, n)), text);
        check(0, 0, 0, 0, "PT0S");
        check(14, 0, 0, 0, "P1Y2M");
        check(0, 1, 7384, 500_000_000, "P1DT2H3M4.500S");
        check(0, 0, -5, 0, "-PT5S");
        check(0, 0, -1, 500_000_000, "-PT0.500S");
        check(1, -2, 3, 0, "P1M-2DT3S");
        check(1, 0, -1, 500_000_000, "P1MT-0.500S");
    }
}

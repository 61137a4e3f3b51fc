//! Figures as people read them.

/// A whole number in groups of three: `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size: `512 bytes`, `1.4 MB`, in powers of 1,000 as disks and browsers show them.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] =
        [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    match UNITS.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit / (unit / 10)),
        None => format!("{bytes} bytes"),
    }
}

/// A share in percent: `0 %` and `100 %` only when exactly so.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return "0 %".to_owned();
    }
    if part >= whole {
        return "100 %".to_owned();
    }
    let tenths = u128::from(part) * 1000 / u128::from(whole);
    match tenths {
        0 => "< 0.1 %".to_owned(),
        tenths => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

/// The day of a time in RFC 3339.
pub(super) fn day(timestamp: &str) -> String {
    timestamp.split('T').next().unwrap_or_default().to_owned()
}

/// A text of at most `length` characters, with an ellipsis for the rest.
pub(super) fn short(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let kept: String = text.chars().take(length.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_easy_to_read() {
        assert_eq!([grouped(0), grouped(999), grouped(1000), grouped(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [size(0), size(999), size(1_450_000), size(2_000_000_000)],
            ["0 bytes", "999 bytes", "1.4 MB", "2.0 GB"]
        );
        assert_eq!(
            [percent(0, 5), percent(5, 5), percent(1, 10_000), percent(1, 3)],
            ["0 %", "100 %", "< 0.1 %", "33.3 %"]
        );
        assert_eq!(day("2023-11-14T22:13:20Z"), "2023-11-14");
        assert_eq!([short("abc", 3), short("ab cd", 4), short("éééé", 3)], ["abc", "ab…", "éé…"]);
    }
}

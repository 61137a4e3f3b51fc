//! Whether what is said of a dataset is what the field is for: whoever harvests the catalog relies on it.

use super::{ColumnDescription, DatasetMetadata};

/// Characters of the description and of what is said of the collection: some pages.
const LONG_CHARS_MAX: usize = 10_000;
/// Characters of a title, a name, an address, a place: a few lines.
const SHORT_CHARS_MAX: usize = 500;
/// Keywords, themes, languages: more would say nothing.
const WORDS_MAX: usize = 100;
/// Codes of one column, and columns: a list that people read. Longer lists of codes are datasets of their own.
const ENTRIES_MAX: usize = 2_000;

impl DatasetMetadata {
    /// What is wrong with them, each fault with the field's name; empty if nothing is.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |fits: bool, fault: &str| {
            if !fits {
                faults.push(fault.to_owned());
            }
        };
        let unsaid_or = |text: &str, fits: fn(&str) -> bool| text.is_empty() || fits(text);
        check(!self.title.trim().is_empty(), "title is empty");
        check(
            unsaid_or(&self.steward_email, is_address),
            "steward_email wants an e-mail address such as data@city.gov",
        );
        check(
            unsaid_or(&self.contact_email, is_address),
            "contact_email wants an e-mail address such as data@city.gov",
        );
        let license = unsaid_or(&self.license, |license| spdx::Expression::parse(license).is_ok());
        check(license, "license wants an SPDX identifier such as CC0-1.0, CC-BY-4.0 or ODbL-1.0 (spdx.org/licenses)");
        let frequency = unsaid_or(&self.update_frequency, is_frequency);
        check(frequency, "update_frequency wants an ISO 8601 repeating interval such as R/P1M, or irregular");
        let interval = unsaid_or(&self.temporal_coverage, is_interval);
        check(interval, "temporal_coverage wants an ISO 8601 interval such as 2019-01-01/2026-06-30, or 2019/..");
        let place = unsaid_or(&self.spatial_coverage, is_place);
        check(place, "spatial_coverage wants words, or west,south,east,north in degrees within -180..180 and -90..90");
        check(self.languages.iter().all(|tag| is_language(tag)), "languages wants BCP 47 tags such as en-US");
        for (field, text) in [
            ("title", &self.title),
            ("department", &self.department),
            ("steward_name", &self.steward_name),
            ("steward_email", &self.steward_email),
            ("contact_name", &self.contact_name),
            ("contact_email", &self.contact_email),
            ("license", &self.license),
            ("spatial_coverage", &self.spatial_coverage),
            ("source", &self.source),
        ] {
            check(
                text.chars().count() <= SHORT_CHARS_MAX,
                &format!("{field} has more than {SHORT_CHARS_MAX} characters"),
            );
        }
        for (field, text) in [
            ("description", &self.description),
            ("terms", &self.terms),
            ("collection_method", &self.collection_method),
            ("accuracy", &self.accuracy),
            ("completeness", &self.completeness),
            ("limitations", &self.limitations),
        ] {
            check(
                text.chars().count() <= LONG_CHARS_MAX,
                &format!("{field} has more than {LONG_CHARS_MAX} characters"),
            );
        }
        for (field, words) in [("keywords", &self.keywords), ("themes", &self.themes), ("languages", &self.languages)] {
            let fit = words.len() <= WORDS_MAX && words.iter().all(|word| word.chars().count() <= SHORT_CHARS_MAX);
            check(fit, &format!("{field} has more than {WORDS_MAX} entries, or one is a text"));
        }
        let columns = self.columns.len() <= ENTRIES_MAX && self.columns.iter().all(is_short_enough);
        check(
            columns,
            &format!("columns has more than {ENTRIES_MAX} entries or codes, or a text of too many characters"),
        );
        faults.extend(with_nul(self));
        faults
    }
}

/// Fields that hold a NUL: the databases and formats that texts go to have no such character.
fn with_nul(metadata: &DatasetMetadata) -> Vec<String> {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(metadata) else { return Vec::new() };
    let found = fields.iter().filter(|(_, value)| has_nul(value));
    found.map(|(field, _)| format!("{field} holds the character NUL")).collect()
}

fn has_nul(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => text.contains('\0'),
        serde_json::Value::Array(values) => values.iter().any(has_nul),
        serde_json::Value::Object(members) => members.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        _ => false,
    }
}

/// Whether what is said of a column is no longer than people read.
fn is_short_enough(column: &ColumnDescription) -> bool {
    let texts = [&column.name, &column.title, &column.description, &column.unit, &column.classification];
    let fits = |(code, meaning): (&String, &String)| code.len().saturating_add(meaning.len()) <= LONG_CHARS_MAX;
    column.codes.len() <= ENTRIES_MAX
        && column.codes.iter().all(fits)
        && texts.iter().all(|text| text.chars().count() <= LONG_CHARS_MAX)
}

/// Whether it has the shape of an address: what stands before one @, and a host. Only a letter tells whether it exists.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let plain =
        |character: char| !character.is_whitespace() && !character.is_control() && !"<>,;\"".contains(character);
    let parts = text.split_once('@');
    let host_fits = |host: &str| host.split('.').all(|label| !label.is_empty()) && !host.contains('@');
    parts.is_some_and(|(user, host)| !user.is_empty() && host_fits(host)) && text.chars().all(plain)
}

/// `irregular`, or `R/` and a duration, as DCAT-US has it.
fn is_frequency(text: &str) -> bool {
    text == "irregular" || text.strip_prefix("R/").is_some_and(is_duration)
}

/// An ISO 8601 duration: numbers and units in their order, such as `P1Y6M` or `PT15M`.
fn is_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('P') else { return false };
    let (days, time) = rest.split_once('T').map_or((rest, None), |(days, time)| (days, Some(time)));
    let parts = |text: &str, units: &str| {
        let mut left = units;
        let mut number = String::new();
        for character in text.chars() {
            if character.is_ascii_digit() || character == '.' {
                number.push(character);
                continue;
            }
            let Some((_, after)) = left.split_once(character) else { return false };
            if number.parse::<f64>().is_err() {
                return false;
            }
            left = after;
            number.clear();
        }
        number.is_empty()
    };
    !rest.is_empty() && parts(days, "YMWD") && time.is_none_or(|time| !time.is_empty() && parts(time, "HMS"))
}

/// Two ends, or one and a duration.
fn is_interval(text: &str) -> bool {
    let Some((start, end)) = text.split_once('/') else { return false };
    match (is_moment(start), is_moment(end)) {
        (true, true) => start.get(..end.len().min(start.len())) <= end.get(..end.len().min(start.len())),
        (true, false) => end == ".." || is_duration(end),
        (false, true) => start == ".." || is_duration(start),
        (false, false) => false,
    }
}

/// A year, a month, a day or a moment.
fn is_moment(text: &str) -> bool {
    let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
    let mut parts = date.split('-');
    let number = |part: Option<&str>, digits: usize, range: std::ops::RangeInclusive<u32>| match part {
        None => true,
        Some(part) => part.len() == digits && part.parse().is_ok_and(|value| range.contains(&value)),
    };
    let (year, month) = (parts.clone().next(), parts.clone().nth(1));
    let is_date = !date.is_empty()
        && number(parts.next(), 4, 0..=9999)
        && number(parts.next(), 2, 1..=12)
        && number(parts.next(), 2, 1..=days_of(year, month))
        && parts.next().is_none();
    let is_time = |time: &str| {
        let clock = time.split(['Z', '+', '-', '.']).next().unwrap_or_default();
        let mut parts = clock.split(':');
        clock.len() >= 5 && number(parts.next(), 2, 0..=23) && number(parts.next(), 2, 0..=59)
    };
    is_date && time.is_none_or(|time| date.len() == 10 && is_time(time))
}

/// Days of a month.
fn days_of(year: Option<&str>, month: Option<&str>) -> u32 {
    let year: u32 = year.and_then(|year| year.parse().ok()).unwrap_or_default();
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        Some("02") if leap => 29,
        Some("02") => 28,
        Some("04" | "06" | "09" | "11") => 30,
        _ => 31,
    }
}

/// Words; four numbers are a box.
fn is_place(text: &str) -> bool {
    let numbers: Vec<Option<f64>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
    match numbers.as_slice() {
        [Some(west), Some(south), Some(east), Some(north)] => {
            let (longitude, latitude) = (-180.0..=180.0, -90.0..=90.0);
            [west, east].iter().all(|degrees| longitude.contains(*degrees))
                && [south, north].iter().all(|degrees| latitude.contains(*degrees))
                && south <= north
        }
        _ => true,
    }
}

/// The shape of a BCP 47 tag: a language of two or three letters, then subtags of up to eight letters and digits.
fn is_language(text: &str) -> bool {
    let mut parts = text.split('-');
    let language = parts.next().unwrap_or_default();
    let subtag = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (2..=3).contains(&language.len()) && language.bytes().all(|byte| byte.is_ascii_alphabetic()) && parts.all(subtag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::DatasetName;

    fn check(fits: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(fits(text), "{text}");
        }
        for text in bad {
            assert!(!fits(text), "{text}");
        }
    }

    #[test]
    fn each_field_has_its_form() {
        check(is_address, &["data+open@city.gov", "ö@x.example"], &["nobody", "a@", "@b", "a@b@c", "a b@c", "a@b..c"]);
        check(
            is_frequency,
            &["irregular", "R/P1M", "R/PT1S", "R/P0.5M", "R/P1Y6M", "R/P3D"],
            &["monthly", "P1M", "R/P", "R/PM", "R/P1", "R/P1D1M", "R/PT", "R/P1X"],
        );
        check(
            is_interval,
            &[
                "2019/2026",
                "2019-01-01/2026-06-30",
                "2019/..",
                "../2020-05",
                "2020-01-01/P1Y",
                "2020-01-01T00:00Z/..",
                "2024-02-29/..",
            ],
            &[
                "2019",
                "2026/2019",
                "../..",
                "2019-13-01/2020",
                "last year/now",
                "19/20",
                "2020-01T00:00/..",
                "2026-02-31/..",
                "2023-02-29/..",
                "../2026-04-31",
            ],
        );
        check(
            is_place,
            &["Durham County", "-79.0,35.8,-78.7,36.2", "Durham, NC"],
            &["-79,36.2,-78,35.8", "-190,1,2,3"],
        );
        check(is_language, &["en", "en-US", "es-419", "zh-Hant-TW"], &["english", "e", "en_US", "en-", "12"]);
    }

    #[test]
    fn faults_name_their_field() {
        let mut metadata = DatasetMetadata::named(DatasetName::parse("trees").unwrap());
        assert!(metadata.faults().is_empty());
        metadata.license = "our terms".into();
        metadata.languages = vec!["english".into()];
        metadata.accuracy = "x".repeat(LONG_CHARS_MAX + 1);
        let faults = metadata.faults();
        let named: Vec<_> = faults.iter().map(|fault| fault.split(' ').next().unwrap()).collect();
        assert_eq!(named, ["license", "languages", "accuracy"]);
    }

    #[test]
    fn no_field_holds_a_nul() {
        let metadata = DatasetMetadata {
            title: "a\0b".into(),
            keywords: vec!["x".into(), "\0".into()],
            ..DatasetMetadata::named(DatasetName::parse("trees").unwrap())
        };
        let mut faults = metadata.faults();
        faults.sort();
        assert_eq!(faults, ["keywords holds the character NUL", "title holds the character NUL"]);
    }
}

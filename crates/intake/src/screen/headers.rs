//! What the names of columns say.

use serde::{Deserialize, Serialize};

use super::ruleset::Rule;
use crate::dictionary::fold;

/// What a value must look like for a name to be believed: `has_passport` is no passport number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Shape {
    /// Anything that is not empty: `any`.
    #[default]
    Any,
    /// At least this many digits: `digits 4`.
    Digits(usize),
    /// Exactly nine digits: `nine digits`.
    Nine,
    /// A date, by its type or its digits: `date`.
    Date,
    /// At least this many bytes: `long 32`.
    Long(usize),
    /// Has a letter: `word`.
    Word,
    /// Four to six digits and nothing else: `code`.
    Code,
    /// Two to eight letters and digits, at least one digit: `plate`.
    Plate,
    /// Coordinates with at least four decimals, or a geometry: `precise degrees`.
    PreciseDegrees,
}

impl From<Shape> for String {
    fn from(shape: Shape) -> Self {
        match shape {
            Shape::Any => "any".to_owned(),
            Shape::Digits(least) => format!("digits {least}"),
            Shape::Nine => "nine digits".to_owned(),
            Shape::Date => "date".to_owned(),
            Shape::Long(least) => format!("long {least}"),
            Shape::Word => "word".to_owned(),
            Shape::Code => "code".to_owned(),
            Shape::Plate => "plate".to_owned(),
            Shape::PreciseDegrees => "precise degrees".to_owned(),
        }
    }
}

impl TryFrom<String> for Shape {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let least = |name: &str| text.strip_prefix(name).and_then(|number| number.parse().ok());
        match text.as_str() {
            "any" => Ok(Self::Any),
            "nine digits" => Ok(Self::Nine),
            "date" => Ok(Self::Date),
            "word" => Ok(Self::Word),
            "code" => Ok(Self::Code),
            "plate" => Ok(Self::Plate),
            "precise degrees" => Ok(Self::PreciseDegrees),
            _ => least("digits ").map(Self::Digits).or(least("long ").map(Self::Long)).ok_or_else(|| {
                format!(
                    "`fits` is any, digits N, nine digits, date, long N, word, code, plate or precise degrees, and not {text:?}"
                )
            }),
        }
    }
}

/// The names of a column as its file and its version spell them, ready for comparison.
pub(super) struct Header {
    /// Folded names with an underscore at either end, so that phrases match whole words.
    spellings: Vec<String>,
}

impl Header {
    pub(super) fn new(published: &str, source: Option<&str>) -> Self {
        let mut spellings: Vec<String> = Vec::new();
        for name in [Some(published), source].into_iter().flatten() {
            for spelling in [fold(name), fold(&apart(name))] {
                let spelling = format!("_{spelling}_");
                if !spellings.contains(&spelling) {
                    spellings.push(spelling);
                }
            }
        }
        Self { spellings }
    }

    /// Whether the name has the words of the rule.
    pub(super) fn says(&self, rule: &Rule) -> bool {
        let part =
            |part: &String| self.spellings.iter().any(|spelling| spelling.replace('_', "").contains(part.as_str()));
        self.has(&rule.columns) || self.is_one_of(&rule.named) || rule.parts.iter().any(part)
    }

    /// Whether the name has words that make it something else.
    pub(super) fn denies(&self, rule: &Rule) -> bool {
        self.has(&rule.unless)
    }

    pub(super) fn is_one_of(&self, names: &[String]) -> bool {
        self.spellings.iter().any(|spelling| names.iter().any(|name| spelling.trim_matches('_') == name))
    }

    fn has(&self, phrases: &[String]) -> bool {
        self.spellings.iter().any(|spelling| phrases.iter().any(|phrase| contains_phrase(spelling, phrase)))
    }
}

fn contains_phrase(spelling: &str, phrase: &str) -> bool {
    spelling.match_indices(phrase).any(|(start, _)| {
        let (before, after) = (spelling.get(..start), spelling.get(start + phrase.len()..));
        before.is_some_and(|before| before.ends_with('_')) && after.is_some_and(|after| after.starts_with('_'))
    })
}

/// Words in camel case set apart: `DriverLicenseNo` becomes `Driver_License_No`.
fn apart(name: &str) -> String {
    let mut spaced = String::with_capacity(name.len() + 8);
    let mut before_is_small = false;
    for character in name.chars() {
        if character.is_uppercase() && before_is_small {
            spaced.push('_');
        }
        before_is_small = character.is_lowercase() || character.is_ascii_digit();
        spaced.push(character);
    }
    spaced
}

/// Whether a value, given as text, has the shape.
pub(super) fn fits(shape: Shape, value: &[u8]) -> bool {
    let digits = || value.iter().filter(|byte| byte.is_ascii_digit()).count();
    match shape {
        Shape::Any => !value.trim_ascii().is_empty(),
        Shape::Digits(least) => digits() >= least,
        Shape::Nine => digits() == 9,
        Shape::Date => {
            let marks = value.iter().filter(|byte| matches!(byte, b'/' | b'-' | b'.')).count();
            (marks >= 2 && (5..=14).contains(&digits())) || (value.len() == 8 && digits() == 8)
        }
        Shape::Long(least) => value.len() >= least,
        Shape::Word => value.iter().any(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii()),
        Shape::Code => {
            let code = value.trim_ascii();
            (4..=6).contains(&code.len()) && code.iter().all(u8::is_ascii_digit)
        }
        Shape::Plate => is_plate(value),
        Shape::PreciseDegrees => has_precise_degrees(value),
    }
}

fn is_plate(value: &[u8]) -> bool {
    let (mut letters, mut digits) = (0, 0);
    for byte in value.trim_ascii() {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'A'..=b'Z' | b'a'..=b'z' => letters += 1,
            b' ' | b'-' => {}
            _ => return false,
        }
    }
    digits >= 1 && (2..=8).contains(&(letters + digits)) && digits <= 7
}

/// Four decimals of a degree are eleven metres of latitude. Bytes without a point in them are a geometry.
fn has_precise_degrees(value: &[u8]) -> bool {
    let mut groups = value.split(|byte| !byte.is_ascii_digit() && *byte != b'.');
    groups.any(|group| {
        let mut parts = group.splitn(2, |byte| *byte == b'.');
        let (whole, decimals) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        (1..=3).contains(&whole.len()) && decimals.len() >= 4 && decimals.iter().all(u8::is_ascii_digit)
    })
}

#[cfg(test)]
mod tests {
    use super::super::RuleSet;
    use super::*;

    fn codes(name: &str) -> Vec<String> {
        let header = Header::new(&fold(name), Some(name));
        let rules = RuleSet::default();
        let of_columns = rules.rules().iter().filter(|rule| rule.is_of_columns());
        of_columns.filter(|rule| header.says(rule) && !header.denies(rule)).map(|rule| rule.id.clone()).collect()
    }

    #[test]
    fn names_of_restricted_columns_are_known_in_many_spellings() {
        let check = |name: &str, code: &str| assert_eq!(codes(name), [code], "{name}");
        for name in
            ["SSN", "ssn", "Applicant SSN", "Soc Sec", "social_security_number", "SocialSecurityNo", "SSN (last 4)"]
        {
            check(name, "ssn_column");
        }
        for name in ["Driver's License", "DriverLicenseNo", "drivers_license_number", "DL Number", "driver_lic_no"] {
            check(name, "driver_license_column");
        }
        for name in ["License Plate", "PlateNumber", "tag_no", "Vehicle Plate"] {
            check(name, "license_plate_column");
        }
        for name in ["PIN", "Pin Code", "library_pin", "customer_pin"] {
            check(name, "pin_column");
        }
        check("EIN", "taxpayer_id_column");
        check("Passport No.", "passport_column");
        check("bank_account_number", "bank_account_column");
        check("Credit Card Number", "payment_card_column");
        check("CVV", "payment_card_code_column");
        check("password", "password_column");
        check("AFIS ID", "biometric_reference_column");
        check("Date of Birth", "birth_date_column");
        check("DOB", "birth_date_column");
        check("DateOfBirth", "birth_date_column");
        check("Mother's Maiden Name", "maiden_name_column");
        check("MRN", "medical_record_column");
        check("acct_no", "account_number_column");
        check("Home Address", "home_address_column");
    }

    #[test]
    fn names_of_ordinary_columns_are_not() {
        for name in [
            "pwd_district",
            "parcel_pin",
            "tax PIN",
            "pin_type",
            "class_number",
            "passport_required",
            "Birth Year",
            "place_of_birth",
            "license_number",
            "driver_license_state",
            "account",
            "gl_account_number",
            "salary",
            "address",
            "assessment_number",
            "listing_id",
            "routing",
            "einwohner",
            "birth_rate",
            "card_type",
            "password_reset_requests",
            "fingerprint_fee",
            "tinted",
            "dobson",
            "license_plate_readers",
            "tree_tag_number",
        ] {
            assert!(codes(name).is_empty(), "{name}: {:?}", codes(name));
        }
    }

    #[test]
    fn values_have_the_shapes_that_names_promise() {
        for (shape, yes, no) in [
            (Shape::Code, &["1234", " 004711 "][..], &["123", "1234567", "12a4"][..]),
            (Shape::Plate, &["ABC-1234", "PKR 4567", "12AB"], &["", "ABC", "12345678", "A/1", "ABCDEFG123"]),
            (
                Shape::PreciseDegrees,
                &["35.9940", "(-78.898619, 35.99)", "POINT (1.23456 2)"],
                &["35.99", "1234.56789", "5"],
            ),
            (Shape::Date, &["02/16/1942", "19420216", "1942-2-6"], &["1942", "hello"]),
            (Shape::Digits(4), &["1234", "a1b2c3d4"], &["123"]),
        ] {
            for value in yes {
                assert!(fits(shape, value.as_bytes()), "{shape:?} {value}");
            }
            for value in no {
                assert!(!fits(shape, value.as_bytes()), "{shape:?} {value}");
            }
            assert_eq!(Shape::try_from(String::from(shape)), Ok(shape));
        }
    }
}

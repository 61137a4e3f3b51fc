//! What the names of columns say.

use table::{PERSONS, RULES};

use super::scan::Context;
use crate::dictionary::fold;

mod table;

/// What a value must look like for a header to be believed: `has_passport` is no passport number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Anything that is not empty.
    Any,
    /// At least this many digits.
    Digits(usize),
    /// Exactly nine digits.
    Nine,
    /// A date, by its type or its digits.
    Date,
    /// At least this many bytes.
    Long(usize),
    /// Has a letter.
    Word,
}

/// One rule on names.
#[derive(Debug)]
pub(super) struct HeaderRule {
    /// The code in the table of rules.
    pub(super) code: &'static str,
    /// Words in a row, in the folded name.
    phrases: &'static [&'static str],
    /// Parts of the name once underscores are gone.
    parts: &'static [&'static str],
    /// Words that make it something else.
    unless: &'static [&'static str],
    /// What values must look like.
    pub(super) shape: Shape,
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

    /// The rules whose words the name has.
    pub(super) fn rules(&self) -> impl Iterator<Item = &'static HeaderRule> {
        RULES.iter().filter(|rule| {
            let named = self.has(rule.phrases)
                || self.spellings.iter().any(|spelling| {
                    let squashed = spelling.replace('_', "");
                    rule.parts.iter().any(|part| squashed.contains(part))
                });
            named && !self.has(rule.unless)
        })
    }

    pub(super) fn context(&self) -> Context {
        Context {
            ssn: self.has(&[
                "ssn",
                "itin",
                "social_security",
                "soc_sec",
                "ss_number",
                "ss_no",
                "tin",
                "tax_id",
                "taxpayer_id",
            ]),
            phone: self.has(&[
                "phone",
                "phones",
                "telephone",
                "tel",
                "fax",
                "mobile",
                "cell",
                "cellphone",
                "phone1",
                "phone2",
            ]) || self.spellings.iter().any(|spelling| spelling.contains("phone")),
            ip: self.has(&["ip", "ips", "ipaddress", "ip_address", "ipaddr", "remote_addr", "ipv4"]),
            routing: self.has(&[
                "routing_number",
                "routing_no",
                "routing_num",
                "bank_routing",
                "aba",
                "rtn",
                "aba_number",
            ]),
            card: self.has(&["credit_card", "debit_card", "card_number", "card_no", "cc_number", "cc_num", "card_num"]),
        }
    }

    /// Whether the column names people.
    pub(super) fn names_people(&self) -> bool {
        let named = |spelling: &String| {
            let bare = spelling.trim_matches('_');
            PERSONS.contains(&bare)
                || ["first_name", "last_name", "full_name", "surname", "person_name", "fname", "lname"]
                    .iter()
                    .any(|words| spelling.contains(words))
                || PERSONS.iter().any(|person| bare.strip_suffix("_name").is_some_and(|who| who == *person))
        };
        self.spellings.iter().any(named)
    }

    fn has(&self, phrases: &[&str]) -> bool {
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(name: &str) -> Vec<&'static str> {
        Header::new(&fold(name), Some(name)).rules().map(|rule| rule.code).collect()
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
        check("EIN", "taxpayer_id_column");
        check("Passport No.", "passport_column");
        check("bank_account_number", "bank_account_column");
        check("Credit Card Number", "payment_card_column");
        check("password", "password_column");
        check("Date of Birth", "birth_date_column");
        check("DOB", "birth_date_column");
        check("DateOfBirth", "birth_date_column");
        check("Mother's Maiden Name", "maiden_name_column");
        check("MRN", "medical_record_column");
        check("acct_no", "account_number_column");
    }

    #[test]
    fn names_of_ordinary_columns_are_not() {
        for name in [
            "pwd_district",
            "parcel_pin",
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
        ] {
            assert!(codes(name).is_empty(), "{name}: {:?}", codes(name));
        }
    }

    #[test]
    fn people_are_named_by_some_columns() {
        let check =
            |name: &str, expect| assert_eq!(Header::new(&fold(name), Some(name)).names_people(), expect, "{name}");
        for name in ["Name", "Last Name", "LastName", "patient_name", "voter_last_name", "defendant"] {
            check(name, true);
        }
        for name in ["park_name", "street_name", "department", "filename"] {
            check(name, false);
        }
    }
}

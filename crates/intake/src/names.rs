//! The names that columns are published under: lower-case letters, digits and underscores, each once.
//!
//! What people type without quotes in SQL then finds the column, and `Vote Count` is `vote_count`. The name in the
//! file stays in the field's metadata ([`SOURCE_NAME_KEY`]).

use std::collections::HashSet;

/// Field metadata: the column's name as the file has it.
pub const SOURCE_NAME_KEY: &str = "portico:source_name";

/// Characters that a published name has at most.
const NAME_CHARACTERS_MAX: usize = 120;

/// A column's published name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) name: String,
    /// Whether the name is other than the file's in more than case, spaces and punctuation.
    pub(crate) renamed: bool,
}

/// Gives every column its published name, in order. `chosen` says what the data dictionary wants.
pub(crate) fn published<'a>(sources: &[String], chosen: impl Fn(&str) -> Option<&'a str>) -> Vec<Published> {
    let mut taken = HashSet::new();
    sources
        .iter()
        .zip(1_usize..)
        .map(|(source, position)| {
            let wanted = chosen(source).map_or_else(|| snake(source), snake);
            let base = if wanted.is_empty() { format!("column_{position}") } else { wanted.clone() };
            let name = unused(&base, &mut taken);
            let folded = crate::dictionary::fold(source);
            let renamed = name != wanted || (chosen(source).is_none() && name != folded);
            Published { name, renamed }
        })
        .collect()
}

/// The name that a column is published under if no other column takes it first. A published name is its own.
#[must_use]
pub fn published_name(source: &str) -> String {
    snake(source)
}

fn unused(base: &str, taken: &mut HashSet<String>) -> String {
    let mut name = base.to_owned();
    let mut number = 2_u64;
    while !taken.insert(name.clone()) {
        name = format!("{base}_{number}");
        number += 1;
    }
    name
}

/// A name in snake case: letters without accents, `%` and `#` in words, everything else an underscore; a digit does
/// not come first. Empty if nothing is left.
fn snake(source: &str) -> String {
    let mut name = String::with_capacity(source.len());
    let mut apart = false;
    for character in source.chars() {
        let lower = character.to_ascii_lowercase();
        let mut letter = [0; 4];
        let (part, word) = match lower {
            'a'..='z' | '0'..='9' => (&*lower.encode_utf8(&mut letter), false),
            '%' => ("percent", true),
            '#' => ("number", true),
            other => (plain(other), false),
        };
        if part.is_empty() {
            apart = true;
            continue;
        }
        if (apart || word) && !name.is_empty() {
            name.push('_');
        }
        name.push_str(part);
        apart = word;
    }
    let mut name = name.chars().take(NAME_CHARACTERS_MAX).collect::<String>();
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

/// A Latin letter without its accent; empty for what is no Latin letter.
fn plain(character: char) -> &'static str {
    match character {
        'à'..='å' | 'À'..='Å' | 'ā' | 'Ā' | 'ă' | 'Ă' | 'ą' | 'Ą' => "a",
        'æ' | 'Æ' => "ae",
        'ç' | 'Ç' | 'ć' | 'Ć' | 'č' | 'Č' => "c",
        'ď' | 'Ď' | 'đ' | 'Đ' | 'ð' | 'Ð' => "d",
        'è'..='ë' | 'È'..='Ë' | 'ē' | 'Ē' | 'ę' | 'Ę' | 'ě' | 'Ě' => "e",
        'ğ' | 'Ğ' => "g",
        'ì'..='ï' | 'Ì'..='Ï' | 'ī' | 'Ī' | 'ı' | 'İ' => "i",
        'ł' | 'Ł' => "l",
        'ñ' | 'Ñ' | 'ń' | 'Ń' | 'ň' | 'Ň' => "n",
        'ò'..='ö' | 'Ò'..='Ö' | 'ø' | 'Ø' | 'ō' | 'Ō' | 'ő' | 'Ő' => "o",
        'œ' | 'Œ' => "oe",
        'ř' | 'Ř' => "r",
        'ś' | 'Ś' | 'š' | 'Š' | 'ş' | 'Ş' => "s",
        'ß' => "ss",
        'ť' | 'Ť' => "t",
        'ù'..='ü' | 'Ù'..='Ü' | 'ū' | 'Ū' | 'ů' | 'Ů' | 'ű' | 'Ű' => "u",
        'ý' | 'ÿ' | 'Ý' => "y",
        'ź' | 'Ź' | 'ż' | 'Ż' | 'ž' | 'Ž' => "z",
        _ => "",
    }
}

/// Last words of identifiers.
const IDENTIFIERS: &[&str] = &[
    "id",
    "ids",
    "uid",
    "guid",
    "uuid",
    "oid",
    "fid",
    "gid",
    "objectid",
    "globalid",
    "zip",
    "zipcode",
    "zip4",
    "zip5",
    "postal",
    "postcode",
    "postalcode",
    "fips",
    "geoid",
    "phone",
    "telephone",
    "tel",
    "fax",
    "mobile",
    "ssn",
    "itin",
    "ein",
    "fein",
    "tin",
    "npi",
    "dea",
    "duns",
    "isbn",
    "issn",
    "apn",
    "ain",
    "parcel",
    "pin",
    "parcelid",
    "account",
    "acct",
    "barcode",
    "upc",
    "sku",
    "vin",
    "code",
    "codes",
    "iban",
    "naics",
    "sic",
    "folio",
];
/// Words for `number`.
const NUMBER_WORDS: &[&str] = &["number", "num", "no", "nbr", "nr", "numbers"];
/// Words before which a number is no quantity.
const NUMBERED: &[&str] = &[
    "phone",
    "telephone",
    "fax",
    "case",
    "permit",
    "license",
    "licence",
    "account",
    "parcel",
    "serial",
    "invoice",
    "ticket",
    "badge",
    "registration",
    "certificate",
    "docket",
    "check",
    "reference",
    "ref",
    "policy",
    "tax",
    "request",
    "contract",
    "file",
];

/// Whether a column's name says that its numbers identify something and are not for calculating.
pub(crate) fn is_identifier(source: &str) -> bool {
    let words = words(source);
    let mut from_end = words.iter().rev().map(String::as_str);
    let Some(last) = from_end.next() else { return false };
    let before = from_end.next();
    IDENTIFIERS.contains(&last) || (NUMBER_WORDS.contains(&last) && before.is_some_and(|word| NUMBERED.contains(&word)))
}

/// The words of a name in lower case: at separators, and where a small letter meets a capital.
fn words(source: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut small_before = false;
    for character in source.chars() {
        if !character.is_alphanumeric() {
            words.push(if character == '#' { "number".to_owned() } else { String::new() });
            small_before = false;
            if character == '#' {
                words.push(String::new());
            }
            continue;
        }
        if character.is_uppercase() && small_before {
            words.push(String::new());
        }
        small_before = character.is_lowercase();
        if let Some(word) = words.last_mut() {
            word.extend(character.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sources: &[&str]) -> Vec<(String, bool)> {
        let sources = sources.iter().map(|source| (*source).to_owned()).collect::<Vec<_>>();
        published(&sources, |_| None).into_iter().map(|name| (name.name, name.renamed)).collect()
    }

    #[test]
    fn names_are_snake_case() {
        let check = |source: &str, expect: &str, renamed: bool| {
            assert_eq!(names(&[source]), [(expect.to_owned(), renamed)], "{source:?}");
        };
        check("Vote Count", "vote_count", false);
        check("  Establishment.id ", "establishment_id", false);
        check("criticalCount", "criticalcount", false);
        check("PO_#", "po_number", true);
        check("% Complete", "percent_complete", true);
        check("accessibilité", "accessibilite", true);
        check("1960", "_1960", true);
        check("", "column_1", true);
        check("国人", "column_1", true);
        check("_id", "id", false);
        check("a--b__c", "a_b_c", false);
    }

    #[test]
    fn names_are_told_apart_whatever_their_case() {
        let found = names(&["State Id", "state_id", "STATE ID", "state_id_2", ""]);
        let found = found.iter().map(|(name, renamed)| (name.as_str(), *renamed)).collect::<Vec<_>>();
        assert_eq!(
            found,
            [
                ("state_id", false),
                ("state_id_2", true),
                ("state_id_3", true),
                ("state_id_2_2", true),
                ("column_5", true),
            ]
        );
    }

    #[test]
    fn the_dictionary_names_columns() {
        let sources = ["X1".to_owned(), "b".to_owned()];
        let found = published(&sources, |source| (source == "X1").then_some("inspected_on"));
        assert_eq!(found.first().unwrap(), &Published { name: "inspected_on".into(), renamed: false });
    }

    #[test]
    fn identifiers_are_told_by_their_last_word() {
        let check = |source: &str, expect: bool| assert_eq!(is_identifier(source), expect, "{source:?}");
        for source in [
            "id",
            "case_enquiry_id",
            "stopId",
            "ZIP_Code",
            "Zip",
            "Premise Phone",
            "OBJECTID",
            "Case Number",
            "PARCEL",
            "fips",
            "account no",
            "License #",
            "stop_code",
        ] {
            check(source, true);
        }
        for source in
            ["idle", "number_of_cases", "votes", "zip_count", "Vote Count", "", "grid", "ward", "school_number"]
        {
            check(source, false);
        }
    }
}

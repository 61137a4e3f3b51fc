//! What holds for a dictionary in whatever layout it came.

use std::collections::HashSet;

use chrono::format::{Item, StrftimeItems};
use regex::{Regex, RegexBuilder};

use super::{Dictionary, DictionaryError, Field, FieldType, Treatment, fold};

/// Memory of one compiled pattern, in bytes: patterns come from staff, and still must not swell the process.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Compiles a pattern so that it matches whole values, as Table Schema demands.
pub(crate) fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(&format!("^(?:{text})$"))
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(|_| "its pattern is not a regular expression that can be used".to_owned())
}

/// Passes a dictionary on when it does not contradict itself.
pub(super) fn validated(dictionary: Dictionary) -> Result<Dictionary, DictionaryError> {
    let mut names = HashSet::new();
    let mut published = HashSet::new();
    for field in &dictionary.fields {
        let fault = |reason: String| DictionaryError::Field { field: field.name.clone(), reason };
        if field.name.trim().is_empty() {
            return Err(fault("a field needs a name".to_owned()));
        }
        if !names.insert(field.name.trim()) {
            return Err(fault("it is there twice".to_owned()));
        }
        if let Some(rename) = &field.rename
            && !published.insert(rename.as_str())
        {
            return Err(fault("two fields have the same `rename`".to_owned()));
        }
        check_field(field).map_err(fault)?;
    }
    let keys = dictionary.unique_keys.iter().chain([&dictionary.primary_key, &dictionary.sort_key]);
    for name in keys.flatten() {
        if let Some(field) = dictionary.field(name)
            && matches!(field.treatment, Treatment::Drop { .. })
        {
            return Err(DictionaryError::Table(format!("the key column {name:?} is dropped")));
        }
        if fold(name).is_empty() {
            return Err(DictionaryError::Table("a key names a column without a name".to_owned()));
        }
    }
    Ok(dictionary)
}

fn check_field(field: &Field) -> Result<(), String> {
    if let Some(rename) = &field.rename {
        let mut bytes = rename.bytes();
        let starts = bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_');
        if !starts || !bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
            return Err(
                "`rename` is made of lower-case letters, digits and underscores, and starts with no digit".into()
            );
        }
    }
    if let Some(text) = &field.pattern {
        pattern(text)?;
    }
    check_format(field)?;
    if let (Some(shortest), Some(longest)) = (field.length_min, field.length_max)
        && shortest > longest
    {
        return Err("its shortest length is above its longest".to_owned());
    }
    if field.thousands.is_some() && field.thousands == Some(field.decimal_mark.unwrap_or('.')) {
        return Err("its separator of thousands is its decimal mark too".to_owned());
    }
    if field.true_values.iter().any(|value| field.false_values.contains(value)) {
        return Err("one spelling is both true and false".to_owned());
    }
    match &field.treatment {
        Treatment::Public { reason } | Treatment::Drop { reason } if reason.trim().is_empty() => {
            Err("a treatment of `public` or `drop` needs a `reason`".to_owned())
        }
        _ => Ok(()),
    }
}

fn check_format(field: &Field) -> Result<(), String> {
    let Some(format) = &field.format else { return Ok(()) };
    let temporal = matches!(
        field.data_type,
        Some(FieldType::Date | FieldType::Time | FieldType::Timestamp | FieldType::TimestampUtc)
    );
    if !temporal {
        return Err("a `format` needs a type of date, time, timestamp or timestamp_utc".to_owned());
    }
    let mut letters = 0_usize;
    for item in StrftimeItems::new(format) {
        match item {
            Item::Error => return Err("its format has letters after % that are not known".to_owned()),
            Item::Numeric(..) | Item::Fixed(_) => letters += 1,
            _ => {}
        }
    }
    if letters == 0 {
        return Err("its format names no part of a date or time, such as %Y".to_owned());
    }
    Ok(())
}

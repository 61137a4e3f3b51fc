//! What holds for a dictionary in whatever layout it came.

use std::collections::HashSet;

use chrono::format::{Item, StrftimeItems};
use regex::{Regex, RegexBuilder};

use super::{ClassRules, CountRules, Dictionary, DictionaryError, Field, FieldType, Treatment, fold};
use crate::remedy::ROW_RULES_MAX;

/// Memory of one compiled pattern, in bytes: patterns come from staff, and still must not swell the process.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Largest class that may be asked for.
const CLASS_ROWS_MAX: u64 = 10_000;

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
    check_made(&dictionary)?;
    if dictionary.drop_rows.len() > ROW_RULES_MAX {
        return Err(DictionaryError::Table(format!("`drop_rows` has more than {ROW_RULES_MAX} rules")));
    }
    if let Some(classes) = &dictionary.classes {
        check_classes(classes).map_err(DictionaryError::Table)?;
    }
    if let Some(counts) = &dictionary.counts {
        check_counts(counts).map_err(DictionaryError::Table)?;
    }
    Ok(dictionary)
}

/// What is computed of the file's columns. Whether an expression is one, the engine says when the file is read.
fn check_made(dictionary: &Dictionary) -> Result<(), DictionaryError> {
    let table = |reason: &str| Err(DictionaryError::Table(reason.to_owned()));
    match (&dictionary.keep_rows, &dictionary.keep_rows_reason) {
        (Some(condition), _) if condition.trim().is_empty() => {
            return table("`keep_rows` is a condition in SQL; `true` keeps all rows");
        }
        (None, Some(_)) => return table("`keep_rows_reason` says why `keep_rows` is another, and needs it"),
        _ => {}
    }
    for field in dictionary.fields.iter().filter(|field| field.is_made()) {
        let fault = |reason: String| DictionaryError::Field { field: field.name.clone(), reason };
        check_name("the name of a column that is made", &field.name).map_err(fault)?;
        match (&field.derive, &field.label_of) {
            (Some(_), Some(_)) => {
                return Err(fault("it has `derive` and `label_of`: one of them is enough".to_owned()));
            }
            (Some(text), None) if text.trim().is_empty() => {
                return Err(fault("`derive` is an expression in SQL".to_owned()));
            }
            (None, Some(codes)) if dictionary.field(codes).is_none_or(|codes| codes.codes.is_empty()) => {
                return Err(fault(format!("`label_of` names {codes:?}, and no field of that name has `codes`")));
            }
            _ => {}
        }
        if field.data_type.is_some() || field.format.is_some() {
            return Err(fault("what is made has the type of its expression: CAST says another".to_owned()));
        }
        if field.rename.is_some() {
            return Err(fault("what is made is published under its name, without `rename`".to_owned()));
        }
    }
    Ok(())
}

/// Names that columns are published under.
fn check_name(what: &str, name: &str) -> Result<(), String> {
    let mut bytes = name.bytes();
    let starts = bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_');
    if starts && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        return Ok(());
    }
    Err(format!("{what} is made of lower-case letters, digits and underscores, and starts with no digit"))
}

fn check_counts(counts: &CountRules) -> Result<(), String> {
    if counts.k.is_some_and(|k| !(2..=CLASS_ROWS_MAX).contains(&k)) {
        return Err(format!("`k` of `counts` is at least 2 and at most {CLASS_ROWS_MAX}"));
    }
    if fold(&counts.column).is_empty() || counts.by.is_empty() {
        return Err("`counts` wants the `column` of counts and the columns that it was counted `by`".to_owned());
    }
    Ok(())
}

fn check_classes(classes: &ClassRules) -> Result<(), String> {
    if classes.k.is_some_and(|k| !(2..=CLASS_ROWS_MAX).contains(&k)) {
        return Err(format!("`k` is at least 2 and at most {CLASS_ROWS_MAX}: a class of one row is one row"));
    }
    if classes.quasi_identifiers.iter().chain(&classes.sensitive).any(|name| fold(name).is_empty()) {
        return Err("`quasi_identifiers` or `sensitive` names a column without a name".to_owned());
    }
    Ok(())
}

fn check_field(field: &Field) -> Result<(), String> {
    if let Some(rename) = &field.rename {
        check_name("`rename`", rename)?;
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
    if field.remedy.is_some() && matches!(field.treatment, Treatment::Drop { .. }) {
        return Err("it has a `remedy` and is dropped: one of them is enough".to_owned());
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

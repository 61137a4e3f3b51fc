//! Which rows are left out.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::compute::cast;
use arrow_schema::{ArrowError, DataType, Field};

use super::apply::RemedyError;
use super::{RowRule, When};
use crate::screen::{Finder, RuleSet};

/// One rule, ready for one column.
pub(super) struct RowTest {
    pub(super) column: usize,
    test: Test,
}

enum Test {
    Is { text: String, number: Option<f64> },
    Null,
    Found(Box<Finder>),
}

impl RowTest {
    pub(super) fn new(rule: &RowRule, column: usize, field: &Field, rules: &RuleSet) -> Result<Self, RemedyError> {
        let test = match &rule.when {
            When::Null => Test::Null,
            When::Is(value) => {
                let number = value.parse().ok().filter(|_| field.data_type().is_numeric());
                Test::Is { text: value.trim().to_lowercase(), number }
            }
            When::Found(id) => {
                let known = rules.rule(id).filter(|rule| !rule.is_of_columns()).is_some();
                let finder = Finder::new(field, rules, Some(id));
                match finder.filter(|_| known) {
                    Some(finder) => Test::Found(Box::new(finder)),
                    None => return Err(RemedyError::NoRule { column: field.name().clone(), rule: id.clone() }),
                }
            }
        };
        Ok(Self { column, test })
    }

    /// Takes the rows that are left out from those that are kept.
    pub(super) fn take(&mut self, array: &ArrayRef, keep: &mut [bool]) -> Result<(), ArrowError> {
        if let Test::Null = self.test {
            let nulls = array.logical_nulls();
            for (place, keep) in keep.iter_mut().enumerate() {
                *keep &= nulls.as_ref().is_none_or(|nulls| nulls.is_valid(place));
            }
            return Ok(());
        }
        let texts = as_text(array)?;
        for (keep, text) in keep.iter_mut().zip(&texts) {
            let Some(text) = text else { continue };
            let hit = match &mut self.test {
                Test::Is { text: said, number } => {
                    text.trim().to_lowercase() == *said
                        || number.is_some_and(|number| text.parse::<f64>().is_ok_and(|value| value == number))
                }
                Test::Null => false,
                Test::Found(finder) => finder.finds(text),
            };
            *keep &= !hit;
        }
        Ok(())
    }
}

/// Values as exports spell them, nearly: what a value is, not how it is dressed.
pub(crate) fn as_text(array: &ArrayRef) -> Result<StringArray, ArrowError> {
    if let Some(texts) = array.as_string_opt::<i32>() {
        return Ok(texts.clone());
    }
    // The zone has no part in what a moment is, and naming it wants tables that are not there.
    let local = match array.data_type() {
        DataType::Timestamp(unit, Some(_)) => cast(array, &DataType::Timestamp(*unit, None))?,
        _ => ArrayRef::clone(array),
    };
    let texts = cast(&local, &DataType::Utf8)?;
    Ok(texts.as_string::<i32>().clone())
}

/// The rows that are kept, if any are not.
pub(super) fn filter(keep: Vec<bool>) -> Option<BooleanArray> {
    keep.iter().any(|keep| !keep).then(|| BooleanArray::from(keep))
}

//! Labels of codes: a column of what the data dictionary says that each code of another column stands for.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow_schema::{ArrowError, Schema};

use crate::dictionary::{Dictionary, Field, means_column};
use crate::profile::convert::count;
use crate::remedy::as_text;

/// The labels of one column of codes.
#[derive(Debug)]
pub struct Labels {
    place: usize,
    codes: HashMap<String, String>,
    /// The codes as numbers, where the column has numbers: 1 and 1.0 are one code.
    numbers: Vec<(f64, String)>,
    unknown: u64,
}

impl Labels {
    /// The labels for a field that has `label_of`; `None` where the table has no column of the codes.
    #[must_use]
    pub fn new(field: &Field, dictionary: &Dictionary, schema: &Schema) -> Option<Self> {
        let said = dictionary.field(field.label_of.as_deref()?)?;
        let meant = |column: &Arc<arrow_schema::Field>| {
            means_column(&said.name, column) || said.rename.as_ref() == Some(column.name())
        };
        let place = schema.fields().iter().position(meant)?;
        let codes: HashMap<String, String> =
            said.codes.iter().map(|(code, label)| (code.trim().to_owned(), label.clone())).collect();
        let numeric = schema.field(place).data_type().is_numeric();
        let number = |(code, label): (&String, &String)| Some((code.parse().ok()?, label.clone()));
        let numbers = if numeric { codes.iter().filter_map(number).collect() } else { Vec::new() };
        Some(Self { place, codes, numbers, unknown: 0 })
    }

    /// Where the column of codes is.
    #[must_use]
    pub const fn place(&self) -> usize {
        self.place
    }

    /// The labels of these codes, as text; null for null, and for a code that nothing is said of.
    ///
    /// # Errors
    /// When the codes are of a type without text, such as geometries.
    pub fn of(&mut self, codes: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        let texts = as_text(codes)?;
        let mut labels = StringBuilder::new();
        let mut unknown = 0;
        for text in &texts {
            let label = text.and_then(|text| self.label(text.trim()));
            unknown += usize::from(text.is_some() && label.is_none());
            labels.append_option(label);
        }
        self.unknown += count(unknown);
        Ok(Arc::new(labels.finish()))
    }

    fn label(&self, code: &str) -> Option<&str> {
        let exact = self.codes.get(code);
        let label = exact.or_else(|| {
            let number: f64 = code.parse().ok().filter(|_| !self.numbers.is_empty())?;
            self.numbers.iter().find(|(known, _)| *known == number).map(|(_, label)| label)
        });
        label.map(String::as_str)
    }

    /// Values so far that are codes without a label.
    #[must_use]
    pub const fn unknown(&self) -> u64 {
        self.unknown
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array as _, AsArray as _, Float64Array, StringArray};
    use arrow_schema::{DataType, Field as Column};

    use super::*;

    fn labels(codes: ArrayRef) -> (Vec<Option<String>>, u64) {
        let toml =
            "[[field]]\nname='Kind'\ncodes={ 1 = 'one', B = 'bee' }\n[[field]]\nname='kind_label'\nlabel_of='Kind'";
        let dictionary = Dictionary::from_toml(toml).unwrap();
        let schema = Schema::new(vec![
            Column::new("id", DataType::Int64, true),
            Column::new("kind", codes.data_type().clone(), true),
        ]);
        let mut labels = Labels::new(dictionary.field("kind_label").unwrap(), &dictionary, &schema).unwrap();
        assert_eq!(labels.place(), 1);
        let found = labels.of(&codes).unwrap();
        (found.as_string::<i32>().iter().map(|label| label.map(str::to_owned)).collect(), labels.unknown())
    }

    #[test]
    fn codes_have_their_labels_and_others_are_counted() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("B "), None, Some("b"), Some("1"), Some("")]));
        let expect = [Some("bee"), None, None, Some("one"), None].map(|label| label.map(str::to_owned));
        assert_eq!(labels(texts), (expect.to_vec(), 2));
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), Some(2.0), None]));
        assert_eq!(labels(numbers), (vec![Some("one".to_owned()), None, None], 1));
    }

    #[test]
    fn a_table_without_the_codes_has_no_labels() {
        let toml = "[[field]]\nname='kind'\ncodes={ A = 'a' }\n[[field]]\nname='label'\nlabel_of='kind'";
        let dictionary = Dictionary::from_toml(toml).unwrap();
        assert!(Labels::new(dictionary.field("label").unwrap(), &dictionary, &Schema::empty()).is_none());
    }
}

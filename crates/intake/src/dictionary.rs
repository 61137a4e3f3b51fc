//! Data dictionaries: what a steward says of the columns, which overrides what the file seems to say.
//!
//! Two layouts are read: our own TOML ([`Dictionary::from_toml`]) and Frictionless Table Schema 1 and 2
//! ([`Dictionary::from_table_schema`]). A dictionary that cannot be understood is an error that names the field
//! and the reason; data that do not fit the dictionary are findings, made by [`crate::check::Checker`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::SOURCE_NAME_KEY;
use crate::remedy::{Remedy, RowRule};

mod rules;
mod table_schema;
mod toml_layout;
mod types;

pub(crate) use rules::pattern;

/// Digits that a decimal may have: those of `Decimal128`.
pub const DECIMAL_PRECISION_MAX: u8 = 38;

/// What a steward says of a table and its columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dictionary {
    /// The columns, in no particular order. Columns of the file that are not here are typed from their values.
    pub fields: Vec<Field>,
    /// Spellings of null in every column, besides the empty field.
    pub missing_values: Vec<String>,
    /// Columns to sort the released file by: those that questions filter by.
    pub sort_key: Vec<String>,
    /// Columns that together identify a row: never null, never twice the same.
    pub primary_key: Vec<String>,
    /// Further sets of columns whose values together must not repeat; rows with a null among them are left out.
    pub unique_keys: Vec<Vec<String>>,
    /// Which of the file's rows go on, as a condition in SQL over the columns by their published names: those for which
    /// it is true. It may quote what is restricted, and is never published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_rows: Option<String>,
    /// Why that is another condition than in the release before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_rows_reason: Option<String>,
    /// Rows that are left out of the release.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop_rows: Vec<RowRule>,
    /// Which combinations of values could single somebody out, and what happens then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<ClassRules>,
    /// Which column is a count of people, and by what they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<CountRules>,
}

/// A table of counts, whose small cells are suppressed, and others with them that would give them away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CountRules {
    /// The column of counts.
    pub column: String,
    /// The columns by which was counted: each combination of their values is a cell.
    pub by: Vec<String>,
    /// Smallest count, but for zero, that is shown; `None` is the portal's limit `class_rows`.
    pub k: Option<u64>,
    /// Columns that tell the count, such as rates: null where it is suppressed.
    pub also: Vec<String>,
}

/// Columns whose values together could single somebody out (quasi-identifiers): rows that agree in all of them are a class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassRules {
    /// The columns, by their names in the file or their published names.
    pub quasi_identifiers: Vec<String>,
    /// Rows that a class has at least (k-anonymity); `None` is the portal's limit `class_rows`.
    pub k: Option<u64>,
    /// A column whose value must not follow from the class: each class has at least two of them (2-diversity).
    pub sensitive: Option<String>,
    /// What happens to the rows of smaller classes.
    pub small: SmallClasses,
}

/// What happens to rows of classes that are too small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmallClasses {
    /// They are found, and the release is blocked.
    #[default]
    Find,
    /// Their quasi-identifiers become null.
    Suppress,
    /// They are left out.
    DropRows,
}

/// What a column says of people, by which data are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Demographic {
    /// Race.
    Race,
    /// Ethnicity.
    Ethnicity,
    /// Gender or sex.
    Gender,
}

/// What a steward says of one column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Field {
    /// The column's name in the file, or its published name.
    pub name: String,
    /// The name to publish it under: lower-case letters, digits and underscores.
    pub rename: Option<String>,
    /// A title for people.
    pub title: String,
    /// What the column means.
    pub description: String,
    /// The unit of its numbers.
    pub unit: String,
    /// What each code stands for. Codes are explained, not checked: `allowed` does that.
    pub codes: BTreeMap<String, String>,
    /// The type that every value must have; `None` leaves it to the values.
    pub data_type: Option<FieldType>,
    /// How dates and times are written, in `strptime` letters such as `%d/%m/%Y`; `None` is ISO 8601.
    pub format: Option<String>,
    /// Whether null is a violation.
    pub required: bool,
    /// Whether a value that comes twice is a violation.
    pub unique: bool,
    /// The only values allowed, as the file writes them; empty allows all.
    pub allowed: Vec<String>,
    /// Smallest value allowed, written in ISO 8601, in the column's format or as a plain number.
    pub minimum: Option<String>,
    /// Largest value allowed.
    pub maximum: Option<String>,
    /// Whether `minimum` itself is a violation.
    pub minimum_exclusive: bool,
    /// Whether `maximum` itself is a violation.
    pub maximum_exclusive: bool,
    /// Shortest text allowed, in characters.
    pub length_min: Option<u64>,
    /// Longest text allowed, in characters.
    pub length_max: Option<u64>,
    /// A regular expression that the whole of every value must match.
    pub pattern: Option<String>,
    /// The separator of thousands in numbers, such as `,`.
    pub thousands: Option<char>,
    /// The decimal mark in numbers; `None` is the full stop.
    pub decimal_mark: Option<char>,
    /// A currency sign to ignore around numbers, such as `$`.
    pub currency: Option<char>,
    /// Whether anything around a number that is no part of it is ignored, such as `%` or `EUR`
    /// (Frictionless `bareNumber: false`).
    pub number_affixes: bool,
    /// Spellings of null in this column alone; `None` leaves it to the dictionary's.
    pub missing_values: Option<Vec<String>>,
    /// Spellings of true; empty is the usual ones.
    pub true_values: Vec<String>,
    /// Spellings of false; empty is the usual ones.
    pub false_values: Vec<String>,
    /// Whether the column is released.
    pub treatment: Treatment,
    /// The kind of restricted data that the column is, by a category of the screening rules: then it is not released
    /// unless `treatment` is public.
    pub classification: Option<String>,
    /// What is done to the values before they are released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Remedy>,
    /// What the column says of people; `None` leaves it to the column's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub demographic: Option<Demographic>,
    /// The expression in SQL that a new column of this name is computed by, from the file's columns by their published
    /// names. It may quote what is restricted, and is never published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub derive: Option<String>,
    /// The column of codes that a new column of this name has the labels of: what its field says in `codes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_of: Option<String>,
}

/// The types that a dictionary may declare. Written `text`, `integer`, `decimal(10,2)`, `number`, `boolean`, `date`,
/// `time`, `timestamp`, `timestamp_utc` and `geometry`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum FieldType {
    /// Text, kept as written.
    Text,
    /// 64-bit whole numbers.
    Integer,
    /// Exact decimal numbers.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the decimal mark, at most `precision`.
        scale: u8,
    },
    /// 64-bit floating point numbers.
    Number,
    /// True or false.
    Boolean,
    /// Days.
    Date,
    /// Times of day below 24:00.
    Time,
    /// Date and time on a local clock, to the microsecond.
    Timestamp,
    /// Moments, kept in UTC, to the microsecond.
    TimestampUtc,
    /// GeoJSON geometries.
    Geometry,
}

/// Whether a column is released.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Treatment {
    /// Released unless screening blocks it.
    #[default]
    Auto,
    /// Released whatever screening says: a person has decided, and says why.
    Public {
        /// Why the column may be public; goes into the findings.
        reason: String,
    },
    /// Never released: the column is left out of every file.
    Drop {
        /// Why.
        reason: String,
    },
}

/// A dictionary that cannot be understood. The text may be shown to staff.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DictionaryError {
    /// Not TOML or JSON, an unknown key, or a value of the wrong kind.
    #[error("the data dictionary cannot be read: {0}")]
    Syntax(String),
    /// One field contradicts itself or asks for what is not offered.
    #[error("field {field:?} of the data dictionary: {reason}")]
    Field {
        /// The field's name.
        field: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The table's own entries are wrong.
    #[error("the data dictionary: {0}")]
    Table(String),
}

impl Dictionary {
    /// Reads our TOML layout: `[[field]]` tables with the keys of [`Field`] (`type` for the data type; `treatment` is
    /// `"auto"`, `"public"` or `"drop"`, the last two with a `reason`), and `missing_values`, `sort_key`, `primary_key`,
    /// `unique_keys`, `keep_rows`, `keep_rows_reason`, `drop_rows`, the keys of [`ClassRules`] (`small_classes` for `small`) and a table `[counts]` at the top. Unknown keys are
    /// refused by name.
    ///
    /// ```
    /// use portico_intake::dictionary::{Dictionary, FieldType};
    ///
    /// let dictionary = Dictionary::from_toml("
    ///     missing_values = ['NA']
    ///     [[field]]
    ///     name = 'Inspection Date'
    ///     type = 'date'
    ///     format = '%m/%d/%Y'
    /// ").unwrap();
    /// assert_eq!(dictionary.field("inspection_date").unwrap().data_type, Some(FieldType::Date));
    /// ```
    ///
    /// # Errors
    /// When the text is not TOML, has an unknown key, or a field contradicts itself.
    pub fn from_toml(text: &str) -> Result<Self, DictionaryError> {
        rules::validated(toml_layout::read(text)?)
    }

    /// Reads a Frictionless Table Schema (version 1 or 2), or a resource or package of one resource that holds one.
    ///
    /// Custom properties are ignored, but for `portico:treatment` with `portico:reason`, `portico:classification`,
    /// `portico:remedy`, `portico:derive` and `portico:labelOf` of a field, `portico:keepRows` and `portico:keepRowsReason` of the
    /// schema. The constraint `jsonSchema` and the
    /// format `topojson` are refused because they would not be checked.
    ///
    /// # Errors
    /// When the text is not such a document, or a field asks for what is not offered.
    pub fn from_table_schema(json: &str) -> Result<Self, DictionaryError> {
        rules::validated(table_schema::read(json)?)
    }

    /// Reads either layout: by the file's extension (`.toml`, `.json`), else by the first character.
    ///
    /// # Errors
    /// Those of [`Dictionary::from_toml`] and [`Dictionary::from_table_schema`].
    pub fn parse(file_name: &str, text: &str) -> Result<Self, DictionaryError> {
        let extension = file_name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
        match extension.as_deref() {
            Some("toml") => Self::from_toml(text),
            Some("json") => Self::from_table_schema(text),
            _ if text.trim_start_matches('\u{feff}').trim_start().starts_with('{') => Self::from_table_schema(text),
            _ => Self::from_toml(text),
        }
    }

    /// The field of a column, by its name in the file, its new name, or its published name. An exact match goes before
    /// one that differs in case, spaces and punctuation.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        let name = name.trim();
        let exact = |field: &&Field| field.name.trim() == name || field.rename.as_deref() == Some(name);
        self.fields.iter().find(exact).or_else(|| {
            let folded = fold(name);
            self.fields.iter().find(|field| !folded.is_empty() && fold(&field.name) == folded)
        })
    }
}

/// How well a name that somebody wrote fits a column with this source name and this published name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Folded,
    Exact,
}

fn fit(said: &str, source: &str, published: &str) -> Option<Fit> {
    let said = said.trim();
    if said == source.trim() || said == published {
        return Some(Fit::Exact);
    }
    let folded = fold(said);
    (!folded.is_empty() && (folded == fold(source) || folded == published)).then_some(Fit::Folded)
}

/// The name in the file and the published name of a column.
fn names_of(column: &arrow_schema::Field) -> (&str, &str) {
    let published = column.name().as_str();
    (column.metadata().get(SOURCE_NAME_KEY).map_or(published, String::as_str), published)
}

/// Whether somebody who wrote `said` may mean this column of a surveyed table: by its name in the file or its
/// published name, letter by letter or but for case, spaces and punctuation.
#[must_use]
pub fn means_column(said: &str, column: &arrow_schema::Field) -> bool {
    let (source, published) = names_of(column);
    fit(said, source, published).is_some()
}

impl Dictionary {
    /// Whether the column of a surveyed table is left out of the release. Where several fields fit it equally well,
    /// one that drops it is enough.
    #[must_use]
    pub fn drops(&self, column: &arrow_schema::Field) -> bool {
        self.fitting(column).any(|field| matches!(field.treatment, Treatment::Drop { .. }))
    }

    /// What is done to the values of the column before they are released. Where several fields fit it equally well, one
    /// that has a remedy is enough.
    #[must_use]
    pub fn remedy(&self, column: &arrow_schema::Field) -> Option<Remedy> {
        self.fitting(column).find_map(|field| field.remedy)
    }

    /// What the column is made of, if it is none of the file's.
    #[must_use]
    pub fn made<'a>(&'a self, column: &'a arrow_schema::Field) -> Option<(Option<&'a str>, Option<&'a str>)> {
        let field = self.fitting(column).find(|field| field.is_made())?;
        Some((field.derive.as_deref(), field.label_of.as_deref()))
    }

    /// Whether somebody has declared the column public, and said why.
    #[must_use]
    pub fn publishes(&self, column: &arrow_schema::Field) -> bool {
        self.fitting(column).any(|field| matches!(field.treatment, Treatment::Public { .. }))
    }

    /// The dictionary without what does not hold any more once its remedies are applied: limits and allowed values are of
    /// what the file has, and what is emptied or suppressed may be null.
    #[must_use]
    pub fn without_what_remedies_change(&self) -> Self {
        let suppressed = |name: &str| {
            let classes = self.classes.iter().filter(|classes| classes.small == SmallClasses::Suppress);
            let quasi = classes.flat_map(|classes| &classes.quasi_identifiers);
            let counts = self.counts.iter().flat_map(|counts| std::iter::once(&counts.column).chain(&counts.also));
            quasi.chain(counts).any(|other| fold(other) == fold(name))
        };
        let field = |field: &Field| match field.remedy {
            None => Field { required: field.required && !suppressed(&field.name), ..field.clone() },
            Some(remedy) => Field {
                rename: field.rename.clone(),
                treatment: field.treatment.clone(),
                required: field.required && remedy != Remedy::Empty && !suppressed(&field.name),
                unique: field.unique,
                remedy: field.remedy,
                ..Field::named(&field.name)
            },
        };
        Self { fields: self.fields.iter().map(field).collect(), ..self.clone() }
    }

    /// The fields that fit a column best.
    fn fitting<'a>(&'a self, column: &'a arrow_schema::Field) -> impl Iterator<Item = &'a Field> {
        let (source, published) = names_of(column);
        let fit_of = move |field: &Field| {
            let renamed = field.rename.as_deref().is_some_and(|name| name == published);
            if renamed { Some(Fit::Exact) } else { fit(&field.name, source, published) }
        };
        let best = self.fields.iter().filter_map(fit_of).max();
        self.fields.iter().filter(move |field| best.is_some() && fit_of(field) == best)
    }
}

impl Field {
    /// A field that says nothing but its name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Whether the column is none of the file's, but made of them.
    #[must_use]
    pub const fn is_made(&self) -> bool {
        self.derive.is_some() || self.label_of.is_some()
    }
}

/// Letters and digits of a name in lower case, everything else as single underscores: how names are compared.
pub(crate) fn fold(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_alphanumeric() {
            folded.extend(character.to_lowercase());
        } else if !folded.ends_with('_') && !folded.is_empty() {
            folded.push('_');
        }
    }
    if folded.ends_with('_') {
        folded.pop();
    }
    folded
}

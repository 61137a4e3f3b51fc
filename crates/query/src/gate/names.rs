//! What a table's name in a statement stands for: a common table expression, a dataset or one of our own tables.

use std::collections::HashMap;

use portico_model::name::{DatasetName, VersionNumber};
use portico_model::problem::Position;
use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use super::columns::{Columns, Width};

/// The catalog that all names live in.
pub const CATALOG: &str = "portico";
/// The schema of the datasets.
pub const SCHEMA: &str = "public";
/// The schema of our own tables.
pub const INFORMATION_SCHEMA: &str = "information_schema";

/// A dataset that a statement reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableUse {
    /// The name as the statement wrote it, without quotes, for messages.
    pub written: String,
    /// The dataset; `None` when the name is none that a dataset can have, so that there is no such dataset.
    pub dataset: Option<DatasetName>,
    /// The version asked for; `None` asks for the current one.
    pub version: Option<VersionNumber>,
    /// Where the statement names it first.
    pub position: Option<Position>,
}

/// One of our own tables about the published datasets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum InformationTable {
    /// `information_schema.schemata`.
    Schemata,
    /// `information_schema.tables`.
    Tables,
    /// `information_schema.columns`.
    Columns,
}

impl InformationTable {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::Schemata, Self::Tables, Self::Columns];

    /// The name within the schema.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Schemata => "schemata",
            Self::Tables => "tables",
            Self::Columns => "columns",
        }
    }

    /// The identifier in the gated statement, one name with a dot in it.
    #[must_use]
    pub const fn identifier(self) -> &'static str {
        match self {
            Self::Schemata => "information_schema.schemata",
            Self::Tables => "information_schema.tables",
            Self::Columns => "information_schema.columns",
        }
    }
}

/// What a name stands for, common table expressions apart.
pub(super) enum Meaning {
    /// A dataset, or a name that no dataset has.
    Dataset {
        /// The dataset; `None` for a name that none can have.
        dataset: Option<DatasetName>,
        /// The version asked for.
        version: Option<VersionNumber>,
    },
    /// One of our own tables.
    Information(InformationTable),
}

/// An identifier as the engine compares it: unquoted ones in lower case.
pub(super) fn normal(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

/// The parts of a name, normalised; `None` for a name with a function call in it.
pub(super) fn normal_parts(name: &ObjectName) -> Option<Vec<String>> {
    name.0.iter().map(|part| part.as_ident().map(normal)).collect()
}

/// The name as written, without quotes.
pub(super) fn written(name: &ObjectName) -> String {
    let part = |part: &ObjectNamePart| part.as_ident().map_or_else(|| "?".to_owned(), |ident| ident.value.clone());
    name.0.iter().map(part).collect::<Vec<_>>().join(".")
}

/// What a qualified or bare name stands for.
pub(super) fn meaning(parts: &[String]) -> Meaning {
    let unknown = Meaning::Dataset { dataset: None, version: None };
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        [CATALOG, INFORMATION_SCHEMA, table] | [INFORMATION_SCHEMA, table] => {
            match InformationTable::ALL.into_iter().find(|known| known.name() == *table) {
                Some(known) => Meaning::Information(known),
                None => unknown,
            }
        }
        [CATALOG, SCHEMA, table] | [SCHEMA, table] | [table] => dataset(table),
        _ => unknown,
    }
}

fn dataset(table: &str) -> Meaning {
    let (name, version) = match table.split_once('@') {
        None => (table, Some(None)),
        Some((name, number)) => (name, version_number(number).map(Some)),
    };
    match (DatasetName::from_sql_name(name), version) {
        (Ok(dataset), Some(version)) => Meaning::Dataset { dataset: Some(dataset), version },
        _ => Meaning::Dataset { dataset: None, version: None },
    }
}

/// A version's number in its one spelling: no sign, no leading zero.
fn version_number(text: &str) -> Option<VersionNumber> {
    let number = text.parse::<VersionNumber>().ok()?;
    (number > 0 && number.to_string() == text).then_some(number)
}

/// Marks a table in the syntax tree until versions are known. The first part holds a NUL, which no statement may
/// hold, so that no statement can write such a name.
pub(super) const DATASET_MARK: &str = "\0dataset";
/// Marks one of our own tables.
pub(super) const INFORMATION_MARK: &str = "\0information";

/// The marked name of the table with this index.
pub(super) fn marked(mark: &str, index: usize) -> ObjectName {
    ObjectName::from(vec![Ident::new(mark), Ident::new(index.to_string())])
}

/// The index behind a mark.
pub(super) fn unmarked(name: &ObjectName, mark: &str) -> Option<usize> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(first), ObjectNamePart::Identifier(index)] if first.value == mark => {
            index.value.parse().ok()
        }
        _ => None,
    }
}

/// What one use of a relation costs the planner, counted as if every common table expression were written out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// Tables and derived tables.
    pub(super) relations: u64,
    /// Nodes of the syntax tree, as the planner writes it out.
    pub(super) nodes: u64,
    /// Arms of set operations.
    pub(super) arms: u64,
    /// Columns that wildcards stand for.
    pub(super) columns: Width,
    /// Queries behind one another.
    pub(super) layers: u64,
}

/// The common table expressions in sight, innermost query last.
#[derive(Default)]
pub(super) struct Scopes(Vec<HashMap<String, (Cost, Columns)>>);

impl Scopes {
    /// A query begins.
    pub(super) fn open(&mut self) {
        self.0.push(HashMap::new());
    }

    /// A query ends, and its expressions with it.
    pub(super) fn close(&mut self) {
        self.0.pop();
    }

    /// An expression is complete and in sight from here on.
    pub(super) fn define(&mut self, name: String, cost: Cost, columns: Columns) {
        if let Some(scope) = self.0.last_mut() {
            scope.insert(name, (cost, columns));
        }
    }

    /// The innermost expression of this name.
    pub(super) fn find(&self, name: &str) -> Option<(Cost, Columns)> {
        self.0.iter().rev().find_map(|scope| scope.get(name).cloned())
    }
}

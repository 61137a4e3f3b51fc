//! The statement gate: the one way in for SQL, whoever brings it and over whatever wire.
//!
//! ```text
//! text ─▶ tokens ─▶ syntax tree ─▶ walk ─▶ ParsedStatement ─▶ pin ─▶ Gated
//!         size,      the engine's    what may    tables by      versions   text printed from the tree,
//!         nesting    own parser      stand there,  name          known      which reads back as the same tree
//!                                    how much
//! ```
//!
//! Everything here is pure: no catalog, no clock, no I/O. What exceeds a cap of
//! [`StatementLimits`](portico_model::limits::StatementLimits) is refused before anything plans, and the refusal
//! names the cap. What it deliberately does not do: it does not know whether a dataset or a column exists, and
//! it does not rely on being the only check; the worker looks at the plan again.
//!
//! ```
//! use std::collections::HashMap;
//! use portico_model::{limits::StatementLimits, name::DatasetName};
//! use portico_query::gate;
//!
//! let limits = StatementLimits::default();
//! let parsed = gate::parse("SELECT count(*) FROM building_permits", &limits).unwrap();
//! let current = HashMap::from([(DatasetName::parse("building-permits").unwrap(), 3)]);
//! let gated = parsed.pin(&current).unwrap();
//! assert_eq!(gated.sql, r#"SELECT count(*) FROM "building_permits@3" AS building_permits"#);
//! assert!(gate::parse("DROP TABLE building_permits", &limits).is_err());
//! ```

mod columns;
mod dialect;
mod export;
mod expression;
mod fault;
mod functions;
mod length;
mod names;
mod numbers;
mod operators;
mod print;
mod select;
mod stack;
mod statement;
mod tables;
mod text;
mod types;
mod walk;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use portico_model::limits::StatementLimits;
use portico_model::name::{DatasetName, VersionNumber, VersionRef};
use portico_model::order::Work;
use portico_model::problem::Problem;
use sqlparser::ast::{Expr, Ident, ObjectName, Query, SetExpr, Value};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

pub use export::{ExportSelect, FilterExpr, OrderList, export_select, parse_filter, parse_order};
pub use names::{CATALOG, INFORMATION_SCHEMA, InformationTable, SCHEMA, TableUse};

use columns::Width;
use dialect::Budgeted;
pub(crate) use fault::quoted;
use fault::{Checked, no_dataset};
use print::{literal, print, quoted_name, rename};
use statement::{NamePattern, Shape};
use text::Tokens;
use walk::{Seen, Walk};

/// What `SHOW TABLES` stands for.
const SHOW_TABLES: &str = "SELECT table_catalog, table_schema, table_name, table_type, table_title \
                           FROM information_schema.tables ORDER BY table_name";

/// What `DESCRIBE` and `SHOW COLUMNS` stand for; the table then holds the columns of that one version.
const DESCRIBE: &str = "SELECT column_name, data_type, is_nullable, column_title, column_description \
                        FROM information_schema.columns ORDER BY ordinal_position";

/// Statements and parts of statements that went through the gate since the process began.
static PASSES: AtomicU64 = AtomicU64::new(0);

/// A statement that passed the gate, before its datasets have versions.
#[derive(Debug)]
pub struct ParsedStatement {
    query: Box<Query>,
    seen: Seen,
    form: Form,
    roomy: bool,
}

/// How the statement was written.
#[derive(Debug)]
enum Form {
    Query,
    Explain,
    ShowTables,
    Describe { table: usize, pattern: Option<String> },
}

/// A statement on fixed versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gated {
    /// The text for the worker, printed from the syntax tree.
    pub sql: String,
    /// The same question on the same versions as a person may ask it again: for citations.
    pub pinned_sql: String,
    /// The versions that the text names as tables, each once; see [`identifier`] for their names in it.
    pub tables: Vec<VersionRef>,
    /// Our own tables that the text names, each once.
    pub information: Vec<InformationTable>,
    /// For DESCRIBE: the version whose columns [`InformationTable::Columns`] is to hold.
    pub describes: Option<VersionRef>,
    /// The parameters, without `$`: numbers first, in order.
    pub parameters: Vec<String>,
    /// The answer depends on more than the versions: on time, chance or the catalog.
    pub volatile: bool,
    /// Nothing but a scan with conditions: such an answer may stream for as long as its client reads.
    pub plain_scan: bool,
    /// What to do with the text.
    pub work: Work,
}

/// Judges a statement.
///
/// # Errors
/// `InvalidSql` for what does not parse, `StatementNotAllowed` for what is not a read-only query,
/// `FunctionNotAllowed`, `QueryTooComplex` over a cap and `TooLarge` over the limit of bytes, each with the place
/// where there is one. Whether datasets exist is not decided here.
pub fn parse(sql: &str, limits: &StatementLimits) -> Result<ParsedStatement, Problem> {
    counted(text::tokens(sql, limits).and_then(|tokens| {
        statement::check_first_words(&tokens.tokens)?;
        length::check(&tokens.tokens, limits)?;
        stack::with_room(tokens.roomy, || parse_tokens(tokens, limits))
    }))
}

/// The number of statements and parts of statements that went through the gate since the process began, passed or
/// refused: an entry point that answers SQL without moving it has gone around the gate.
#[must_use]
pub fn passes() -> u64 {
    PASSES.load(Ordering::Relaxed)
}

/// The name of a version as a table of the gated text: `building_permits@3`.
#[must_use]
pub fn identifier(version: &VersionRef) -> String {
    format!("{}@{}", version.dataset.sql_name(), version.version)
}

/// Adds the place to a problem about a name that the text of the statement holds, as far as it can be told.
#[must_use]
pub fn placed(mut problem: Problem, sql: &str) -> Problem {
    if problem.position.is_none() {
        problem.position = problem.about.as_deref().and_then(|name| text::place_of(name, sql));
    }
    problem
}

/// The answer for a table that is unknown or hidden: the same for the same words.
#[must_use]
pub fn unknown_table(table: &TableUse) -> Problem {
    no_dataset(&table.written, table.position)
}

impl ParsedStatement {
    /// The datasets that the statement reads, each version once.
    #[must_use]
    pub fn tables(&self) -> &[TableUse] {
        &self.seen.tables
    }

    /// Our own tables that the statement reads.
    #[must_use]
    pub fn information(&self) -> &[InformationTable] {
        &self.seen.information
    }

    /// The parameters, without `$`: numbers first, in order.
    #[must_use]
    pub fn parameters(&self) -> &[String] {
        &self.seen.parameters
    }

    /// Checks how many columns the wildcards stand for, every use of a common table expression counted, once it is
    /// known how many columns each of [`Self::tables`] has.
    ///
    /// # Errors
    /// `QueryTooComplex` when they are too many to plan.
    pub fn check_wildcards(&self, columns_of: impl Fn(&TableUse) -> u64) -> Result<(), Problem> {
        let Width { fixed, datasets } = &self.seen.columns;
        let columns = datasets.iter().fold(*fixed, |sum, (index, times)| {
            let columns = self.seen.tables.get(*index).map_or(0, &columns_of);
            sum.saturating_add(columns.saturating_mul(*times))
        });
        if columns > walk::WILDCARD_COLUMNS_MAX {
            let what = "columns that its wildcards stand for";
            return Err(fault::too_complex(what, columns, walk::WILDCARD_COLUMNS_MAX));
        }
        Ok(())
    }

    /// Fixes the versions: `current` holds the current version of each dataset that is named without one.
    ///
    /// # Errors
    /// `NotFound` when a dataset is not in `current`; `InvalidSql` for a statement that cannot be printed so that it
    /// reads back the same.
    pub fn pin(self, current: &HashMap<DatasetName, VersionNumber>) -> Result<Gated, Problem> {
        let versions = self.seen.tables.iter().map(|table| pinned(table, current)).collect::<Checked<Vec<_>>>()?;
        let (sql, cited) = stack::with_room(self.roomy, || self.print(&versions))?;
        let described = match &self.form {
            Form::Describe { table, .. } => versions.get(*table).cloned(),
            Form::Query | Form::Explain | Form::ShowTables => None,
        };
        let pinned_sql = match (&self.form, &described) {
            (Form::Describe { pattern, .. }, Some(version)) => describe_text(version, pattern.as_deref()),
            (Form::Explain, _) => format!("EXPLAIN {cited}"),
            (Form::Query | Form::ShowTables | Form::Describe { .. }, _) => cited,
        };
        let mut tables = versions;
        tables.sort();
        tables.dedup();
        Ok(Gated {
            sql,
            pinned_sql,
            tables,
            volatile: self.seen.volatile || !self.seen.information.is_empty(),
            information: self.seen.information,
            describes: described,
            parameters: self.seen.parameters,
            plain_scan: !self.seen.more_than_scan,
            work: if matches!(self.form, Form::Explain) { Work::Explain } else { Work::Answer },
        })
    }

    /// The text for the engine and the text for people.
    fn print(&self, versions: &[VersionRef]) -> Checked<(String, String)> {
        let dataset = |index: usize| versions.get(index).map(|version| quoted_name(&identifier(version)));
        let table = |index: usize| self.seen.information.get(index);
        let engine_name = |index: usize| table(index).map(|table| quoted_name(table.identifier()));
        let mut query = self.query.clone();
        rename(&mut query, &dataset, &engine_name);
        let sql = print(&query, self.seen.quotes)?;
        if self.seen.information.is_empty() {
            return Ok((sql.clone(), sql));
        }
        let public_name = |index: usize| {
            let parts = |table: &InformationTable| vec![Ident::new(INFORMATION_SCHEMA), Ident::new(table.name())];
            table(index).map(|table| ObjectName::from(parts(table)))
        };
        let mut query = self.query.clone();
        rename(&mut query, &dataset, &public_name);
        Ok((sql, print(&query, self.seen.quotes)?))
    }
}

/// Counts a pass through the gate, by its outcome.
fn counted<T>(result: Result<T, Problem>) -> Result<T, Problem> {
    PASSES.fetch_add(1, Ordering::Relaxed);
    let outcome = result.as_ref().map_or_else(|problem| problem.kind.code(), |_| "passed");
    metrics::counter!("portico_gate_statements_total", "outcome" => outcome).increment(1);
    result
}

fn parse_tokens(tokens: Tokens, limits: &StatementLimits) -> Checked<ParsedStatement> {
    let Tokens { tokens, versioned, roomy } = tokens;
    let dialect = Budgeted::new(tokens.len(), limits.nodes);
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    let statement = parser.parse_statement().map_err(|error| dialect.problem(&error, limits.nesting))?;
    let rest = parser.peek_token();
    if rest.token != sqlparser::tokenizer::Token::EOF {
        let detail =
            format!("The statement goes on where it should end, at {}.", fault::quoted(&rest.token.to_string()));
        return Err(fault::at(fault::invalid(detail), rest.span.start));
    }
    let mut walk = Walk::new(limits, versioned);
    let (mut query, form) = match statement::shape(statement)? {
        Shape::Query(query) => (query, Form::Query),
        Shape::Explain(query) => (query, Form::Explain),
        Shape::ShowTables(pattern) => (own_query(SHOW_TABLES, "table_name", pattern.as_ref())?, Form::ShowTables),
        Shape::Describe(name, pattern) => {
            let table = walk.described(&name)?;
            let query = own_query(DESCRIBE, "column_name", pattern.as_ref())?;
            let pattern = pattern.map(|pattern| {
                let like = if pattern.any_case { "ILIKE" } else { "LIKE" };
                format!("{like} {}", literal(&pattern.pattern))
            });
            (query, Form::Describe { table, pattern })
        }
    };
    walk.query(&mut query)?;
    Ok(ParsedStatement { query, seen: walk.finish()?, form, roomy })
}

/// One of our own queries, with the condition of SHOW … LIKE.
fn own_query(text: &str, column: &str, pattern: Option<&NamePattern>) -> Checked<Box<Query>> {
    let parsed = Parser::new(&GenericDialect {}).try_with_sql(text).and_then(|mut parser| parser.parse_query());
    let mut query = parsed.map_err(|_| Problem::internal())?;
    if let (Some(NamePattern { pattern, any_case }), SetExpr::Select(select)) = (pattern, query.body.as_mut()) {
        let expr = Box::new(Expr::Identifier(Ident::new(column)));
        let pattern = Box::new(Expr::value(Value::SingleQuotedString(pattern.clone())));
        let (negated, any, escape_char) = (false, false, None);
        select.selection = Some(if *any_case {
            Expr::ILike { negated, any, expr, pattern, escape_char }
        } else {
            Expr::Like { negated, any, expr, pattern, escape_char }
        });
    }
    Ok(query)
}

fn pinned(table: &TableUse, current: &HashMap<DatasetName, VersionNumber>) -> Checked<VersionRef> {
    let dataset = table.dataset.clone().ok_or_else(|| unknown_table(table))?;
    let version = table.version.or_else(|| current.get(&dataset).copied()).ok_or_else(|| unknown_table(table))?;
    Ok(VersionRef { dataset, version })
}

/// DESCRIBE of one version, as a person may ask it again.
fn describe_text(version: &VersionRef, pattern: Option<&str>) -> String {
    match pattern {
        None => format!("DESCRIBE \"{}\"", identifier(version)),
        Some(pattern) => format!("SHOW COLUMNS FROM \"{}\" {pattern}", identifier(version)),
    }
}

#[cfg(test)]
mod tests;

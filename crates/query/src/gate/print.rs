//! Writing a query down again from its syntax tree, and proof that it was written down faithfully.
//!
//! The worker plans the text that comes out here, never the stranger's bytes. The parser's own printing has gaps (a
//! quote after a backslash, two quotes in a row), and a text that reads back differently would be a statement that
//! nobody has judged. So every text is parsed again and must give the same tree.

use std::ops::ControlFlow;

use sqlparser::ast::{Ident, ObjectName, Query, Statement, Value, ValueWithSpan, VisitMut, VisitorMut};
use sqlparser::parser::Parser;

use super::dialect::Budgeted;
use super::fault::{Checked, invalid};
use super::names::{DATASET_MARK, INFORMATION_MARK, unmarked};

/// Gives every marked table its name.
pub(super) fn rename(
    query: &mut Query,
    dataset: &dyn Fn(usize) -> Option<ObjectName>,
    ours: &dyn Fn(usize) -> Option<ObjectName>,
) {
    let mut renamer = Renamer { dataset, ours };
    let ControlFlow::Continue(()) = query.visit(&mut renamer);
}

/// A name of one part, in the engine's quotes.
pub(super) fn quoted_name(name: &str) -> ObjectName {
    ObjectName::from(vec![Ident::with_quote('"', name)])
}

/// Writes a query down.
///
/// # Errors
/// `InvalidSql` when the text does not read back as the same tree.
pub(super) fn print(query: &Query, quotes: bool) -> Checked<String> {
    let text = if quotes {
        let mut doubled = query.clone();
        let ControlFlow::Continue(()) = doubled.visit(&mut DoubleQuotes);
        doubled.to_string()
    } else {
        query.to_string()
    };
    // There are fewer tokens than bytes, and the caps on the tree are behind us.
    let dialect = Budgeted::new(text.len(), u64::MAX);
    match Parser::parse_sql(&dialect, &text).as_deref() {
        Ok([Statement::Query(again)]) if **again == *query => Ok(text),
        _ => Err(invalid("The statement cannot be written down unambiguously: use plain identifiers and literals.")),
    }
}

/// A literal as SQL.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

struct Renamer<'a> {
    dataset: &'a dyn Fn(usize) -> Option<ObjectName>,
    ours: &'a dyn Fn(usize) -> Option<ObjectName>,
}

impl VisitorMut for Renamer<'_> {
    type Break = std::convert::Infallible;

    fn post_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<Self::Break> {
        let name = match (unmarked(relation, DATASET_MARK), unmarked(relation, INFORMATION_MARK)) {
            (Some(index), _) => (self.dataset)(index),
            (None, Some(index)) => (self.ours)(index),
            (None, None) => None,
        };
        if let Some(name) = name {
            *relation = name;
        }
        ControlFlow::Continue(())
    }
}

/// Doubles the quotes in literals: the parser's printing leaves doubled quotes as they are, so that they read back
/// as the single ones that were meant, whatever stands before them.
struct DoubleQuotes;

impl VisitorMut for DoubleQuotes {
    type Break = std::convert::Infallible;

    fn post_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<Self::Break> {
        if let Value::SingleQuotedString(text) = &mut value.value
            && text.contains('\'')
        {
            *text = text.replace('\'', "''");
        }
        ControlFlow::Continue(())
    }
}

//! What the columns of an answer are called: as their expressions were written.
//!
//! The planner's own names spell types and tables (`sum(t.x) + Int64(1)`), and it refuses a SELECT list that holds
//! one thing twice (`SELECT 1, 1`, `SELECT *, id`). So what repeats or may repeat is planned under an alias that
//! nobody sees, and the answer's schema gets its names here.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::{
    Expr, Function, Ident, ObjectNamePart, Query, Select, SelectItem, SetExpr, VisitMut, VisitorMut,
};

/// Characters of an expression that its column is called by.
const HEADER_CHARS_MAX: usize = 120;

/// Stands for a subquery in a header: its text would be longer than what it gives.
const SUBQUERY: &str = "(SELECT …)";

/// Names for the columns of an answer, in the order of the SELECT list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Headers {
    /// For the first columns; `None` where the planner's name stands.
    first: Vec<Option<String>>,
    /// Whether something of the list stands for a number of columns that is not known here, as `*` does.
    several: bool,
    /// For the columns behind the last such thing.
    last: Vec<Option<String>>,
}

impl Headers {
    /// Reads the names of a query's columns, and gives what the planner could not tell apart an alias.
    pub(crate) fn take(query: &mut Query) -> Self {
        let headers = first_select(&query.body).map(headers).unwrap_or_default();
        if let SetExpr::Select(select) = query.body.as_mut() {
            tell_from_wildcards(select);
        }
        each_select(&mut query.body, &mut tell_apart);
        headers
    }

    /// The schema with these names. Of equal names the second gets a number, since readers of objects and data frames
    /// would lose one of the columns.
    pub(crate) fn name(&self, schema: &Schema) -> SchemaRef {
        let fields = schema.fields();
        let names: Vec<&str> =
            fields.iter().zip(self.of(fields.len())).map(|(field, header)| header.unwrap_or(field.name())).collect();
        let mut taken: HashSet<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut seen = HashSet::new();
        let named = fields.iter().zip(&names).map(|(field, &name)| {
            let name = if seen.insert(name) { name.to_owned() } else { numbered(name, &mut taken) };
            Field::clone(field).with_name(name)
        });
        Arc::new(Schema::new(named.collect::<Vec<_>>()))
    }

    /// The name for each of so many columns. Where the list does not fit their number, none has one.
    fn of(&self, columns: usize) -> impl Iterator<Item = Option<&str>> {
        let named = self.first.len() + self.last.len();
        let fits = if self.several { named <= columns } else { named == columns };
        let between = columns.saturating_sub(named);
        let names = self.first.iter().map(Option::as_deref).chain(std::iter::repeat_n(None, between));
        let names = names.chain(self.last.iter().map(Option::as_deref)).take(columns);
        names.map(move |name| name.filter(|_| fits))
    }

    fn push(&mut self, header: Option<String>) {
        if self.several { &mut self.last } else { &mut self.first }.push(header);
    }

    fn push_several(&mut self) {
        self.several = true;
        self.last.clear();
    }
}

/// The name with the first number that makes it another one than all others.
fn numbered(name: &str, taken: &mut HashSet<String>) -> String {
    let mut number = 2_u64;
    loop {
        let other = format!("{name}_{number}");
        if taken.insert(other.clone()) {
            return other;
        }
        number += 1;
    }
}

/// The SELECTs whose rows are the answer's. Chains of set operations are as deep as they are long on the left only.
fn each_select(body: &mut SetExpr, visit: &mut impl FnMut(&mut Select)) {
    let mut current = body;
    loop {
        match current {
            SetExpr::SetOperation { left, right, .. } => {
                each_select(right, visit);
                current = left;
            }
            SetExpr::Query(query) => current = &mut query.body,
            SetExpr::Select(select) => return visit(select),
            _ => return,
        }
    }
}

/// The SELECT that gives the answer its names.
fn first_select(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::SetOperation { left, .. } => first_select(left),
        SetExpr::Query(query) => first_select(&query.body),
        SetExpr::Select(select) => Some(select),
        _ => None,
    }
}

fn headers(select: &Select) -> Headers {
    let mut headers = Headers::default();
    for item in &select.projection {
        match name_of(item) {
            Some(name) => headers.push(Some(name)),
            None => headers.push_several(),
        }
    }
    headers
}

/// Whether an expression may stand for several columns.
fn is_several(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(function) if named(function, "unnest"))
}

fn named(function: &Function, name: &str) -> bool {
    function
        .name
        .0
        .last()
        .and_then(ObjectNamePart::as_ident)
        .is_some_and(|ident| ident.value.eq_ignore_ascii_case(name))
}

fn written(expr: &Expr) -> String {
    let mut plain = expr.clone();
    let ControlFlow::Continue(()) = plain.visit(&mut Plain);
    let text = plain.to_string();
    let mut out = String::with_capacity(text.len().min(HEADER_CHARS_MAX));
    for (index, character) in text.chars().enumerate() {
        if index == HEADER_CHARS_MAX {
            out.push('…');
            break;
        }
        out.push(if character.is_control() { ' ' } else { character });
    }
    out
}

/// Functions in small letters, as they are listed; subqueries without their text.
struct Plain;

impl VisitorMut for Plain {
    type Break = std::convert::Infallible;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        let short = match expr {
            Expr::Function(function) => {
                for part in &mut function.name.0 {
                    if let ObjectNamePart::Identifier(ident) = part
                        && ident.quote_style.is_none()
                    {
                        ident.value.make_ascii_lowercase();
                    }
                }
                return ControlFlow::Continue(());
            }
            Expr::Subquery(_) => SUBQUERY.to_owned(),
            Expr::Exists { negated, .. } => format!("{}EXISTS {SUBQUERY}", if *negated { "NOT " } else { "" }),
            Expr::InSubquery { expr, negated, .. } => {
                format!("{} {}IN {SUBQUERY}", written(expr), if *negated { "NOT " } else { "" })
            }
            _ => return ControlFlow::Continue(()),
        };
        *expr = Expr::Identifier(Ident::new(short));
        ControlFlow::Continue(())
    }
}

/// The columns of a list so far, as the engine tells them apart: those of two tables differ though they have one name,
/// unless one of them is written without its table.
#[derive(Default)]
struct Listed {
    bare: HashSet<String>,
    qualified: HashSet<Vec<String>>,
    last_parts: HashSet<String>,
    expressions: HashSet<String>,
}

impl Listed {
    /// Adds a column; `false` when it was there.
    fn insert(&mut self, item: &SelectItem, name: &str) -> bool {
        let name = name.to_owned();
        match item {
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
                let is_new = !self.bare.contains(&name);
                self.last_parts.insert(name);
                self.qualified.insert(parts.iter().map(normal).collect()) && is_new
            }
            SelectItem::UnnamedExpr(Expr::Identifier(_)) | SelectItem::ExprWithAlias { .. } => {
                let is_new = !self.last_parts.contains(&name);
                self.bare.insert(name) && is_new
            }
            _ => self.expressions.insert(name),
        }
    }
}

/// Gives the second of two equal columns an alias.
fn tell_apart(select: &mut Select) {
    let mut listed = Listed::default();
    for (index, item) in select.projection.iter_mut().enumerate() {
        let Some(name) = name_of(item) else { continue };
        if !listed.insert(item, &name) {
            give_alias(item, index);
        }
    }
}

/// Gives the columns beside a wildcard an alias: it may hold them too. Not under DISTINCT, which may be sorted only by
/// what the planner finds in the list again.
fn tell_from_wildcards(select: &mut Select) {
    let wildcard = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
    if select.distinct.is_some() || !select.projection.iter().any(wildcard) {
        return;
    }
    for (index, item) in select.projection.iter_mut().enumerate() {
        if matches!(item, SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_))) {
            give_alias(item, index);
        }
    }
}

/// An alias that no column has, since names hold no spaces at their ends, and that no client sees.
fn give_alias(item: &mut SelectItem, index: usize) {
    let alias = Ident::with_quote('"', format!(" column {index} "));
    match item {
        SelectItem::UnnamedExpr(expr) => *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias },
        SelectItem::ExprWithAlias { alias: old, .. } => *old = alias,
        SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {}
    }
}

/// What a column of a list is called.
fn name_of(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(normal(name)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(normal),
        SelectItem::UnnamedExpr(expr) if is_several(expr) => None,
        SelectItem::UnnamedExpr(Expr::Nested(inner)) => name_of(&SelectItem::UnnamedExpr(inner.as_ref().clone())),
        SelectItem::UnnamedExpr(expr) => Some(written(expr)),
        SelectItem::ExprWithAlias { alias, .. } => Some(normal(alias)),
        SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => None,
    }
}

/// A name as the planner reads it: in small letters unless it is quoted.
fn normal(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn take(sql: &str) -> (Headers, String) {
        let mut query = Parser::new(&GenericDialect {}).try_with_sql(sql).unwrap().parse_query().unwrap();
        let headers = Headers::take(&mut query);
        (headers, query.to_string())
    }

    /// The names of the answer's columns, where the planner calls its own `p0`, `p1`, ….
    #[track_caller]
    fn check(sql: &str, columns: usize, expect: &[&str]) {
        let fields = (0..columns).map(|index| Field::new(format!("p{index}"), DataType::Int64, true));
        let schema = take(sql).0.name(&Schema::new(fields.collect::<Vec<_>>()));
        assert_eq!(schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), expect, "{sql}");
    }

    #[test]
    fn columns_are_called_as_they_are_written() {
        let list = "SELECT a, t.B, COUNT(*), Sum(t.b) + 1, 'x', b AS C, (d), \"E f\" FROM t";
        check(list, 8, &["a", "b", "count(*)", "sum(t.b) + 1", "'x'", "c", "d", "E f"]);
        check("SELECT 1 + 1, *, 2 * 2, a FROM t", 5, &["1 + 1", "p1", "p2", "2 * 2", "a"]);
        check("SELECT 1 + 1, unnest(x), 2 * 2 FROM t", 3, &["1 + 1", "p1", "2 * 2"]);
        check("(SELECT 1 + 1) UNION SELECT 2", 1, &["1 + 1"]);
        check("VALUES (1, 2)", 2, &["p0", "p1"]);
        check("SELECT 1 + 1, 2 FROM t", 3, &["p0", "p1", "p2"]);
        let subqueries = "SELECT (SELECT max(a) FROM t) + 1, a IN (SELECT b FROM t), NOT EXISTS (SELECT 1) FROM t";
        check(subqueries, 3, &["(SELECT …) + 1", "a IN (SELECT …)", "NOT EXISTS (SELECT …)"]);
        let long = format!("SELECT '{}'", "x".repeat(1000));
        check(&long, 1, &[&format!("'{}…", "x".repeat(HEADER_CHARS_MAX - 1))]);
    }

    #[test]
    fn no_two_columns_have_one_name() {
        check("SELECT 1, 1, \"1_2\", 1 FROM t", 4, &["1", "1_3", "1_2", "1_4"]);
        check("SELECT a.id, b.id FROM a, b", 2, &["id", "id_2"]);
    }

    #[test]
    fn what_repeats_or_may_repeat_is_planned_under_an_alias() {
        let planned = |sql: &str, expect: &str| assert_eq!(take(sql).1, expect);
        planned("SELECT 1, 1", r#"SELECT 1, 1 AS " column 1 ""#);
        planned("SELECT a AS x, b AS X FROM t", r#"SELECT a AS x, b AS " column 1 " FROM t"#);
        planned("SELECT a, t.a FROM t", r#"SELECT a, t.a AS " column 1 " FROM t"#);
        planned("SELECT t.a, a FROM t", r#"SELECT t.a, a AS " column 1 " FROM t"#);
        planned("SELECT t.a, s.a FROM t, s", "SELECT t.a, s.a FROM t, s");
        planned("SELECT *, a, a + 1 FROM t", r#"SELECT *, a AS " column 1 ", a + 1 FROM t"#);
        planned("SELECT DISTINCT t.*, s.a FROM t, s", "SELECT DISTINCT t.*, s.a FROM t, s");
        planned(
            "SELECT count(*), COUNT(*) FROM t UNION ALL SELECT 1, 1",
            r#"SELECT count(*), COUNT(*) AS " column 1 " FROM t UNION ALL SELECT 1, 1 AS " column 1 ""#,
        );
        // Within, a repeated name is a mistake that only its author can mend.
        planned("SELECT 2 FROM (SELECT 1, 1) AS t", "SELECT 2 FROM (SELECT 1, 1) AS t");
    }
}

//! The walk over a query's syntax tree: what may stand in it, how much of it, which tables it names.
//!
//! One pass judges and rewrites: tables become marks until their versions are known, spellings that the engine does
//! not know become those it does. The structs are taken apart field by field and the enums arm by arm, so that what a
//! new version of the parser learns does not compile until somebody has decided about it.

use std::collections::{HashMap, HashSet};

use portico_model::limits::StatementLimits;
use sqlparser::ast::{
    Cte, Expr, Fetch, Ident, LimitClause, Offset, OffsetRows, OrderBy, OrderByExpr, OrderByKind, Query, SetExpr,
    SetOperator, SetQuantifier, Statement, Value, ValueWithSpan, Values, With,
};
use sqlparser::tokenizer::{Location, Span, Word};

use super::columns::{Columns, Frame, Width};
use super::fault::{Checked, at, invalid, not_allowed, not_offered, too_complex};
use super::names::{Cost, InformationTable, Scopes, TableUse, normal};
use super::numbers;
use super::tables::check_alias;

/// Arms of set operations whatever the configured limit: they make a tree as deep as they are many.
const UNION_ARMS_MAX: u64 = 1_000;

/// Columns that the wildcards of a statement may stand for: planning grows with them. The widest table in each of ten
/// places is well below.
pub(super) const WILDCARD_COLUMNS_MAX: u64 = 20_000;

/// What the walk has seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The datasets, each version once.
    pub(super) tables: Vec<TableUse>,
    /// Our own tables, each once.
    pub(super) information: Vec<InformationTable>,
    /// Parameters without their `$`.
    pub(super) parameters: Vec<String>,
    /// A value depends on more than the data.
    pub(super) volatile: bool,
    /// There is more than a scan: a join, an aggregate, a sort, a set operation, a window, a subquery.
    pub(super) more_than_scan: bool,
    /// Some literal holds a quote.
    pub(super) quotes: bool,
    /// The columns that its wildcards stand for.
    pub(super) columns: Width,
    /// The statement has subqueries in expressions.
    pub(super) subqueries: bool,
}

/// The walk.
pub(super) struct Walk<'a> {
    pub(super) limits: &'a StatementLimits,
    pub(super) seen: Seen,
    /// Names folded with their version, by place, until the table is reached.
    pub(super) versioned: HashMap<Location, Word>,
    /// Qualified names of tables without an alias, as their columns may be qualified.
    pub(super) qualifiers: HashSet<Vec<String>>,
    pub(super) scopes: Scopes,
    /// What the expressions here may name, innermost SELECT last.
    pub(super) frames: Vec<Frame>,
    /// Nodes of the expression under way as others see it: behind an aggregate or window there is a column.
    pub(super) weight: u64,
    /// The weight of the heaviest column since it was last set.
    pub(super) heaviest: u64,
    pub(super) cost: Cost,
    nodes: u64,
    depth: u64,
}

impl<'a> Walk<'a> {
    /// A walk that has not begun.
    pub(super) fn new(limits: &'a StatementLimits, versioned: HashMap<Location, Word>) -> Self {
        Self {
            limits,
            seen: Seen::default(),
            versioned,
            qualifiers: HashSet::new(),
            scopes: Scopes::default(),
            frames: Vec::new(),
            weight: 0,
            heaviest: 1,
            cost: Cost::default(),
            nodes: 0,
            depth: 0,
        }
    }

    /// Ends the walk.
    ///
    /// # Errors
    /// `InvalidSql` when `VERSION AS OF` stood anywhere but after a table's name.
    pub(super) fn finish(mut self) -> Checked<Seen> {
        if let Some(location) = self.versioned.keys().min() {
            return Err(at(invalid("VERSION AS OF follows the name of a dataset in FROM."), *location));
        }
        self.seen.columns = self.cost.columns;
        self.seen.parameters.sort_by_key(|name| (name.parse::<u64>().unwrap_or(u64::MAX), name.clone()));
        Ok(self.seen)
    }

    /// A query and everything in it; gives the columns of its answer.
    pub(super) fn query(&mut self, query: &mut Query) -> Checked<Columns> {
        self.nest(|walk| {
            let outside = std::mem::take(&mut walk.cost);
            walk.scopes.open();
            let columns = walk.query_inside(query)?;
            walk.scopes.close();
            let mut cost = std::mem::replace(&mut walk.cost, outside);
            cost.layers = cost.layers.saturating_add(1);
            walk.add(cost)?;
            Ok(columns)
        })
    }

    fn query_inside(&mut self, query: &mut Query) -> Checked<Columns> {
        self.node()?;
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        if !locks.is_empty() {
            return Err(not_allowed("FOR UPDATE and FOR SHARE lock rows; Portico answers read-only queries."));
        }
        if for_clause.is_some() {
            return Err(not_offered("FOR JSON, FOR XML and FOR BROWSE"));
        }
        if settings.is_some() {
            return Err(not_allowed("SETTINGS changes settings; Portico answers read-only queries."));
        }
        if format_clause.is_some() {
            return Err(not_allowed("FORMAT is not part of a statement here: ask for a format in the request."));
        }
        if !pipe_operators.is_empty() {
            return Err(not_offered("The pipe operator |>"));
        }
        if let Some(with) = with {
            self.with(with)?;
        }
        let (columns, mut frame) = self.set_expr(body)?;
        if let Some(order_by) = order_by {
            frame.add(None, columns.clone());
            self.within(frame, |walk| walk.order_by(order_by))?;
        }
        if let Some(fetch) = fetch.take() {
            *limit_clause = Some(limit_of_fetch(fetch, limit_clause.take())?);
        }
        if let Some(limit_clause) = limit_clause {
            self.limit(limit_clause)?;
        }
        Ok(columns)
    }

    fn with(&mut self, with: &mut With) -> Checked {
        let With { with_token: _, recursive, cte_tables } = with;
        if *recursive {
            return Err(not_allowed("WITH RECURSIVE is not served: its work has no bound."));
        }
        for cte in cte_tables {
            let Cte { alias, query, from, materialized, closing_paren_token: _ } = cte;
            let name = normal(&alias.name);
            if name.contains(['@', '.']) {
                let problem = invalid("The name of a common table expression holds no '@' and no '.'.");
                return Err(at(problem, alias.name.span.start));
            }
            if from.is_some() {
                return Err(not_offered("FROM after a common table expression"));
            }
            *materialized = None;
            check_alias(alias)?;
            let outside = std::mem::take(&mut self.cost);
            let columns = self.query(query)?.renamed(Some(alias));
            let mut cost = std::mem::replace(&mut self.cost, outside);
            cost.relations = cost.relations.max(1);
            self.scopes.define(name, cost, columns);
        }
        Ok(())
    }

    /// A body: a chain of set operations is as deep as it is long, so the left side is walked in a loop. Gives its
    /// columns, and what else its ORDER BY may name.
    fn set_expr(&mut self, body: &mut SetExpr) -> Checked<(Columns, Frame)> {
        let mut current = body;
        let mut right_arms: Vec<Columns> = Vec::new();
        let (columns, frame) = loop {
            self.node()?;
            match current {
                SetExpr::SetOperation { left, op, set_quantifier, right } => {
                    match op {
                        SetOperator::Union | SetOperator::Except | SetOperator::Intersect => {}
                        SetOperator::Minus => *op = SetOperator::Except,
                    }
                    let all = matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
                    if all && !matches!(op, SetOperator::Union) {
                        // The engine keeps or drops all equal rows together, however many there are on the other side.
                        return Err(not_offered("ALL after EXCEPT and INTERSECT"));
                    }
                    self.seen.more_than_scan = true;
                    self.add(Cost { arms: 1, ..Cost::default() })?;
                    right_arms.push(self.set_expr(right)?.0);
                    current = left;
                }
                SetExpr::Select(select) => break self.select(select)?,
                SetExpr::Query(query) => break (self.query(query)?, Frame::default()),
                SetExpr::Values(values) => break (self.values(values)?, Frame::default()),
                SetExpr::Table(_) => return Err(not_allowed("Write SELECT * FROM the dataset instead of TABLE.")),
                SetExpr::Insert(statement)
                | SetExpr::Update(statement)
                | SetExpr::Delete(statement)
                | SetExpr::Merge(statement) => return Err(changes_data(statement)),
            }
        };
        match right_arms.iter().rev().fold(None, |below, arm| Some(stack(below, &columns, arm))) {
            None => Ok((columns, frame)),
            Some(columns) => Ok((columns, Frame::default())),
        }
    }

    fn values(&mut self, values: &mut Values) -> Checked<Columns> {
        let Values { explicit_row: _, value_keyword, rows } = values;
        *value_keyword = false;
        self.cap("rows in one VALUES list", rows.len(), self.limits.values_rows)?;
        self.add(Cost { relations: 1, ..Cost::default() })?;
        let columns = rows.first().map_or(0, |row| row.content.len());
        for row in rows {
            self.cap("expressions in one row", row.content.len(), self.limits.projected_columns)?;
            self.inner_all(&mut row.content)?;
        }
        Ok(Columns::plain(Width::fixed(columns)))
    }

    pub(super) fn order_by(&mut self, order_by: &mut OrderBy) -> Checked {
        let OrderBy { kind, interpolate } = order_by;
        self.seen.more_than_scan = true;
        if interpolate.is_some() {
            return Err(not_offered("INTERPOLATE"));
        }
        match kind {
            OrderByKind::All(_) => Ok(()),
            OrderByKind::Expressions(expressions) => self.order_list(expressions),
        }
    }

    pub(super) fn order_list(&mut self, expressions: &mut [OrderByExpr]) -> Checked {
        self.cap("expressions in one ORDER BY", expressions.len(), self.limits.projected_columns)?;
        for OrderByExpr { expr, options: _, with_fill } in expressions {
            if with_fill.is_some() {
                return Err(not_offered("WITH FILL"));
            }
            self.inner(expr)?;
        }
        Ok(())
    }

    fn limit(&mut self, limit: &mut LimitClause) -> Checked {
        match limit {
            LimitClause::LimitOffset { limit, offset, limit_by } => {
                if !limit_by.is_empty() {
                    return Err(not_offered("LIMIT BY"));
                }
                self.inner_all(limit.iter_mut())?;
                self.inner_all(offset.iter_mut().map(|offset| &mut offset.value))?;
                limit.iter().try_for_each(|limit| numbers::check_rows("LIMIT", limit))?;
                offset.iter().try_for_each(|offset| numbers::check_rows("OFFSET", &offset.value))
            }
            LimitClause::OffsetCommaLimit { offset, limit } => {
                self.inner(offset)?;
                self.inner(limit)?;
                numbers::check_rows("LIMIT", limit)?;
                numbers::check_rows("OFFSET", offset)
            }
        }
    }

    /// Drops what stands before the table's own name in a column's qualifier: the table goes by its alias now.
    /// `columns` is the number of parts after the qualifier.
    pub(super) fn shorten(&self, parts: &mut Vec<Ident>, columns: usize) {
        let Some(qualifier_length) = parts.len().checked_sub(columns).filter(|length| *length > 1) else { return };
        let qualifier: Vec<String> = parts.iter().take(qualifier_length).map(normal).collect();
        if self.qualifiers.contains(&qualifier) {
            parts.drain(..qualifier_length - 1);
        }
    }

    /// Walks what may name the columns of `frame` besides those around it.
    pub(super) fn within<T>(&mut self, frame: Frame, inside: impl FnOnce(&mut Self) -> Checked<T>) -> Checked<T> {
        self.frames.push(frame);
        let result = inside(self);
        self.frames.pop();
        result
    }

    /// Counts the use of a column: as much as the planner puts in its place.
    pub(super) fn column(&mut self, name: &Ident) -> Checked {
        let name = normal(name);
        let weight = self.frames.iter().map(|frame| frame.weight(&name)).max().unwrap_or(1);
        self.heaviest = self.heaviest.max(weight);
        self.written_out(weight.saturating_sub(1))
    }

    /// Counts nodes that the planner writes out and the statement does not.
    pub(super) fn written_out(&mut self, nodes: u64) -> Checked {
        self.weight = self.weight.saturating_add(nodes);
        self.add(Cost { nodes, ..Cost::default() })
    }

    /// Walks what the planner writes out so many times.
    pub(super) fn times<T>(&mut self, times: u64, inside: impl FnOnce(&mut Self) -> Checked<T>) -> Checked<T> {
        let (nodes, weight) = (self.cost.nodes, self.weight);
        let result = inside(self)?;
        let more = |before: u64, now: u64| now.saturating_sub(before).saturating_mul(times.saturating_sub(1));
        let (nodes, weight) = (more(nodes, self.cost.nodes), more(weight, self.weight));
        self.weight = self.weight.saturating_add(weight);
        self.add(Cost { nodes, ..Cost::default() })?;
        Ok(result)
    }

    /// Goes one level down.
    pub(super) fn nest<T>(&mut self, inside: impl FnOnce(&mut Self) -> Checked<T>) -> Checked<T> {
        self.depth += 1;
        if self.depth > self.limits.nesting {
            return Err(too_complex("levels of nesting", self.depth, self.limits.nesting));
        }
        let result = inside(self);
        self.depth -= 1;
        result
    }

    /// Counts a node of the tree.
    pub(super) fn node(&mut self) -> Checked {
        self.nodes = self.nodes.saturating_add(1);
        self.cap_value("nodes in its syntax tree", self.nodes, self.limits.nodes)?;
        self.written_out(1)
    }

    /// Adds to the cost of the query or common table expression under way.
    pub(super) fn add(&mut self, cost: Cost) -> Checked {
        self.cost.columns.add(&cost.columns);
        let what = "columns that its wildcards stand for";
        self.cap_value(what, self.cost.columns.least(), WILDCARD_COLUMNS_MAX)?;
        self.cost.relations = self.cost.relations.saturating_add(cost.relations);
        self.cost.nodes = self.cost.nodes.saturating_add(cost.nodes);
        self.cost.arms = self.cost.arms.saturating_add(cost.arms);
        self.cost.layers = self.cost.layers.max(cost.layers);
        self.cap_value("queries behind one another", self.cost.layers, self.limits.relations)?;
        let what = "relations, every use of a common table expression counted";
        self.cap_value(what, self.cost.relations, self.limits.relations)?;
        let what = "nodes once everything that it names is written out";
        self.cap_value(what, self.cost.nodes, self.limits.nodes)?;
        let arms = self.cost.arms.saturating_add(1);
        self.cap_value("arms of set operations", arms, self.limits.union_arms.min(UNION_ARMS_MAX))
    }

    pub(super) fn cap(&self, what: &str, seen: usize, limit: u64) -> Checked {
        self.cap_value(what, u64::try_from(seen).unwrap_or(u64::MAX), limit)
    }

    pub(super) fn cap_value(&self, what: &str, seen: u64, limit: u64) -> Checked {
        if seen > limit { Err(too_complex(what, seen, limit)) } else { Ok(()) }
    }
}

/// The columns of one more arm below others; the first arm gives the names.
fn stack(below: Option<Columns>, first: &Columns, arm: &Columns) -> Columns {
    below.unwrap_or_else(|| first.clone()).stacked(arm)
}

fn changes_data(statement: &Statement) -> portico_model::problem::Problem {
    let text = match statement {
        Statement::Insert(_) => "INSERT",
        Statement::Update(_) => "UPDATE",
        Statement::Delete(_) => "DELETE",
        _ => "This statement",
    };
    not_allowed(format!("{text} changes data; Portico answers read-only queries."))
}

/// `FETCH FIRST n ROWS ONLY` as LIMIT, which the engine knows.
fn limit_of_fetch(fetch: Fetch, limit: Option<LimitClause>) -> Checked<LimitClause> {
    let Fetch { with_ties: false, percent: false, quantity } = fetch else {
        return Err(not_offered("FETCH … PERCENT and WITH TIES"));
    };
    let quantity = quantity.unwrap_or_else(|| {
        Expr::Value(ValueWithSpan { value: Value::Number("1".to_owned(), false), span: Span::empty() })
    });
    match limit {
        None => Ok(LimitClause::LimitOffset { limit: Some(quantity), offset: None, limit_by: Vec::new() }),
        Some(LimitClause::LimitOffset { limit: None, offset, limit_by }) => {
            let offset = offset.map(|offset| Offset { value: offset.value, rows: OffsetRows::None });
            Ok(LimitClause::LimitOffset { limit: Some(quantity), offset, limit_by })
        }
        Some(_) => Err(invalid("A query has LIMIT or FETCH, not both.")),
    }
}

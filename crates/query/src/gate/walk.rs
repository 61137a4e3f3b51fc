//! The walk over a query's syntax tree: what may stand in it, how much of it, which tables it names.
//!
//! One pass judges and rewrites: tables become marks until their versions are known, spellings that the engine does
//! not know become those it does. The structs are taken apart field by field and the enums arm by arm, so that what a
//! new version of the parser learns does not compile until somebody has decided about it.

use std::collections::{HashMap, HashSet};

use portico_model::limits::StatementLimits;
use sqlparser::ast::{
    Cte, Expr, Fetch, Ident, JoinConstraint, JoinOperator, LimitClause, ObjectName, ObjectNamePart, Offset, OffsetRows,
    OrderBy, OrderByExpr, OrderByKind, Query, SetExpr, SetOperator, Statement, TableAlias, TableFactor, TableWithJoins,
    Value, ValueWithSpan, Values, With,
};
use sqlparser::tokenizer::{Location, Span, Word};

use super::fault::{Checked, at, invalid, no_dataset, not_allowed, not_offered, place, too_complex};
use super::functions;
use super::names::{
    Cost, DATASET_MARK, INFORMATION_MARK, InformationTable, Meaning, Scopes, TableUse, marked, meaning, normal,
    normal_parts, written,
};

/// Arms of set operations whatever the configured limit: they make a tree as deep as they are many.
const UNION_ARMS_MAX: u64 = 1_000;

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
    /// Wildcards in the select list that has most.
    pub(super) wildcards: u64,
    /// The statement has subqueries in expressions.
    pub(super) subqueries: bool,
}

/// The walk.
pub(super) struct Walk<'a> {
    pub(super) limits: &'a StatementLimits,
    pub(super) seen: Seen,
    /// Names folded with their version, by place, until the table is reached.
    versioned: HashMap<Location, Word>,
    /// Qualified names of tables without an alias, as their columns may be qualified.
    qualifiers: HashSet<Vec<String>>,
    scopes: Scopes,
    cost: Cost,
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
        self.seen.parameters.sort_by_key(|name| (name.parse::<u64>().unwrap_or(u64::MAX), name.clone()));
        Ok(self.seen)
    }

    /// A query and everything in it.
    pub(super) fn query(&mut self, query: &mut Query) -> Checked {
        self.nest(|walk| {
            walk.scopes.open();
            let result = walk.query_inside(query);
            walk.scopes.close();
            result
        })
    }

    fn query_inside(&mut self, query: &mut Query) -> Checked {
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
        self.set_expr(body)?;
        if let Some(order_by) = order_by {
            self.order_by(order_by)?;
        }
        if let Some(fetch) = fetch.take() {
            *limit_clause = Some(limit_of_fetch(fetch, limit_clause.take())?);
        }
        match limit_clause {
            Some(limit_clause) => self.limit(limit_clause),
            None => Ok(()),
        }
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
            self.query(query)?;
            let mut cost = std::mem::replace(&mut self.cost, outside);
            cost.relations = cost.relations.max(1);
            self.scopes.define(name, cost);
        }
        Ok(())
    }

    /// A body: a chain of set operations is as deep as it is long, so the left side is walked in a loop.
    fn set_expr(&mut self, body: &mut SetExpr) -> Checked {
        let mut current = body;
        loop {
            self.node()?;
            match current {
                SetExpr::SetOperation { left, op, set_quantifier: _, right } => {
                    match op {
                        SetOperator::Union | SetOperator::Except | SetOperator::Intersect => {}
                        SetOperator::Minus => *op = SetOperator::Except,
                    }
                    self.seen.more_than_scan = true;
                    self.add(Cost { arms: 1, ..Cost::default() })?;
                    self.set_expr(right)?;
                    current = left;
                }
                SetExpr::Select(select) => return self.select(select),
                SetExpr::Query(query) => return self.query(query),
                SetExpr::Values(values) => return self.values(values),
                SetExpr::Table(_) => return Err(not_allowed("Write SELECT * FROM the dataset instead of TABLE.")),
                SetExpr::Insert(statement)
                | SetExpr::Update(statement)
                | SetExpr::Delete(statement)
                | SetExpr::Merge(statement) => return Err(changes_data(statement)),
            }
        }
    }

    fn values(&mut self, values: &mut Values) -> Checked {
        let Values { explicit_row: _, value_keyword, rows } = values;
        *value_keyword = false;
        self.cap("rows in one VALUES list", rows.len(), self.limits.values_rows)?;
        self.add(Cost { relations: 1, ..Cost::default() })?;
        for row in rows {
            self.cap("expressions in one row", row.content.len(), self.limits.projected_columns)?;
            self.inner_all(&mut row.content)?;
        }
        Ok(())
    }

    /// The tables of one FROM, with their joins.
    pub(super) fn from(&mut self, from: &mut [TableWithJoins]) -> Checked {
        self.seen.more_than_scan |= from.len() > 1;
        for table in from {
            self.table_with_joins(table)?;
        }
        Ok(())
    }

    fn table_with_joins(&mut self, table: &mut TableWithJoins) -> Checked {
        let TableWithJoins { relation, joins } = table;
        self.seen.more_than_scan |= !joins.is_empty();
        self.table_factor(relation)?;
        for join in joins {
            self.node()?;
            if join.global {
                return Err(not_offered("GLOBAL JOIN"));
            }
            self.table_factor(&mut join.relation)?;
            self.join_operator(&mut join.join_operator)?;
        }
        Ok(())
    }

    fn join_operator(&mut self, operator: &mut JoinOperator) -> Checked {
        let constraint = match operator {
            JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint)
            | JoinOperator::FullOuter(constraint)
            | JoinOperator::CrossJoin(constraint)
            | JoinOperator::LeftSemi(constraint)
            | JoinOperator::RightSemi(constraint)
            | JoinOperator::LeftAnti(constraint)
            | JoinOperator::RightAnti(constraint) => constraint,
            JoinOperator::Semi(_) | JoinOperator::Anti(_) => {
                return Err(not_allowed("Write LEFT SEMI JOIN or LEFT ANTI JOIN, or EXISTS."));
            }
            JoinOperator::CrossApply | JoinOperator::OuterApply => {
                return Err(not_allowed("Write CROSS JOIN LATERAL instead of APPLY."));
            }
            JoinOperator::AsOf { .. } => return Err(not_offered("ASOF JOIN")),
            JoinOperator::StraightJoin(_) => return Err(not_offered("STRAIGHT_JOIN")),
            JoinOperator::ArrayJoin | JoinOperator::LeftArrayJoin | JoinOperator::InnerArrayJoin => {
                return Err(not_offered("ARRAY JOIN"));
            }
        };
        match constraint {
            JoinConstraint::On(condition) => self.inner(condition),
            JoinConstraint::Using(columns) => {
                self.cap("columns in one USING", columns.len(), self.limits.projected_columns)
            }
            JoinConstraint::Natural | JoinConstraint::None => Ok(()),
        }
    }

    fn table_factor(&mut self, factor: &mut TableFactor) -> Checked {
        self.node()?;
        match factor {
            TableFactor::Table { .. } => self.table(factor),
            TableFactor::Derived { lateral, subquery, alias, sample } => {
                if sample.is_some() {
                    return Err(no_sample());
                }
                self.seen.more_than_scan |= *lateral;
                check_optional_alias(alias.as_ref())?;
                self.query(subquery)
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                check_optional_alias(alias.as_ref())?;
                self.nest(|walk| walk.table_with_joins(table_with_joins))
            }
            TableFactor::UNNEST { alias, array_exprs, with_offset, with_offset_alias, with_ordinality } => {
                if *with_offset || with_offset_alias.is_some() || *with_ordinality {
                    return Err(not_offered("UNNEST with a position"));
                }
                check_optional_alias(alias.as_ref())?;
                self.seen.more_than_scan = true;
                self.add(Cost { relations: 1, ..Cost::default() })?;
                self.inner_all(array_exprs)
            }
            TableFactor::Function { name, .. } => Err(functions::refused(&written(name))),
            TableFactor::TableFunction { .. } => Err(not_offered("TABLE(…) around a function")),
            TableFactor::JsonTable { .. } | TableFactor::OpenJsonTable { .. } => Err(not_offered("JSON_TABLE")),
            TableFactor::XmlTable { .. } => Err(not_offered("XMLTABLE")),
            TableFactor::Pivot { .. } | TableFactor::Unpivot { .. } => {
                Err(not_allowed("PIVOT and UNPIVOT are not supported: use FILTER or CASE with GROUP BY."))
            }
            TableFactor::MatchRecognize { .. } => Err(not_offered("MATCH_RECOGNIZE")),
            TableFactor::SemanticView { .. } => Err(not_offered("SEMANTIC_VIEW")),
        }
    }

    fn table(&mut self, factor: &mut TableFactor) -> Checked {
        let TableFactor::Table {
            name,
            alias,
            args,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } = factor
        else {
            return Ok(());
        };
        if sample.is_some() {
            return Err(no_sample());
        }
        if !with_hints.is_empty() || !partitions.is_empty() || !index_hints.is_empty() {
            return Err(not_offered("A hint or partition after a table's name"));
        }
        if version.is_some() || json_path.is_some() || *with_ordinality {
            return Err(not_offered("This clause after a table's name"));
        }
        check_optional_alias(alias.as_ref())?;
        if let Some(args) = args {
            let function = normal_parts(name).unwrap_or_default().join(".");
            if !functions::is_series(&function) || args.settings.is_some() {
                return Err(functions::refused(&written(name)));
            }
            let literals: Vec<_> = args.args.iter().map(functions::literal_argument).collect();
            functions::check_series(&function, &literals)?;
            self.seen.more_than_scan = true;
            return self.add(Cost { relations: 1, ..Cost::default() });
        }
        self.named_table(name, alias)
    }

    /// Decides what a table's name stands for; a dataset's name gives way to a mark, and to an alias so that columns
    /// may still be qualified with the name.
    fn named_table(&mut self, name: &mut ObjectName, alias: &mut Option<TableAlias>) -> Checked {
        let Some(last) = name.0.last().and_then(ObjectNamePart::as_ident).cloned() else {
            return Err(functions::refused(&written(name)));
        };
        let folded = self.versioned.remove(&last.span.start);
        let Some(parts) = normal_parts(name) else {
            return Err(functions::refused(&written(name)));
        };
        if let ([bare], None) = (parts.as_slice(), &folded)
            && let Some(cost) = self.scopes.find(bare)
        {
            return self.add(cost);
        }
        self.add(Cost { relations: 1, ..Cost::default() })?;
        let (mark, natural) = match meaning(&parts) {
            Meaning::Information(table) => {
                (marked(INFORMATION_MARK, index_of(&mut self.seen.information, table)), None)
            }
            Meaning::Dataset { dataset, version } => {
                let natural = version.filter(|_| folded.is_none()).map(|_| last.value.clone());
                let place = name.0.first().and_then(ObjectNamePart::as_ident).and_then(|first| place(first.span.start));
                let written = written(name);
                (
                    marked(
                        DATASET_MARK,
                        self.table_use(TableUse { written, dataset, version, position: place, uses: 1 }),
                    ),
                    natural,
                )
            }
        };
        if alias.is_none() {
            if parts.len() > 1 {
                let mut qualifier = parts;
                if let (Some(word), Some(end)) = (&folded, qualifier.last_mut()) {
                    *end = normal(&plain_ident(&word.value, word.quote_style));
                }
                self.qualifiers.insert(qualifier);
            }
            if natural.is_none() {
                let ident = match &folded {
                    Some(word) => plain_ident(&word.value, word.quote_style),
                    None => plain_ident(&last.value, last.quote_style),
                };
                *alias = Some(TableAlias { explicit: true, name: ident, columns: Vec::new(), at: None });
            }
        }
        *name = mark;
        Ok(())
    }

    fn table_use(&mut self, table: TableUse) -> usize {
        let same = |known: &TableUse| match (&known.dataset, &table.dataset) {
            (Some(known_name), Some(name)) => known_name == name && known.version == table.version,
            (None, None) => known.written == table.written,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if let Some(index) = self.seen.tables.iter().position(same) {
            if let Some(known) = self.seen.tables.get_mut(index) {
                known.uses = known.uses.saturating_add(1);
            }
            return index;
        }
        self.seen.tables.push(table);
        self.seen.tables.len() - 1
    }

    /// The dataset of DESCRIBE, which stands in no FROM.
    ///
    /// # Errors
    /// `NotFound` for a name that is not a dataset's.
    pub(super) fn described(&mut self, name: &ObjectName) -> Checked<usize> {
        let last = name.0.last().and_then(ObjectNamePart::as_ident);
        let location = last.map_or(Location::empty(), |ident| ident.span.start);
        self.versioned.remove(&location);
        match meaning(&normal_parts(name).unwrap_or_default()) {
            Meaning::Dataset { dataset, version } => {
                let position = place(location);
                Ok(self.table_use(TableUse { written: written(name), dataset, version, position, uses: 1 }))
            }
            Meaning::Information(_) => Err(no_dataset(&written(name), place(location))),
        }
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
                self.inner_all(offset.iter_mut().map(|offset| &mut offset.value))
            }
            LimitClause::OffsetCommaLimit { offset, limit } => {
                self.inner(offset)?;
                self.inner(limit)
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
        self.add(Cost { nodes: 1, ..Cost::default() })
    }

    /// Adds to the cost of the query or common table expression under way.
    fn add(&mut self, cost: Cost) -> Checked {
        self.cost.relations = self.cost.relations.saturating_add(cost.relations);
        self.cost.nodes = self.cost.nodes.saturating_add(cost.nodes);
        self.cost.arms = self.cost.arms.saturating_add(cost.arms);
        let what = "relations, every use of a common table expression counted,";
        self.cap_value(what, self.cost.relations, self.limits.relations)?;
        let what = "nodes in its syntax tree, every use of a common table expression counted,";
        self.cap_value(what, self.cost.nodes, self.limits.nodes)?;
        self.cap_value("set operations", self.cost.arms, self.limits.union_arms.min(UNION_ARMS_MAX).saturating_sub(1))
    }

    pub(super) fn cap(&self, what: &str, seen: usize, limit: u64) -> Checked {
        self.cap_value(what, u64::try_from(seen).unwrap_or(u64::MAX), limit)
    }

    pub(super) fn cap_value(&self, what: &str, seen: u64, limit: u64) -> Checked {
        if seen > limit { Err(too_complex(what, seen, limit)) } else { Ok(()) }
    }
}

fn index_of(known: &mut Vec<InformationTable>, table: InformationTable) -> usize {
    match known.iter().position(|other| *other == table) {
        Some(index) => index,
        None => {
            known.push(table);
            known.len() - 1
        }
    }
}

/// An identifier quoted as the engine quotes, or not at all.
fn plain_ident(value: &str, quote_style: Option<char>) -> Ident {
    Ident { value: value.to_owned(), quote_style: quote_style.map(|_| '"'), span: Span::empty() }
}

fn check_optional_alias(alias: Option<&TableAlias>) -> Checked {
    alias.map_or(Ok(()), check_alias)
}

fn check_alias(alias: &TableAlias) -> Checked {
    let TableAlias { explicit: _, name: _, columns, at } = alias;
    if at.is_some() || columns.iter().any(|column| column.data_type.is_some()) {
        return Err(not_offered("A type or position in an alias"));
    }
    Ok(())
}

fn no_sample() -> portico_model::problem::Problem {
    not_allowed("TABLESAMPLE and SAMPLE are not supported: filter or use LIMIT.")
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

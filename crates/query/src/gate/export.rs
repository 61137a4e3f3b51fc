//! The SELECT of an export, built from a filter and an order as trees, never by pasting text together.

use portico_model::limits::StatementLimits;
use portico_model::name::VersionRef;
use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    Expr, GroupByExpr, Ident, LimitClause, Offset, OffsetRows, OrderBy, OrderByExpr, OrderByKind, OrderByOptions,
    Query, Select, SelectFlavor, SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins, Value,
};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::dialect::Budgeted;
use super::fault::{Checked, at, invalid};
use super::print::{print, quoted_name};
use super::stack::with_room;
use super::text::tokens;
use super::walk::{Seen, Walk};
use super::{Problem, identifier};

/// A judged condition over the columns of one dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterExpr(Expr);

/// A judged order of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderList(Vec<OrderByExpr>);

/// What an export selects.
#[derive(Clone, Debug)]
pub struct ExportSelect<'a> {
    /// The version.
    pub version: &'a VersionRef,
    /// The columns, in this order; none means all.
    pub columns: &'a [String],
    /// The condition.
    pub filter: Option<&'a FilterExpr>,
    /// The order; `None` keeps the stored order.
    pub order: Option<&'a OrderList>,
    /// Columns that make the order total; used only with `order`.
    pub tie_break: &'a [String],
    /// Rows at most.
    pub limit: Option<u64>,
    /// Rows to leave out at the beginning.
    pub offset: Option<u64>,
}

/// Reads the condition of an export: an expression over columns, without subqueries, aggregates, windows and
/// parameters, whose value does not change with time.
///
/// # Errors
/// As [`super::parse`]; `InvalidSql` for what a condition may not hold.
pub fn parse_filter(filter: &str, limits: &StatementLimits) -> Result<FilterExpr, Problem> {
    parse_part(
        filter,
        limits,
        "filter",
        |parser| parser.parse_expr().map(FilterExpr),
        |filter, walk| walk.inner(&mut filter.0),
    )
}

/// Reads the order of an export: `a desc, b`.
///
/// # Errors
/// As [`parse_filter`].
pub fn parse_order(order: &str, limits: &StatementLimits) -> Result<OrderList, Problem> {
    parse_part(
        order,
        limits,
        "order",
        |parser| parser.parse_comma_separated(Parser::parse_order_by_expr).map(OrderList),
        |order, walk| walk.order_list(&mut order.0),
    )
}

/// Writes the SELECT of an export down; it goes through [`super::parse`] like any other statement.
///
/// # Errors
/// `InvalidSql` when it cannot be written down unambiguously.
pub fn export_select(export: &ExportSelect<'_>) -> Result<String, Problem> {
    let query = query(export);
    with_room(true, || print(&query, true))
}

fn parse_part<T: Send>(
    text: &str,
    limits: &StatementLimits,
    what: &str,
    read: impl FnOnce(&mut Parser<'_>) -> Result<T, ParserError> + Send,
    judge: impl FnOnce(&mut T, &mut Walk<'_>) -> Checked + Send,
) -> Result<T, Problem> {
    super::counted(tokens(text, limits).and_then(|tokens| {
        super::length::check(&tokens.tokens, limits)?;
        with_room(tokens.roomy, || {
            let dialect = Budgeted::new(tokens.tokens.len(), limits.nodes);
            let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens.tokens);
            let mut part = read(&mut parser).map_err(|error| dialect.problem(&error, limits.nesting))?;
            let TokenWithSpan { token, span } = parser.peek_token();
            if token != Token::EOF {
                return Err(at(invalid(format!("The {what} goes on where it should end.")), span.start));
            }
            let mut walk = Walk::new(limits, tokens.versioned);
            judge(&mut part, &mut walk)?;
            check_part(&walk.finish()?, what)?;
            Ok(part)
        })
    }))
}

/// Refuses in a part of an export what its bytes could change by, or what is more than a condition.
fn check_part(seen: &Seen, what: &str) -> Checked {
    if seen.more_than_scan || seen.subqueries {
        return Err(invalid(format!("The {what} of an export holds no subqueries, aggregates and windows.")));
    }
    if seen.volatile {
        return Err(invalid(format!("The {what} of an export holds no function whose value changes.")));
    }
    if !seen.parameters.is_empty() {
        return Err(invalid(format!("The {what} of an export has no parameters.")));
    }
    Ok(())
}

fn query(export: &ExportSelect<'_>) -> Query {
    let columns = export.columns.iter().map(|name| SelectItem::UnnamedExpr(column(name)));
    let projection = if export.columns.is_empty() {
        vec![SelectItem::Wildcard(sqlparser::ast::WildcardAdditionalOptions::default())]
    } else {
        columns.collect()
    };
    let number = |number: u64| Expr::value(Value::Number(number.to_string(), false));
    let offset = export.offset.map(|offset| Offset { value: number(offset), rows: OffsetRows::None });
    let limit_clause = (export.limit.is_some() || offset.is_some()).then(|| LimitClause::LimitOffset {
        limit: export.limit.map(number),
        offset,
        limit_by: Vec::new(),
    });
    Query {
        with: None,
        body: Box::new(SetExpr::Select(Box::new(select(export, projection)))),
        order_by: export.order.map(|order| OrderBy {
            kind: OrderByKind::Expressions(total_order(&order.0, export.tie_break)),
            interpolate: None,
        }),
        limit_clause,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

fn select(export: &ExportSelect<'_>, projection: Vec<SelectItem>) -> Select {
    let alias = Ident::with_quote('"', export.version.dataset.sql_name());
    let relation = TableFactor::Table {
        name: quoted_name(&identifier(export.version)),
        alias: Some(TableAlias { explicit: true, name: alias, columns: Vec::new(), at: None }),
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    };
    Select {
        select_token: AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection,
        exclude: None,
        into: None,
        from: vec![TableWithJoins { relation, joins: Vec::new() }],
        lateral_views: Vec::new(),
        prewhere: None,
        selection: export.filter.map(|filter| filter.0.clone()),
        connect_by: Vec::new(),
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        cluster_by: Vec::new(),
        distribute_by: Vec::new(),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    }
}

/// The order asked for, then the columns that make it total.
fn total_order(order: &[OrderByExpr], tie_break: &[String]) -> Vec<OrderByExpr> {
    let named = |name: &str| {
        order.iter().any(|by| matches!(&by.expr, Expr::Identifier(ident) if super::names::normal(ident) == name))
    };
    let ties = tie_break.iter().filter(|name| !named(name)).map(|name| OrderByExpr {
        expr: column(name),
        options: OrderByOptions { asc: Some(true), nulls_first: Some(true) },
        with_fill: None,
    });
    order.iter().cloned().chain(ties).collect()
}

fn column(name: &str) -> Expr {
    Expr::Identifier(Ident::with_quote('"', name))
}

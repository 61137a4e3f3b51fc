//! One SELECT: its lists, conditions, groups and windows.

use sqlparser::ast::{
    Distinct, ExceptSelectItem, ExcludeSelectItem, Expr, GroupByExpr, Ident, NamedWindowDefinition, NamedWindowExpr,
    ObjectName, ObjectNamePart, ReplaceSelectElement, ReplaceSelectItem, Select, SelectFlavor, SelectItem,
    SelectItemQualifiedWildcardKind, Value, ValueWithSpan, WildcardAdditionalOptions, WindowFrame, WindowFrameBound,
    WindowFrameUnits, WindowSpec,
};

use super::columns::{Columns, Frame, Window};
use super::fault::{Checked, invalid, not_allowed, not_offered, too_complex};
use super::names::{Cost, normal};
use super::numbers;
use super::walk::Walk;

/// A SELECT list.
struct List {
    /// Its columns as a query around it sees them.
    shown: Columns,
    /// Its columns as its own HAVING sees them.
    behind: Columns,
}

impl Walk<'_> {
    /// A SELECT and everything in it. Gives its columns, and what else its ORDER BY may name.
    pub(super) fn select(&mut self, select: &mut Select) -> Checked<(Columns, Frame)> {
        refuse_clauses(select)?;
        normalise_flavor(select)?;
        self.frames.push(Frame::default());
        let columns = self.select_inside(select)?;
        Ok((columns, self.frames.pop().unwrap_or_default()))
    }

    /// FROM first, since the lists may qualify columns with its tables.
    fn select_inside(&mut self, select: &mut Select) -> Checked<Columns> {
        let Select {
            select_token: _,
            optimizer_hints,
            distinct,
            select_modifiers: _,
            top: _,
            top_before_distinct: _,
            projection,
            exclude: _,
            into: _,
            from,
            lateral_views: _,
            prewhere: _,
            selection,
            connect_by: _,
            group_by,
            cluster_by: _,
            distribute_by: _,
            sort_by: _,
            having,
            named_window,
            qualify,
            window_before_qualify: _,
            value_table_mode: _,
            flavor: _,
        } = select;
        optimizer_hints.clear();
        self.from(from)?;
        self.named_windows(named_window)?;
        let List { shown, behind } = self.projection(projection)?;
        self.inner_all(selection.iter_mut())?;
        self.seen.more_than_scan |= having.is_some() || qualify.is_some();
        // In these clauses a name may be an alias, and the planner puts there what is behind it.
        self.within(Frame::of(behind.clone()), |walk| {
            walk.distinct(distinct)?;
            walk.group_by(group_by, &behind)?;
            walk.inner_all(having.iter_mut())?;
            walk.inner_all(qualify.iter_mut())
        })?;
        Ok(shown)
    }

    fn named_windows(&mut self, windows: &mut [NamedWindowDefinition]) -> Checked {
        self.cap("named windows", windows.len(), self.limits.projected_columns)?;
        for NamedWindowDefinition(name, window) in windows {
            let before = self.cost.nodes;
            let sorted = match window {
                NamedWindowExpr::NamedWindow(other) => self.window_by_name(other)?,
                NamedWindowExpr::WindowSpec(spec) => self.window(spec)?,
            };
            let nodes = self.cost.nodes.saturating_sub(before);
            if let Some(frame) = self.frames.last_mut() {
                frame.define(name, Window { nodes, sorted });
            }
        }
        Ok(())
    }

    /// Counts the use of a named window: the planner writes it out at every one. Gives the expressions that it sorts
    /// by.
    pub(super) fn window_by_name(&mut self, name: &Ident) -> Checked<u64> {
        let name = normal(name);
        let window = self.frames.iter().rev().find_map(|frame| frame.window(&name)).unwrap_or_default();
        self.written_out(window.nodes)?;
        Ok(window.sorted)
    }

    /// Counts a function over a window that sorts by so many expressions.
    pub(super) fn over_window(&mut self, sorted: u64) -> Checked {
        let nodes = self.frames.last_mut().map_or(0, |frame| frame.sort(sorted));
        self.written_out(nodes)
    }

    fn distinct(&mut self, distinct: &mut Option<Distinct>) -> Checked {
        match distinct {
            None => Ok(()),
            Some(Distinct::All) => {
                *distinct = None;
                Ok(())
            }
            Some(Distinct::Distinct) => {
                self.seen.more_than_scan = true;
                Ok(())
            }
            Some(Distinct::On(expressions)) => {
                self.seen.more_than_scan = true;
                self.cap("expressions in one DISTINCT ON", expressions.len(), self.limits.projected_columns)?;
                self.inner_all(expressions)
            }
        }
    }

    fn projection(&mut self, projection: &mut [SelectItem]) -> Checked<List> {
        self.cap("expressions in one SELECT list", projection.len(), self.limits.projected_columns)?;
        let mut list = List { shown: Columns::none(), behind: Columns::none() };
        for item in projection {
            self.node()?;
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let name = column_name(expr);
                    self.listed(expr, name, &mut list)?;
                }
                SelectItem::ExprWithAlias { expr, alias } => self.listed(expr, Some(normal(alias)), &mut list)?,
                SelectItem::ExprWithAliases { expr: _, aliases: _ } => {
                    return Err(not_offered("Several names for one expression"));
                }
                SelectItem::QualifiedWildcard(kind, options) => {
                    let SelectItemQualifiedWildcardKind::ObjectName(name) = kind else {
                        return Err(not_offered(".* after an expression"));
                    };
                    self.shorten_name(name);
                    let relation = name.0.last().and_then(ObjectNamePart::as_ident).map(normal);
                    self.wildcard(relation.as_deref(), options, &mut list)?;
                }
                SelectItem::Wildcard(options) => self.wildcard(None, options, &mut list)?,
            }
        }
        Ok(list)
    }

    /// One expression of a list.
    fn listed(&mut self, expr: &mut Expr, name: Option<String>, list: &mut List) -> Checked {
        let (nodes, weight) = (self.cost.nodes, self.weight);
        self.inner(expr)?;
        list.shown.push(name.clone(), self.weight.saturating_sub(weight).max(1));
        list.behind.push(name, self.cost.nodes.saturating_sub(nodes).max(1));
        Ok(())
    }

    fn wildcard(
        &mut self,
        relation: Option<&str>,
        options: &mut WildcardAdditionalOptions,
        list: &mut List,
    ) -> Checked {
        let columns = self.frames.last().map(|frame| frame.columns(relation)).unwrap_or_default();
        self.add(Cost { columns: columns.width().clone(), ..Cost::default() })?;
        list.shown = Columns::side_by_side([&list.shown, &columns]);
        list.behind = Columns::side_by_side([&list.behind, &columns]);
        let WildcardAdditionalOptions {
            wildcard_token: _,
            opt_ilike,
            opt_exclude,
            opt_except,
            opt_replace,
            opt_rename,
            opt_alias,
        } = options;
        if opt_ilike.is_some() || opt_rename.is_some() || opt_alias.is_some() {
            return Err(not_allowed("After * there may be EXCLUDE, EXCEPT or REPLACE, nothing else."));
        }
        if let Some(ExcludeSelectItem::Multiple(columns)) = opt_exclude {
            self.cap("columns in one EXCLUDE", columns.len(), self.limits.projected_columns)?;
        }
        if let Some(ExceptSelectItem { first_element: _, additional_elements }) = opt_except {
            self.cap("columns in one EXCEPT", additional_elements.len(), self.limits.projected_columns)?;
        }
        if let Some(ReplaceSelectItem { items }) = opt_replace {
            self.cap("columns in one REPLACE", items.len(), self.limits.projected_columns)?;
            for item in items {
                let ReplaceSelectElement { expr, column_name, as_keyword: _ } = &mut **item;
                let mut replaced = List { shown: Columns::none(), behind: Columns::none() };
                self.listed(expr, Some(normal(column_name)), &mut replaced)?;
                // Where it stands is not known, so the list has no positions from here on.
                list.shown.cover(&replaced.shown);
                list.behind.cover(&replaced.behind);
            }
        }
        Ok(())
    }

    /// Drops the schema from a table's name before `.*`.
    pub(super) fn shorten_name(&self, name: &mut ObjectName) {
        let parts: Option<Vec<Ident>> = name.0.iter().map(|part| part.as_ident().cloned()).collect();
        if let Some(mut parts) = parts {
            self.shorten(&mut parts, 0);
            name.0 = parts.into_iter().map(ObjectNamePart::Identifier).collect();
        }
    }

    fn group_by(&mut self, group_by: &mut GroupByExpr, behind: &Columns) -> Checked {
        let (expressions, modifiers) = match group_by {
            GroupByExpr::All(modifiers) => {
                self.seen.more_than_scan = true;
                (&mut Vec::new(), modifiers)
            }
            GroupByExpr::Expressions(expressions, modifiers) => (expressions, modifiers),
        };
        if !modifiers.is_empty() {
            return Err(not_allowed("Write GROUP BY ROLLUP (…), CUBE (…) or GROUPING SETS (…) instead of WITH."));
        }
        self.seen.more_than_scan |= !expressions.is_empty();
        self.cap("expressions in one GROUP BY", expressions.len(), self.limits.projected_columns)?;
        let sets = expressions.iter().map(grouping_sets).fold(1_u64, u64::saturating_mul);
        if sets > self.limits.grouping_sets {
            return Err(too_complex("grouping sets", sets, self.limits.grouping_sets));
        }
        for expression in expressions {
            self.node()?;
            match expression {
                Expr::GroupingSets(sets) => {
                    for set in sets {
                        self.inner_all(set)?;
                    }
                }
                Expr::Cube(parts) => {
                    let times = 1 << parts.len().saturating_sub(1);
                    for part in &mut *parts {
                        self.times(times, |walk| walk.inner_all(part))?;
                    }
                    *expression = Expr::GroupingSets(sets_of_cube(parts));
                }
                Expr::Rollup(parts) => {
                    for (times, part) in (1..).zip(parts.iter_mut().rev()) {
                        self.times(times, |walk| walk.inner_all(part))?;
                    }
                    let sets =
                        (0..=parts.len()).rev().map(|length| parts.iter().take(length).flatten().cloned().collect());
                    *expression = Expr::GroupingSets(sets.collect());
                }
                Expr::Value(ValueWithSpan { value: Value::Number(position, _), span: _ }) => {
                    self.written_out(behind.weight_at(position.parse().unwrap_or_default()))?;
                }
                other => self.inner(other)?,
            }
        }
        Ok(())
    }

    /// A window's partitions, order and frame. Gives the expressions that it sorts by.
    pub(super) fn window(&mut self, spec: &mut WindowSpec) -> Checked<u64> {
        let WindowSpec { window_name, partition_by, order_by, window_frame } = spec;
        let inherited = window_name.as_ref().map_or(Ok(0), |name| self.window_by_name(name))?;
        let sorted = u64::try_from(partition_by.len() + order_by.len()).unwrap_or(u64::MAX);
        self.seen.more_than_scan = true;
        self.cap("expressions in one PARTITION BY", partition_by.len(), self.limits.projected_columns)?;
        self.inner_all(partition_by)?;
        self.order_list(order_by)?;
        if let Some(WindowFrame { units, start_bound, end_bound }) = window_frame {
            let counts = *units != WindowFrameUnits::Range;
            self.bound(start_bound, counts)?;
            if let Some(end_bound) = end_bound {
                self.bound(end_bound, counts)?;
            }
        }
        Ok(inherited.saturating_add(sorted))
    }

    /// An end of a frame, which `counts` rows or groups or measures a distance.
    fn bound(&mut self, bound: &mut WindowFrameBound, counts: bool) -> Checked {
        match bound {
            WindowFrameBound::CurrentRow => Ok(()),
            WindowFrameBound::Preceding(value) | WindowFrameBound::Following(value) => match value {
                Some(value) => {
                    self.inner(value)?;
                    if counts { numbers::check_rows("A window frame", value) } else { Ok(()) }
                }
                None => Ok(()),
            },
        }
    }
}

/// The name of a column that has no alias, where it is plain.
fn column_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(normal(name)),
        Expr::CompoundIdentifier(parts) => parts.last().map(normal),
        _ => None,
    }
}

/// The sets that CUBE stands for, the largest first. There are as many as its limit allows, so that it has few parts.
///
/// CUBE and ROLLUP are written out for the planner, which knows neither with a column twice or with several in brackets.
fn sets_of_cube(parts: &[Vec<Expr>]) -> Vec<Vec<Expr>> {
    let mut sets = vec![Vec::new()];
    for part in parts.iter().rev() {
        let with_part = |set: &Vec<Expr>| part.iter().chain(set).cloned().collect();
        sets = sets.iter().map(with_part).chain(sets.iter().cloned()).collect();
    }
    sets
}

/// Grouping sets that one expression of GROUP BY stands for.
fn grouping_sets(expression: &Expr) -> u64 {
    match expression {
        Expr::GroupingSets(sets) => u64::try_from(sets.len()).unwrap_or(u64::MAX),
        Expr::Cube(columns) => {
            u32::try_from(columns.len()).ok().and_then(|columns| 2_u64.checked_pow(columns)).unwrap_or(u64::MAX)
        }
        Expr::Rollup(columns) => u64::try_from(columns.len()).unwrap_or(u64::MAX).saturating_add(1),
        _ => 1,
    }
}

fn refuse_clauses(select: &Select) -> Checked {
    if select.into.is_some() {
        return Err(not_allowed("SELECT INTO creates a table; Portico answers read-only queries."));
    }
    let refused = [
        (select.top.is_some(), "TOP (use LIMIT)"),
        (select.select_modifiers.is_some(), "A modifier after SELECT"),
        (select.exclude.is_some(), "EXCLUDE after the SELECT list (write it after *)"),
        (!select.lateral_views.is_empty(), "LATERAL VIEW"),
        (select.prewhere.is_some(), "PREWHERE"),
        (!select.connect_by.is_empty(), "CONNECT BY"),
        (!select.cluster_by.is_empty(), "CLUSTER BY"),
        (!select.distribute_by.is_empty(), "DISTRIBUTE BY"),
        (!select.sort_by.is_empty(), "SORT BY (use ORDER BY)"),
        (select.value_table_mode.is_some(), "SELECT AS STRUCT and SELECT AS VALUE"),
    ];
    match refused.into_iter().find(|(present, _)| *present) {
        Some((_, clause)) => Err(not_offered(clause)),
        None => Ok(()),
    }
}

/// Brings `FROM t` and `FROM t SELECT a` into the usual order.
fn normalise_flavor(select: &mut Select) -> Checked {
    match select.flavor {
        SelectFlavor::Standard => {}
        SelectFlavor::FromFirst => select.flavor = SelectFlavor::Standard,
        SelectFlavor::FromFirstNoSelect => {
            select.flavor = SelectFlavor::Standard;
            select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
        }
    }
    if select.projection.is_empty() {
        return Err(invalid("SELECT needs at least one expression."));
    }
    Ok(())
}

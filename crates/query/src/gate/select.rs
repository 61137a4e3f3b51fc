//! One SELECT: its lists, conditions, groups and windows.

use sqlparser::ast::{
    Distinct, ExceptSelectItem, ExcludeSelectItem, Expr, GroupByExpr, Ident, NamedWindowDefinition, NamedWindowExpr,
    ObjectName, ObjectNamePart, ReplaceSelectItem, Select, SelectFlavor, SelectItem, SelectItemQualifiedWildcardKind,
    WildcardAdditionalOptions, WindowFrame, WindowFrameBound, WindowSpec,
};

use super::fault::{Checked, invalid, not_allowed, not_offered, too_complex};
use super::walk::Walk;

impl Walk<'_> {
    /// A SELECT and everything in it; FROM first, since the lists may qualify columns with its tables.
    pub(super) fn select(&mut self, select: &mut Select) -> Checked {
        refuse_clauses(select)?;
        normalise_flavor(select)?;
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
        self.distinct(distinct)?;
        self.projection(projection)?;
        self.inner_all(selection.iter_mut())?;
        self.group_by(group_by)?;
        self.seen.more_than_scan |= having.is_some() || qualify.is_some();
        self.inner_all(having.iter_mut())?;
        self.cap("named windows", named_window.len(), self.limits.projected_columns)?;
        for NamedWindowDefinition(_, window) in named_window {
            match window {
                NamedWindowExpr::NamedWindow(_) => {}
                NamedWindowExpr::WindowSpec(spec) => self.window(spec)?,
            }
        }
        self.inner_all(qualify.iter_mut())
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
                self.inner_all(expressions)
            }
        }
    }

    fn projection(&mut self, projection: &mut [SelectItem]) -> Checked {
        self.cap("expressions in one SELECT list", projection.len(), self.limits.projected_columns)?;
        let mut wildcards: u64 = 0;
        for item in projection {
            self.node()?;
            wildcards += u64::from(matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
            match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, alias: _ } => self.inner(expr)?,
                SelectItem::ExprWithAliases { .. } => return Err(not_offered("Several names for one expression")),
                SelectItem::QualifiedWildcard(kind, options) => {
                    match kind {
                        SelectItemQualifiedWildcardKind::ObjectName(name) => self.shorten_name(name),
                        SelectItemQualifiedWildcardKind::Expr(_) => return Err(not_offered(".* after an expression")),
                    }
                    self.wildcard(options)?;
                }
                SelectItem::Wildcard(options) => self.wildcard(options)?,
            }
        }
        self.seen.wildcards = self.seen.wildcards.max(wildcards);
        Ok(())
    }

    fn wildcard(&mut self, options: &mut WildcardAdditionalOptions) -> Checked {
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
                self.inner(&mut item.expr)?;
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

    fn group_by(&mut self, group_by: &mut GroupByExpr) -> Checked {
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
                Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => {
                    for set in sets {
                        self.inner_all(set)?;
                    }
                }
                other => self.inner(other)?,
            }
        }
        Ok(())
    }

    /// A window's partitions, order and frame.
    pub(super) fn window(&mut self, spec: &mut WindowSpec) -> Checked {
        let WindowSpec { window_name: _, partition_by, order_by, window_frame } = spec;
        self.seen.more_than_scan = true;
        self.cap("expressions in one PARTITION BY", partition_by.len(), self.limits.projected_columns)?;
        self.inner_all(partition_by)?;
        self.order_list(order_by)?;
        if let Some(WindowFrame { units: _, start_bound, end_bound }) = window_frame {
            self.bound(start_bound)?;
            if let Some(end_bound) = end_bound {
                self.bound(end_bound)?;
            }
        }
        Ok(())
    }

    fn bound(&mut self, bound: &mut WindowFrameBound) -> Checked {
        match bound {
            WindowFrameBound::CurrentRow => Ok(()),
            WindowFrameBound::Preceding(value) | WindowFrameBound::Following(value) => match value {
                Some(value) => self.inner(value),
                None => Ok(()),
            },
        }
    }
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

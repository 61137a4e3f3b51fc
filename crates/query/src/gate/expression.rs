//! Expressions: which there are, and how many of them hang together.

use sqlparser::ast::{
    AccessExpr, Array, CaseWhen, CastKind, DictionaryField, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArgumentList, FunctionArguments, Interval, Map, MapEntry, Subscript, TypedString,
    UnaryOperator, Value, ValueWithSpan, WindowType,
};

use super::fault::{Checked, at, invalid, not_offered, quoted, too_complex};
use super::names::{Cost, normal_parts, written};
use super::operators::{check_operator, check_unary};
use super::walk::Walk;
use super::{functions, numbers, types};

/// Terms of a chain whatever the configured limit: a tree as deep as that is dropped on any thread's stack.
pub(super) const CHAIN_TERMS_MAX: u64 = 1_000;

/// Branches up to which the planner writes a CASE out as AND and OR.
const BRANCHES_WRITTEN_OUT: usize = 2;

impl Walk<'_> {
    /// An expression one level down.
    pub(super) fn inner(&mut self, expr: &mut Expr) -> Checked {
        self.nest(|walk| walk.expr(expr))
    }

    /// Expressions one level down.
    pub(super) fn inner_all<'e>(&mut self, expressions: impl IntoIterator<Item = &'e mut Expr>) -> Checked {
        expressions.into_iter().try_for_each(|expr| self.inner(expr))
    }

    /// An expression. A chain of operators is as deep as it is long, so the left side is walked in a loop.
    fn expr(&mut self, expr: &mut Expr) -> Checked {
        let limit = self.limits.chain_terms.min(CHAIN_TERMS_MAX);
        let mut terms: u64 = 1;
        let mut current = expr;
        let mut doubled = Vec::new();
        loop {
            let twice = matches!(current, Expr::Between { .. });
            let Some(left) = self.all_but_left(current)? else { break };
            if twice {
                doubled.push((self.cost.nodes, self.weight));
            }
            terms += 1;
            if terms > limit {
                // The rest is only counted, for the text.
                let terms = terms.saturating_add(chain_length(left));
                return Err(too_complex("terms in one chain of operators", terms, limit));
            }
            current = left;
        }
        // BETWEEN becomes two comparisons, each with all that is on its left.
        for (nodes, weight) in doubled.into_iter().rev() {
            let (nodes, weight) = (self.cost.nodes.saturating_sub(nodes), self.weight.saturating_sub(weight));
            self.weight = self.weight.saturating_add(weight);
            self.add(Cost { nodes, ..Cost::default() })?;
        }
        Ok(())
    }

    /// Judges a node and all its parts but the leftmost, which it returns where the node goes on to the left.
    #[allow(clippy::too_many_lines, reason = "one arm per kind of expression, all of them listed")]
    fn all_but_left<'e>(&mut self, expr: &'e mut Expr) -> Checked<Option<&'e mut Expr>> {
        self.node()?;
        let left = match expr {
            Expr::IsFalse(left)
            | Expr::IsNotFalse(left)
            | Expr::IsTrue(left)
            | Expr::IsNotTrue(left)
            | Expr::IsNull(left)
            | Expr::IsNotNull(left)
            | Expr::IsUnknown(left)
            | Expr::IsNotUnknown(left) => left,
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                self.inner(right)?;
                left
            }
            Expr::BinaryOp { left, op, right } => {
                check_operator(op)?;
                self.expr(right)?;
                left
            }
            Expr::AnyOp { left, compare_op, right, is_some: _ } | Expr::AllOp { left, compare_op, right } => {
                check_operator(compare_op)?;
                self.inner(right)?;
                left
            }
            Expr::InList { expr: left, list, negated: _ } => {
                self.cap("members in one IN list", list.len(), self.limits.list_members)?;
                self.inner_all(list)?;
                left
            }
            Expr::InSubquery { expr: left, subquery, negated: _ } => {
                self.subquery(subquery)?;
                left
            }
            Expr::Between { expr: left, negated: _, low, high } => {
                self.inner(low)?;
                self.inner(high)?;
                left
            }
            Expr::Like { negated: _, any, expr: left, pattern, escape_char }
            | Expr::ILike { negated: _, any, expr: left, pattern, escape_char } => {
                if *any {
                    return Err(not_offered("LIKE ANY"));
                }
                self.pattern(pattern, escape_char.as_mut())?;
                left
            }
            Expr::SimilarTo { negated: _, expr: left, pattern, escape_char } => {
                self.pattern(pattern, escape_char.as_mut())?;
                left
            }
            Expr::AtTimeZone { timestamp: left, time_zone } => {
                self.inner(time_zone)?;
                left
            }
            Expr::Cast { kind, expr: left, data_type, array, format } => {
                if *array || format.is_some() {
                    return Err(not_offered("CAST with a format or to an array of a type"));
                }
                types::check(data_type)?;
                if !matches!(kind, CastKind::DoubleColon) {
                    self.inner(left)?;
                    return Ok(None);
                }
                left
            }
            Expr::CompoundFieldAccess { root: left, access_chain } => {
                self.cap("steps in one access", access_chain.len(), self.limits.chain_terms)?;
                access_chain.iter_mut().try_for_each(|step| self.access(step))?;
                left
            }
            Expr::UnaryOp { op, expr } => {
                check_unary(op)?;
                // `- -1` would be printed as the beginning of a comment.
                if matches!(**expr, Expr::UnaryOp { .. }) && !matches!(op, UnaryOperator::Not) {
                    let inside = std::mem::replace(&mut **expr, Expr::value(Value::Null));
                    **expr = Expr::Nested(Box::new(inside));
                }
                if let (UnaryOperator::Minus, Expr::Value(value)) = (&op, &**expr)
                    && let Some(exact) = numbers::exact(value, numbers::LARGEST_NEGATED)?
                {
                    **expr = exact;
                }
                self.inner(expr)?;
                return Ok(None);
            }
            Expr::Nested(expr) | Expr::Named { expr, name: _ } => {
                self.inner(expr)?;
                return Ok(None);
            }
            leaf => {
                self.leaf(leaf)?;
                return Ok(None);
            }
        };
        Ok(Some(left))
    }

    /// The expressions that do not go on to the left. What [`Walk::all_but_left`] has taken is listed as refused, so
    /// that the two together name every kind.
    #[allow(clippy::too_many_lines, reason = "one arm per kind of expression, all of them listed")]
    fn leaf(&mut self, expr: &mut Expr) -> Checked {
        match expr {
            Expr::Wildcard(_) => Ok(()),
            Expr::Identifier(name) => self.column(name),
            Expr::CompoundIdentifier(parts) => {
                self.shorten(parts, 1);
                parts.iter().try_for_each(|part| self.column(part))
            }
            Expr::QualifiedWildcard(name, _) => {
                self.shorten_name(name);
                Ok(())
            }
            Expr::Value(value) => {
                self.value(value)?;
                if let Some(exact) = numbers::exact(value, numbers::LARGEST)? {
                    *expr = exact;
                }
                Ok(())
            }
            Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax }) => {
                *uses_odbc_syntax = false;
                types::check(data_type)?;
                self.value(value)
            }
            Expr::Interval(interval) => {
                let Interval {
                    value,
                    leading_field: _,
                    leading_precision: _,
                    last_field: _,
                    fractional_seconds_precision: _,
                } = interval;
                self.inner(value)
            }
            Expr::Function(function) => self.function(function),
            Expr::Case { case_token: _, end_token: _, operand, conditions, else_result } => {
                self.cap("conditions in one CASE", conditions.len(), self.limits.chain_terms)?;
                self.inner_all(operand.iter_mut().map(|operand| &mut **operand))?;
                let mut copies = copies_of_conditions(operand.is_some(), conditions);
                for CaseWhen { condition, result } in conditions {
                    self.times(copies, |walk| walk.inner(condition))?;
                    self.inner(result)?;
                    copies = copies.saturating_sub(1).max(1);
                }
                self.inner_all(else_result.iter_mut().map(|result| &mut **result))
            }
            Expr::Exists { subquery, negated: _ } | Expr::Subquery(subquery) => self.subquery(subquery),
            Expr::Extract { field: _, syntax: _, expr }
            | Expr::Ceil { expr, field: _ }
            | Expr::Floor { expr, field: _ } => self.inner(expr),
            Expr::Position { expr, r#in } => {
                self.inner(expr)?;
                self.inner(r#in)
            }
            Expr::Substring { expr, substring_from, substring_for, special: _, shorthand: _ } => {
                self.inner(expr)?;
                self.inner_all(substring_from.iter_mut().chain(substring_for).map(|part| &mut **part))
            }
            Expr::Trim { trim_where: _, trim_what, expr, trim_characters } => {
                self.inner(expr)?;
                self.inner_all(trim_what.iter_mut().map(|what| &mut **what))?;
                self.inner_all(trim_characters.iter_mut().flatten())
            }
            Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                self.inner_all([&mut **expr, &mut **overlay_what, &mut **overlay_from])?;
                self.inner_all(overlay_for.iter_mut().map(|part| &mut **part))
            }
            Expr::Tuple(values) => self.inner_all(values),
            Expr::Array(Array { elem, named: _ }) => self.inner_all(elem),
            Expr::Struct { values, fields } if fields.is_empty() => self.inner_all(values),
            Expr::Struct { .. } => Err(not_offered("STRUCT with types")),
            Expr::Dictionary(fields) => {
                self.inner_all(fields.iter_mut().map(|DictionaryField { key: _, value }| &mut **value))
            }
            Expr::Map(Map { entries }) => {
                self.inner_all(entries.iter_mut().flat_map(|MapEntry { key, value }| [&mut **key, &mut **value]))
            }
            Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) => {
                Err(invalid("GROUPING SETS, CUBE and ROLLUP stand in GROUP BY only, not within each other."))
            }
            Expr::JsonAccess { .. } => Err(not_offered("Access to JSON with a colon")),
            Expr::IsNormalized { .. } => Err(not_offered("IS NORMALIZED")),
            Expr::InUnnest { .. } => Err(not_offered("IN UNNEST")),
            Expr::RLike { .. } => Err(not_offered("RLIKE (use ~ or regexp_like)")),
            Expr::Convert { .. } => Err(not_offered("CONVERT (use CAST)")),
            Expr::Collate { .. } => Err(not_offered("COLLATE")),
            Expr::Prefixed { .. } => Err(not_offered("A literal with a character set")),
            Expr::MatchAgainst { .. } => Err(not_offered("MATCH … AGAINST")),
            Expr::OuterJoin(_) => Err(not_offered("The outer join mark (+)")),
            Expr::Prior(_) => Err(not_offered("PRIOR")),
            Expr::Lambda(_) => Err(not_offered("A lambda function")),
            Expr::MemberOf(_) => Err(not_offered("MEMBER OF")),
            Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::BinaryOp { .. }
            | Expr::AnyOp { .. }
            | Expr::AllOp { .. }
            | Expr::InList { .. }
            | Expr::InSubquery { .. }
            | Expr::Between { .. }
            | Expr::Like { .. }
            | Expr::ILike { .. }
            | Expr::SimilarTo { .. }
            | Expr::AtTimeZone { .. }
            | Expr::Cast { .. }
            | Expr::CompoundFieldAccess { .. }
            | Expr::UnaryOp { .. }
            | Expr::Nested(_)
            | Expr::Named { .. } => Err(invalid("This expression is not valid here.")),
        }
    }

    fn subquery(&mut self, query: &mut sqlparser::ast::Query) -> Checked {
        self.seen.more_than_scan = true;
        self.seen.subqueries = true;
        // Making joins of them takes twice as long for every level that they nest.
        self.times(2, |walk| walk.query(query)).map(|_| ())
    }

    fn pattern(&mut self, pattern: &mut Expr, escape: Option<&mut ValueWithSpan>) -> Checked {
        self.inner(pattern)?;
        escape.map_or(Ok(()), |escape| self.value(escape))
    }

    fn access(&mut self, step: &mut AccessExpr) -> Checked {
        match step {
            AccessExpr::Dot(expr) => self.inner(expr),
            AccessExpr::Subscript(Subscript::Index { index }) => self.inner(index),
            AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride }) => {
                self.inner_all(lower_bound.iter_mut().chain(upper_bound).chain(stride))
            }
        }
    }

    fn function(&mut self, function: &mut Function) -> Checked {
        let name = match normal_parts(&function.name).as_deref() {
            Some([name]) => name.clone(),
            _ => return Err(functions::refused(&written(&function.name))),
        };
        if !matches!(function.parameters, FunctionArguments::None) {
            return Err(not_offered("A second list of arguments"));
        }
        if matches!(function.args, FunctionArguments::Subquery(_)) {
            return Err(not_offered("A query as the argument of a function"));
        }
        let location = function.name.0.first().and_then(|part| part.as_ident()).map(|ident| ident.span.start);
        let known = functions::check(&name, function)
            .map_err(|problem| location.map_or(problem.clone(), |location| at(problem, location)))?;
        let copies = if functions::repeats_arguments(&name) { 2 } else { 1 };
        let outside = self.weight;
        self.seen.volatile |= known.volatile;
        self.seen.more_than_scan |= known.aggregate;
        let Function { name: _, uses_odbc_syntax, parameters, args, filter, null_treatment: _, over, within_group } =
            function;
        *uses_odbc_syntax = false;
        if !matches!(parameters, FunctionArguments::None) {
            return Err(not_offered("A second list of arguments"));
        }
        match args {
            FunctionArguments::None => {}
            FunctionArguments::Subquery(_) => return Err(not_offered("A query as the argument of a function")),
            FunctionArguments::List(list) => {
                self.cap("arguments of one function", list.args.len(), self.limits.chain_terms)?;
                let FunctionArgumentList { duplicate_treatment: _, args, clauses } = list;
                let arguments = |walk: &mut Self| args.iter_mut().try_for_each(|argument| walk.argument(argument));
                self.times(copies, arguments)?;
                clauses.iter_mut().try_for_each(|clause| self.argument_clause(clause))?;
            }
        }
        self.seen.more_than_scan |= filter.is_some() || !within_group.is_empty() || over.is_some();
        self.inner_all(filter.iter_mut().map(|filter| &mut **filter))?;
        self.order_list(within_group)?;
        let is_window = over.is_some();
        let sorted = match over {
            None => None,
            Some(WindowType::NamedWindow(name)) => Some(self.window_by_name(name)?),
            Some(WindowType::WindowSpec(spec)) => Some(self.nest(|walk| walk.window(spec))?),
        };
        sorted.map_or(Ok(()), |sorted| self.over_window(sorted))?;
        if known.aggregate || is_window {
            self.weight = outside.saturating_add(1);
        }
        Ok(())
    }

    /// One argument of a function.
    pub(super) fn argument(&mut self, argument: &mut FunctionArg) -> Checked {
        let argument = match argument {
            FunctionArg::Named { name: _, arg, operator: _ } | FunctionArg::Unnamed(arg) => arg,
            FunctionArg::ExprNamed { .. } => return Err(not_offered("An argument named by an expression")),
        };
        match argument {
            FunctionArgExpr::Expr(expr) => self.inner(expr),
            FunctionArgExpr::QualifiedWildcard(name) => {
                self.shorten_name(name);
                Ok(())
            }
            FunctionArgExpr::Wildcard => Ok(()),
            FunctionArgExpr::WildcardWithOptions(_) => Err(not_offered("EXCLUDE or REPLACE within a function")),
        }
    }

    fn argument_clause(&mut self, clause: &mut FunctionArgumentClause) -> Checked {
        match clause {
            FunctionArgumentClause::IgnoreOrRespectNulls(_) => Ok(()),
            FunctionArgumentClause::OrderBy(expressions) => self.order_list(expressions),
            FunctionArgumentClause::Limit(_)
            | FunctionArgumentClause::OnOverflow(_)
            | FunctionArgumentClause::Having(_)
            | FunctionArgumentClause::Separator(_)
            | FunctionArgumentClause::JsonNullClause(_)
            | FunctionArgumentClause::JsonReturningClause(_) => {
                Err(not_offered("Within a function, a clause other than ORDER BY and IGNORE NULLS"))
            }
        }
    }

    /// A literal or parameter; spellings of text all become the one in single quotes.
    fn value(&mut self, value: &mut ValueWithSpan) -> Checked {
        let location = value.span.start;
        let text = match &mut value.value {
            Value::Null | Value::Boolean(_) => return Ok(()),
            Value::Number(text, long) => {
                *long = false;
                return self.literal(text.len());
            }
            Value::HexStringLiteral(text) => return self.literal(text.len()),
            Value::Placeholder(name) => return self.parameter(name).map_err(|problem| at(problem, location)),
            Value::SingleQuotedString(text)
            | Value::EscapedStringLiteral(text)
            | Value::UnicodeStringLiteral(text)
            | Value::NationalStringLiteral(text) => std::mem::take(text),
            Value::DollarQuotedString(text) => std::mem::take(&mut text.value),
            Value::TripleSingleQuotedString(_)
            | Value::TripleDoubleQuotedString(_)
            | Value::SingleQuotedByteStringLiteral(_)
            | Value::DoubleQuotedByteStringLiteral(_)
            | Value::TripleSingleQuotedByteStringLiteral(_)
            | Value::TripleDoubleQuotedByteStringLiteral(_)
            | Value::SingleQuotedRawStringLiteral(_)
            | Value::DoubleQuotedRawStringLiteral(_)
            | Value::TripleSingleQuotedRawStringLiteral(_)
            | Value::TripleDoubleQuotedRawStringLiteral(_)
            | Value::QuoteDelimitedStringLiteral(_)
            | Value::NationalQuoteDelimitedStringLiteral(_)
            | Value::DoubleQuotedString(_) => {
                return Err(at(invalid("Write text in single quotes."), location));
            }
        };
        self.literal(text.len())?;
        if text.contains('\0') {
            return Err(at(invalid("A literal holds a NUL character."), location));
        }
        self.seen.quotes |= text.contains('\'');
        value.value = Value::SingleQuotedString(text);
        Ok(())
    }

    fn literal(&self, bytes: usize) -> Checked {
        self.cap("bytes in one literal", bytes, self.limits.literal_bytes)
    }

    fn parameter(&mut self, name: &str) -> Checked {
        let well_formed = |name: &&str| {
            !name.is_empty() && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
        };
        let Some(name) = name.strip_prefix('$').filter(well_formed) else {
            return Err(invalid(format!("The parameter {} is not valid: write $1 or $name.", quoted(name))));
        };
        if !self.seen.parameters.iter().any(|known| known == name) {
            self.seen.parameters.push(name.to_owned());
            self.cap("parameters", self.seen.parameters.len(), self.limits.parameters)?;
        }
        Ok(())
    }
}

/// How many times the planner writes out the first condition of a CASE; the next ones once less each. A CASE of few
/// branches or of yes and no becomes AND and OR, in which every branch denies the ones before it.
fn copies_of_conditions(operand: bool, conditions: &[CaseWhen]) -> u64 {
    let yes_or_no = |when: &CaseWhen| {
        matches!(when.result, Expr::Value(ValueWithSpan { value: Value::Boolean(_) | Value::Null, span: _ }))
    };
    if !operand && (conditions.len() <= BRANCHES_WRITTEN_OUT || conditions.iter().all(yes_or_no)) {
        u64::try_from(conditions.len()).unwrap_or(u64::MAX).saturating_add(1)
    } else {
        1
    }
}

/// Terms of a chain to the left, for the text of a refusal.
fn chain_length(expr: &Expr) -> u64 {
    let mut terms = 0;
    let mut current = expr;
    while let Expr::BinaryOp { left, .. } = current {
        terms += 1;
        current = left;
    }
    terms
}

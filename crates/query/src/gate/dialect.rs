//! The engine's dialect, with an end to trying.
//!
//! The parser tries a word such as CAST or EXTRACT as what it says and, when something inside fails, tries the same
//! words again as a function's name. Nested twenty deep around one mistake that is a million tries, nested forty deep
//! it never ends. Here every try is counted and the budget is a multiple of the statement's length; a valid statement
//! needs about one try per expression. Everything else is the generic dialect's own, which the engine parses with: the
//! dialect gives itself out as that one, and forwards every method.

use std::any::TypeId;
use std::cell::Cell;
use std::iter::Peekable;
use std::str::Chars;

use portico_model::problem::{Problem, ProblemKind};
use sqlparser::ast::{ColumnOption, Expr, GranteesType, Ident, ObjectNamePart, Statement};
use sqlparser::dialect::{Dialect, GenericDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};

use super::fault::from_parser;

/// Tries that a statement of any length may take.
const TRIES_BASE: u64 = 2_000;
/// Tries for each token: one is what a valid statement takes.
const TRIES_PER_TOKEN: u64 = 2;
/// Tries for each node that the syntax tree may have: a statement that takes more would be refused anyway.
const TRIES_PER_NODE: u64 = 3;

/// The generic dialect with a budget.
#[derive(Debug)]
pub(super) struct Budgeted {
    remaining: Cell<u64>,
}

impl Budgeted {
    /// The dialect for one statement of this many tokens, whose syntax tree may have this many nodes.
    pub(super) fn new(tokens: usize, nodes_max: u64) -> Self {
        let tokens = u64::try_from(tokens).unwrap_or(u64::MAX);
        let tries = tokens.saturating_mul(TRIES_PER_TOKEN).min(nodes_max.saturating_mul(TRIES_PER_NODE));
        Self { remaining: Cell::new(tries.saturating_add(TRIES_BASE)) }
    }

    /// The problem of a statement that did not parse.
    pub(super) fn problem(&self, error: &ParserError, nesting_max: u64) -> Problem {
        if self.remaining.get() == 0 {
            let detail = "The statement is not valid, and nested too deeply to say where. Look for a missing bracket \
                          or word in the innermost expression, or make it simpler.";
            return Problem::new(ProblemKind::QueryTooComplex, detail);
        }
        from_parser(error, nesting_max)
    }
}

/// Forwards the methods that answer yes or no.
macro_rules! as_generic {
    ($($name:ident,)*) => {
        $(fn $name(&self) -> bool {
            GenericDialect.$name()
        })*
    };
}

#[deny(clippy::missing_trait_methods)]
impl Dialect for Budgeted {
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    /// Called before every expression: takes one try from the budget.
    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        match self.remaining.get().checked_sub(1) {
            Some(remaining) => {
                self.remaining.set(remaining);
                GenericDialect.parse_prefix(parser)
            }
            None => Some(Err(ParserError::RecursionLimitExceeded)),
        }
    }

    as_generic! {
        supports_string_literal_backslash_escape, ignores_wildcard_escapes, supports_unicode_string_literal,
        supports_filter_during_aggregation, supports_window_clause_named_window_reference,
        supports_within_after_array_aggregation, supports_partition_by_after_order_by, supports_array_join_syntax,
        supports_group_by_expr, supports_group_by_with_modifier, supports_left_associative_joins_without_parens,
        supports_outer_join_operator, supports_cross_join_constraint, supports_connect_by,
        supports_execute_immediate, supports_match_recognize, supports_in_empty_list,
        supports_start_transaction_modifier, supports_end_transaction_modifier,
        supports_named_fn_args_with_eq_operator, supports_named_fn_args_with_colon_operator,
        supports_named_fn_args_with_assignment_operator, supports_named_fn_args_with_rarrow_operator,
        supports_named_fn_args_with_expr_name, supports_numeric_prefix, supports_numeric_literal_underscores,
        supports_window_function_null_treatment_arg, supports_dictionary_syntax, support_map_literal_syntax,
        supports_lambda_functions, supports_parenthesized_set_variables, supports_comma_separated_set_assignments,
        supports_update_order_by, supports_select_wildcard_except, convert_type_before_value,
        supports_triple_quoted_string, supports_trailing_commas, supports_limit_comma,
        supports_string_literal_concatenation, supports_string_literal_concatenation_with_newline,
        supports_projection_trailing_commas, supports_from_trailing_commas,
        supports_column_definition_trailing_commas, supports_object_name_double_dot_notation,
        supports_struct_literal, supports_empty_projections, supports_select_expr_star, supports_from_first_select,
        supports_from_first_insert, supports_pipe_operator, supports_user_host_grantee, supports_match_against,
        supports_select_wildcard_exclude, supports_select_exclude, supports_create_table_multi_schema_info_sources,
        supports_select_modifiers, describe_requires_table_keyword, allow_extract_custom,
        allow_extract_single_quotes, supports_extract_comma_syntax, supports_subquery_as_function_arg,
        supports_create_view_comment_syntax, supports_array_typedef_without_element_type,
        supports_parens_around_table_factor, supports_values_as_table_factor, supports_dollar_placeholder,
        supports_dollar_as_money_prefix, supports_create_index_with_clause, require_interval_qualifier,
        supports_explain_with_utility_options, supports_asc_desc_in_column_definition, supports_factorial_operator,
        supports_bitwise_shift_operators, supports_nested_comments, supports_multiline_comment_hints,
        supports_eq_alias_assignment, supports_try_convert, supports_bang_not_operator, supports_listen_notify,
        supports_load_data, supports_load_extension, supports_top_before_distinct, supports_boolean_literals,
        supports_show_like_before_in, supports_comment_on, supports_create_table_select, supports_partiql,
        supports_constraint_keyword_without_name, supports_key_column_option, supports_table_sample_before_alias,
        supports_insert_set, supports_insert_table_function, supports_insert_table_query, supports_insert_format,
        supports_insert_table_alias, supports_set_stmt_without_operator, supports_table_versioning,
        supports_string_escape_constant, supports_table_hints, requires_single_line_comment_whitespace,
        supports_array_typedef_with_brackets, supports_geometric_types, supports_order_by_all, supports_set_names,
        supports_space_separated_column_options, supports_alter_column_type_using,
        supports_comma_separated_drop_column_list, supports_notnull_operator, supports_data_type_signed_suffix,
        supports_interval_options, supports_create_table_like_parenthesized, supports_semantic_view_table_factor,
        supports_quote_delimited_string, supports_comment_optimizer_hint, supports_double_ampersand_operator,
        supports_binary_kw_as_cast, supports_select_wildcard_replace, supports_select_wildcard_ilike,
        supports_select_wildcard_rename, supports_select_wildcard_with_alias, supports_optimize_table,
        supports_install, supports_detach, supports_prewhere, supports_with_fill, supports_limit_by,
        supports_interpolate, supports_settings, supports_select_format, supports_comma_separated_trim,
        supports_cte_without_as, supports_select_item_multi_column_alias, supports_xml_expressions,
        supports_create_table_using, supports_long_type_as_bigint, supports_map_literal_with_angle_brackets,
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_delimited_identifier_start(ch)
    }

    fn is_nested_delimited_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_nested_delimited_identifier_start(ch)
    }

    fn peek_nested_delimited_identifier_quotes(&self, chars: Peekable<Chars<'_>>) -> Option<(char, Option<char>)> {
        GenericDialect.peek_nested_delimited_identifier_quotes(chars)
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        GenericDialect.identifier_quote_style(identifier)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        GenericDialect.is_identifier_part(ch)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        GenericDialect.is_custom_operator_part(ch)
    }

    fn parse_infix(&self, parser: &mut Parser<'_>, expr: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        GenericDialect.parse_infix(parser, expr, precedence)
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        GenericDialect.get_next_precedence(parser)
    }

    fn get_next_precedence_default(&self, parser: &Parser<'_>) -> Result<u8, ParserError> {
        GenericDialect.get_next_precedence_default(parser)
    }

    fn parse_statement(&self, parser: &mut Parser<'_>) -> Option<Result<Statement, ParserError>> {
        GenericDialect.parse_statement(parser)
    }

    fn parse_column_option(
        &self,
        parser: &mut Parser<'_>,
    ) -> Result<Option<Result<Option<ColumnOption>, ParserError>>, ParserError> {
        GenericDialect.parse_column_option(parser)
    }

    fn prec_value(&self, prec: Precedence) -> u8 {
        GenericDialect.prec_value(prec)
    }

    fn prec_unknown(&self) -> u8 {
        GenericDialect.prec_unknown()
    }

    fn is_reserved_for_identifier(&self, kw: Keyword) -> bool {
        GenericDialect.is_reserved_for_identifier(kw)
    }

    fn get_reserved_keywords_for_select_item_operator(&self) -> &[Keyword] {
        GenericDialect.get_reserved_keywords_for_select_item_operator()
    }

    fn get_reserved_grantees_types(&self) -> &[GranteesType] {
        GenericDialect.get_reserved_grantees_types()
    }

    fn is_column_alias(&self, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
        GenericDialect.is_column_alias(kw, parser)
    }

    fn is_select_item_alias(&self, explicit: bool, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
        GenericDialect.is_select_item_alias(explicit, kw, parser)
    }

    fn is_table_factor(&self, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
        GenericDialect.is_table_factor(kw, parser)
    }

    fn is_table_alias(&self, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
        GenericDialect.is_table_alias(kw, parser)
    }

    fn is_table_factor_alias(&self, explicit: bool, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
        GenericDialect.is_table_factor_alias(explicit, kw, parser)
    }

    fn is_identifier_generating_function_name(&self, ident: &Ident, name_parts: &[ObjectNamePart]) -> bool {
        GenericDialect.is_identifier_generating_function_name(ident, name_parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_parses_what_the_generic_dialect_parses() {
        for sql in [
            "SELECT DATE '2020-01-01', INTERVAL '1' DAY, a::INT, [1, 2], {'a': 1}, MAP {'a': 1}, x -> x + 1 FROM t",
            "SELECT a FROM t QUALIFY row_number() OVER (PARTITION BY b) = 1 LIMIT 5, 10",
            "FROM t SELECT * EXCLUDE (a)",
            "SELECT STRUCT(1 AS a), `x`, 'a\\'",
            "SELECT * FROM (a JOIN b USING (c)) CROSS JOIN LATERAL (SELECT 1) AS x",
            "SELECT ceil(a), floor(b), extract(year FROM c), substring(d FROM 1), position('a' IN e), trim(f)",
            "SHOW COLUMNS FROM t",
            "SELECT FROM WHERE",
        ] {
            let ours = Parser::parse_sql(&Budgeted::new(1_000, 1_000), sql);
            assert_eq!(ours, Parser::parse_sql(&GenericDialect {}, sql), "{sql}");
        }
    }

    #[test]
    fn tries_come_to_an_end() {
        let sql = format!("SELECT {}1", "CAST(".repeat(45));
        let dialect = Budgeted::new(50, 20_000);
        let error = Parser::parse_sql(&dialect, &sql).unwrap_err();
        assert_eq!(dialect.problem(&error, 40).kind, ProblemKind::QueryTooComplex);
    }
}

//! Functions by name: those that are never served, those whose answers change, those with bounded arguments.
//!
//! The engine registers only what it serves. The server has a closed list of its own ([`names`]), and refuses what is
//! not in it before anything plans, with what to use instead and the place.

mod names;

use portico_model::problem::{Problem, ProblemKind};
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator, Value, ValueWithSpan,
    WindowFrameBound, WindowFrameUnits, WindowType,
};

use super::fault::{Checked, quoted};

/// Values that a series of integers may have.
const SERIES_MAX: i128 = 1_000_000;

/// Rows of a window frame that an aggregate may collect values over: its memory grows with rows times frame.
const COLLECTING_FRAME_ROWS_MAX: u64 = 1_000;

/// Never served: they tell of files and of the engine, or build values of types that nothing can read.
const REFUSED: &[&str] = &[
    "input_file_name",
    "file_row_index",
    "version",
    "arrow_metadata",
    "arrow_field",
    "with_metadata",
    "arrow_cast",
    "arrow_try_cast",
    "cast_to_type",
    "try_cast_to_type",
    "union_extract",
    "union_tag",
    "pg_sleep",
    "sleep",
    "read_csv",
    "read_parquet",
    "read_json",
    "read_text",
    "read_blob",
    "parquet_scan",
    "parquet_metadata",
    "metadata_cache",
    "statistics_cache",
    "list_files_cache",
    "glob",
    "getenv",
    "current_setting",
    "set_config",
    "query",
    "query_table",
    "ts_rewrite",
    "dblink",
    "lo_import",
    "lo_export",
    "pg_read_file",
    "load_extension",
];

/// Their value depends on more than the data: an answer with one is never kept.
const VOLATILE: &[&str] = &[
    "now",
    "current_timestamp",
    "current_date",
    "current_time",
    "localtime",
    "localtimestamp",
    "today",
    "random",
    "rand",
    "uuid",
    "gen_random_uuid",
];

/// Aggregates that keep every value of their frame.
const COLLECTING: &[&str] = &[
    "array_agg",
    "string_agg",
    "listagg",
    "group_concat",
    "median",
    "percentile_cont",
    "quantile_cont",
    "approx_median",
    "approx_distinct",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
];

/// Aggregates of the engine, to tell a plain scan from one that aggregates.
const AGGREGATES: &[&str] = &[
    "count",
    "sum",
    "min",
    "max",
    "avg",
    "mean",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "var",
    "var_pop",
    "var_samp",
    "var_sample",
    "var_population",
    "covar",
    "covar_pop",
    "covar_samp",
    "corr",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "first_value",
    "last_value",
    "nth_value",
    "grouping",
    "regr_slope",
    "regr_intercept",
    "regr_count",
    "regr_r2",
    "regr_avgx",
    "regr_avgy",
    "regr_sxx",
    "regr_syy",
    "regr_sxy",
];

/// Functions over windows that give a value of another row. Without an argument the engine takes it for a fault of its own.
const OF_A_VALUE: [&str; 5] = ["first_value", "last_value", "nth_value", "lag", "lead"];

/// What is known of a call by its name.
pub(super) struct Known {
    /// Its value depends on more than the data.
    pub(super) volatile: bool,
    /// It aggregates.
    pub(super) aggregate: bool,
}

/// Judges a call by its name and literal arguments.
///
/// # Errors
/// `FunctionNotAllowed` for what is never served, what there is not, and series known to be long, `InvalidSql` for calls
/// without the argument that they are about, `QueryTooComplex` for aggregates that would collect the values of a large
/// window frame.
pub(super) fn check(name: &str, function: &Function) -> Checked<Known> {
    if REFUSED.contains(&name) {
        return Err(refused(name));
    }
    if !names::is_known(name) {
        let detail = format!("There is no function {}.{}", quoted(name), names::hint(name));
        return Err(Problem::new(ProblemKind::FunctionNotAllowed, detail));
    }
    if is_series(name) {
        check_series(name, &literal_arguments(function))?;
    }
    if OF_A_VALUE.contains(&name) && literal_arguments(function).is_empty() {
        let detail = format!("{name} needs the value that it is to give.");
        return Err(Problem::new(ProblemKind::InvalidSql, detail));
    }
    let collecting = COLLECTING.contains(&name);
    if collecting
        && let Some(over) = &function.over
        && !frame_is_small(over)
    {
        let detail = format!(
            "{name} over a window is served only for a frame of ROWS BETWEEN n PRECEDING AND m FOLLOWING \
             of at most {COLLECTING_FRAME_ROWS_MAX} rows."
        );
        return Err(Problem::new(ProblemKind::QueryTooComplex, detail));
    }
    Ok(Known { volatile: VOLATILE.contains(&name), aggregate: collecting || AGGREGATES.contains(&name) })
}

/// Whether the planner writes the arguments of a function out twice, as the conditions and the results of a CASE.
pub(super) fn repeats_arguments(name: &str) -> bool {
    matches!(name, "coalesce" | "nvl" | "ifnull")
}

/// Whether a function is never served.
#[cfg(test)]
pub(super) fn is_refused(name: &str) -> bool {
    REFUSED.contains(&name)
}

/// Whether a function makes a series of values: as a table only these are served.
pub(super) fn is_series(name: &str) -> bool {
    matches!(name, "generate_series" | "range")
}

/// A function that is not served.
pub(super) fn refused(name: &str) -> Problem {
    Problem::new(ProblemKind::FunctionNotAllowed, format!("The function {} is not served.", quoted(name)))
}

/// Refuses a series of integers that is known to be long, or to have no end. Others are measured by the worker, before
/// they are made.
pub(super) fn check_series(name: &str, arguments: &[Option<i128>]) -> Checked {
    let length = match arguments {
        [Some(stop)] => *stop,
        [Some(start), Some(stop)] => stop - start,
        [Some(_), Some(_), Some(0)] => i128::MAX,
        [Some(start), Some(stop), Some(step)] => (stop - start) / step,
        _ => return Ok(()),
    };
    if length <= SERIES_MAX {
        return Ok(());
    }
    let detail = format!("{name} makes at most {SERIES_MAX} values.");
    Err(Problem::new(ProblemKind::FunctionNotAllowed, detail))
}

/// Checks a series that stands in a FROM: of constants only.
pub(super) fn check_series_table(name: &str, arguments: &[FunctionArg]) -> Checked {
    if !arguments.iter().all(is_constant) {
        let detail = format!("{name} in a FROM is served for constants only, such as 1 or DATE '2024-01-01'.");
        return Err(Problem::new(ProblemKind::FunctionNotAllowed, detail));
    }
    check_series(name, &arguments.iter().map(literal_argument).collect::<Vec<_>>())
}

fn is_constant(argument: &FunctionArg) -> bool {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument else { return false };
    literal_integer(expr).is_some() || matches!(expr, Expr::TypedString(_) | Expr::Interval(_))
}

/// The arguments of a call as integers, where they are literals.
fn literal_arguments(function: &Function) -> Vec<Option<i128>> {
    match &function.args {
        FunctionArguments::List(list) => list.args.iter().map(literal_argument).collect(),
        FunctionArguments::None | FunctionArguments::Subquery(_) => Vec::new(),
    }
}

/// One argument as an integer, where it is a literal.
fn literal_argument(argument: &FunctionArg) -> Option<i128> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => literal_integer(expr),
        FunctionArg::Unnamed(_) | FunctionArg::Named { .. } | FunctionArg::ExprNamed { .. } => None,
    }
}

/// Reads `12` and `-12`; 64 bits, so that differences of two fit into 128.
fn literal_integer(expr: &Expr) -> Option<i128> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Number(text, _), .. }) => text.parse::<i64>().ok().map(i128::from),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => literal_integer(expr).map(|number| -number),
        Expr::Nested(expr) => literal_integer(expr),
        _ => None,
    }
}

fn frame_is_small(over: &WindowType) -> bool {
    let WindowType::WindowSpec(spec) = over else { return false };
    let Some(frame) = &spec.window_frame else { return false };
    let rows = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::CurrentRow => Some(0),
        WindowFrameBound::Preceding(Some(expr)) | WindowFrameBound::Following(Some(expr)) => {
            literal_integer(expr).and_then(|rows| u64::try_from(rows).ok())
        }
        WindowFrameBound::Preceding(None) | WindowFrameBound::Following(None) => None,
    };
    let start = rows(&frame.start_bound);
    let end = frame.end_bound.as_ref().map_or(Some(0), rows);
    match (frame.units, start, end) {
        (WindowFrameUnits::Rows, Some(start), Some(end)) => start.max(end) <= COLLECTING_FRAME_ROWS_MAX,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_known_to_be_long_are_refused() {
        assert!(check_series("range", &[Some(10)]).is_ok());
        assert!(check_series("range", &[Some(1), Some(1_000_000)]).is_ok());
        assert!(check_series("range", &[Some(0), Some(10_000_000), Some(10)]).is_ok());
        assert!(check_series("range", &[Some(1), Some(9_876_543_210)]).is_err());
        assert!(check_series("range", &[Some(i128::from(i64::MIN)), Some(i128::from(i64::MAX))]).is_err());
        assert!(check_series("range", &[Some(1), None]).is_ok());
        assert!(check_series("range", &[Some(1), Some(2), Some(0)]).is_err());
    }
}

//! Whether a scan should decode its filter's columns first and the others only for rows that pass.
//!
//! Late materialisation pays when few rows pass and what is skipped is wide; else decoding twice and copying
//! scattered rows costs more than it saves (on TPC-H the sum of all queries is worse with it always on). So it is
//! used only where the statistics say that a condition keeps at most a hundredth of the rows and the columns
//! beside the filter's weigh at least twice as much as those.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type, Schema};
use datafusion::common::{Column, ScalarValue, Statistics};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// The share of rows below which a condition counts as selective.
const SELECTIVE: f64 = 0.01;

/// Whether to evaluate `filters` while decoding.
pub(super) fn pays(
    schema: &Schema,
    projection: Option<&Vec<usize>>,
    filters: &[Expr],
    statistics: &Statistics,
) -> bool {
    let mut filtered = BTreeSet::new();
    for filter in filters {
        filtered.extend(filter.column_refs().iter().filter_map(|column| schema.index_of(&column.name).ok()));
    }
    if filtered.is_empty() {
        return false;
    }
    let projected = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
    let weight = |index: &usize| width(schema.field(*index).data_type());
    let beside = projected.iter().filter(|index| !filtered.contains(index)).map(weight).sum::<u32>();
    let within = filtered.iter().map(weight).sum::<u32>();
    if beside < 2 * within {
        return false;
    }
    let kept = filters.iter().flat_map(split_conjunction).filter_map(|filter| share(filter, schema, statistics));
    kept.product::<f64>() <= SELECTIVE
}

/// A column's weight in a row, in rough bytes.
fn width(data_type: &DataType) -> u32 {
    match data_type {
        DataType::Utf8View | DataType::BinaryView => 24,
        other => other.primitive_width().and_then(|bytes| u32::try_from(bytes).ok()).unwrap_or(1),
    }
}

/// The share of rows that a comparison with a literal keeps if values were spread evenly; `None` for anything else.
fn share(filter: &Expr, schema: &Schema, statistics: &Statistics) -> Option<f64> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(value, _)) => compare(column, *op, value, schema, statistics),
            (Expr::Literal(value, _), Expr::Column(column)) => compare(column, op.swap()?, value, schema, statistics),
            _ => None,
        },
        Expr::InList(list) if !list.negated => {
            let Expr::Column(column) = list.expr.as_ref() else { return None };
            let (low, high) = bounds(column, schema, statistics)?;
            let members = list.list.iter().fold(0.0, |count, _| count + 1.0);
            Some((members / (high - low + 1.0)).min(1.0))
        }
        _ => None,
    }
}

fn compare(
    column: &Column,
    op: Operator,
    value: &ScalarValue,
    schema: &Schema,
    statistics: &Statistics,
) -> Option<f64> {
    let (low, high) = bounds(column, schema, statistics)?;
    let value = number(value)?;
    let span = high - low;
    if span <= 0.0 {
        return None;
    }
    let below = ((value - low) / span).clamp(0.0, 1.0);
    match op {
        Operator::Eq => Some((1.0 / (span + 1.0)).min(1.0)),
        Operator::Lt | Operator::LtEq => Some(below),
        Operator::Gt | Operator::GtEq => Some(1.0 - below),
        _ => None,
    }
}

/// The extremes of a column of whole numbers or dates: of text one cannot say how many values lie between.
fn bounds(column: &Column, schema: &Schema, statistics: &Statistics) -> Option<(f64, f64)> {
    let index = schema.index_of(&column.name).ok()?;
    let data_type = schema.field(index).data_type();
    if !(data_type.is_integer() || data_type.is_temporal()) {
        return None;
    }
    let column = statistics.column_statistics.get(index)?;
    Some((number(column.min_value.get_value()?)?, number(column.max_value.get_value()?)?))
}

fn number(value: &ScalarValue) -> Option<f64> {
    let whole = match value.data_type() {
        DataType::Date32 => value.cast_to(&DataType::Int32).ok()?,
        data_type if data_type.is_temporal() => value.cast_to(&DataType::Int64).ok()?,
        _ => value.clone(),
    };
    let array = whole.cast_to(&DataType::Float64).ok()?.to_array().ok()?;
    let numbers = array.as_primitive_opt::<Float64Type>()?;
    (numbers.len() == 1 && numbers.is_valid(0)).then(|| numbers.value(0))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;
    use datafusion::common::ColumnStatistics;
    use datafusion::common::stats::Precision;
    use datafusion::logical_expr::{col, lit};

    use super::*;

    /// Whether late materialisation is chosen over `id` (0..=99,999), `small` (0..=9), `name` and `note`.
    fn chosen(columns: &[usize], filters: &[Expr]) -> bool {
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("small", DataType::Int64, true),
            Field::new("name", DataType::Utf8View, true),
            Field::new("note", DataType::Utf8View, true),
        ]);
        let mut statistics = Statistics::new_unknown(&schema);
        for (index, high) in [(0, 99_999), (1, 9)] {
            statistics.column_statistics[index] = ColumnStatistics {
                min_value: Precision::Exact(ScalarValue::Int64(Some(0))),
                max_value: Precision::Exact(ScalarValue::Int64(Some(high))),
                ..ColumnStatistics::new_unknown()
            };
        }
        pays(&schema, Some(&columns.to_vec()), filters, &statistics)
    }

    #[test]
    fn late_columns_are_for_few_rows_and_wide_ones() {
        let one = [col("id").eq(lit(7_i64))];
        assert!(chosen(&[0, 2, 3], &one));
        assert!(!chosen(&[0, 1], &one), "what is skipped is narrow");
        assert!(!chosen(&[0, 2], &[]), "nothing filters");
        assert!(!chosen(&[1, 2, 3], &[col("small").eq(lit(7_i64))]), "a tenth of the rows passes");
        assert!(!chosen(&[2, 3], &[col("name").eq(lit("x"))]), "nobody knows how many rows pass");
        let range = [col("id").gt_eq(lit(99_500_i64)), col("id").lt(lit(100_000_i64))];
        assert!(chosen(&[0, 2, 3], &range));
        assert!(!chosen(&[0, 2, 3], &[col("id").gt_eq(lit(50_000_i64))]));
        assert!(chosen(&[0, 2, 3], &[col("id").in_list(vec![lit(1_i64), lit(2_i64)], false)]));
    }
}

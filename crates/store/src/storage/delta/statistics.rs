//! Statistics of a file as Delta spells them: numbers of records and nulls, least and greatest values.

use arrow_schema::{DataType, Schema, TimeUnit};
use chrono::{DateTime, Days, NaiveDate};
use portico_model::manifest::{ReleasedFile, StatisticValue};

use crate::error::StoreError;

/// Text longer than this is left out: a bound that is cut is no bound.
const TEXT_BYTES_MAX: usize = 256;

/// Which bound a value is, since rounding must widen the range.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    Least,
    Greatest,
}

/// The `stats` of an `add` action. Written by hand: decimals must keep digits that a JSON library would round.
pub(super) fn to_json(schema: &Schema, file: &ReleasedFile) -> Result<String, StoreError> {
    let (mut least, mut greatest, mut nulls) = (Vec::new(), Vec::new(), Vec::new());
    for (field, column) in schema.fields().iter().zip(&file.columns) {
        let name = serde_json::to_string(field.name()).map_err(StoreError::storage)?;
        nulls.push(format!("{name}:{}", column.nulls));
        let spelt = |value: &Option<StatisticValue>, bound| {
            value.as_ref().and_then(|value| spell(field.data_type(), value, bound))
        };
        if let Some(value) = spelt(&column.min, Bound::Least) {
            least.push(format!("{name}:{value}"));
        }
        if let Some(value) = spelt(&column.max, Bound::Greatest) {
            greatest.push(format!("{name}:{value}"));
        }
    }
    Ok(format!(
        "{{\"numRecords\":{},\"minValues\":{{{}}},\"maxValues\":{{{}}},\"nullCount\":{{{}}}}}",
        file.rows,
        least.join(","),
        greatest.join(","),
        nulls.join(","),
    ))
}

/// A value as JSON; `None` where Delta has no spelling for it.
fn spell(data_type: &DataType, value: &StatisticValue, bound: Bound) -> Option<String> {
    match (data_type, value) {
        (DataType::Date32, StatisticValue::Int(days)) => date(*days),
        (DataType::Timestamp(unit, _), StatisticValue::Int(count)) => timestamp(*unit, *count, bound),
        (DataType::Date64 | DataType::Time32(_) | DataType::Time64(_), _) => None,
        (data_type, StatisticValue::Int(number)) if data_type.is_integer() => Some(number.to_string()),
        (data_type, StatisticValue::Float(number)) if data_type.is_floating() => {
            serde_json::Number::from_f64(*number).map(|number| number.to_string())
        }
        (
            DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale),
            StatisticValue::Decimal(unscaled),
        ) => decimal(unscaled, *scale),
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, StatisticValue::Text(text)) => {
            (text.len() <= TEXT_BYTES_MAX).then(|| serde_json::to_string(text).ok()).flatten()
        }
        _ => None,
    }
}

fn date(days: i64) -> Option<String> {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    let distance = Days::new(days.unsigned_abs());
    let date = if days < 0 { epoch.checked_sub_days(distance) } else { epoch.checked_add_days(distance) }?;
    Some(date.format("\"%Y-%m-%d\"").to_string())
}

/// Delta's timestamps have milliseconds.
fn timestamp(unit: TimeUnit, count: i64, bound: Bound) -> Option<String> {
    let per_ms = match unit {
        TimeUnit::Second => return instant(count.checked_mul(1000)?),
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1_000_000,
    };
    let floor = count.div_euclid(per_ms);
    let up = bound == Bound::Greatest && count.rem_euclid(per_ms) != 0;
    instant(if up { floor.checked_add(1)? } else { floor })
}

fn instant(ms: i64) -> Option<String> {
    Some(DateTime::from_timestamp_millis(ms)?.format("\"%Y-%m-%dT%H:%M:%S%.3fZ\"").to_string())
}

/// The unscaled digits with the point put in.
fn decimal(unscaled: &str, scale: i8) -> Option<String> {
    let scale = usize::try_from(scale).ok()?;
    let (sign, digits) = match unscaled.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", unscaled),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at_checked(padded.len() - scale)?;
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(data_type: &DataType, value: StatisticValue, least: &str, greatest: &str) {
        let spelt = |bound| spell(data_type, &value, bound).unwrap_or_else(|| "none".to_owned());
        assert_eq!((spelt(Bound::Least).as_str(), spelt(Bound::Greatest).as_str()), (least, greatest));
    }

    #[test]
    fn values_are_spelt_as_delta_does_and_bounds_only_widen() {
        let micro = DataType::Timestamp(TimeUnit::Microsecond, None);
        let money = DataType::Decimal128(38, 2);
        check(&DataType::Int64, StatisticValue::Int(-7), "-7", "-7");
        check(&DataType::Float64, StatisticValue::Float(1.5), "1.5", "1.5");
        check(&DataType::Date32, StatisticValue::Int(-1), "\"1969-12-31\"", "\"1969-12-31\"");
        check(&micro, StatisticValue::Int(1_500), "\"1970-01-01T00:00:00.001Z\"", "\"1970-01-01T00:00:00.002Z\"");
        check(&micro, StatisticValue::Int(-1), "\"1969-12-31T23:59:59.999Z\"", "\"1970-01-01T00:00:00.000Z\"");
        for (unscaled, text) in [
            ("5", "0.05"),
            ("-5", "-0.05"),
            ("12345678901234567890123456789012345678", "123456789012345678901234567890123456.78"),
            ("100", "1.00"),
        ] {
            check(&money, StatisticValue::Decimal(unscaled.into()), text, text);
        }
        check(&DataType::Utf8, StatisticValue::Text("a\"b".into()), "\"a\\\"b\"", "\"a\\\"b\"");
        check(&DataType::Utf8, StatisticValue::Text("x".repeat(257)), "none", "none");
        check(&DataType::Time64(TimeUnit::Microsecond), StatisticValue::Int(1), "none", "none");
    }
}

//! Values for `$1` and `$name`: typed, bound to the plan, never spliced into text.

use std::collections::{BTreeMap, HashMap};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::compute::CastOptions;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, Fields, Schema, SchemaRef};
use arrow::ipc::reader::StreamReader;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::LogicalPlan;
use portico_model::order::ParameterValue;
use portico_model::problem::{Problem, ProblemKind};

/// Binds the order's values to a plan.
///
/// Text for a parameter whose place in the statement asks for another type is read as that type: a value in a URL
/// has no type of its own.
///
/// # Errors
/// A [`Problem`] `invalid_parameter` inside [`DataFusionError::External`]: a value is missing or does not fit.
pub(crate) fn bind(plan: LogicalPlan, values: &BTreeMap<String, ParameterValue>) -> Result<LogicalPlan> {
    let wanted = plan.get_parameter_types()?;
    if wanted.is_empty() {
        return Ok(plan);
    }
    let mut bound: HashMap<String, ScalarValue> = HashMap::new();
    for (id, data_type) in wanted {
        let name = id.strip_prefix('$').unwrap_or(&id);
        let value = values.get(name).ok_or_else(|| invalid(name, "has no value"))?;
        let value = scalar(name, value, data_type.as_ref())?;
        // A number beside a text column is compared as the text that it is, not the column as numbers.
        let text = data_type.as_ref().is_some_and(is_text) && !is_text(&value.data_type()) && !value.is_null();
        bound.insert(name.to_owned(), if text { value.cast_to(&DataType::Utf8)? } else { value });
    }
    plan.with_param_values(bound)
}

/// The parameters of a plan as a schema, numbered ones in their order; a type that the statement leaves open is text.
pub(crate) fn schema(plan: &LogicalPlan) -> Result<SchemaRef> {
    let mut parameters = plan.get_parameter_types()?.into_iter().collect::<Vec<_>>();
    let number = |id: &String| id.trim_start_matches('$').parse::<u32>().unwrap_or(u32::MAX);
    parameters.sort_by(|(a, _), (b, _)| number(a).cmp(&number(b)).then_with(|| a.cmp(b)));
    let fields = parameters
        .into_iter()
        .map(|(id, data_type)| Field::new(id, crate::output::plain(&data_type.unwrap_or(DataType::Utf8)), true));
    Ok(Arc::new(Schema::new(fields.collect::<Fields>())))
}

fn scalar(name: &str, value: &ParameterValue, wanted: Option<&DataType>) -> Result<ScalarValue> {
    match value {
        ParameterValue::Null => match wanted {
            Some(data_type) => ScalarValue::try_from(data_type),
            None => Ok(ScalarValue::Null),
        },
        ParameterValue::Bool(value) => Ok(ScalarValue::Boolean(Some(*value))),
        ParameterValue::Int(value) => Ok(ScalarValue::Int64(Some(*value))),
        ParameterValue::Float(value) => Ok(ScalarValue::Float64(Some(*value))),
        ParameterValue::Text(text) => read(name, text, wanted),
        ParameterValue::Bare(text) => match (text.as_str(), wanted) {
            ("null", _) => scalar(name, &ParameterValue::Null, wanted),
            (_, Some(wanted_type)) if is_text(wanted_type) => read(name, text, wanted),
            ("true", _) => Ok(ScalarValue::Boolean(Some(true))),
            ("false", _) => Ok(ScalarValue::Boolean(Some(false))),
            _ => number(text).map_or_else(|| read(name, text, wanted), Ok),
        },
        ParameterValue::Arrow(ipc) => from_ipc(ipc).ok_or_else(|| invalid(name, "is not a readable Arrow value")),
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8)
}

/// Reads a text as the type that its place asks for.
fn read(name: &str, text: &str, wanted: Option<&DataType>) -> Result<ScalarValue> {
    let text = ScalarValue::Utf8(Some(text.to_owned()));
    let Some(data_type) = wanted else { return Ok(text) };
    if is_text(data_type) || *data_type == DataType::Null {
        return Ok(text);
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let cast = arrow::compute::cast_with_options(&text.to_array()?, data_type, &strict);
    let cast =
        cast.map_err(|_| invalid(name, &format!("is not a value of type {}", crate::output::type_name(data_type))))?;
    ScalarValue::try_from_array(&cast, 0)
}

/// The number that a text spells, exactly: a 64-bit integer, else a decimal of up to 38 digits, else, with an exponent
/// or more digits than that, the nearest double. Zeros in front make an identifier, which is no number.
fn number(text: &str) -> Option<ScalarValue> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(head, tail)| (head, Some(tail)));
    let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = unsigned.split_once('.').map_or((unsigned, None), |(head, tail)| (head, Some(tail)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !fraction.is_none_or(digits) || (whole.starts_with('0') && whole.len() > 1) {
        return None;
    }
    if exponent.is_none() {
        if let Ok(integer) = text.parse() {
            return Some(ScalarValue::Int64(Some(integer)));
        }
        let scale = fraction.map_or(0, str::len);
        let precision = u8::try_from(whole.len() + scale).ok().filter(|digits| *digits <= DECIMAL128_MAX_PRECISION);
        if let (Some(precision), Ok(scale)) = (precision, i8::try_from(scale)) {
            let value = text.replace('.', "").parse().ok()?;
            return Some(ScalarValue::Decimal128(Some(value), precision, scale));
        }
    }
    let float = text.parse::<f64>().ok().filter(|float| float.is_finite())?;
    Some(ScalarValue::Float64(Some(float)))
}

/// The one value of an Arrow stream. The bytes are a stranger's, and the reader panics on some that are malformed.
fn from_ipc(base64: &str) -> Option<ScalarValue> {
    let bytes = BASE64_STANDARD.decode(base64).ok()?;
    let read = || {
        let mut reader = StreamReader::try_new(Cursor::new(bytes), None).ok()?;
        let batch = reader.next()?.ok()?;
        let value = batch.columns().first()?.clone();
        ScalarValue::try_from_array(&value, 0).ok()
    };
    catch_unwind(AssertUnwindSafe(read)).ok().flatten()
}

fn invalid(name: &str, what: &str) -> DataFusionError {
    let detail = format!("Parameter ${name} {what}.");
    DataFusionError::External(Box::new(Problem::new(ProblemKind::InvalidParameter, detail)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(text: &str, wanted: Option<DataType>) -> ScalarValue {
        scalar("1", &ParameterValue::Bare(text.to_owned()), wanted.as_ref()).unwrap()
    }

    #[test]
    fn a_bare_value_is_a_number_to_the_last_digit() {
        let check = |text: &str, expect: ScalarValue| assert_eq!(bare(text, None), expect, "{text}");
        let text = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
        check("12", ScalarValue::Int64(Some(12)));
        check("-9223372036854775808", ScalarValue::Int64(Some(i64::MIN)));
        check("9223372036854775808", ScalarValue::Decimal128(Some(9_223_372_036_854_775_808), 19, 0));
        check("-1.50", ScalarValue::Decimal128(Some(-150), 3, 2));
        check("0.1234567890123456789", ScalarValue::Decimal128(Some(1_234_567_890_123_456_789), 20, 19));
        check("1e3", ScalarValue::Float64(Some(1000.0)));
        check("true", ScalarValue::Boolean(Some(true)));
        for word in ["007", "-01", "1e400", "2024-01-01", " 12", "12 ", ".5", "5.", "", "-", "NaN", "inf", "0x1"] {
            check(word, text(word));
        }
        assert_eq!(bare("null", None), ScalarValue::Null);
    }

    #[test]
    fn a_bare_value_is_text_where_text_is_asked_for() {
        for word in ["12", "1.50", "true", "007"] {
            assert_eq!(bare(word, Some(DataType::Utf8View)), ScalarValue::Utf8(Some(word.to_owned())));
        }
        assert_eq!(bare("2024-01-31", Some(DataType::Date32)), ScalarValue::Date32(Some(19_753)));
        assert_eq!(bare("12", Some(DataType::Float64)), ScalarValue::Int64(Some(12)));
    }
}

//! Values for `$1` and `$name`: typed, bound to the plan, never spliced into text.

use std::collections::{BTreeMap, HashMap};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
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
        bound.insert(name.to_owned(), scalar(name, value, data_type.as_ref())?);
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
        ParameterValue::Text(text) => {
            let text = ScalarValue::Utf8(Some(text.clone()));
            match wanted {
                None | Some(DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Null) => Ok(text),
                Some(data_type) => {
                    let strict = CastOptions { safe: false, ..CastOptions::default() };
                    let array = text.to_array()?;
                    let cast = arrow::compute::cast_with_options(&array, data_type, &strict);
                    let cast = cast.map_err(|_| {
                        invalid(name, &format!("is not a value of type {}", crate::output::type_name(data_type)))
                    })?;
                    ScalarValue::try_from_array(&cast, 0)
                }
            }
        }
        ParameterValue::Arrow(ipc) => from_ipc(ipc).ok_or_else(|| invalid(name, "is not a readable Arrow value")),
    }
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

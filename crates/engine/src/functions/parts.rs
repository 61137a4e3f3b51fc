//! `date_part` of lengths of time, and of moments in nanoseconds.
//!
//! The engine's own counts all hours, minutes and seconds of a length, in 32 bits, and has whole seconds only for its
//! epoch. Here a length has days, and hours, minutes and seconds beyond them, as intervals do. And it finds the bounds
//! of a year in nanoseconds, which end in 2262: a year beyond would be compared with no bounds.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int32Array, Int64Array};
use arrow::compute::cast;
use arrow::compute::kernels::cast_utils::IntervalUnit;
use arrow::datatypes::{DataType, FieldRef, Int64Type, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use portico_model::problem::ProblemKind;

use super::bounded::refused;

const SECOND: i128 = 1_000_000_000;

/// The function, with its own arithmetic for lengths.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Parts(Arc<ScalarUDF>);

/// The function as it is registered.
pub(super) fn parts(stock: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    if stock.name() == "date_part" && !stock.inner().is::<Parts>() {
        Arc::new(ScalarUDF::from(Parts(stock)))
    } else {
        stock
    }
}

/// What is asked of a length.
#[derive(Clone, Copy)]
enum Part {
    /// All of it, in seconds.
    Epoch,
    /// Whole units of so many nanoseconds, beyond whole ones of the second kind, if any.
    Units(i128, Option<i128>),
}

impl Part {
    /// `None` for what lengths do not have.
    fn of(name: &str) -> Option<Self> {
        let name = name.trim_matches(['\'', '"']);
        if name.eq_ignore_ascii_case("epoch") {
            return Some(Self::Epoch);
        }
        let (minute, hour, day) = (60 * SECOND, 3_600 * SECOND, 86_400 * SECOND);
        Some(match name.parse::<IntervalUnit>().ok()? {
            IntervalUnit::Week => Self::Units(7 * day, None),
            IntervalUnit::Day => Self::Units(day, None),
            IntervalUnit::Hour => Self::Units(hour, Some(day)),
            IntervalUnit::Minute => Self::Units(minute, Some(hour)),
            IntervalUnit::Second => Self::Units(SECOND, Some(minute)),
            IntervalUnit::Millisecond => Self::Units(1_000_000, Some(minute)),
            IntervalUnit::Microsecond => Self::Units(1_000, Some(minute)),
            IntervalUnit::Nanosecond => Self::Units(1, Some(minute)),
            _ => return None,
        })
    }

    /// The part of lengths in units of so many nanoseconds.
    fn taken(self, lengths: &ArrayRef, unit: i64, to: &DataType) -> Result<ArrayRef> {
        let lengths = cast(lengths, &DataType::Int64)?;
        let lengths = lengths.as_primitive::<Int64Type>();
        let Self::Units(part, whole) = self else {
            let epochs = lengths.iter().map(|length| length.map(|length| seconds(length, unit)));
            return Ok(Arc::new(epochs.collect::<Float64Array>()));
        };
        let parts = lengths.iter().flatten().map(|length| {
            let nanos = i128::from(length) * i128::from(unit);
            whole.map_or(nanos, |whole| nanos % whole) / part
        });
        let parts = parts.map(|part| i64::try_from(part).map_err(|_| overflow())).collect::<Result<Vec<_>>>()?;
        let mut parts = parts.into_iter();
        let wide = lengths.iter().map(|length| length.and_then(|_| parts.next())).collect::<Int64Array>();
        if *to == DataType::Int64 {
            return Ok(Arc::new(wide));
        }
        let narrow = |part: Option<i64>| part.map(|part| i32::try_from(part).map_err(|_| overflow())).transpose();
        Ok(Arc::new(wide.iter().map(narrow).collect::<Result<Int32Array>>()?))
    }
}

#[allow(clippy::as_conversions, clippy::cast_precision_loss, reason = "to the nearest float is what is wanted")]
fn seconds(length: i64, unit: i64) -> f64 {
    let in_second = 1_000_000_000 / unit;
    (length / in_second) as f64 + (length % in_second) as f64 / in_second as f64
}

fn overflow() -> datafusion::error::DataFusionError {
    refused(ProblemKind::QueryFailed, "Numeric overflow: date_part has 32 bits for a part. Ask for the epoch.")
}

/// The nanoseconds in the unit of a length.
fn nanos_in(data_type: &DataType) -> Option<i64> {
    Some(match data_type {
        DataType::Duration(TimeUnit::Second) => 1_000_000_000,
        DataType::Duration(TimeUnit::Millisecond) => 1_000_000,
        DataType::Duration(TimeUnit::Microsecond) => 1_000,
        DataType::Duration(TimeUnit::Nanosecond) => 1,
        _ => return None,
    })
}

impl ScalarUDFImpl for Parts {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn aliases(&self) -> &[String] {
        self.0.aliases()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.0.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.0.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.0.is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(part), lengths] = args.args.as_slice() else {
            return self.0.invoke_with_args(args);
        };
        let part = part.try_as_str().flatten().and_then(Part::of);
        let (Some(part), Some(unit)) = (part, nanos_in(&lengths.data_type())) else {
            return self.0.invoke_with_args(args);
        };
        match lengths {
            ColumnarValue::Array(array) => {
                Ok(ColumnarValue::Array(part.taken(array, unit, args.return_field.data_type())?))
            }
            ColumnarValue::Scalar(length) => {
                let taken = part.taken(&length.to_array_of_size(1)?, unit, args.return_field.data_type())?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&taken, 0)?))
            }
        }
    }

    /// `date_part('year', day) = 2024` as two bounds, where all years have them.
    fn preimage(&self, args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        match args.get(1).map(|moment| info.get_data_type(moment)).transpose()? {
            Some(DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, _)) => {
                self.0.preimage(args, literal, info)
            }
            _ => Ok(PreimageResult::None),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.0.documentation()
    }
}

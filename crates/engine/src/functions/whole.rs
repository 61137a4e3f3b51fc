//! `ceil` and `floor` of decimals: whole numbers, in a type that has room for them.
//!
//! The engine keeps the type of the argument, in which the next whole number may not fit (99.94 as DECIMAL(4, 2) goes
//! up to 100.00), and fails. Here they have no digits behind the point and one more before it. Floats are left to the
//! engine's own functions.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{ArrowNativeType, DataType, Decimal128Type, Decimal256Type, DecimalType};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// One of the two.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Whole {
    stock: Arc<ScalarUDF>,
    up: bool,
}

/// The function as it is registered.
pub(super) fn whole(stock: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    match stock.name() {
        "ceil" => Arc::new(ScalarUDF::from(Whole { stock, up: true })),
        "floor" => Arc::new(ScalarUDF::from(Whole { stock, up: false })),
        _ => stock,
    }
}

/// The type of whole numbers next to those of a decimal type; `None` for what has no digits behind a point.
fn whole_type(argument: &DataType) -> Option<DataType> {
    let digits = |precision: &u8, scale: &i8| {
        let scale = u8::try_from(*scale).ok().filter(|scale| *scale > 0)?;
        Some(precision.saturating_sub(scale).saturating_add(1))
    };
    match argument {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale) => Some(DataType::Decimal128(digits(precision, scale)?, 0)),
        DataType::Decimal256(precision, scale) => Some(DataType::Decimal256(digits(precision, scale)?, 0)),
        _ => None,
    }
}

/// The whole numbers next to decimals of this many digits behind the point.
fn rounded<T: DecimalType>(decimals: &ArrayRef, scale: i8, up: bool, to: &DataType) -> Result<ArrayRef> {
    let unit = T::Native::usize_as(10).pow_checked(u32::from(scale.unsigned_abs()))?;
    let next = |value: T::Native| {
        let (whole, rest) = (value.div_wrapping(unit), value.mod_wrapping(unit));
        match up {
            true if rest.is_gt(T::Native::ZERO) => whole.add_wrapping(T::Native::ONE),
            false if rest.is_lt(T::Native::ZERO) => whole.sub_wrapping(T::Native::ONE),
            _ => whole,
        }
    };
    let whole: PrimitiveArray<T> = decimals.as_primitive::<T>().unary(next);
    Ok(Arc::new(whole.with_data_type(to.clone())))
}

impl Whole {
    fn of(&self, decimals: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
        match decimals.data_type() {
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                let wide = cast(decimals, &DataType::Decimal128(*precision, *scale))?;
                rounded::<Decimal128Type>(&wide, *scale, self.up, to)
            }
            DataType::Decimal256(_, scale) => rounded::<Decimal256Type>(decimals, *scale, self.up, to),
            DataType::Decimal128(_, scale) => rounded::<Decimal128Type>(decimals, *scale, self.up, to),
            _ => Ok(decimals.clone()),
        }
    }
}

impl ScalarUDFImpl for Whole {
    fn name(&self) -> &str {
        self.stock.name()
    }

    fn aliases(&self) -> &[String] {
        self.stock.aliases()
    }

    fn signature(&self) -> &Signature {
        self.stock.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types.first().and_then(whole_type) {
            Some(whole) => Ok(whole),
            None => self.stock.return_type(arg_types),
        }
    }

    fn is_strict(&self) -> bool {
        self.stock.is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(argument) = args.args.first() else { return self.stock.invoke_with_args(args) };
        let Some(whole) = whole_type(&argument.data_type()) else { return self.stock.invoke_with_args(args) };
        match argument {
            ColumnarValue::Array(array) => Ok(ColumnarValue::Array(self.of(array, &whole)?)),
            ColumnarValue::Scalar(scalar) => {
                let array = self.of(&scalar.to_array_of_size(1)?, &whole)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?))
            }
        }
    }

    /// `floor(x) = 5` as `x >= 5 AND x < 6`, where the engine knows the types.
    fn preimage(&self, args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        match args.first().map(|argument| info.get_data_type(argument)).transpose()? {
            Some(data_type) if whole_type(&data_type).is_none() => self.stock.preimage(args, literal, info),
            _ => Ok(PreimageResult::None),
        }
    }

    fn evaluate_bounds(&self, input: &[&Interval]) -> Result<Interval> {
        match input.first().and_then(|interval| whole_type(&interval.data_type())) {
            Some(whole) => Interval::make_unbounded(&whole),
            None => self.stock.evaluate_bounds(input),
        }
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.stock.output_ordering(inputs)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }
}

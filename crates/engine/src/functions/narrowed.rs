//! Conversions that not every value survives, or not as it was: of decimals and integers to narrower ones.
//!
//! The engine takes a conversion off a column that is compared with a constant, and converts the constant: right where
//! every value keeps its own, as from INT to BIGINT, and wrong where several become one (`CAST(36.05 AS INT) = 36`) or
//! some have none. Behind a call it is left alone, wherever a comparison may be moved to.

use arrow::compute::CastOptions;
use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The conversion. It is in no registry: plans are rewritten to it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Narrowed {
    to: DataType,
    /// Whether a value that has none becomes NULL.
    lenient: bool,
    signature: Signature,
}

impl Narrowed {
    /// The conversion of an operand of the type `from`; `None` where every value keeps its own.
    pub(crate) fn of(operand: &Expr, from: &DataType, to: &DataType, lenient: bool) -> Option<Expr> {
        if !narrows(from, to) {
            return None;
        }
        let call = Self { to: to.clone(), lenient, signature: Signature::any(1, Volatility::Immutable) };
        if let Expr::Literal(value, _) = operand {
            // What takes constants only goes on seeing one.
            if let Ok(value) = value.cast_to_with_options(to, &call.options()) {
                return Some(Expr::Literal(value, None));
            }
        }
        let args = vec![operand.clone()];
        Some(Expr::ScalarFunction(ScalarFunction { func: std::sync::Arc::new(ScalarUDF::from(call)), args }))
    }

    /// Whether it can fail.
    pub(crate) fn is_strict_about_values(&self) -> bool {
        !self.lenient
    }

    fn options(&self) -> CastOptions<'static> {
        CastOptions { safe: self.lenient, ..CastOptions::default() }
    }
}

/// Whether some value of one type has no value of its own in the other.
fn narrows(from: &DataType, to: &DataType) -> bool {
    match (digits(from), digits(to)) {
        (Some((whole, behind)), Some((room, room_behind))) if from.is_decimal() || to.is_decimal() => {
            whole > room || behind > room_behind
        }
        (Some(_), Some(_)) => match (range(from), range(to)) {
            (Some((low, high)), Some((lowest, highest))) => low < lowest || high > highest,
            _ => false,
        },
        _ => false,
    }
}

/// Digits before and behind the point that a type of exact numbers has room for; those of an integer are all that its
/// largest has, and no one less where it takes them.
fn digits(data_type: &DataType) -> Option<(i16, i16)> {
    Some(match data_type {
        DataType::Int8 | DataType::UInt8 => (3, 0),
        DataType::Int16 | DataType::UInt16 => (5, 0),
        DataType::Int32 | DataType::UInt32 => (10, 0),
        DataType::Int64 => (19, 0),
        DataType::UInt64 => (20, 0),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => (i16::from(*precision) - i16::from(*scale), i16::from(*scale)),
        _ => return None,
    })
}

fn range(data_type: &DataType) -> Option<(i128, i128)> {
    Some(match data_type {
        DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        DataType::Int64 => (i64::MIN.into(), i64::MAX.into()),
        DataType::UInt8 => (0, u8::MAX.into()),
        DataType::UInt16 => (0, u16::MAX.into()),
        DataType::UInt32 => (0, u32::MAX.into()),
        DataType::UInt64 => (0, u64::MAX.into()),
        _ => return None,
    })
}

impl ScalarUDFImpl for Narrowed {
    fn name(&self) -> &str {
        if self.lenient { "try_cast" } else { "cast" }
    }

    /// The name that the engine's own conversion gives a column: that of what is converted.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [operand] = args else { return Err(operands()) };
        Ok(operand.schema_name().to_string())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [operand] = args.args.as_slice() else { return Err(operands()) };
        match operand {
            // Of a constant, too, a value that has none is NULL by itself only where that is asked for.
            ColumnarValue::Scalar(value) => {
                Ok(ColumnarValue::Scalar(value.cast_to_with_options(&self.to, &self.options())?))
            }
            ColumnarValue::Array(_) => operand.cast_to(&self.to, Some(&self.options())),
        }
    }

    /// Values keep their order, where none becomes NULL.
    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        let [operand] = inputs else { return Ok(SortProperties::Unordered) };
        Ok(if self.lenient { SortProperties::Unordered } else { operand.sort_properties })
    }
}

fn operands() -> DataFusionError {
    DataFusionError::Internal("a conversion has one operand".to_owned())
}

#[cfg(test)]
mod tests {
    use datafusion::common::ScalarValue;

    use super::*;
    use DataType::{Date32, Decimal128, Float64, Int32, Int64, UInt8, UInt32, Utf8};

    #[test]
    fn narrowing_is_told_from_widening() {
        for (from, to) in [
            (Decimal128(9, 6), Int32),
            (Decimal128(9, 6), Decimal128(10, 2)),
            (Decimal128(10, 2), Decimal128(9, 2)),
            (Decimal128(20, 0), Int64),
            (Int64, Int32),
            (Int64, Decimal128(18, 0)),
            (Int64, UInt32),
            (UInt32, Int32),
            (Int32, Decimal128(10, 2)),
        ] {
            assert!(narrows(&from, &to), "{from} {to}");
        }
        for (from, to) in [
            (Int32, Int64),
            (UInt8, Int32),
            (UInt32, Int64),
            (Int32, Decimal128(12, 2)),
            (Decimal128(10, 2), Decimal128(12, 2)),
            (Decimal128(10, 2), Decimal128(22, 2)),
            (Decimal128(10, 2), Float64),
            (Utf8, Int32),
            (Date32, Int64),
            (Int64, Int64),
        ] {
            assert!(!narrows(&from, &to), "{from} {to}");
        }
    }

    #[test]
    fn a_constant_stays_one() {
        let five = Expr::Literal(ScalarValue::Int64(Some(5)), None);
        let narrowed = Narrowed::of(&five, &Int64, &Int32, false).unwrap();
        assert_eq!(narrowed, Expr::Literal(ScalarValue::Int32(Some(5)), None));
        let large = Expr::Literal(ScalarValue::Int64(Some(5_000_000_000)), None);
        let narrowed = Narrowed::of(&large, &Int64, &Int32, true).unwrap();
        assert_eq!(narrowed, Expr::Literal(ScalarValue::Int32(None), None));
        assert!(matches!(Narrowed::of(&large, &Int64, &Int32, false).unwrap(), Expr::ScalarFunction(_)));
    }
}

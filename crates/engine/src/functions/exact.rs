//! `sum` and `avg` that cannot wrap around: whole numbers, decimals and durations are added up in 128 bits (decimals of
//! 256 in as many), and only the result is brought to its type, or is an overflow.
//!
//! The types are those that clients know: the sum of BIGINT is BIGINT, its average DOUBLE. Because nothing is rounded
//! on the way, a sum does not depend on the order in which threads add, and intermediate sums may leave the type.
//! Everything else is left to the engine's own functions, but over frames that move nothing is taken off ([`sliding`]).

mod distinct;
mod groups;
mod sliding;
mod total;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, PrimitiveArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Field, FieldRef,
    Int64Type, TimeUnit, UInt64Type,
};
use datafusion::common::ScalarValue;
use datafusion::common::types::{
    NativeType, logical_float64, logical_int8, logical_int16, logical_int32, logical_int64, logical_uint8,
    logical_uint16, logical_uint32, logical_uint64,
};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Coercion, Documentation, Expr, GroupsAccumulator, Operator,
    ReversedUDAF, SetMonotonicity, Signature, StatisticsArgs, TypeSignature, TypeSignatureClass, Volatility,
};
use portico_model::problem::ProblemKind;

use super::bounded::refused;
use distinct::Distinct;
use groups::Groups;
use sliding::Sliding;
use total::Total;

/// The aggregate as it is registered: exact, where it adds.
pub(super) fn exact(stock: Arc<AggregateUDF>) -> Arc<AggregateUDF> {
    let sum = match stock.name() {
        "sum" => Sum::Plain,
        "avg" => Sum::Average,
        "stddev" | "stddev_pop" | "var" | "var_pop" | "covar_samp" | "covar_pop" | "corr" | "regr_slope"
        | "regr_intercept" | "regr_r2" | "regr_avgx" | "regr_avgy" | "regr_sxx" | "regr_syy" | "regr_sxy" => Sum::Made,
        _ => return stock,
    };
    let signature = if sum == Sum::Average { average_signature() } else { stock.signature().clone() };
    Arc::new(AggregateUDF::from(Exact { stock, sum, signature }))
}

/// As the engine's, but whole numbers stay whole.
fn average_signature() -> Signature {
    let to = |native: NativeType, class: TypeSignatureClass, from: Vec<TypeSignatureClass>| {
        TypeSignature::Coercible(vec![Coercion::new_implicit(class, from, native)])
    };
    let only = |class| TypeSignature::Coercible(vec![Coercion::new_exact(class)]);
    let native = TypeSignatureClass::Native;
    let types = vec![
        only(TypeSignatureClass::Decimal),
        only(TypeSignatureClass::Duration),
        to(
            NativeType::UInt64,
            native(logical_uint64()),
            vec![native(logical_uint8()), native(logical_uint16()), native(logical_uint32())],
        ),
        to(
            NativeType::Int64,
            native(logical_int64()),
            vec![native(logical_int8()), native(logical_int16()), native(logical_int32())],
        ),
        to(NativeType::Float64, native(logical_float64()), vec![TypeSignatureClass::Float]),
    ];
    Signature::one_of(types, Volatility::Immutable)
}

/// What is made of sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Sum {
    Plain,
    Average,
    /// Of floats, and more than a sum.
    Made,
}

/// `sum`, `avg`, or what else is made of sums.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Exact {
    stock: Arc<AggregateUDF>,
    sum: Sum,
    signature: Signature,
}

/// Which types an exact calculation goes through.
#[derive(Clone, Debug)]
struct Types {
    /// What is added.
    input: DataType,
    /// What it is added up in.
    wide: DataType,
    /// What comes out.
    output: DataType,
    averages: bool,
}

impl Exact {
    /// The types for an input; `None` where the engine's own function is exact enough, or not exact at all.
    fn types(&self, input: &DataType, output: &DataType) -> Option<Types> {
        let wide = match input {
            _ if self.sum == Sum::Made => return None,
            DataType::Int64 | DataType::UInt64 | DataType::Duration(_) => DataType::Decimal128(38, 0),
            // The engine's average has a wider sum of its own, and checks its result.
            _ if self.sum == Sum::Average => return None,
            DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) => {
                DataType::Decimal128(38, *scale)
            }
            DataType::Decimal256(_, scale) => DataType::Decimal256(76, *scale),
            _ => return None,
        };
        Some(Types { input: input.clone(), wide, output: output.clone(), averages: self.sum == Sum::Average })
    }

    fn types_of(&self, args: &AccumulatorArgs) -> Option<Types> {
        self.types(args.expr_fields.first()?.data_type(), args.return_field.data_type())
    }
}

/// Calls `$build!(input, wide)` with the Arrow types of an input.
macro_rules! by_input {
    ($types:expr, $build:ident) => {
        match &$types.input {
            DataType::Int64 => $build!(Int64Type, Decimal128Type),
            DataType::UInt64 => $build!(UInt64Type, Decimal128Type),
            DataType::Duration(TimeUnit::Second) => $build!(DurationSecondType, Decimal128Type),
            DataType::Duration(TimeUnit::Millisecond) => $build!(DurationMillisecondType, Decimal128Type),
            DataType::Duration(TimeUnit::Microsecond) => $build!(DurationMicrosecondType, Decimal128Type),
            DataType::Duration(TimeUnit::Nanosecond) => $build!(DurationNanosecondType, Decimal128Type),
            DataType::Decimal32(..) => $build!(Decimal32Type, Decimal128Type),
            DataType::Decimal64(..) => $build!(Decimal64Type, Decimal128Type),
            DataType::Decimal128(..) => $build!(Decimal128Type, Decimal128Type),
            DataType::Decimal256(..) => $build!(Decimal256Type, Decimal256Type),
            other => Err(DataFusionError::Internal(format!("{other} is not added up exactly"))),
        }
    };
}

impl AggregateUDFImpl for Exact {
    fn name(&self) -> &str {
        self.stock.name()
    }

    fn aliases(&self) -> &[String] {
        self.stock.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.stock.return_type(arg_types)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let Some(types) = self.types_of(&args) else { return self.stock.accumulator(args) };
        accumulator(types, args.is_distinct)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match self.types_of(&args) {
            Some(types) => accumulator(types, args.is_distinct),
            None if args.is_distinct || !args.return_field.data_type().is_floating() => {
                self.stock.inner().create_sliding_accumulator(args)
            }
            None => Ok(Box::new(Sliding::new(&self.stock, &args)?)),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let input = args.input_fields.first().map(|field| field.data_type().clone());
        let types = input.and_then(|input| self.types(&input, args.return_field.data_type()));
        let Some(types) = types else { return self.stock.state_fields(args) };
        let name = |part: &str| format_state_name(args.name, part);
        if args.is_distinct {
            let item = Field::new_list_field(types.input, true);
            return Ok(vec![Arc::new(Field::new_list(name("distinct"), item, false))]);
        }
        let mut fields = vec![Arc::new(Field::new(name("sum"), types.wide, true))];
        if types.averages {
            fields.push(Arc::new(Field::new(name("count"), DataType::UInt64, true)));
        }
        Ok(fields)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        match self.types_of(&args) {
            Some(_) => !args.is_distinct,
            None => self.stock.groups_accumulator_supported(args),
        }
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let Some(types) = self.types_of(&args) else { return self.stock.create_groups_accumulator(args) };
        macro_rules! build {
            ($input:ty, $wide:ty) => {
                Ok(Box::new(Groups::<$input, $wide>::new(types.clone())))
            };
        }
        by_input!(types, build)
    }

    fn is_nullable(&self) -> bool {
        self.stock.is_nullable()
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.stock.default_value(data_type)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    /// `sum(x + 1)` as `sum(x) + count(x)`, for floats: of exact types the parts could overflow where the whole does not.
    fn simplify_expr_op_literal(
        &self,
        function: &AggregateFunction,
        arg: &Expr,
        operator: Operator,
        literal: &Expr,
        arg_is_left: bool,
    ) -> Result<Option<Expr>> {
        match literal {
            Expr::Literal(ScalarValue::Float64(Some(_)), _) => {
                self.stock.inner().simplify_expr_op_literal(function, arg, operator, literal, arg_is_left)
            }
            _ => Ok(None),
        }
    }

    fn value_from_stats(&self, args: &StatisticsArgs) -> Option<ScalarValue> {
        self.stock.value_from_stats(args)
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.stock.inner().set_monotonicity(data_type)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }
}

fn accumulator(types: Types, distinct: bool) -> Result<Box<dyn Accumulator>> {
    macro_rules! build {
        ($input:ty, $wide:ty) => {
            if distinct {
                Ok(Box::new(Distinct::<$input, $wide>::new(types.clone())))
            } else {
                Ok(Box::new(Total::<$input, $wide>::new(types.clone())))
            }
        };
    }
    by_input!(types, build)
}

impl Types {
    /// An array of sums of these types.
    fn sums<A: ArrowPrimitiveType>(&self, sums: PrimitiveArray<A>) -> ArrayRef {
        Arc::new(sums.with_data_type(self.wide.clone()))
    }

    /// What sums, and how many values they are of, come to.
    fn finish(&self, sums: &ArrayRef, counts: &[u64]) -> Result<ArrayRef> {
        if !self.averages {
            return self.narrowed(sums);
        }
        let sums = sums.as_primitive::<Decimal128Type>();
        let means = sums.iter().zip(counts);
        if self.output == DataType::Float64 {
            let means = means.map(|(sum, count)| sum.map(|sum| ratio(sum, *count)));
            return Ok(Arc::new(means.collect::<Float64Array>()));
        }
        let means = means.map(|(sum, count)| sum.and_then(|sum| sum.checked_div(i128::from(*count))));
        let means = means.collect::<PrimitiveArray<Decimal128Type>>();
        self.narrowed(&self.sums(means))
    }

    /// Wide values in the type of the output.
    fn narrowed(&self, wide: &ArrayRef) -> Result<ArrayRef> {
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let cast =
            |array: &ArrayRef, to: &DataType| cast_with_options(array, to, &strict).map_err(|_| overflow(&self.output));
        match self.output {
            DataType::Duration(_) => cast(&cast(wide, &DataType::Int64)?, &self.output),
            // The widest decimals have room for more digits than they may have.
            DataType::Decimal128(precision, _) if self.wide == self.output => {
                let checked = wide.as_primitive::<Decimal128Type>().validate_decimal_precision(precision);
                checked.map(|()| wide.clone()).map_err(|_| self.overflow())
            }
            DataType::Decimal256(precision, _) if self.wide == self.output => {
                let checked = wide.as_primitive::<Decimal256Type>().validate_decimal_precision(precision);
                checked.map(|()| wide.clone()).map_err(|_| self.overflow())
            }
            _ => cast(wide, &self.output),
        }
    }

    /// One value of an output.
    fn finish_one(&self, sums: &ArrayRef, count: u64) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&self.finish(sums, &[count])?, 0)
    }

    fn overflow(&self) -> DataFusionError {
        overflow(&self.output)
    }
}

#[allow(clippy::as_conversions, reason = "to the nearest float is what is wanted")]
fn ratio(sum: i128, count: u64) -> f64 {
    sum as f64 / count as f64
}

fn overflow(data_type: &DataType) -> DataFusionError {
    let data_type = crate::output::type_name(data_type);
    let detail = format!(
        "Numeric overflow: the sum does not fit into {data_type}. Add up CAST(… AS DECIMAL(38, 0)) or CAST(… AS DOUBLE)."
    );
    refused(ProblemKind::QueryFailed, detail)
}

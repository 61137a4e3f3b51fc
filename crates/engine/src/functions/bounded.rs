//! Functions that could make much out of little: what they would make is estimated from their arguments, before
//! anything is allocated, while planning (constants are folded there) as well as while running.
//!
//! The work itself is the engine's own function's: [`Bounded`] only stands in front of it.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExpressionPlacement, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};
use portico_model::problem::{Problem, ProblemKind};

use super::bounds::Bound;

/// One of the engine's functions behind a bound.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bounded {
    stock: Arc<ScalarUDF>,
    bound: Bound,
}

/// The function as it is registered: behind its bound, where it has one.
pub(crate) fn bounded(stock: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    match Bound::of(stock.name()) {
        Some(bound) if !stock.inner().is::<Bounded>() => Arc::new(ScalarUDF::from(Bounded { stock, bound })),
        _ => stock,
    }
}

/// The error of a call that is refused.
pub(super) fn refused(kind: ProblemKind, detail: impl Into<String>) -> DataFusionError {
    DataFusionError::External(Box::new(Problem::new(kind, detail)))
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.stock.name()
    }

    fn aliases(&self) -> &[String] {
        self.stock.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.stock.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.stock.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.stock.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.stock.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.stock.is_strict()
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.bound.check(self.stock.name(), &args.args, args.number_rows)?;
        if self.bound == Bound::Pad
            && let Some(length) = args.args.get_mut(1)
        {
            *length = not_negative(length);
        }
        if self.stock.name() == "make_array" {
            nulls_of_one_row(&mut args.args);
        }
        self.stock.invoke_with_args(args)
    }

    /// What the engine makes of a call may hold calls of its own functions: they are put behind their bounds, too.
    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        if !self.bound.allows_simplifying(self.stock.name(), &args)? {
            return Ok(ExprSimplifyResult::Original(args));
        }
        match self.stock.simplify(args, info)? {
            ExprSimplifyResult::Original(args) => Ok(ExprSimplifyResult::Original(args)),
            ExprSimplifyResult::Simplified(expr) => Ok(ExprSimplifyResult::Simplified(all_bounded(expr)?)),
        }
    }

    fn preimage(&self, args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        self.stock.preimage(args, literal, info)
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.stock.conditional_arguments(args)
    }

    fn short_circuits(&self) -> bool {
        self.stock.short_circuits()
    }

    fn evaluate_bounds(&self, input: &[&Interval]) -> Result<Interval> {
        self.stock.evaluate_bounds(input)
    }

    fn propagate_constraints(&self, interval: &Interval, inputs: &[&Interval]) -> Result<Option<Vec<Interval>>> {
        self.stock.propagate_constraints(interval, inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.stock.output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.stock.preserves_lex_ordering(inputs)
    }

    fn strictly_order_preserving(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.stock.strictly_order_preserving(inputs)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.stock.coerce_types(arg_types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.stock.placement(args)
    }
}

/// Lengths, the negative ones as the 0 that they count as: the engine adds up those of a batch for the room that it
/// takes, and panics when the sum is negative.
fn not_negative(lengths: &ColumnarValue) -> ColumnarValue {
    match lengths {
        ColumnarValue::Array(array) => match array.as_primitive_opt::<Int64Type>() {
            Some(lengths) => ColumnarValue::Array(Arc::new(lengths.unary::<_, Int64Type>(|length| length.max(0)))),
            None => lengths.clone(),
        },
        ColumnarValue::Scalar(ScalarValue::Int64(Some(length))) => ColumnarValue::Scalar((*length).max(0).into()),
        ColumnarValue::Scalar(_) => lengths.clone(),
    }
}

/// A null of any row for columns that are nothing but nulls, where all are: the engine makes one list of all their rows.
fn nulls_of_one_row(args: &mut [ColumnarValue]) {
    if args.iter().all(|value| value.data_type().is_null()) {
        args.fill(ColumnarValue::Scalar(ScalarValue::Null));
    }
}

fn all_bounded(expr: Expr) -> Result<Expr> {
    let transformed = expr.transform_up(|expr| match expr {
        Expr::ScalarFunction(mut call) => {
            call.func = bounded(call.func);
            Ok(Transformed::yes(Expr::ScalarFunction(call)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(transformed.data)
}

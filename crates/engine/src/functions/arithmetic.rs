//! Operators that could give a wrong number or a value without end: `+ - *` and the sign on integers, which the engine
//! lets wrap around, `+ - *` on the widest decimals, whose digits it does not count, and `||`.
//!
//! A chain, `a + b - c`, is one call of many operands: planning looks into a call for every call around it, and a tree
//! as deep as a long chain would take it minutes.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::kernels::concat_elements::concat_elements_dyn;
use arrow::compute::kernels::numeric::{add, mul, neg, sub};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;
use portico_model::problem::ProblemKind;

use super::bounded::refused;
use super::bounds::sum;
use super::sizes::Argument;

/// What is calculated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Plus,
    Minus,
    Multiply,
    Negate,
    Concat,
}

/// Operators that fail where the engine's own would go wrong, from left to right. They are in no registry: plans are
/// rewritten to them.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Checked {
    /// One fewer than operands; for the sign the only one.
    operations: Vec<Operation>,
    data_type: DataType,
    signature: Signature,
}

impl Checked {
    /// The sign of an operand of this type.
    pub(crate) fn sign(data_type: DataType, operand: Expr) -> Expr {
        Self { operations: vec![Operation::Negate], data_type, signature: any(1) }.call(vec![operand])
    }

    /// The operator between operands that have, with the result, this type. A chain on the left is continued.
    pub(crate) fn between(operation: Operation, data_type: DataType, left: Expr, right: Expr) -> Expr {
        let mut operations = Vec::new();
        let mut operands = Vec::new();
        match left {
            Expr::ScalarFunction(call) => match call.func.inner().downcast_ref::<Self>() {
                Some(chain) if chain.continues_with(operation, &data_type) => {
                    operations.clone_from(&chain.operations);
                    operands = call.args;
                }
                _ => operands.push(Expr::ScalarFunction(call)),
            },
            other => operands.push(other),
        }
        operations.push(operation);
        operands.push(right);
        Self { operations, data_type, signature: any(operands.len()) }.call(operands)
    }

    fn call(self, args: Vec<Expr>) -> Expr {
        Expr::ScalarFunction(ScalarFunction { func: Arc::new(ScalarUDF::from(self)), args })
    }

    fn continues_with(&self, operation: Operation, data_type: &DataType) -> bool {
        let joins = operation == Operation::Concat;
        let same = |known: &Operation| *known != Operation::Negate && (*known == Operation::Concat) == joins;
        self.data_type == *data_type && self.operations.iter().all(same)
    }

    /// Which of them stands for an operator of the engine.
    pub(crate) fn operation(operator: Operator) -> Option<Operation> {
        match operator {
            Operator::Plus => Some(Operation::Plus),
            Operator::Minus => Some(Operation::Minus),
            Operator::Multiply => Some(Operation::Multiply),
            Operator::StringConcat => Some(Operation::Concat),
            _ => None,
        }
    }

    /// The type of its result.
    pub(crate) fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Whether the result may leave its type: not that of one sum of two numbers of 32 bits in 64.
    pub(super) fn can_fail(&self, args: &[Expr], schema: &DFSchema) -> bool {
        let small = |arg: &Expr| match arg {
            Expr::Literal(ScalarValue::Int64(value), _) => value.is_none_or(|value| i32::try_from(value).is_ok()),
            Expr::Cast(cast) => matches!(
                cast.expr.get_type(schema),
                Ok(DataType::Date32 | DataType::Int8 | DataType::Int16 | DataType::Int32)
            ),
            _ => false,
        };
        match self.operations.as_slice() {
            [Operation::Plus | Operation::Minus | Operation::Multiply] => {
                self.data_type != DataType::Int64 || !args.iter().all(small)
            }
            operations => !operations.iter().all(|operation| *operation == Operation::Concat),
        }
    }

    fn calculated(&self, args: &[ColumnarValue]) -> Result<ColumnarValue> {
        let [first, rest @ ..] = args else { return Err(operands()) };
        let mut result = first.clone();
        for (operation, operand) in self.operations.iter().zip(rest) {
            result = match operation {
                Operation::Plus => apply(&result, operand, add)?,
                Operation::Minus => apply(&result, operand, sub)?,
                Operation::Multiply => apply(&result, operand, mul)?,
                Operation::Negate | Operation::Concat => return Err(operands()),
            };
            check_digits(&result)?;
        }
        Ok(result)
    }

    fn joined(&self, args: &[ColumnarValue], rows: usize) -> Result<ColumnarValue> {
        let constant = args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { rows };
        let arguments = args.iter().map(Argument::of).collect::<Result<Vec<_>>>()?;
        sum(self.name(), &arguments, rows)?;
        let [first, rest @ ..] = args else { return Err(operands()) };
        let mut joined = first.to_array(rows)?;
        for operand in rest {
            joined = concat_elements_dyn(&joined, &operand.to_array(rows)?)?;
        }
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&joined, 0)?));
        }
        Ok(ColumnarValue::Array(joined))
    }
}

/// Refuses decimals with more digits than their type has: there is room for some in memory, and as text they lose one.
fn check_digits(result: &ColumnarValue) -> Result<()> {
    let array = match result.data_type() {
        DataType::Decimal128(..) | DataType::Decimal256(..) => result.to_array(1)?,
        _ => return Ok(()),
    };
    let checked = match array.data_type() {
        DataType::Decimal128(precision, _) => {
            array.as_primitive::<Decimal128Type>().validate_decimal_precision(*precision)
        }
        DataType::Decimal256(precision, _) => {
            array.as_primitive::<Decimal256Type>().validate_decimal_precision(*precision)
        }
        _ => Ok(()),
    };
    checked.map_err(|_| {
        let data_type = crate::output::type_name(array.data_type());
        let detail =
            format!("Numeric overflow: a result does not fit into {data_type}. Calculate with CAST(… AS DOUBLE).");
        refused(ProblemKind::QueryFailed, detail)
    })
}

fn any(operands: usize) -> Signature {
    Signature::any(operands, Volatility::Immutable)
}

fn negated(operand: &ColumnarValue) -> Result<ColumnarValue> {
    match operand {
        ColumnarValue::Array(array) => Ok(ColumnarValue::Array(neg(array)?)),
        ColumnarValue::Scalar(scalar) => {
            let negated = neg(&scalar.to_array_of_size(1)?)?;
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&negated, 0)?))
        }
    }
}

impl Operation {
    fn sign(self) -> &'static str {
        match self {
            Self::Plus => "+",
            Self::Minus | Self::Negate => "-",
            Self::Multiply => "*",
            Self::Concat => "||",
        }
    }
}

impl ScalarUDFImpl for Checked {
    /// The operator, or for a chain of several what they have in common.
    fn name(&self) -> &str {
        match self.operations.as_slice() {
            [first, rest @ ..] if rest.iter().all(|other| other == first) => first.sign(),
            _ => "+-*",
        }
    }

    /// The name that the engine's own operators give a column.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [first, rest @ ..] = args else { return Err(operands()) };
        if self.operations == [Operation::Negate] {
            return Ok(format!("(- {})", first.schema_name()));
        }
        let mut name = first.schema_name().to_string();
        for (operation, operand) in self.operations.iter().zip(rest) {
            name.push_str(&format!(" {} {}", operation.sign(), operand.schema_name()));
        }
        Ok(name)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    /// Null where an operand is null.
    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match (self.operations.first(), args.args.as_slice()) {
            (Some(Operation::Negate), [operand]) => negated(operand),
            (Some(Operation::Concat), operands) => self.joined(operands, args.number_rows),
            (_, operands) => self.calculated(operands),
        }
    }

    /// What does not wrap around keeps the order of its operands.
    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        let [first, rest @ ..] = inputs else { return Ok(SortProperties::Unordered) };
        if self.operations == [Operation::Negate] {
            return Ok(-first.sort_properties);
        }
        let mut order = first.sort_properties;
        for (operation, operand) in self.operations.iter().zip(rest) {
            order = match operation {
                Operation::Plus => order.add(&operand.sort_properties),
                Operation::Minus => order.sub(&operand.sort_properties),
                Operation::Multiply | Operation::Negate | Operation::Concat => SortProperties::Unordered,
            };
        }
        Ok(order)
    }
}

fn operands() -> DataFusionError {
    DataFusionError::Internal("an operator has the wrong number of operands".to_owned())
}

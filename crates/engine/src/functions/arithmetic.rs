//! Operators that could give a wrong number or a value without end: `+ - *` and the sign on integers, which the engine
//! lets wrap around, and `||`.

use arrow::compute::kernels::concat_elements::concat_elements_dyn;
use arrow::compute::kernels::numeric::{add, mul, neg, sub};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;

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

/// An operator that fails where the engine's own would go wrong. It is in no registry: plans are rewritten to it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Checked {
    operation: Operation,
    data_type: DataType,
    signature: Signature,
}

impl Checked {
    /// The operator for operands and a result of this type.
    pub(crate) fn function(operation: Operation, data_type: DataType) -> ScalarUDF {
        let operands = if operation == Operation::Negate { 1 } else { 2 };
        let signature = Signature::any(operands, Volatility::Immutable);
        ScalarUDF::from(Self { operation, data_type, signature })
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

    fn negated(&self, operand: &ColumnarValue) -> Result<ColumnarValue> {
        match operand {
            ColumnarValue::Array(array) => Ok(ColumnarValue::Array(neg(array)?)),
            ColumnarValue::Scalar(scalar) => {
                let negated = neg(&scalar.to_array_of_size(1)?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&negated, 0)?))
            }
        }
    }

    fn joined(&self, args: &[ColumnarValue], rows: usize) -> Result<ColumnarValue> {
        let constant = args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { rows };
        let arguments = args.iter().map(Argument::of).collect::<Result<Vec<_>>>()?;
        sum(self.name(), &arguments, rows)?;
        let [left, right] = args else { return Err(operands()) };
        let joined = concat_elements_dyn(&left.to_array(rows)?, &right.to_array(rows)?)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&joined, 0)?));
        }
        Ok(ColumnarValue::Array(joined))
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Plus => "+",
            Operation::Minus | Operation::Negate => "-",
            Operation::Multiply => "*",
            Operation::Concat => "||",
        }
    }

    /// The name that the engine's own operator gives a column.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [left, right] => Ok(format!("{} {} {}", left.schema_name(), self.name(), right.schema_name())),
            [operand] => Ok(format!("({} {})", self.name(), operand.schema_name())),
            _ => Err(operands()),
        }
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
        match (self.operation, args.args.as_slice()) {
            (Operation::Plus, [left, right]) => apply(left, right, add),
            (Operation::Minus, [left, right]) => apply(left, right, sub),
            (Operation::Multiply, [left, right]) => apply(left, right, mul),
            (Operation::Negate, [operand]) => self.negated(operand),
            (Operation::Concat, operands) => self.joined(operands, args.number_rows),
            _ => Err(operands()),
        }
    }

    /// What does not wrap around keeps the order of its operands.
    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        Ok(match (self.operation, inputs) {
            (Operation::Plus, [left, right]) => left.sort_properties.add(&right.sort_properties),
            (Operation::Minus, [left, right]) => left.sort_properties.sub(&right.sort_properties),
            (Operation::Negate, [operand]) => -operand.sort_properties,
            _ => SortProperties::Unordered,
        })
    }
}

fn operands() -> DataFusionError {
    DataFusionError::Internal("an operator has the wrong number of operands".to_owned())
}

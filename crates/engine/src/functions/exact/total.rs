//! One sum: of a whole table, of a group where groups are few, of a window.

use std::marker::PhantomData;
use std::mem::size_of_val;

use arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, AsArray, PrimitiveArray};
use arrow::datatypes::{ArrowPrimitiveType, UInt64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::Accumulator;

use super::Types;

/// The sum so far and how many values it is of.
#[derive(Debug)]
pub(super) struct Total<T: ArrowPrimitiveType, A: ArrowPrimitiveType> {
    sum: A::Native,
    count: u64,
    types: Types,
    input: PhantomData<T>,
}

impl<T: ArrowPrimitiveType, A: ArrowPrimitiveType> Total<T, A>
where
    T::Native: Into<A::Native>,
{
    pub(super) fn new(types: Types) -> Self {
        Self { sum: A::default_value(), count: 0, types, input: PhantomData }
    }

    fn of(&self, values: &[ArrayRef]) -> Result<(A::Native, u64)> {
        let Some(values) = values.first().and_then(|values| values.as_primitive_opt::<T>()) else {
            return Ok((A::default_value(), 0));
        };
        let count = values.len() - values.null_count();
        let sum = added::<T, A>(values).ok_or_else(|| self.types.overflow())?;
        Ok((sum, u64::try_from(count).unwrap_or(u64::MAX)))
    }

    fn sums(&self) -> ArrayRef {
        let sum = (self.count > 0).then_some(self.sum);
        self.types.sums(PrimitiveArray::<A>::from_iter([sum]))
    }
}

/// All values together; `None` when they leave the wide type.
fn added<T: ArrowPrimitiveType, A: ArrowPrimitiveType>(values: &PrimitiveArray<T>) -> Option<A::Native>
where
    T::Native: Into<A::Native>,
{
    let add = |sum: A::Native, value: T::Native| sum.add_checked(value.into()).ok();
    if values.null_count() == 0 {
        values.values().iter().copied().try_fold(A::default_value(), add)
    } else {
        values.iter().flatten().try_fold(A::default_value(), add)
    }
}

impl<T, A> Accumulator for Total<T, A>
where
    T: ArrowPrimitiveType + std::fmt::Debug + Send + Sync,
    A: ArrowPrimitiveType + std::fmt::Debug + Send + Sync,
    T::Native: Into<A::Native>,
{
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (sum, count) = self.of(values)?;
        self.sum = self.sum.add_checked(sum).map_err(|_| self.types.overflow())?;
        self.count += count;
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (sum, count) = self.of(values)?;
        self.sum = self.sum.sub_checked(sum).map_err(|_| self.types.overflow())?;
        self.count = self.count.saturating_sub(count);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(sums) = states.first().map(|sums| sums.as_primitive::<A>()) else { return Ok(()) };
        let sum = added::<A, A>(sums).ok_or_else(|| self.types.overflow())?;
        self.sum = self.sum.add_checked(sum).map_err(|_| self.types.overflow())?;
        self.count += match states.get(1) {
            Some(counts) => counts.as_primitive::<UInt64Type>().iter().flatten().sum::<u64>(),
            None => u64::try_from(sums.len() - sums.null_count()).unwrap_or(u64::MAX),
        };
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let mut state = vec![ScalarValue::try_from_array(&self.sums(), 0)?];
        if self.types.averages {
            state.push(ScalarValue::UInt64(Some(self.count)));
        }
        Ok(state)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.types.finish_one(&self.sums(), self.count)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

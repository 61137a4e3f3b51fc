//! The sum or average of the different values.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem::{size_of, size_of_val};
use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowNativeTypeOp, AsArray, PrimitiveArray};
use arrow::datatypes::ArrowPrimitiveType;
use datafusion::common::ScalarValue;
use datafusion::common::hash_utils::RandomState;
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::error::Result;
use datafusion::logical_expr::Accumulator;

use super::Types;

/// Each value with how often it is in the window, and the sum of the values.
#[derive(Debug)]
pub(super) struct Distinct<T: ArrowPrimitiveType, A: ArrowPrimitiveType> {
    counts: HashMap<T::Native, u64, RandomState>,
    sum: A::Native,
    types: Types,
}

impl<T: ArrowPrimitiveType, A: ArrowPrimitiveType> Distinct<T, A>
where
    T::Native: Into<A::Native> + Hash + Eq,
{
    pub(super) fn new(types: Types) -> Self {
        Self { counts: HashMap::default(), sum: A::default_value(), types }
    }

    fn add(&mut self, values: &PrimitiveArray<T>) -> Result<()> {
        for value in values.iter().flatten() {
            let count = self.counts.entry(value).or_insert(0);
            if *count == 0 {
                self.sum = self.sum.add_checked(value.into()).map_err(|_| self.types.overflow())?;
            }
            *count += 1;
        }
        Ok(())
    }
}

impl<T, A> Accumulator for Distinct<T, A>
where
    T: ArrowPrimitiveType + std::fmt::Debug + Send + Sync,
    A: ArrowPrimitiveType + std::fmt::Debug + Send + Sync,
    T::Native: Into<A::Native> + Hash + Eq,
{
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        match values.first() {
            Some(values) => self.add(values.as_primitive::<T>()),
            None => Ok(()),
        }
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        for value in values.as_primitive::<T>().iter().flatten() {
            let Some(count) = self.counts.get_mut(&value) else { continue };
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&value);
                self.sum = self.sum.sub_checked(value.into()).map_err(|_| self.types.overflow())?;
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(lists) = states.first() else { return Ok(()) };
        for list in lists.as_list::<i32>().iter().flatten() {
            self.add(list.as_primitive::<T>())?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = PrimitiveArray::<T>::from_iter_values(self.counts.keys().copied());
        let values = Arc::new(values.with_data_type(self.types.input.clone()));
        Ok(vec![SingleRowListArrayBuilder::new(values).build_list_scalar()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = (!self.counts.is_empty()).then_some(self.sum);
        let sums = self.types.sums(PrimitiveArray::<A>::from_iter([sum]));
        self.types.finish_one(&sums, u64::try_from(self.counts.len()).unwrap_or(u64::MAX))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.counts.capacity() * (size_of::<T::Native>() + size_of::<u64>() + 1)
    }
}

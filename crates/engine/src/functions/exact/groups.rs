//! The sums of many groups at once.

use std::marker::PhantomData;
use std::mem::size_of;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, AsArray, BooleanArray, PrimitiveArray, UInt64Array};
use arrow::datatypes::{ArrowPrimitiveType, UInt64Type};
use datafusion::error::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::accumulate::NullState;
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::nulls::{filtered_null_mask, set_nulls};

use super::Types;

/// A sum for each group, and for averages a count.
pub(super) struct Groups<T: ArrowPrimitiveType, A: ArrowPrimitiveType> {
    sums: Vec<A::Native>,
    counts: Vec<u64>,
    nulls: NullState,
    types: Types,
    input: PhantomData<T>,
}

impl<T: ArrowPrimitiveType, A: ArrowPrimitiveType> Groups<T, A>
where
    T::Native: Into<A::Native>,
{
    pub(super) fn new(types: Types) -> Self {
        Self { sums: Vec::new(), counts: Vec::new(), nulls: NullState::new(), types, input: PhantomData }
    }

    /// Adds values of the input's type or of the wide one.
    fn add<V: ArrowPrimitiveType + Send>(
        &mut self,
        values: &PrimitiveArray<V>,
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()>
    where
        V::Native: Into<A::Native>,
    {
        self.sums.resize(total, A::default_value());
        let sums = &mut self.sums;
        let mut overflown = false;
        self.nulls.accumulate(groups, values, filter, total, |group, value| {
            if let Some(sum) = sums.get_mut(group) {
                match sum.add_checked(value.into()) {
                    Ok(more) => *sum = more,
                    Err(_) => overflown = true,
                }
            }
        });
        if overflown { Err(self.types.overflow()) } else { Ok(()) }
    }

    fn take(&mut self, emit_to: EmitTo) -> (ArrayRef, Vec<u64>) {
        let sums = emit_to.take_needed(&mut self.sums);
        let counts = if self.types.averages { emit_to.take_needed(&mut self.counts) } else { Vec::new() };
        let sums = PrimitiveArray::<A>::new(sums.into(), self.nulls.build(emit_to));
        (self.types.sums(sums), counts)
    }
}

impl<T, A> GroupsAccumulator for Groups<T, A>
where
    T: ArrowPrimitiveType + Send,
    A: ArrowPrimitiveType + Send,
    T::Native: Into<A::Native>,
{
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        let values = values.as_primitive::<T>();
        if self.types.averages {
            self.counts.resize(total, 0);
            let counted = |row: usize| {
                values.is_valid(row) && filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
            };
            let all = filter.is_none() && values.null_count() == 0;
            for (row, group) in groups.iter().enumerate() {
                if let Some(count) = self.counts.get_mut(*group) {
                    *count += u64::from(all || counted(row));
                }
            }
        }
        self.add(values, groups, filter, total)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        let Some(sums) = states.first() else { return Ok(()) };
        if let Some(counts) = states.get(1) {
            self.counts.resize(total, 0);
            for (group, more) in groups.iter().zip(counts.as_primitive::<UInt64Type>().iter()) {
                if let Some(count) = self.counts.get_mut(*group) {
                    *count += more.unwrap_or(0);
                }
            }
        }
        self.add(sums.as_primitive::<A>(), groups, None, total)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (sums, counts) = self.take(emit_to);
        self.types.finish(&sums, &counts)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (sums, counts) = self.take(emit_to);
        if self.types.averages { Ok(vec![sums, Arc::new(UInt64Array::from(counts))]) } else { Ok(vec![sums]) }
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let Some(values) = values.first() else { return Ok(Vec::new()) };
        let sums = values.as_primitive::<T>().unary::<_, A>(Into::into);
        let nulls = filtered_null_mask(filter, &sums);
        let sums = self.types.sums(set_nulls(sums, nulls));
        if !self.types.averages {
            return Ok(vec![sums]);
        }
        let counts = (0..sums.len()).map(|row| u64::from(sums.is_valid(row)));
        let counts = Arc::new(UInt64Array::from_iter_values(counts));
        Ok(vec![sums, counts])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<A::Native>() + self.counts.capacity() * size_of::<u64>() + self.nulls.size()
    }
}

//! Floats over a frame that moves: sums, averages, variances and what is made of them.
//!
//! The engine takes what leaves a frame off its sum. Of floats that leaves the error of the largest of them, and once
//! one was infinite there is no number any more. Here nothing is taken off: the older rows of a frame have their totals
//! ready, each with all that come after it, and what has come since is added to them. Each row is added twice at most.

use std::fmt;
use std::mem::size_of;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::concat;
use arrow::datatypes::{FieldRef, Schema};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

/// Rows of which each has a total ready.
const CHUNK_ROWS: usize = 1_024;

/// What an accumulator knows, to be merged into another.
type State = Vec<ScalarValue>;
/// Arguments of some rows.
type Rows = Vec<ArrayRef>;

/// What makes accumulators of one call.
struct Call {
    function: Arc<AggregateUDF>,
    return_field: FieldRef,
    schema: Schema,
    ignore_nulls: bool,
    order_bys: Vec<PhysicalSortExpr>,
    is_reversed: bool,
    name: String,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    expr_fields: Vec<FieldRef>,
}

/// The accumulator, of rows from the oldest in the frame to the newest: `front`, `chunks` from the last to the first,
/// `back`, `recent`.
pub(super) struct Sliding {
    call: Call,
    /// From each row of the oldest chunk to the end of all chunks; the last is that of the oldest row.
    front: Vec<State>,
    /// With what comes after each, up to the end of all chunks; the last is the oldest.
    chunks: Vec<(Rows, State)>,
    /// Chunks that have come since.
    back: Vec<Rows>,
    /// Rows that are no chunk yet, and how many.
    recent: Vec<Rows>,
    recent_rows: usize,
    /// Of all that has come since.
    total: Box<dyn Accumulator>,
}

impl Sliding {
    pub(super) fn new(function: &Arc<AggregateUDF>, args: &AccumulatorArgs) -> Result<Self> {
        let call = Call {
            function: function.clone(),
            return_field: args.return_field.clone(),
            schema: args.schema.clone(),
            ignore_nulls: args.ignore_nulls,
            order_bys: args.order_bys.to_vec(),
            is_reversed: args.is_reversed,
            name: args.name.to_owned(),
            exprs: args.exprs.to_vec(),
            expr_fields: args.expr_fields.to_vec(),
        };
        let total = call.accumulator()?;
        let (front, chunks, back, recent) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Ok(Self { call, front, chunks, back, recent, recent_rows: 0, total })
    }

    /// Makes chunks of the rows that have come.
    fn gather(&mut self) -> Result<()> {
        let Some(first) = self.recent.first() else { return Ok(()) };
        let columns = (0..first.len()).map(|column| {
            let parts = self.recent.iter().filter_map(|rows| rows.get(column)).map(AsRef::as_ref).collect::<Vec<_>>();
            Ok(concat(&parts)?)
        });
        let columns = columns.collect::<Result<Rows>>()?;
        for start in (0..self.recent_rows).step_by(CHUNK_ROWS) {
            self.back.push(slice(&columns, start, CHUNK_ROWS.min(self.recent_rows - start)));
        }
        self.recent.clear();
        self.recent_rows = 0;
        Ok(())
    }

    /// Drops the oldest row.
    fn drop_oldest(&mut self) -> Result<()> {
        if self.front.is_empty() {
            self.gather()?;
            let mut after = self.call.accumulator()?;
            for rows in self.back.drain(..).rev() {
                let state = after.state()?;
                after.update_batch(&rows)?;
                self.chunks.push((rows, state));
            }
            self.total = self.call.accumulator()?;
            self.open_oldest()?;
        }
        self.front.pop().ok_or_else(|| DataFusionError::Internal("a frame lost more rows than it had".to_owned()))?;
        if self.front.is_empty() { self.open_oldest() } else { Ok(()) }
    }

    /// Makes a total ready for each row of the oldest chunk.
    fn open_oldest(&mut self) -> Result<()> {
        let Some((rows, after)) = self.chunks.pop() else { return Ok(()) };
        let mut total = self.call.accumulator()?;
        merge(&mut total, &after)?;
        for row in (0..length(&rows)).rev() {
            total.update_batch(&slice(&rows, row, 1))?;
            self.front.push(total.state()?);
        }
        Ok(())
    }
}

impl Call {
    fn accumulator(&self) -> Result<Box<dyn Accumulator>> {
        self.function.accumulator(AccumulatorArgs {
            return_field: self.return_field.clone(),
            schema: &self.schema,
            ignore_nulls: self.ignore_nulls,
            order_bys: &self.order_bys,
            is_reversed: self.is_reversed,
            name: &self.name,
            is_distinct: false,
            exprs: &self.exprs,
            expr_fields: &self.expr_fields,
        })
    }
}

fn length(rows: &[ArrayRef]) -> usize {
    rows.first().map_or(0, |column| column.len())
}

fn slice(rows: &[ArrayRef], start: usize, length: usize) -> Rows {
    rows.iter().map(|column| column.slice(start, length)).collect()
}

fn merge(total: &mut Box<dyn Accumulator>, state: &[ScalarValue]) -> Result<()> {
    let state = state.iter().map(|part| part.to_array_of_size(1)).collect::<Result<Rows>>()?;
    total.merge_batch(&state)
}

impl Accumulator for Sliding {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if length(values) == 0 {
            return Ok(());
        }
        self.total.update_batch(values)?;
        self.recent_rows += length(values);
        self.recent.push(values.to_vec());
        if self.recent_rows >= CHUNK_ROWS { self.gather() } else { Ok(()) }
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        (0..length(values)).try_for_each(|_| self.drop_oldest())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let Some(older) = self.front.last() else { return self.total.evaluate() };
        let mut all = self.call.accumulator()?;
        merge(&mut all, older)?;
        merge(&mut all, &self.total.state()?)?;
        all.evaluate()
    }

    /// Of a frame there is no part that another could go on with.
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Err(DataFusionError::Internal("a moving frame has no state".to_owned()))
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        Err(DataFusionError::Internal("moving frames are not merged".to_owned()))
    }

    fn size(&self) -> usize {
        let rows = self.chunks.iter().map(|(rows, _)| rows).chain(&self.back).chain(&self.recent);
        let bytes = rows.flatten().map(|column| column.get_array_memory_size()).sum::<usize>();
        let states = self.front.iter().map(|state| state.len() * size_of::<ScalarValue>()).sum::<usize>();
        bytes + states + size_of::<Self>()
    }
}

impl fmt::Debug for Sliding {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("Sliding").field("call", &self.call.name).finish_non_exhaustive()
    }
}

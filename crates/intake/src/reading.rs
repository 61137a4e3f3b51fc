//! How the cells of a column become values, and the builders that hold them until a batch is full.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, BooleanBuilder, NullBufferBuilder, PrimitiveBuilder, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType,
};

use crate::cell::{Cell, narrow};
use crate::declared::Declared;
use crate::error::IntakeError;
use crate::infer::temporal::{Order, temporal};
use crate::infer::{boolean, number};

/// How cells become values: what typing has decided, or what the data dictionary says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Text,
    Integer,
    Decimal { precision: u8, scale: u8 },
    Float,
    Boolean,
    Date(Order),
    Time,
    Timestamp(Order),
    TimestampUtc(Order),
    Wkb,
    Declared(Arc<Declared>),
}

/// A value on its way into a builder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(Vec<u8>),
    Integer(i64),
    Decimal(i128),
    Float(f64),
    Boolean(bool),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970-01-01.
    Timestamp(i64),
    Wkb(Vec<u8>),
}

impl Reading {
    /// The type of the column in Arrow.
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Decimal { precision, scale } => {
                DataType::Decimal128(*precision, i8::try_from(*scale).unwrap_or(i8::MAX))
            }
            Self::Float => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Date(_) => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampUtc(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Wkb => DataType::Binary,
            Self::Declared(declared) => declared.data_type(),
        }
    }

    /// Whether the values are numbers.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::Integer | Self::Decimal { .. } | Self::Float)
    }
}

/// A column of a batch while it grows.
pub(crate) struct Building {
    reading: Reading,
    store: Store,
}

enum Store {
    Text(TextStore),
    Integer(PrimitiveBuilder<Int64Type>),
    Decimal(PrimitiveBuilder<Decimal128Type>),
    Float(PrimitiveBuilder<Float64Type>),
    Boolean(BooleanBuilder),
    Date(PrimitiveBuilder<Date32Type>),
    Time(PrimitiveBuilder<Time64MicrosecondType>),
    Timestamp(PrimitiveBuilder<TimestampMicrosecondType>),
    Binary(BinaryBuilder),
}

/// Text of a column, checked once for the whole batch instead of value by value.
struct TextStore {
    values: Vec<u8>,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Building {
    /// An empty column with room for `rows` values.
    pub(crate) fn new(reading: &Reading, rows: usize) -> Self {
        let store = match reading.data_type() {
            DataType::Int64 => Store::Integer(PrimitiveBuilder::with_capacity(rows)),
            DataType::Decimal128(precision, scale) => Store::Decimal(
                PrimitiveBuilder::with_capacity(rows).with_data_type(DataType::Decimal128(precision, scale)),
            ),
            DataType::Float64 => Store::Float(PrimitiveBuilder::with_capacity(rows)),
            DataType::Boolean => Store::Boolean(BooleanBuilder::with_capacity(rows)),
            DataType::Date32 => Store::Date(PrimitiveBuilder::with_capacity(rows)),
            DataType::Time64(_) => Store::Time(PrimitiveBuilder::with_capacity(rows)),
            data_type @ DataType::Timestamp(..) => {
                Store::Timestamp(PrimitiveBuilder::with_capacity(rows).with_data_type(data_type))
            }
            DataType::Binary => Store::Binary(BinaryBuilder::new()),
            _ => Store::Text(TextStore::new(rows)),
        };
        Self { reading: reading.clone(), store }
    }

    /// Adds null.
    pub(crate) fn push_null(&mut self) {
        match &mut self.store {
            Store::Text(store) => store.push(None),
            Store::Integer(store) => store.append_null(),
            Store::Decimal(store) => store.append_null(),
            Store::Float(store) => store.append_null(),
            Store::Boolean(store) => store.append_null(),
            Store::Date(store) => store.append_null(),
            Store::Time(store) => store.append_null(),
            Store::Timestamp(store) => store.append_null(),
            Store::Binary(store) => store.append_null(),
        }
    }

    /// Adds a cell that is not null.
    ///
    /// # Errors
    /// [`IntakeError::Changed`] when the cell does not fit the type that the same cells had in the first pass.
    pub(crate) fn push(&mut self, cell: Cell<'_>) -> Result<(), IntakeError> {
        let bytes = cell.bytes;
        match (&self.reading, &mut self.store) {
            (Reading::Text, Store::Text(store)) => store.push(Some(bytes)),
            (Reading::Integer, Store::Integer(store)) => store.append_value(same(number::integer(bytes))?),
            (Reading::Decimal { precision, scale }, Store::Decimal(store)) => {
                store.append_value(same(number::scaled(bytes, *precision, *scale))?);
            }
            (Reading::Float, Store::Float(store)) => store.append_value(same(number::float(bytes))?),
            (Reading::Boolean, Store::Boolean(store)) => store.append_value(same(boolean(bytes))?),
            (Reading::Date(order), Store::Date(store)) => {
                store.append_value(same(temporal(bytes).and_then(|value| value.days(*order)))?);
            }
            (Reading::Time, Store::Time(store)) => store.append_value(same(temporal(bytes))?.time_us),
            (Reading::Timestamp(order) | Reading::TimestampUtc(order), Store::Timestamp(store)) => {
                store.append_value(same(temporal(bytes).and_then(|value| value.moment_us(*order)))?);
            }
            (Reading::Wkb, Store::Binary(store)) => store.append_value(bytes),
            (Reading::Declared(declared), _) => {
                let value = Arc::clone(declared).value(cell);
                self.push_value(value);
            }
            _ => return Err(IntakeError::Changed),
        }
        Ok(())
    }

    /// Adds a value of the declared type; `None`, and what is of another type, becomes null.
    fn push_value(&mut self, value: Option<Value>) {
        match (value, &mut self.store) {
            (Some(Value::Text(value)), Store::Text(store)) => store.push(Some(&value)),
            (Some(Value::Integer(value)), Store::Integer(store)) => store.append_value(value),
            (Some(Value::Decimal(value)), Store::Decimal(store)) => store.append_value(value),
            (Some(Value::Float(value)), Store::Float(store)) => store.append_value(value),
            (Some(Value::Boolean(value)), Store::Boolean(store)) => store.append_value(value),
            (Some(Value::Date(value)), Store::Date(store)) => store.append_value(value),
            (Some(Value::Time(value)), Store::Time(store)) => store.append_value(value),
            (Some(Value::Timestamp(value)), Store::Timestamp(store)) => store.append_value(value),
            (Some(Value::Wkb(value)), Store::Binary(store)) => store.append_value(value),
            _ => self.push_null(),
        }
    }

    /// The array of all values so far; the column is empty again.
    pub(crate) fn finish(&mut self, rows: usize) -> Result<ArrayRef, IntakeError> {
        Ok(match &mut self.store {
            Store::Text(store) => Arc::new(std::mem::replace(store, TextStore::new(rows)).finish()?),
            Store::Integer(store) => Arc::new(store.finish()),
            Store::Decimal(store) => Arc::new(store.finish()),
            Store::Float(store) => Arc::new(store.finish()),
            Store::Boolean(store) => Arc::new(store.finish()),
            Store::Date(store) => Arc::new(store.finish()),
            Store::Time(store) => Arc::new(store.finish()),
            Store::Timestamp(store) => Arc::new(store.finish()),
            Store::Binary(store) => Arc::new(store.finish()),
        })
    }
}

fn same<T>(value: Option<T>) -> Result<T, IntakeError> {
    value.ok_or(IntakeError::Changed)
}

impl TextStore {
    fn new(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { values: Vec::with_capacity(rows * 8), offsets, nulls: NullBufferBuilder::new(rows) }
    }

    fn push(&mut self, value: Option<&[u8]>) {
        self.values.extend_from_slice(value.unwrap_or_default());
        // Batches are closed long before 2 GiB; see `survey`.
        self.offsets.push(i32::try_from(self.values.len()).unwrap_or(i32::MAX));
        self.nulls.append(value.is_some());
    }

    fn finish(mut self) -> Result<StringArray, IntakeError> {
        let length = narrow(u64::try_from(self.offsets.last().copied().unwrap_or(0)).unwrap_or(0));
        if length != self.values.len() {
            return Err(IntakeError::Changed);
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        StringArray::try_new(offsets, Buffer::from_vec(self.values), self.nulls.finish())
            .map_err(|_| IntakeError::Encoding { encoding: "UTF-8" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::Kind;
    use arrow::array::{Array, AsArray};

    #[test]
    fn cells_become_values() {
        let check = |reading: Reading, text: &str, expect: &str| {
            let mut building = Building::new(&reading, 2);
            building.push(Cell { bytes: text.as_bytes(), kind: Kind::Bare }).unwrap();
            building.push_null();
            let array = building.finish(2).unwrap();
            assert_eq!(array.data_type(), &reading.data_type());
            assert!(array.is_null(1));
            let shown = arrow::util::display::array_value_to_string(&array, 0).unwrap();
            assert_eq!(shown, expect, "{reading:?}");
        };
        check(Reading::Text, "é", "é");
        check(Reading::Integer, "-5", "-5");
        check(Reading::Decimal { precision: 5, scale: 2 }, "1.5", "1.50");
        check(Reading::Float, "1e3", "1000.0");
        check(Reading::Boolean, "TRUE", "true");
        check(Reading::Date(Order::DayFirst), "3/2/2020", "2020-02-03");
        check(Reading::Time, "5:06", "05:06:00");
        check(Reading::Timestamp(Order::MonthFirst), "2020-01-02 03:04:05", "2020-01-02T03:04:05");
        check(Reading::TimestampUtc(Order::MonthFirst), "2020-01-02T03:04:05-01:00", "2020-01-02T04:04:05Z");
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        let mut building = Building::new(&Reading::Text, 1);
        building.push(Cell { bytes: b"\xFF", kind: Kind::Bare }).unwrap();
        assert!(matches!(building.finish(0), Err(IntakeError::Encoding { .. })));
    }

    #[test]
    fn what_does_not_fit_says_that_the_file_changed() {
        let mut building = Building::new(&Reading::Integer, 1);
        let pushed = building.push(Cell { bytes: b"x", kind: Kind::Bare });
        assert!(matches!(pushed, Err(IntakeError::Changed)));
        assert_eq!(building.finish(0).unwrap().as_primitive::<Int64Type>().len(), 0);
    }
}

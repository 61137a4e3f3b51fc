//! How large the values of an argument are, row by row, without building anything.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;

/// Bytes that a value takes at least: its place in a list, a view or a run of offsets.
pub(super) const PLACE_BYTES: u64 = 8;
/// Bytes of a number, date or boolean when it is written as text: a float of the largest magnitude has 309 digits.
const FLOAT_TEXT_BYTES: u64 = 330;
const OTHER_TEXT_BYTES: u64 = 80;

/// One argument: the same value for every row, or one for each.
pub(super) struct Argument(ArrayRef);

impl Argument {
    /// The argument as an array of one row or of all.
    pub(super) fn of(value: &ColumnarValue) -> Result<Self> {
        Ok(Self(match value {
            ColumnarValue::Array(array) => array.clone(),
            ColumnarValue::Scalar(scalar) => scalar.to_array_of_size(1)?,
        }))
    }

    fn row(&self, row: usize) -> Option<usize> {
        let row = if self.0.len() == 1 { 0 } else { row };
        (row < self.0.len() && self.0.is_valid(row)).then_some(row)
    }

    /// The text of a row; empty for null and for what is not text.
    pub(super) fn text(&self, row: usize) -> &str {
        let Some(row) = self.row(row) else { return "" };
        match self.0.data_type() {
            DataType::Utf8 => self.0.as_string::<i32>().value(row),
            DataType::LargeUtf8 => self.0.as_string::<i64>().value(row),
            DataType::Utf8View => self.0.as_string_view().value(row),
            _ => "",
        }
    }

    /// A row as a 64-bit integer, 0 for null and for what is not one.
    pub(super) fn integer(&self, row: usize) -> i64 {
        match (self.0.data_type(), self.row(row)) {
            (DataType::Int64, Some(row)) => self.0.as_primitive::<Int64Type>().value(row),
            _ => 0,
        }
    }

    /// A row as a count: negative numbers count as 0.
    pub(super) fn count(&self, row: usize) -> u64 {
        u64::try_from(self.integer(row)).unwrap_or(0)
    }

    /// The bytes of every row's value.
    pub(super) fn bytes(&self) -> Rows {
        Rows(bytes_of(&self.0))
    }

    /// The elements of every row's list; 0 where there is none.
    pub(super) fn elements(&self) -> Rows {
        Rows((0..self.0.len()).map(|row| list(&self.0, row).map_or(0, |list| wide(list.len()))).collect())
    }

    /// The bytes of a row's list when its elements are written as text, each with `more` bytes around it.
    pub(super) fn joined_bytes(&self, row: usize, more: u64) -> u64 {
        let row = if self.0.len() == 1 { 0 } else { row };
        list(&self.0, row).map_or(0, |elements| joined_bytes_of(&elements, more))
    }

    /// The type of the elements of a list; `None` for what is none.
    pub(super) fn element_type(&self) -> Option<&DataType> {
        match self.0.data_type() {
            DataType::List(field)
            | DataType::LargeList(field)
            | DataType::FixedSizeList(field, _)
            | DataType::ListView(field)
            | DataType::LargeListView(field) => Some(field.data_type()),
            _ => None,
        }
    }

    /// The array itself.
    pub(super) fn array(&self) -> &ArrayRef {
        &self.0
    }
}

/// A figure for every row, or one for all.
pub(super) struct Rows(Vec<u64>);

impl Rows {
    /// The figure of a row.
    pub(super) fn at(&self, row: usize) -> u64 {
        let row = if self.0.len() == 1 { 0 } else { row };
        self.0.get(row).copied().unwrap_or(0)
    }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// The list of a row, of any kind of list.
fn list(array: &ArrayRef, row: usize) -> Option<ArrayRef> {
    if row >= array.len() || array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::List(_) => Some(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Some(array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => Some(array.as_fixed_size_list().value(row)),
        DataType::ListView(_) => Some(array.as_list_view::<i32>().value(row)),
        DataType::LargeListView(_) => Some(array.as_list_view::<i64>().value(row)),
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            Some(std::sync::Arc::new(entries))
        }
        _ => None,
    }
}

fn bytes_of(array: &ArrayRef) -> Vec<u64> {
    let rows = 0..array.len();
    match array.data_type() {
        DataType::Utf8 => rows.map(|row| wide(array.as_string::<i32>().value(row).len())).collect(),
        DataType::LargeUtf8 => rows.map(|row| wide(array.as_string::<i64>().value(row).len())).collect(),
        DataType::Utf8View => rows.map(|row| wide(array.as_string_view().value(row).len())).collect(),
        DataType::Binary => rows.map(|row| wide(array.as_binary::<i32>().value(row).len())).collect(),
        DataType::LargeBinary => rows.map(|row| wide(array.as_binary::<i64>().value(row).len())).collect(),
        DataType::BinaryView => rows.map(|row| wide(array.as_binary_view().value(row).len())).collect(),
        DataType::Struct(_) => {
            let columns = array.as_struct().columns().iter().map(bytes_of).collect::<Vec<_>>();
            rows.map(|row| columns.iter().filter_map(|column| column.get(row)).sum()).collect()
        }
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::Map(..) => rows.map(|row| list(array, row).map_or(0, |list| list_bytes(&list))).collect(),
        other => vec![wide(other.primitive_width().unwrap_or(1)); array.len()],
    }
}

fn list_bytes(list: &ArrayRef) -> u64 {
    match list.data_type().primitive_width() {
        Some(width) => wide(list.len()).saturating_mul(wide(width)),
        None => bytes_of(list).into_iter().fold(0, |sum, bytes| sum.saturating_add(bytes.saturating_add(PLACE_BYTES))),
    }
}

fn joined_bytes_of(elements: &ArrayRef, more: u64) -> u64 {
    let each = |bytes: u64| wide(elements.len()).saturating_mul(bytes.saturating_add(more));
    match elements.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            bytes_of(elements).into_iter().fold(each(0), u64::saturating_add)
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => each(FLOAT_TEXT_BYTES),
        other if other.is_nested() => (0..elements.len())
            .filter_map(|row| list(elements, row))
            .fold(0, |sum, inner| sum.saturating_add(joined_bytes_of(&inner, more))),
        _ => each(OTHER_TEXT_BYTES),
    }
}

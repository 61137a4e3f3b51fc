//! The figures of one column, by its Arrow type.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_schema::{DataType, Field, TimeUnit};
use portico_model::profile::ColumnProfile;

use super::hash;
use super::numbers::Numbers;
use super::print::{Print, type_name};
use super::texts::Texts;

/// Gathers the figures of one column.
pub(super) struct Column {
    profile: ColumnProfile,
    /// The type that arrays are cast to first, for types that have no case of their own.
    read_as: Option<DataType>,
    values: Values,
}

enum Values {
    Whole(Numbers<i64>),
    Wide(Numbers<i128>),
    Float(Numbers<f64>),
    Text(Texts),
    Boolean {
        falses: u64,
        trues: u64,
    },
    /// Geometries and other bytes: how many, and how many different ones.
    Bytes(Texts),
}

impl Column {
    pub(super) fn new(field: &Field, bytes_max: usize) -> Self {
        let data_type = field.data_type();
        let print = Print::of(data_type);
        let mut read_as = None;
        let values = match data_type {
            DataType::Boolean => Values::Boolean { falses: 0, trues: 0 },
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => whole(print, bytes_max),
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => whole(print, bytes_max),
            DataType::Date32 => whole(print, bytes_max),
            DataType::Time64(TimeUnit::Microsecond) | DataType::Timestamp(TimeUnit::Microsecond, _) => {
                whole(print, bytes_max)
            }
            DataType::Time32(_) | DataType::Time64(_) => {
                read_as = Some(DataType::Time64(TimeUnit::Microsecond));
                whole(Print::Time, bytes_max)
            }
            DataType::Timestamp(_, zone) => {
                read_as = Some(DataType::Timestamp(TimeUnit::Microsecond, zone.clone()));
                whole(print, bytes_max)
            }
            DataType::Date64 => {
                read_as = Some(DataType::Date32);
                whole(Print::Date, bytes_max)
            }
            DataType::UInt64 | DataType::Decimal128(..) => Values::Wide(Numbers::new(print, bytes_max)),
            DataType::Float32 | DataType::Float64 => Values::Float(Numbers::new(print, bytes_max)),
            DataType::Float16 => {
                read_as = Some(DataType::Float32);
                Values::Float(Numbers::new(Print::Single, bytes_max))
            }
            DataType::Utf8 => Values::Text(Texts::new(bytes_max)),
            DataType::Binary => Values::Bytes(Texts::new(bytes_max)),
            DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                read_as = Some(DataType::Binary);
                Values::Bytes(Texts::new(bytes_max))
            }
            _ => {
                read_as = Some(DataType::Utf8);
                Values::Text(Texts::new(bytes_max))
            }
        };
        let profile =
            ColumnProfile { name: field.name().clone(), data_type: type_name(field), ..ColumnProfile::default() };
        Self { profile, read_as, values }
    }

    /// Adds an array, and the hash of each of its values to `hashes`.
    pub(super) fn push(&mut self, array: &ArrayRef, hashes: &mut Vec<u64>) {
        let other = self.read_as.as_ref().and_then(|read_as| cast(array, read_as).ok());
        let array = other.as_ref().unwrap_or(array);
        let before = hashes.len();
        self.profile.nulls += super::convert::count(array.logical_null_count());
        match &mut self.values {
            Values::Whole(numbers) => push_whole(numbers, array, hashes),
            Values::Wide(numbers) => push_wide(numbers, array, hashes),
            Values::Float(numbers) => {
                if let Some(array) = array.as_primitive_opt::<Float64Type>() {
                    numbers.push(array.iter(), hashes);
                } else if let Some(array) = array.as_primitive_opt::<Float32Type>() {
                    numbers.push(array.iter().map(|value| value.map(f64::from)), hashes);
                }
            }
            Values::Text(texts) => {
                if let Some(array) = array.as_string_opt::<i32>() {
                    texts.push(array, hashes);
                }
            }
            Values::Bytes(texts) => {
                if let Some(array) = array.as_binary_opt::<i32>() {
                    texts.push_bytes(array, hashes);
                }
            }
            Values::Boolean { falses, trues } => {
                if let Some(array) = array.as_boolean_opt() {
                    *trues += super::convert::count(array.true_count());
                    *falses += super::convert::count(array.false_count());
                    hashes.extend(array.iter().map(|value| value.map_or(hash::NULL, u64::from)));
                }
            }
        }
        // A type that could not be read counts as nothing, and rows still line up.
        hashes.resize(before + array.len(), hash::NULL);
    }

    pub(super) fn finish(self) -> ColumnProfile {
        let mut profile = self.profile;
        match self.values {
            Values::Whole(numbers) => numbers.finish(&mut profile),
            Values::Wide(numbers) => numbers.finish(&mut profile),
            Values::Float(numbers) => numbers.finish(&mut profile),
            Values::Text(texts) => texts.finish(&mut profile),
            Values::Bytes(texts) => texts.finish_bytes(&mut profile),
            Values::Boolean { falses, trues } => {
                let mut seen: Vec<(String, u64)> = [("true".to_owned(), trues), ("false".to_owned(), falses)].into();
                seen.retain(|(_, count)| *count > 0);
                profile.distinct = super::convert::count(seen.len());
                profile.distinct_exact = true;
                profile.min = seen.last().map(|(value, _)| value.clone());
                profile.max = seen.first().map(|(value, _)| value.clone());
                seen.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
                profile.top_values = seen;
            }
        }
        profile
    }
}

fn whole(print: Print, bytes_max: usize) -> Values {
    Values::Whole(Numbers::new(print, bytes_max))
}

fn push_whole(numbers: &mut Numbers<i64>, array: &ArrayRef, hashes: &mut Vec<u64>) {
    macro_rules! push {
        ($($kind:ty),*) => {
            $(if let Some(array) = array.as_primitive_opt::<$kind>() {
                return numbers.push(array.iter().map(|value| value.map(i64::from)), hashes);
            })*
        };
    }
    push!(Int64Type, TimestampMicrosecondType, Date32Type, Int32Type, Time64MicrosecondType);
    push!(Int8Type, Int16Type, UInt8Type, UInt16Type, UInt32Type);
}

fn push_wide(numbers: &mut Numbers<i128>, array: &ArrayRef, hashes: &mut Vec<u64>) {
    if let Some(array) = array.as_primitive_opt::<Decimal128Type>() {
        numbers.push(array.iter(), hashes);
    } else if let Some(array) = array.as_primitive_opt::<UInt64Type>() {
        numbers.push(array.iter().map(|value| value.map(i128::from)), hashes);
    }
}

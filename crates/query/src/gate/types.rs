//! The types that a statement may name in CAST: those the engine knows, other spellings rewritten to them.

use sqlparser::ast::{ArrayElemTypeDef, DataType, ExactNumberInfo, TimezoneInfo};

use super::fault::{Checked, invalid, quoted};

/// The precision of a timestamp that names none: that of stored columns, which spans all years. The engine's own choice,
/// nanoseconds, ends in 2262.
const MICROSECONDS: Option<u64> = Some(6);

/// Bits that a REAL does not have.
const SINGLE_BITS_BEYOND: u64 = 25;

/// Levels that an array type may nest.
const ARRAY_LEVELS_MAX: usize = 4;

/// Checks a type and rewrites spellings of other systems to the engine's own.
///
/// # Errors
/// `InvalidSql` for a type that is not served.
pub(super) fn check(data_type: &mut DataType) -> Checked {
    check_level(data_type, 0)
}

fn check_level(data_type: &mut DataType, level: usize) -> Checked {
    if let Some(other) = rewritten(data_type) {
        *data_type = other;
        return Ok(());
    }
    match data_type {
        DataType::Array(ArrayElemTypeDef::AngleBracket(inner) | ArrayElemTypeDef::SquareBracket(inner, _))
            if level < ARRAY_LEVELS_MAX =>
        {
            check_level(inner, level + 1)
        }
        DataType::Char(_)
        | DataType::Varchar(_)
        | DataType::Text
        | DataType::String(_)
        | DataType::Boolean
        | DataType::Bool
        | DataType::TinyInt(_)
        | DataType::TinyIntUnsigned(_)
        | DataType::SmallInt(_)
        | DataType::SmallIntUnsigned(_)
        | DataType::Int2(_)
        | DataType::Int2Unsigned(_)
        | DataType::Int(_)
        | DataType::IntUnsigned(_)
        | DataType::Int4(_)
        | DataType::Int4Unsigned(_)
        | DataType::Integer(_)
        | DataType::IntegerUnsigned(_)
        | DataType::BigInt(_)
        | DataType::BigIntUnsigned(_)
        | DataType::Int8(_)
        | DataType::Int8Unsigned(_)
        | DataType::Float(_)
        | DataType::Float4
        | DataType::Float8
        | DataType::Real
        | DataType::Double(_)
        | DataType::DoublePrecision
        | DataType::Numeric(_)
        | DataType::Decimal(_)
        | DataType::Date
        | DataType::Time(..)
        | DataType::Timestamp(..)
        | DataType::Interval { .. }
        | DataType::Bytea => Ok(()),
        other => Err(invalid(format!("The type {} is not served.", quoted(&other.to_string())))),
    }
}

/// The engine's spelling of a type that it knows under another name.
fn rewritten(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        DataType::Character(length) | DataType::Nvarchar(length) => DataType::Varchar(*length),
        DataType::CharacterVarying(length) | DataType::CharVarying(length) => DataType::Varchar(*length),
        DataType::Dec(exact) => DataType::Decimal(*exact),
        DataType::Int16 => DataType::SmallInt(None),
        DataType::Int32 => DataType::Int(None),
        DataType::Int64 => DataType::BigInt(None),
        DataType::Float32 => DataType::Real,
        DataType::Float64 => DataType::DoublePrecision,
        // Bits, as in the standard: the engine leaves them out.
        DataType::Float(ExactNumberInfo::Precision(SINGLE_BITS_BEYOND..)) => DataType::DoublePrecision,
        DataType::Date32 => DataType::Date,
        DataType::Datetime(precision) => DataType::Timestamp(precision.or(MICROSECONDS), TimezoneInfo::None),
        DataType::Timestamp(None, zone) => DataType::Timestamp(MICROSECONDS, *zone),
        _ => return None,
    })
}

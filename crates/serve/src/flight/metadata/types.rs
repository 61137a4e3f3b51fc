//! The types that columns have, as ODBC and JDBC bridges ask for them.

use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{Nullable, Searchable, XdbcDataType};
use portico_model::problem::Problem;

use crate::flight::answers;

/// Name, code, size in digits, bits or characters, and what literals begin and end with.
const TYPES: &[(&str, XdbcDataType, i32, Option<&str>)] = &[
    ("boolean", XdbcDataType::XdbcBit, 1, None),
    ("int64", XdbcDataType::XdbcBigint, 64, None),
    ("float64", XdbcDataType::XdbcDouble, 64, None),
    ("decimal", XdbcDataType::XdbcDecimal, 38, None),
    ("text", XdbcDataType::XdbcVarchar, i32::MAX, Some("'")),
    ("date", XdbcDataType::XdbcDate, 10, Some("'")),
    ("time", XdbcDataType::XdbcTime, 15, Some("'")),
    ("timestamp", XdbcDataType::XdbcTimestamp, 26, Some("'")),
    ("geometry", XdbcDataType::XdbcVarbinary, i32::MAX, None),
];

/// All of them.
pub(super) fn xdbc_types() -> Result<XdbcTypeInfoData, Problem> {
    let mut types = XdbcTypeInfoDataBuilder::new();
    for (name, code, size, quote) in TYPES {
        types.append(XdbcTypeInfo {
            type_name: (*name).to_owned(),
            data_type: *code,
            column_size: Some(*size),
            literal_prefix: quote.map(str::to_owned),
            literal_suffix: quote.map(str::to_owned),
            create_params: None,
            nullable: Nullable::NullabilityNullable,
            case_sensitive: quote.is_some(),
            searchable: Searchable::Full,
            unsigned_attribute: quote.is_none().then_some(false),
            fixed_prec_scale: *code == XdbcDataType::XdbcDecimal,
            auto_increment: Some(false),
            local_type_name: Some((*name).to_owned()),
            minimum_scale: None,
            maximum_scale: (*code == XdbcDataType::XdbcDecimal).then_some(38),
            sql_data_type: *code,
            datetime_subcode: None,
            num_prec_radix: None,
            interval_precision: None,
        });
    }
    types.build().map_err(answers::internal)
}

//! The schema and protocol of a Delta table, from the Arrow schema of its files.

use arrow_schema::{DataType, Schema, TimeUnit};
use serde_json::{Value, json};

use crate::error::StoreError;

/// The table feature for timestamps without a time zone.
const WITHOUT_ZONE: &str = "timestampNtz";

/// The schema as Delta writes it. Every column may be null: what a dictionary requires is checked before.
pub(super) fn schema_string(schema: &Schema) -> Result<String, StoreError> {
    let mut fields = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let (name, remark) = type_name(field.data_type())?;
        let metadata = remark.map_or_else(|| json!({}), |remark| json!({ "portico.type": remark }));
        fields.push(json!({ "name": field.name(), "type": name, "nullable": true, "metadata": metadata }));
    }
    Ok(json!({ "type": "struct", "fields": fields }).to_string())
}

/// Whether a schema of the log says the same.
pub(super) fn same(current: &Value, wanted: &str) -> bool {
    let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
    current.as_str().and_then(parse) == parse(wanted)
}

/// The least protocol that the schema needs.
pub(super) fn protocol(schema: &Schema) -> Value {
    let without_zone = |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, None));
    if schema.fields().iter().any(|field| without_zone(field.data_type())) {
        json!({
            "minReaderVersion": 3,
            "minWriterVersion": 7,
            "readerFeatures": [WITHOUT_ZONE],
            "writerFeatures": [WITHOUT_ZONE],
        })
    } else {
        json!({ "minReaderVersion": 1, "minWriterVersion": 2 })
    }
}

/// Whether a table's protocol already allows what the wanted one does; a protocol is never lowered.
pub(super) fn protocol_suffices(current: &Value, wanted: &Value) -> bool {
    wanted.get("readerFeatures").is_none() || current.get("readerFeatures") == wanted.get("readerFeatures")
}

/// Delta's name of a type, with a remark where Delta has none that says it all.
fn type_name(data_type: &DataType) -> Result<(String, Option<&'static str>), StoreError> {
    let name = match data_type {
        DataType::Boolean => "boolean",
        DataType::Int8 => "byte",
        DataType::Int16 | DataType::UInt8 => "short",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 => "long",
        DataType::UInt64 => "decimal(20,0)",
        DataType::Float16 | DataType::Float32 => "float",
        DataType::Float64 => "double",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => "string",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "binary",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Timestamp(_, None) => "timestamp_ntz",
        DataType::Timestamp(_, Some(_)) => "timestamp",
        DataType::Time32(TimeUnit::Millisecond) => return Ok(("integer".to_owned(), Some("time(ms)"))),
        DataType::Time64(TimeUnit::Microsecond) => return Ok(("long".to_owned(), Some("time(us)"))),
        DataType::Time64(TimeUnit::Nanosecond) => return Ok(("long".to_owned(), Some("time(ns)"))),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
            if *scale >= 0 =>
        {
            return Ok((format!("decimal({precision},{scale})"), None));
        }
        other => return Err(StoreError::invalid(format!("a column of type {other} cannot be released"))),
    };
    Ok((name.to_owned(), None))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::Field;

    use super::*;

    fn schema(types: &[DataType]) -> Schema {
        let field = |(index, data_type): (usize, &DataType)| Field::new(format!("c{index}"), data_type.clone(), true);
        Schema::new(types.iter().enumerate().map(field).collect::<Vec<_>>())
    }

    #[test]
    fn every_published_type_has_a_delta_type() {
        let types = [
            DataType::Boolean,
            DataType::Int64,
            DataType::Decimal128(10, 2),
            DataType::Float64,
            DataType::Utf8,
            DataType::Date32,
            DataType::Time64(TimeUnit::Microsecond),
            DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            DataType::Binary,
        ];
        let text = schema_string(&schema(&types)).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let names: Vec<_> = value["fields"].as_array().unwrap().iter().map(|f| f["type"].as_str().unwrap()).collect();
        let expected =
            ["boolean", "long", "decimal(10,2)", "double", "string", "date", "long", "timestamp_ntz", "timestamp"];
        assert_eq!(names[..9], expected);
        assert!(same(&Value::String(text.clone()), &text));
        let nested = DataType::List(Arc::new(Field::new("item", DataType::Int64, true)));
        assert!(schema_string(&schema(&[nested])).is_err());
    }

    #[test]
    fn a_protocol_is_raised_only_where_needed() {
        let plain = protocol(&schema(&[DataType::Int64]));
        let raised = protocol(&schema(&[DataType::Timestamp(TimeUnit::Microsecond, None)]));
        assert!(protocol_suffices(&raised, &plain));
        assert!(protocol_suffices(&raised, &raised));
        assert!(!protocol_suffices(&plain, &raised));
    }
}

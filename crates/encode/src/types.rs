//! Public names of types, and which columns hold places.

use arrow_schema::{DataType, Field, IntervalUnit, Schema};

/// The key and value of a field's metadata that mark WKB, as in GeoArrow.
const EXTENSION: &str = "ARROW:extension:name";
const GEOMETRY: &str = "geoarrow.wkb";

/// The public name of a type: `int64`, `decimal(10,2)`, `text`, `timestamp_utc`, `geometry`, `list(text)` …
///
/// `field` is the column, whose metadata say whether binary is a geometry. A timestamp with any zone is
/// `timestamp_utc`, since that is how it is spelt; dictionaries and runs have the name of their values.
#[must_use]
pub fn type_name(data_type: &DataType, field: Option<&Field>) -> String {
    let nested = |field: &Field| type_name(field.data_type(), Some(field));
    let fixed = match data_type {
        DataType::Null => "null",
        DataType::Boolean => "boolean",
        DataType::Int8 => "int8",
        DataType::Int16 => "int16",
        DataType::Int32 => "int32",
        DataType::Int64 => "int64",
        DataType::UInt8 => "uint8",
        DataType::UInt16 => "uint16",
        DataType::UInt32 => "uint32",
        DataType::UInt64 => "uint64",
        DataType::Float16 => "float16",
        DataType::Float32 => "float32",
        DataType::Float64 => "float64",
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => return format!("decimal({precision},{scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            if field.is_some_and(is_geometry) { "geometry" } else { "binary" }
        }
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::Timestamp(_, Some(_)) => "timestamp_utc",
        DataType::Duration(_) => "duration",
        DataType::Interval(IntervalUnit::YearMonth | IntervalUnit::DayTime | IntervalUnit::MonthDayNano) => "interval",
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => return format!("list({})", nested(item)),
        DataType::Struct(fields) => {
            let members: Vec<String> = fields.iter().map(|f| format!("{} {}", f.name(), nested(f))).collect();
            return format!("struct({})", members.join(", "));
        }
        DataType::Map(entries, _) => {
            let members = match entries.data_type() {
                DataType::Struct(fields) => fields.iter().map(|f| nested(f)).collect::<Vec<_>>(),
                _ => Vec::new(),
            };
            return format!("map({})", members.join(", "));
        }
        DataType::Union(members, _) => {
            let members: Vec<String> = members.iter().map(|(_, f)| nested(f)).collect();
            return format!("union({})", members.join(", "));
        }
        DataType::Dictionary(_, values) => return type_name(values, field),
        DataType::RunEndEncoded(_, values) => return nested(values),
    };
    fixed.to_owned()
}

/// The first geometry column: binary WKB, marked `geoarrow.wkb` in the field's metadata.
#[must_use]
pub fn geometry_field(schema: &Schema) -> Option<usize> {
    schema.fields().iter().position(|field| is_geometry(field))
}

/// The columns that hold latitude and longitude, by their names, where both are floats or decimals:
/// `lat` or `latitude` with `lon`, `lng`, `long` or `longitude`; else `y` with `x`. In any case.
#[must_use]
pub fn lat_lon_fields(schema: &Schema) -> Option<(usize, usize)> {
    let find = |names: &[&str]| {
        names.iter().find_map(|name| {
            schema.fields().iter().position(|f| f.name().eq_ignore_ascii_case(name) && is_fractional(f.data_type()))
        })
    };
    let degrees = find(&["latitude", "lat"]).zip(find(&["longitude", "lon", "lng", "long"]));
    degrees.or_else(|| find(&["y"]).zip(find(&["x"])))
}

/// Whether a field is marked as a geometry and is of a type that can hold one.
pub(crate) fn is_geometry(field: &Field) -> bool {
    let binary = matches!(field.data_type(), DataType::Binary | DataType::LargeBinary | DataType::BinaryView);
    binary && field.metadata().get(EXTENSION).is_some_and(|name| name == GEOMETRY)
}

fn is_fractional(data_type: &DataType) -> bool {
    data_type.is_floating() || data_type.is_decimal()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use arrow_schema::TimeUnit;

    use super::*;

    #[test]
    fn types_have_public_names() {
        let check = |data_type: DataType, name: &str| assert_eq!(type_name(&data_type, None), name);
        check(DataType::Int64, "int64");
        check(DataType::Decimal128(10, 2), "decimal(10,2)");
        check(DataType::Utf8View, "text");
        check(DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::LargeUtf8)), "text");
        check(DataType::Timestamp(TimeUnit::Microsecond, None), "timestamp");
        check(DataType::Timestamp(TimeUnit::Second, Some("America/New_York".into())), "timestamp_utc");
        check(DataType::new_list(DataType::Utf8, true), "list(text)");
        let members = vec![Field::new("a", DataType::Int8, true), Field::new("b", DataType::Date32, true)];
        check(DataType::Struct(members.clone().into()), "struct(a int8, b date)");
        let entries = Field::new("entries", DataType::Struct(members.into()), false);
        check(DataType::Map(Arc::new(entries), false), "map(int8, date)");
    }

    #[test]
    fn geometry_is_marked_binary() {
        let mark = HashMap::from([(EXTENSION.to_owned(), GEOMETRY.to_owned())]);
        let plain = Field::new("a", DataType::Binary, true);
        let marked = Field::new("b", DataType::Binary, true).with_metadata(mark.clone());
        let text = Field::new("c", DataType::Utf8, true).with_metadata(mark);
        assert_eq!(type_name(plain.data_type(), Some(&plain)), "binary");
        assert_eq!(type_name(marked.data_type(), Some(&marked)), "geometry");
        assert_eq!(geometry_field(&Schema::new(vec![plain.clone(), text.clone(), marked])), Some(2));
        assert_eq!(geometry_field(&Schema::new(vec![plain, text])), None);
    }

    #[test]
    fn latitude_goes_with_longitude_and_y_with_x() {
        let check = |names: &[(&str, DataType)], expected| {
            let fields: Vec<Field> = names.iter().map(|(name, t)| Field::new(*name, t.clone(), true)).collect();
            assert_eq!(lat_lon_fields(&Schema::new(fields)), expected, "{names:?}");
        };
        check(&[("Lng", DataType::Float64), ("LAT", DataType::Decimal128(9, 6))], Some((1, 0)));
        check(&[("x", DataType::Float64), ("y", DataType::Float32)], Some((1, 0)));
        check(&[("x", DataType::Float64), ("lat", DataType::Float64)], None);
        check(&[("lat", DataType::Utf8), ("lon", DataType::Float64)], None);
        check(&[("lat", DataType::Int64), ("lon", DataType::Int64)], None);
    }
}

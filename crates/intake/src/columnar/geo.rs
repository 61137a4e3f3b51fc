//! Which columns of a columnar file are geometries: GeoParquet's file metadata, and GeoArrow's extension names.

use arrow::datatypes::SchemaRef;
use parquet::file::metadata::KeyValue;
use serde_json::Value;

/// What a file says of its geometry columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Geo {
    /// Columns of WKB.
    pub(crate) columns: Vec<String>,
    /// Whether one of them is in another reference system than WGS 84.
    pub(crate) foreign_crs: bool,
    /// Whether one of them is in an encoding other than WKB.
    pub(crate) foreign_encoding: bool,
}

impl Geo {
    /// By the extension names of the fields.
    pub(crate) fn of_schema(schema: &SchemaRef) -> Self {
        let mut geo = Self::default();
        for field in schema.fields() {
            let extension = field.metadata().get("ARROW:extension:name").map(String::as_str);
            if matches!(extension, Some("geoarrow.wkb" | "ogc.wkb")) {
                geo.columns.push(field.name().clone());
                let about = field.metadata().get("ARROW:extension:metadata");
                let about = about.and_then(|text| serde_json::from_str::<Value>(text).ok());
                geo.foreign_crs |= about.and_then(|about| about.get("crs").map(is_foreign)).unwrap_or(false);
            }
        }
        geo
    }

    /// By GeoParquet's file metadata, and by extension names.
    pub(crate) fn of_parquet(metadata: Option<&Vec<KeyValue>>, schema: &SchemaRef) -> Self {
        let mut geo = Self::of_schema(schema);
        let entry = metadata.and_then(|pairs| pairs.iter().find(|pair| pair.key == "geo"));
        let value = entry.and_then(|entry| serde_json::from_str::<Value>(entry.value.as_deref()?).ok());
        let columns = value.as_ref().and_then(|value| value.get("columns")?.as_object());
        for (name, about) in columns.into_iter().flatten() {
            let encoding = about.get("encoding").and_then(Value::as_str).unwrap_or("WKB");
            if !encoding.eq_ignore_ascii_case("wkb") {
                geo.foreign_encoding = true;
            } else if !geo.columns.contains(name) {
                geo.columns.push(name.clone());
            }
            geo.foreign_crs |= about.get("crs").is_some_and(is_foreign);
        }
        geo
    }
}

/// Whether a reference system is another than WGS 84 in degrees. `null` says that nobody knows.
fn is_foreign(crs: &Value) -> bool {
    let known = |authority: &str, code: &str| {
        matches!(
            (authority.to_ascii_uppercase().as_str(), code),
            ("OGC", "CRS84" | "CRS84H") | ("EPSG", "4326" | "4979")
        )
    };
    match crs {
        Value::String(text) => {
            let (authority, code) = text.rsplit_once(':').unwrap_or(("", text));
            let authority = authority.trim_end_matches(':').rsplit(':').find(|part| !part.is_empty()).unwrap_or("");
            !known(authority, code) && !text.contains("CRS84")
        }
        Value::Object(members) => {
            let id = members.get("id");
            let authority = id.and_then(|id| id.get("authority")?.as_str()).unwrap_or_default();
            let code = id.and_then(|id| id.get("code")).map(|code| match code {
                Value::String(code) => code.clone(),
                other => other.to_string(),
            });
            !known(authority, code.as_deref().unwrap_or_default())
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Schema;
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn geoparquet_metadata_names_the_columns() {
        let value = json!({"columns": {
            "geometry": {"encoding": "WKB"},
            "other": {"encoding": "point", "crs": {"id": {"authority": "EPSG", "code": 2264}}},
        }});
        let pairs = vec![KeyValue::new("geo".to_owned(), value.to_string())];
        let geo = Geo::of_parquet(Some(&pairs), &Arc::new(Schema::empty()));
        let expect = Geo { columns: vec!["geometry".into()], foreign_crs: true, foreign_encoding: true };
        assert_eq!(geo, expect);
    }

    #[test]
    fn wgs_84_has_several_names() {
        let check = |crs: Value, foreign: bool| assert_eq!(is_foreign(&crs), foreign, "{crs}");
        check(json!("OGC:CRS84"), false);
        check(json!("EPSG:4326"), false);
        check(json!("urn:ogc:def:crs:OGC:1.3:CRS84"), false);
        check(json!("EPSG:2264"), true);
        check(json!({"id": {"authority": "EPSG", "code": 4326}}), false);
        check(json!(null), true);
    }
}

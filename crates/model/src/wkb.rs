//! Geometries as well-known binary (ISO 13249-3): read, written from GeoJSON, spelt as GeoJSON or WKT.
//!
//! A geometry column holds ISO WKB, little-endian, in longitude and latitude (WGS 84). What is read may be of
//! either byte order, have Z or M in ISO or EWKB spelling, and carry an EWKB SRID, which is passed over. Bytes
//! come from uploads: every count is held against the bytes that are left before anything is done with it,
//! nesting is bounded, and nothing panics.
//!
//! ```
//! use portico_model::wkb;
//!
//! let point = serde_json::json!({"type": "Point", "coordinates": [-78.9, 36.0]});
//! let bytes = wkb::from_geojson(&point).unwrap();
//! let mut text = String::new();
//! wkb::to_wkt(&bytes, &mut text).unwrap();
//! assert_eq!(text, "POINT (-78.9 36)");
//! assert_eq!(wkb::bounds(&bytes), Some([-78.9, 36.0, -78.9, 36.0]));
//! ```
//!
//! It knows no curves, surfaces or triangulations, and no reference system but the one above.

use thiserror::Error;

mod read;
mod text;
mod write;

/// Levels of geometry collections within each other that are read or written.
pub const DEPTH_MAX: usize = 16;

/// Why bytes are not a geometry, or JSON is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WkbError {
    /// The bytes end before the geometry does, or a count promises more than there is.
    #[error("the geometry ends before it is complete")]
    Truncated,
    /// Bytes are left after the geometry.
    #[error("there are bytes after the geometry")]
    TrailingBytes,
    /// The byte order mark is neither 0 nor 1.
    #[error("the geometry's byte order is neither big-endian nor little-endian")]
    ByteOrder,
    /// A kind of geometry that GeoJSON does not have.
    #[error("the kind of geometry is not one of the seven of GeoJSON")]
    UnknownKind,
    /// A multi-geometry with a member of another kind or other dimensions.
    #[error("a member of a multi-geometry is of another kind or has other dimensions")]
    Member,
    /// More than [`DEPTH_MAX`] collections within each other.
    #[error("geometry collections are nested too deeply")]
    TooDeep,
    /// A coordinate that is not a finite number where the output can only spell finite ones.
    #[error("a coordinate is not a finite number")]
    NotFinite,
    /// The JSON has not the members that RFC 7946 asks for.
    #[error("the JSON is not a GeoJSON geometry")]
    NotGeojson,
}

/// Writes a GeoJSON geometry object (RFC 7946) as ISO WKB, little-endian.
///
/// A third number in any position makes the geometry a Z geometry, in which positions without one have NaN
/// there; further numbers are dropped, as the RFC asks. Rings are taken as they are, closed or not.
///
/// # Errors
/// [`WkbError::NotGeojson`] for other JSON (`null` too), [`WkbError::TooDeep`] for nested collections.
pub fn from_geojson(geometry: &serde_json::Value) -> Result<Vec<u8>, WkbError> {
    write::geometry(geometry)
}

/// Appends the geometry as a GeoJSON object, with coordinates in the shortest decimal form that reads back
/// to the same double. M is dropped, and Z where it is NaN.
///
/// # Errors
/// When the bytes are not a geometry or hold a coordinate that JSON cannot spell; `out` is then as before.
pub fn to_geojson(wkb: &[u8], out: &mut String) -> Result<(), WkbError> {
    let start = out.len();
    let result = read::walk(wkb, &mut text::Geojson::new(out));
    result.inspect_err(|_| out.truncate(start))
}

/// Appends the geometry as well-known text (ISO: `POINT Z (1 2 3)`, `POINT EMPTY`), numbers as in
/// [`to_geojson`].
///
/// # Errors
/// When the bytes are not a geometry; `out` is then as before.
pub fn to_wkt(wkb: &[u8], out: &mut String) -> Result<(), WkbError> {
    let start = out.len();
    let result = read::walk(wkb, &mut text::Wkt::new(out));
    result.inspect_err(|_| out.truncate(start))
}

/// The smallest box around the geometry: least x, least y, greatest x, greatest y. `None` for an empty
/// geometry and for bytes that are not one.
#[must_use]
pub fn bounds(wkb: &[u8]) -> Option<[f64; 4]> {
    let mut bounds = text::Bounds::default();
    read::walk(wkb, &mut bounds).ok()?;
    bounds.found()
}

/// Whether the bytes are a geometry that every output can spell.
///
/// # Errors
/// What is wrong with them.
pub fn check(wkb: &[u8]) -> Result<(), WkbError> {
    read::walk(wkb, &mut text::Check)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn wkt(bytes: &[u8]) -> Result<String, WkbError> {
        let mut out = String::new();
        to_wkt(bytes, &mut out).map(|()| out)
    }

    fn geojson(bytes: &[u8]) -> Result<String, WkbError> {
        let mut out = String::from("kept");
        let result = to_geojson(bytes, &mut out);
        if result.is_err() {
            assert_eq!(out, "kept");
        }
        result.map(|()| out.split_off(4))
    }

    fn samples() -> Vec<(Value, &'static str)> {
        vec![
            (json!({"type": "Point", "coordinates": [-78.9, 36.0]}), "POINT (-78.9 36)"),
            (json!({"type": "Point", "coordinates": [1.5, 2.5, 3.25]}), "POINT Z (1.5 2.5 3.25)"),
            (json!({"type": "Point", "coordinates": []}), "POINT EMPTY"),
            (json!({"type": "LineString", "coordinates": [[0, 1], [2, 3]]}), "LINESTRING (0 1, 2 3)"),
            (json!({"type": "LineString", "coordinates": []}), "LINESTRING EMPTY"),
            (
                json!({"type": "Polygon", "coordinates": [
                    [[0, 0], [4, 0], [4, 4], [0, 0]], [[1, 1], [2, 2], [2, 1], [1, 1]]]}),
                "POLYGON ((0 0, 4 0, 4 4, 0 0), (1 1, 2 2, 2 1, 1 1))",
            ),
            (json!({"type": "MultiPoint", "coordinates": [[0, 1], [2, 3]]}), "MULTIPOINT ((0 1), (2 3))"),
            (
                json!({"type": "MultiLineString", "coordinates": [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]}),
                "MULTILINESTRING ((0 1, 2 3), (4 5, 6 7))",
            ),
            (
                json!({"type": "MultiPolygon", "coordinates": [
                    [[[0, 0], [4, 0], [4, 4], [0, 0]]], [[[5, 5], [6, 5], [6, 6], [5, 5]]]]}),
                "MULTIPOLYGON (((0 0, 4 0, 4 4, 0 0)), ((5 5, 6 5, 6 6, 5 5)))",
            ),
            (
                json!({"type": "GeometryCollection", "geometries": [
                    {"type": "Point", "coordinates": [1, 2]},
                    {"type": "GeometryCollection", "geometries": []}]}),
                "GEOMETRYCOLLECTION (POINT (1 2), GEOMETRYCOLLECTION EMPTY)",
            ),
        ]
    }

    #[test]
    fn every_kind_round_trips() {
        for (value, text) in samples() {
            let bytes = from_geojson(&value).unwrap();
            assert_eq!(wkt(&bytes).unwrap(), text);
            let again: Value = serde_json::from_str(&geojson(&bytes).unwrap()).unwrap();
            assert_eq!(from_geojson(&again).unwrap(), bytes, "{text}");
            check(&bytes).unwrap();
        }
    }

    #[test]
    fn geojson_rings_follow_the_right_hand_rule_however_they_are_stored() {
        let outer = json!([[0, 0], [4, 0], [4, 4], [0, 0]]);
        let hole = json!([[1, 1], [2, 2], [2, 1], [1, 1]]);
        let turned = |ring: &Value| Value::Array(ring.as_array().unwrap().iter().rev().cloned().collect());
        let right = json!({"type": "Polygon", "coordinates": [outer, hole]});
        for rings in [[outer.clone(), hole.clone()], [turned(&outer), hole.clone()], [turned(&outer), turned(&hole)]] {
            let stored = from_geojson(&json!({"type": "Polygon", "coordinates": rings})).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&geojson(&stored).unwrap()).unwrap(), right);
        }
        let flat = json!({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [2, 2], [0, 0]]]});
        let stored = from_geojson(&flat).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&geojson(&stored).unwrap()).unwrap(), flat);
        assert_eq!(
            wkt(&from_geojson(&json!({"type": "Polygon", "coordinates": [turned(&outer)]})).unwrap()).unwrap(),
            "POLYGON ((0 0, 4 4, 4 0, 0 0))"
        );
    }

    #[test]
    fn a_missing_height_stays_missing() {
        let line = json!({"type": "LineString", "coordinates": [[0, 1, 9], [2, 3]]});
        let bytes = from_geojson(&line).unwrap();
        assert_eq!(geojson(&bytes).unwrap(), r#"{"type":"LineString","coordinates":[[0,1,9],[2,3]]}"#);
    }

    #[test]
    fn coordinates_are_the_shortest_that_read_back() {
        for (number, text) in
            [(0.1 + 0.2, "0.30000000000000004"), (-78.898_619, "-78.898619"), (1e300, "1e300"), (5e-324, "5e-324")]
        {
            let bytes = from_geojson(&json!({"type": "Point", "coordinates": [number, 0.0]})).unwrap();
            assert_eq!(wkt(&bytes).unwrap(), format!("POINT ({text} 0)"));
            assert_eq!(text.parse::<f64>().unwrap(), number);
        }
    }

    #[test]
    fn big_endian_ewkb_and_measures_are_read() {
        let mut big = vec![0, 0, 0, 0, 1];
        big.extend(1.0_f64.to_be_bytes());
        big.extend(2.0_f64.to_be_bytes());
        assert_eq!(wkt(&big).unwrap(), "POINT (1 2)");

        let mut ewkb = vec![1];
        ewkb.extend((0xE000_0000_u32 | 1).to_le_bytes());
        ewkb.extend(4326_u32.to_le_bytes());
        for number in [1.0_f64, 2.0, 3.0, 4.0] {
            ewkb.extend(number.to_le_bytes());
        }
        assert_eq!(wkt(&ewkb).unwrap(), "POINT ZM (1 2 3 4)");
        assert_eq!(geojson(&ewkb).unwrap(), r#"{"type":"Point","coordinates":[1,2,3]}"#);

        let mut measured = vec![1];
        measured.extend(2001_u32.to_le_bytes());
        for number in [1.0_f64, 2.0, 4.0] {
            measured.extend(number.to_le_bytes());
        }
        assert_eq!(wkt(&measured).unwrap(), "POINT M (1 2 4)");
        assert_eq!(geojson(&measured).unwrap(), r#"{"type":"Point","coordinates":[1,2]}"#);
    }

    #[test]
    fn bounds_cover_all_members() {
        let value = json!({"type": "GeometryCollection", "geometries": [
            {"type": "Point", "coordinates": [1, 20]},
            {"type": "LineString", "coordinates": [[-3, 4], [5, 6]]}]});
        assert_eq!(bounds(&from_geojson(&value).unwrap()), Some([-3.0, 4.0, 5.0, 20.0]));
        let empty = json!({"type": "MultiPoint", "coordinates": []});
        assert_eq!(bounds(&from_geojson(&empty).unwrap()), None);
        assert_eq!(bounds(b"nonsense"), None);
    }

    #[test]
    fn cut_and_altered_bytes_are_errors_or_geometries_but_never_more() {
        for (value, text) in samples() {
            let bytes = from_geojson(&value).unwrap();
            for end in 0..bytes.len() {
                assert_eq!(wkt(&bytes[..end]), Err(WkbError::Truncated), "{text} cut at {end}");
            }
            for index in 0..bytes.len() {
                for value in [0, 1, 7, 0x7F, 0x80, 0xFF] {
                    let mut altered = bytes.clone();
                    altered[index] = value;
                    let _ = wkt(&altered);
                    let _ = geojson(&altered);
                    let _ = bounds(&altered);
                }
            }
            let mut longer = bytes;
            longer.push(0);
            assert_eq!(wkt(&longer), Err(WkbError::TrailingBytes));
        }
    }

    #[test]
    fn lying_counts_and_deep_nesting_are_refused() {
        for kind in 2..=7_u8 {
            assert_eq!(wkt(&[1, kind, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]), Err(WkbError::Truncated));
        }
        assert_eq!(wkt(&[2, 1, 0, 0, 0]), Err(WkbError::ByteOrder));
        assert_eq!(wkt(&[1, 8, 0, 0, 0, 0, 0, 0, 0]), Err(WkbError::UnknownKind));
        let nested: Vec<u8> = [1, 7, 0, 0, 0, 1, 0, 0, 0].repeat(100_000);
        assert_eq!(wkt(&nested), Err(WkbError::TooDeep));
        let mut value = json!({"type": "GeometryCollection", "geometries": []});
        for _ in 0..DEPTH_MAX {
            value = json!({"type": "GeometryCollection", "geometries": [value]});
        }
        assert_eq!(from_geojson(&value), Err(WkbError::TooDeep));
        // A multi-point whose member is a line.
        let stranger = [1, 4, 0, 0, 0, 1, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(wkt(&stranger), Err(WkbError::Member));
    }

    #[test]
    fn json_that_is_no_geometry_is_refused() {
        for value in [
            json!(null),
            json!([1, 2]),
            json!({"type": "Feature", "geometry": null}),
            json!({"type": "Point"}),
            json!({"type": "Point", "coordinates": [1]}),
            json!({"type": "Point", "coordinates": ["1", "2"]}),
            json!({"type": "Point", "coordinates": [[1, 2]]}),
            json!({"type": "LineString", "coordinates": [1, 2]}),
            json!({"type": "Polygon", "coordinates": [[1, 2]]}),
            json!({"type": "GeometryCollection", "coordinates": []}),
        ] {
            assert_eq!(from_geojson(&value), Err(WkbError::NotGeojson), "{value}");
        }
    }

    #[test]
    fn what_json_cannot_spell_is_an_error_there() {
        let mut bytes = vec![1, 1, 0, 0, 0];
        bytes.extend(1.0_f64.to_le_bytes());
        bytes.extend(f64::INFINITY.to_le_bytes());
        assert_eq!(geojson(&bytes), Err(WkbError::NotFinite));
        assert_eq!(check(&bytes), Err(WkbError::NotFinite));
        assert_eq!(wkt(&bytes).unwrap(), "POINT (1 inf)");
    }
}

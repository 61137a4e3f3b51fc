//! What is made of a geometry while walking through it: GeoJSON, WKT, its bounds, or nothing but a check.

use std::fmt::Write;

use super::WkbError;
use super::read::{Dimensions, Kind, Position, Sink};

/// Writes RFC 7946.
pub(super) struct Geojson<'a> {
    out: &'a mut String,
}

impl<'a> Geojson<'a> {
    pub(super) fn new(out: &'a mut String) -> Self {
        Self { out }
    }
}

impl Sink for Geojson<'_> {
    fn right_hand_rule(&self) -> bool {
        true
    }

    fn open(&mut self, kind: Kind, _: Dimensions) {
        self.out.push_str(match kind {
            Kind::Point => r#"{"type":"Point","coordinates":"#,
            Kind::LineString => r#"{"type":"LineString","coordinates":"#,
            Kind::Polygon => r#"{"type":"Polygon","coordinates":"#,
            Kind::MultiPoint => r#"{"type":"MultiPoint","coordinates":"#,
            Kind::MultiLineString => r#"{"type":"MultiLineString","coordinates":"#,
            Kind::MultiPolygon => r#"{"type":"MultiPolygon","coordinates":"#,
            Kind::Collection => r#"{"type":"GeometryCollection","geometries":"#,
        });
    }

    fn close(&mut self) {
        self.out.push('}');
    }

    fn empty(&mut self) {
        self.out.push_str("[]");
    }

    fn list(&mut self) {
        self.out.push('[');
    }

    fn next(&mut self) {
        self.out.push(',');
    }

    fn end_list(&mut self) {
        self.out.push(']');
    }

    fn point(&mut self, position: &Position) -> Result<(), WkbError> {
        finite(position)?;
        self.out.push('[');
        number(self.out, position.x);
        self.out.push(',');
        number(self.out, position.y);
        if let Some(z) = position.z.filter(|z| !z.is_nan()) {
            self.out.push(',');
            number(self.out, z);
        }
        self.out.push(']');
        Ok(())
    }

    fn vertex(&mut self, position: &Position) -> Result<(), WkbError> {
        self.point(position)
    }
}

/// Writes ISO well-known text.
pub(super) struct Wkt<'a> {
    out: &'a mut String,
}

impl<'a> Wkt<'a> {
    pub(super) fn new(out: &'a mut String) -> Self {
        Self { out }
    }
}

impl Sink for Wkt<'_> {
    fn right_hand_rule(&self) -> bool {
        false
    }

    fn open(&mut self, kind: Kind, dimensions: Dimensions) {
        self.out.push_str(match kind {
            Kind::Point => "POINT ",
            Kind::LineString => "LINESTRING ",
            Kind::Polygon => "POLYGON ",
            Kind::MultiPoint => "MULTIPOINT ",
            Kind::MultiLineString => "MULTILINESTRING ",
            Kind::MultiPolygon => "MULTIPOLYGON ",
            Kind::Collection => "GEOMETRYCOLLECTION ",
        });
        self.out.push_str(match (dimensions.z, dimensions.m) {
            (false, false) => "",
            (true, false) => "Z ",
            (false, true) => "M ",
            (true, true) => "ZM ",
        });
    }

    fn close(&mut self) {}

    fn empty(&mut self) {
        self.out.push_str("EMPTY");
    }

    fn list(&mut self) {
        self.out.push('(');
    }

    fn next(&mut self) {
        self.out.push_str(", ");
    }

    fn end_list(&mut self) {
        self.out.push(')');
    }

    fn point(&mut self, position: &Position) -> Result<(), WkbError> {
        self.out.push('(');
        self.vertex(position)?;
        self.out.push(')');
        Ok(())
    }

    fn vertex(&mut self, position: &Position) -> Result<(), WkbError> {
        number(self.out, position.x);
        for more in [Some(position.y), position.z, position.m].into_iter().flatten() {
            self.out.push(' ');
            number(self.out, more);
        }
        Ok(())
    }
}

/// Finds the smallest box around all positions.
#[derive(Default)]
pub(super) struct Bounds {
    found: Option<[f64; 4]>,
}

impl Bounds {
    pub(super) fn found(self) -> Option<[f64; 4]> {
        self.found
    }
}

impl Sink for Bounds {
    fn right_hand_rule(&self) -> bool {
        false
    }
    fn open(&mut self, _: Kind, _: Dimensions) {}
    fn close(&mut self) {}
    fn empty(&mut self) {}
    fn list(&mut self) {}
    fn next(&mut self) {}
    fn end_list(&mut self) {}

    fn point(&mut self, position: &Position) -> Result<(), WkbError> {
        let Position { x, y, .. } = *position;
        if x.is_nan() || y.is_nan() {
            return Ok(());
        }
        let [left, low, right, high] = self.found.unwrap_or([x, y, x, y]);
        self.found = Some([left.min(x), low.min(y), right.max(x), high.max(y)]);
        Ok(())
    }

    fn vertex(&mut self, position: &Position) -> Result<(), WkbError> {
        self.point(position)
    }
}

/// Looks at every position and keeps nothing.
pub(super) struct Check;

impl Sink for Check {
    fn right_hand_rule(&self) -> bool {
        false
    }
    fn open(&mut self, _: Kind, _: Dimensions) {}
    fn close(&mut self) {}
    fn empty(&mut self) {}
    fn list(&mut self) {}
    fn next(&mut self) {}
    fn end_list(&mut self) {}

    fn point(&mut self, position: &Position) -> Result<(), WkbError> {
        finite(position)
    }

    fn vertex(&mut self, position: &Position) -> Result<(), WkbError> {
        finite(position)
    }
}

/// NaN as a height is how a missing one is kept.
fn finite(position: &Position) -> Result<(), WkbError> {
    let height = position.z.is_none_or(|z| !z.is_infinite());
    if position.x.is_finite() && position.y.is_finite() && height { Ok(()) } else { Err(WkbError::NotFinite) }
}

/// The shortest digits that read back to the same double, with an exponent where plain digits would be long.
fn number(out: &mut String, value: f64) {
    let size = value.abs();
    let plain = size == 0.0 || (1e-6..1e16).contains(&size) || !value.is_finite();
    // Writing to a String does not fail.
    let _ = if plain { write!(out, "{value}") } else { write!(out, "{value:e}") };
}

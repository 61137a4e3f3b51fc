//! Writes ISO WKB, little-endian, from GeoJSON.

use serde_json::Value;

use super::{DEPTH_MAX, WkbError};

/// The geometry as bytes. Heights anywhere make every part a Z geometry, so that the parts agree.
pub(super) fn geometry(value: &Value) -> Result<Vec<u8>, WkbError> {
    let mut writer = Writer { out: Vec::new(), z: has_height(value, 0) };
    writer.geometry(value, 0)?;
    Ok(writer.out)
}

/// Whether any position has a third number. Looks no deeper than what will be written.
fn has_height(value: &Value, depth: usize) -> bool {
    let positions = value.get("coordinates").is_some_and(|coordinates| array_has_height(coordinates, 0));
    let members = || value.get("geometries").and_then(Value::as_array);
    positions
        || depth < DEPTH_MAX
            && members().is_some_and(|members| members.iter().any(|member| has_height(member, depth + 1)))
}

fn array_has_height(value: &Value, depth: usize) -> bool {
    let Some(items) = value.as_array() else { return false };
    // A multi-polygon's positions lie three arrays deep.
    if items.first().is_some_and(Value::is_array) && depth < 3 {
        return items.iter().any(|item| array_has_height(item, depth + 1));
    }
    items.len() > 2
}

struct Writer {
    out: Vec<u8>,
    z: bool,
}

impl Writer {
    fn geometry(&mut self, value: &Value, depth: usize) -> Result<(), WkbError> {
        if depth >= DEPTH_MAX {
            return Err(WkbError::TooDeep);
        }
        let kind = value.get("type").and_then(Value::as_str).ok_or(WkbError::NotGeojson)?;
        if kind == "GeometryCollection" {
            let members = value.get("geometries").ok_or(WkbError::NotGeojson)?;
            self.header(7);
            return self.list(members, |writer, member| writer.geometry(member, depth + 1));
        }
        let coordinates = value.get("coordinates").ok_or(WkbError::NotGeojson)?;
        match kind {
            "Point" => self.point(coordinates),
            "LineString" => self.line(coordinates),
            "Polygon" => self.polygon(coordinates),
            "MultiPoint" => {
                self.header(4);
                self.list(coordinates, Self::point)
            }
            "MultiLineString" => {
                self.header(5);
                self.list(coordinates, Self::line)
            }
            "MultiPolygon" => {
                self.header(6);
                self.list(coordinates, Self::polygon)
            }
            _ => Err(WkbError::NotGeojson),
        }
    }

    fn point(&mut self, coordinates: &Value) -> Result<(), WkbError> {
        self.header(1);
        let empty = coordinates.as_array().is_some_and(Vec::is_empty);
        if !empty {
            return self.position(coordinates);
        }
        for _ in 0..2 + usize::from(self.z) {
            self.double(f64::NAN);
        }
        Ok(())
    }

    fn line(&mut self, coordinates: &Value) -> Result<(), WkbError> {
        self.header(2);
        self.list(coordinates, Self::position)
    }

    fn polygon(&mut self, coordinates: &Value) -> Result<(), WkbError> {
        self.header(3);
        self.list(coordinates, |writer, ring| writer.list(ring, Self::position))
    }

    fn header(&mut self, kind: u32) {
        let code = if self.z { kind + 1000 } else { kind };
        self.out.push(1);
        self.out.extend(code.to_le_bytes());
    }

    fn list(
        &mut self,
        value: &Value,
        mut item: impl FnMut(&mut Self, &Value) -> Result<(), WkbError>,
    ) -> Result<(), WkbError> {
        let items = value.as_array().ok_or(WkbError::NotGeojson)?;
        let count = u32::try_from(items.len()).map_err(|_| WkbError::NotGeojson)?;
        self.out.extend(count.to_le_bytes());
        items.iter().try_for_each(|one| item(self, one))
    }

    fn position(&mut self, value: &Value) -> Result<(), WkbError> {
        let numbers = value.as_array().ok_or(WkbError::NotGeojson)?;
        let at = |index: usize| match numbers.get(index) {
            None => Ok(None),
            Some(number) => number.as_f64().filter(|number| number.is_finite()).map(Some).ok_or(WkbError::NotGeojson),
        };
        let (Some(x), Some(y)) = (at(0)?, at(1)?) else { return Err(WkbError::NotGeojson) };
        let z = at(2)?;
        self.double(x);
        self.double(y);
        if self.z {
            self.double(z.unwrap_or(f64::NAN));
        }
        Ok(())
    }

    fn double(&mut self, value: f64) {
        self.out.extend(value.to_le_bytes());
    }
}

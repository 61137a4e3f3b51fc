//! GeoJSON (RFC 7946): one feature a line.

use arrow::array::RecordBatch;
use arrow_schema::SchemaRef;

use super::Form;
use super::json::members;
use crate::EncodeError;
use crate::cells::Cells;
use crate::types::{geometry_field, lat_lon_fields};

/// Writes a FeatureCollection. The geometry is the first geometry column, which is then no property, or a
/// point made of latitude and longitude, which stay properties: a pair that is no place on the globe makes
/// a feature without a geometry, and nothing is lost.
pub(crate) struct Geojson {
    schema: SchemaRef,
    place: Place,
    /// Columns that are properties, with what stands before each value.
    properties: Vec<(usize, Vec<u8>)>,
    rows: u64,
}

#[derive(Clone, Copy)]
enum Place {
    Geometry(usize),
    Point { latitude: usize, longitude: usize },
}

impl Geojson {
    pub(crate) fn new(schema: &SchemaRef) -> Result<Self, EncodeError> {
        let point = |(latitude, longitude)| Place::Point { latitude, longitude };
        let place = geometry_field(schema)
            .map(Place::Geometry)
            .or_else(|| lat_lon_fields(schema).map(point))
            .ok_or(EncodeError::NoGeometry)?;
        let is_property = |column: &usize| !matches!(place, Place::Geometry(geometry) if geometry == *column);
        let properties = members(schema, (0..schema.fields().len()).filter(is_property));
        Ok(Self { schema: schema.clone(), place, properties, rows: 0 })
    }
}

impl Form for Geojson {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(b"{\"type\":\"FeatureCollection\",\"features\":[");
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let fields = self.schema.fields();
        let cells: Vec<Cells> =
            batch.columns().iter().zip(fields).map(|(array, field)| Cells::new(array.as_ref(), field)).collect();
        for row in 0..batch.num_rows() {
            out.extend_from_slice(if self.rows > 0 { b",\n" } else { b"\n" });
            out.extend_from_slice(b"{\"type\":\"Feature\",\"geometry\":");
            match self.place {
                Place::Geometry(column) => cells[column].write_json(row, out)?,
                Place::Point { latitude, longitude } => point(&cells[longitude], &cells[latitude], row, out)?,
            }
            out.extend_from_slice(b",\"properties\":");
            if self.properties.is_empty() {
                out.push(b'{');
            }
            for (column, name) in &self.properties {
                out.extend_from_slice(name);
                cells[*column].write_json(row, out)?;
            }
            out.extend_from_slice(b"}}");
            self.rows += 1;
        }
        Ok(())
    }

    fn finish(&mut self, _elapsed_ms: u64, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.rows > 0 {
            out.push(b'\n');
        }
        out.extend_from_slice(b"]}\n");
        Ok(())
    }
}

/// A point, or `null` where a coordinate is missing or lies outside the globe.
fn point(longitude: &Cells, latitude: &Cells, row: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    out.extend_from_slice(b"{\"type\":\"Point\",\"coordinates\":[");
    let there = coordinate(longitude, row, 180.0, out)? && {
        out.push(b',');
        coordinate(latitude, row, 90.0, out)?
    };
    if there {
        out.extend_from_slice(b"]}");
    } else {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
    Ok(())
}

/// Writes a coordinate and says whether it lies within `limit` degrees on either side.
fn coordinate(cells: &Cells, row: usize, limit: f64, out: &mut Vec<u8>) -> Result<bool, EncodeError> {
    let start = out.len();
    if !cells.write_number(row, out)? {
        return Ok(false);
    }
    let degrees = out.get(start..).and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<f64>().ok());
    Ok(degrees.is_some_and(|degrees| degrees.abs() <= limit))
}

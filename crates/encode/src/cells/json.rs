//! A column's rows as JSON values.

use portico_model::wkb::{self, WkbError};

use super::{Cells, Values, index};
use crate::spell::{number, text};

/// The largest integer up to which every integer is a double: readers of JSON have no others.
const EXACT_MAX: u64 = 1 << 53;

impl Cells<'_> {
    /// Appends the row's value as JSON, `null` where it has none.
    #[inline]
    pub(crate) fn write_json(&self, row: usize, out: &mut Vec<u8>) -> Result<(), WkbError> {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        match &self.values {
            Values::Null
            | Values::Boolean(_)
            | Values::Int8(_)
            | Values::Int16(_)
            | Values::Int32(_)
            | Values::UInt8(_)
            | Values::UInt16(_)
            | Values::UInt32(_) => self.write_text(row, out),
            Values::Int64(values) if values[row].unsigned_abs() <= EXACT_MAX => self.write_text(row, out),
            Values::UInt64(values) if values[row] <= EXACT_MAX => self.write_text(row, out),
            Values::Float16(values) => {
                finite(out, values[row].is_finite(), values[row]);
                Ok(())
            }
            Values::Float32(values) => {
                finite(out, values[row].is_finite(), values[row]);
                Ok(())
            }
            Values::Float64(values) => {
                finite(out, values[row].is_finite(), values[row]);
                Ok(())
            }
            Values::Text(values) => {
                text::json_string(out, values.at(row));
                Ok(())
            }
            Values::Through(rows, inner) => inner.write_json(rows[row], out),
            Values::Geometry(bytes) => {
                let mut object = String::new();
                wkb::to_geojson(bytes.at(row), &mut object)?;
                out.extend_from_slice(object.as_bytes());
                Ok(())
            }
            Values::List(..) | Values::Struct(_) | Values::Map(..) | Values::Union { .. } => {
                self.write_nested(row, out)
            }
            // Large integers, decimals, moments, lengths of time, hex: none of them needs an escape.
            _ => {
                out.push(b'"');
                self.write_text(row, out)?;
                out.push(b'"');
                Ok(())
            }
        }
    }

    /// Appends a number without quotes, whatever its size; says whether there was one.
    pub(crate) fn write_number(&self, row: usize, out: &mut Vec<u8>) -> Result<bool, WkbError> {
        let start = out.len();
        if self.is_null(row) {
            return Ok(false);
        }
        self.write_text(row, out)?;
        // NaN and infinities begin with a letter, after a sign perhaps.
        let digits = out.last().is_some_and(u8::is_ascii_digit);
        if !digits {
            out.truncate(start);
        }
        Ok(digits)
    }

    fn write_nested(&self, row: usize, out: &mut Vec<u8>) -> Result<(), WkbError> {
        match &self.values {
            Values::List(ranges, items) => {
                out.push(b'[');
                for (count, item) in ranges.at(row).enumerate() {
                    if count > 0 {
                        out.push(b',');
                    }
                    items.write_json(item, out)?;
                }
                out.push(b']');
            }
            Values::Struct(members) => {
                out.push(b'{');
                for (count, (name, cells)) in members.iter().enumerate() {
                    if count > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(name);
                    cells.write_json(row, out)?;
                }
                out.push(b'}');
            }
            Values::Map(offsets, pair) => {
                let (keys, items) = pair.as_ref();
                out.push(b'{');
                for (count, entry) in (index(offsets[row])..index(offsets[row + 1])).enumerate() {
                    if count > 0 {
                        out.push(b',');
                    }
                    keys.write_key(entry, out)?;
                    items.write_json(entry, out)?;
                }
                out.push(b'}');
            }
            _ => {
                if let Some((cells, row)) = self.member(row) {
                    cells.write_json(row, out)?;
                }
            }
        }
        Ok(())
    }

    /// Appends a map's key, which JSON wants to be a string, and a colon.
    fn write_key(&self, row: usize, out: &mut Vec<u8>) -> Result<(), WkbError> {
        let mut key = Vec::new();
        if !self.is_null(row) {
            self.write_text(row, &mut key)?;
        }
        text::json_string(out, &String::from_utf8_lossy(&key));
        out.push(b':');
        Ok(())
    }
}

fn finite(out: &mut Vec<u8>, is_finite: bool, value: impl zmij::Float) {
    if is_finite {
        number::float(out, value);
    } else {
        out.extend_from_slice(b"null");
    }
}

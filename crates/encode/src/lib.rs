//! Arrow batches → bytes of one format, in bounded memory.
//!
//! It runs in a worker, at the end of a plan: the engine pushes batches in and takes bytes out, which the
//! server forwards as they are; and in a reader, for the first rows of what might become public.
//!
//! ```text
//! RecordBatch ─▶ Encoder ─▶ Form (one per format) ─▶ bytes ─▶ gzip | zstd ─▶ out
//!                             │
//!                             └─ Cells: a column as text or JSON, resolved once per batch
//! ```
//!
//! ```
//! use std::sync::Arc;
//!
//! use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
//! use portico_encode::encoder;
//! use portico_model::format::FileKind;
//! use portico_model::order::{Envelope, OutputOptions};
//!
//! let batch = RecordBatch::try_from_iter([
//!     ("stop", Arc::new(StringArray::from(vec![Some("Main St, north"), None])) as ArrayRef),
//!     ("riders", Arc::new(Int64Array::from(vec![12, 7])) as ArrayRef),
//! ])?;
//! let kind = FileKind::from_extension("csv").unwrap();
//! let mut encoder = encoder(kind, &batch.schema(), &OutputOptions::default(), &Envelope::default())?;
//! let mut out = Vec::new();
//! encoder.begin(&mut out)?;
//! encoder.write(&batch, &mut out)?; // the caller sends and clears `out` when it likes
//! encoder.finish(0, &mut out)?;
//! assert_eq!(String::from_utf8(out)?, "stop,riders\n\"Main St, north\",12\n,7\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How values are spelt
//!
//! | type | CSV, TSV, table | JSON, NDJSON, GeoJSON properties | XLSX |
//! |---|---|---|---|
//! | null | the `null` option, empty by default | `null` | empty cell |
//! | boolean | `true`, `false` | `true`, `false` | boolean |
//! | integer | `42` | `42`; beyond ±2^53 `"9007199254740993"` | number; beyond 15 digits text |
//! | float | shortest that reads back: `0.1`, `1.0`, `1e+300` | the same | number |
//! | not a number, infinity | `NaN`, `inf`, `-inf` | `null` | text |
//! | decimal | all digits of its scale: `1.50` | `"1.50"` | number with its decimals; beyond 15 digits text |
//! | text | as it is; `""` where it is empty and null is too | string | text, never a formula |
//! | date | `2024-03-01` | `"2024-03-01"` | date; before March 1900 text |
//! | time | `09:05:00`, `09:05:00.250` | string | time |
//! | timestamp | `2024-03-01T12:34:56`, fraction `.250`, `.123456` if not zero | string | date and time |
//! | timestamp with a zone | the same in UTC with `Z` | string | date and time in UTC |
//! | duration, interval | ISO 8601: `P1DT2H3.500S`, `P1Y2M`, `-PT5S` | string | text |
//! | binary | lower-case hex | string | text |
//! | geometry | WKT | GeoJSON object | WKT |
//! | list, struct, map | JSON text | array, object, object | JSON text |
//!
//! Arrow and Parquet keep Arrow's types, but for views, dictionaries and runs, which become plain columns.
//! Parquet spells intervals and unions as text, since it has no such types that other readers know. A file
//! of one column spells null as `""` where null is empty, since readers skip blank lines.
//!
//! What it deliberately does not do: it knows no HTTP, no DataFusion and no clock, and it does not frame
//! Arrow messages for Flight.

mod cells;
mod compress;
mod encoder;
mod error;
mod formats;
mod spell;
mod types;

#[cfg(test)]
mod tests;

pub use encoder::{Encoder, encoder};
pub use error::{EncodeError, XLSX_CELL_MAX, XLSX_COLUMNS_MAX, XLSX_ROWS_MAX};
pub use types::{geometry_field, lat_lon_fields, type_name};

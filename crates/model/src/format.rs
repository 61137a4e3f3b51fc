//! The formats that answers and exports come in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A format of bytes that leave the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// RFC 4180 with a header row and `\n`.
    Csv,
    /// Tab-separated, quoted like CSV.
    Tsv,
    /// The answer document of `/sql`: columns, rows as arrays, versions.
    Json,
    /// A JSON array of objects.
    Objects,
    /// One JSON object a line.
    Ndjson,
    /// Arrow IPC stream, bodies uncompressed.
    Arrow,
    /// Apache Parquet.
    Parquet,
    /// RFC 7946 FeatureCollection.
    Geojson,
    /// Office Open XML workbook.
    Xlsx,
    /// Aligned text for a terminal.
    Table,
    /// Arrow IPC messages framed for Flight; never leaves by HTTP.
    Flight,
}

impl Format {
    /// The name in `format=` and in file names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
            Self::Objects => "objects",
            Self::Ndjson => "ndjson",
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
            Self::Geojson => "geojson",
            Self::Xlsx => "xlsx",
            Self::Table => "table",
            Self::Flight => "flight",
        }
    }

    /// Reads a format's name as a client writes it; `Flight` has none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            "json" => Self::Json,
            "objects" => Self::Objects,
            "ndjson" | "jsonl" => Self::Ndjson,
            "arrow" => Self::Arrow,
            "parquet" => Self::Parquet,
            "geojson" => Self::Geojson,
            "xlsx" => Self::Xlsx,
            "table" => Self::Table,
            _ => return None,
        })
    }

    /// The media type without parameters, as registered with IANA where there is a registration.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::Tsv => "text/tab-separated-values",
            Self::Json | Self::Objects => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Arrow | Self::Flight => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Geojson => "application/geo+json",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Table => "text/plain",
        }
    }

    /// The value of `Content-Type`: text formats say that they are UTF-8.
    #[must_use]
    pub fn content_type(self) -> String {
        match self {
            Self::Csv | Self::Tsv | Self::Table => format!("{}; charset=utf-8", self.media_type()),
            _ => self.media_type().to_owned(),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Compression of a whole file (`.csv.gz`), apart from what a format does inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// As it is.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// What a download URL ends in: a format and its compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileKind {
    /// The format.
    pub format: Format,
    /// How the file is compressed.
    pub compression: Compression,
}

impl FileKind {
    /// The extensions that downloads have, in the order the pages show them.
    pub const EXTENSIONS: [&'static str; 12] = [
        "csv",
        "csv.gz",
        "csv.zst",
        "tsv",
        "json",
        "ndjson",
        "ndjson.gz",
        "ndjson.zst",
        "parquet",
        "arrow",
        "geojson",
        "xlsx",
    ];

    /// Reads an extension of `EXTENSIONS`. In a download `json` is an array of objects.
    #[must_use]
    pub fn from_extension(extension: &str) -> Option<Self> {
        let (base, compression) = match extension.rsplit_once('.') {
            Some((base, "gz")) => (base, Compression::Gzip),
            Some((base, "zst")) => (base, Compression::Zstd),
            Some(_) => return None,
            None => (extension, Compression::None),
        };
        let format = match base {
            "csv" => Format::Csv,
            "tsv" => Format::Tsv,
            "json" => Format::Objects,
            "ndjson" => Format::Ndjson,
            "parquet" => Format::Parquet,
            "arrow" => Format::Arrow,
            "geojson" => Format::Geojson,
            "xlsx" => Format::Xlsx,
            _ => return None,
        };
        let compressible = matches!(format, Format::Csv | Format::Ndjson);
        (compression == Compression::None || compressible).then_some(Self { format, compression })
    }

    /// The extension, the inverse of [`FileKind::from_extension`].
    #[must_use]
    pub fn extension(self) -> String {
        let base = match self.format {
            Format::Objects => "json",
            other => other.as_str(),
        };
        match self.compression {
            Compression::None => base.to_owned(),
            Compression::Gzip => format!("{base}.gz"),
            Compression::Zstd => format!("{base}.zst"),
        }
    }

    /// The value of `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> String {
        match self.compression {
            Compression::None => self.format.content_type(),
            Compression::Gzip => "application/gzip".to_owned(),
            Compression::Zstd => "application/zstd".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_round_trip() {
        for extension in FileKind::EXTENSIONS {
            let kind = FileKind::from_extension(extension).unwrap();
            assert_eq!(kind.extension(), extension);
        }
        for bad in ["", "xls", "csv.bz2", "parquet.gz", "csv.gz.gz", "CSV"] {
            assert_eq!(FileKind::from_extension(bad), None, "{bad}");
        }
    }
}

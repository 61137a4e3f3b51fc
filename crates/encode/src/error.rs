//! Why an answer cannot be written in a format.

use portico_model::format::FileKind;
use portico_model::problem::ProblemKind;
use portico_model::wkb::WkbError;
use thiserror::Error;

/// Rows of data that a worksheet holds below its header row.
pub const XLSX_ROWS_MAX: u64 = 1_048_575;
/// Columns that a worksheet holds.
pub const XLSX_COLUMNS_MAX: usize = 16_384;
/// Characters that a cell of a worksheet holds, counted in UTF-16 units as Excel does.
pub const XLSX_CELL_MAX: usize = 32_767;

/// Why an answer cannot be written in a format. The text may go to strangers: it names columns and rows,
/// never a value.
#[derive(Debug, Error)]
pub enum EncodeError {
    /// GeoJSON of columns among which there is no geometry.
    #[error("GeoJSON needs a geometry column, or a latitude and a longitude column; the answer has neither")]
    NoGeometry,
    /// A format or a compression that is not written here.
    #[error("{} is not offered as a file", .0.extension())]
    NotOffered(FileKind),
    /// More rows than a worksheet holds.
    #[error(
        "a worksheet holds {XLSX_ROWS_MAX} rows of data and the answer has more; ask for fewer rows or another format"
    )]
    TooManyRows,
    /// More columns than a worksheet holds.
    #[error(
        "a worksheet holds {XLSX_COLUMNS_MAX} columns and the answer has {0}; select fewer or ask for another format"
    )]
    TooManyColumns(usize),
    /// A cell longer than a worksheet holds.
    #[error(
        "a worksheet's cell holds {XLSX_CELL_MAX} characters and column {column}, row {row} has more; \
         leave the column out or ask for another format"
    )]
    CellTooLong {
        /// The column's name, or how it begins.
        column: String,
        /// The row of data, from 1.
        row: u64,
    },
    /// A geometry column with bytes that are not a geometry.
    #[error("a value of a geometry column is not a geometry: {0}")]
    Geometry(#[from] WkbError),
    /// A batch with other columns than the schema that the encoder was made for.
    #[error("the answer's columns are not the ones that were announced")]
    Columns,
    /// Arrow could not encode or convert a batch.
    #[error("the answer could not be encoded as Arrow")]
    Arrow(#[from] arrow::error::ArrowError),
    /// Parquet could not encode a batch.
    #[error("the answer could not be encoded as Parquet")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// The workbook could not be written.
    #[error("the answer could not be encoded as a workbook")]
    Xlsx(#[from] rust_xlsxwriter::XlsxError),
    /// A compressor or a temporary file failed.
    #[error("the answer could not be written")]
    Io(#[from] std::io::Error),
}

impl EncodeError {
    /// What kind of problem a client has with it.
    #[must_use]
    pub fn kind(&self) -> ProblemKind {
        match self {
            Self::NoGeometry | Self::NotOffered(_) => ProblemKind::NotAcceptable,
            Self::TooManyRows | Self::TooManyColumns(_) | Self::CellTooLong { .. } => ProblemKind::AnswerTooLarge,
            Self::Geometry(_) => ProblemKind::QueryFailed,
            Self::Columns | Self::Arrow(_) | Self::Parquet(_) | Self::Xlsx(_) | Self::Io(_) => ProblemKind::Internal,
        }
    }
}

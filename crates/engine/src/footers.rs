//! Parquet footers, read once per worker process and kept by digest.
//!
//! A footer with its page index says which pages a question needs; a released file never changes, so neither does
//! its footer. The cache is bounded in bytes; a file whose footer is larger than all of it is simply read again.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::error::Result;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::future::{BoxFuture, FutureExt};
use object_store::path::Path;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use crate::files::ReleasedFiles;

/// Bytes read from the end of a file at first: most footers with their page index fit, and a small file is not
/// read twice.
const TAIL_BYTES: usize = 64 * 1024;

/// The footers of this process.
#[derive(Clone)]
pub(crate) struct Footers {
    cache: moka::future::Cache<String, Arc<ParquetMetaData>>,
}

impl Footers {
    /// A cache of at most `bytes`.
    pub(crate) fn new(bytes: u64) -> Self {
        let cache = moka::future::Cache::builder()
            .max_capacity(bytes)
            .weigher(|key: &String, footer: &Arc<ParquetMetaData>| {
                u32::try_from(key.len() + footer.memory_size()).unwrap_or(u32::MAX)
            })
            .build();
        Self { cache }
    }

    /// Forgets all footers: one of them may be of a file that turned out to be damaged.
    pub(crate) fn forget(&self) {
        self.cache.invalidate_all();
    }

    /// The footer of a file: at most one read for all who ask at once.
    pub(crate) async fn get(
        &self,
        files: &Arc<ReleasedFiles>,
        location: &Path,
        bytes: u64,
    ) -> Result<Arc<ParquetMetaData>, ParquetError> {
        let load = async {
            let mut reader = Reader { files: files.clone(), location: location.clone(), bytes, footers: self.clone() };
            let footer = ParquetMetaDataReader::new()
                .with_page_index_policy(PageIndexPolicy::Optional)
                .with_prefetch_hint(Some(TAIL_BYTES))
                .load_and_finish(&mut reader, bytes)
                .await?;
            Ok(Arc::new(footer))
        };
        self.cache
            .try_get_with(location.to_string(), load)
            .await
            .map_err(|error: Arc<ParquetError>| ParquetError::External(Box::new(SharedError(error))))
    }
}

/// An error that several readers got at once.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct SharedError(Arc<ParquetError>);

/// Makes readers of an order's files for DataFusion's Parquet scan.
pub(crate) struct Readers {
    files: Arc<ReleasedFiles>,
    footers: Footers,
}

impl Readers {
    pub(crate) fn new(files: Arc<ReleasedFiles>, footers: Footers) -> Self {
        Self { files, footers }
    }

    /// The footer of one of the order's files.
    pub(crate) async fn footer(&self, location: &Path, bytes: u64) -> Result<Arc<ParquetMetaData>, ParquetError> {
        self.footers.get(&self.files, location, bytes).await
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Readers({})", self.files)
    }
}

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        _partition: usize,
        file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        Ok(Box::new(Reader {
            files: self.files.clone(),
            bytes: file.object_meta.size,
            location: file.object_meta.location,
            footers: self.footers.clone(),
        }))
    }
}

struct Reader {
    files: Arc<ReleasedFiles>,
    location: Path,
    bytes: u64,
    footers: Footers,
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        async move {
            let parts = self.files.read(&self.location, std::slice::from_ref(&range)).await;
            let parts = parts.map_err(|error| ParquetError::External(Box::new(error)))?;
            Ok(parts.into_iter().next().unwrap_or_default())
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        async move {
            let parts = self.files.read(&self.location, &ranges).await;
            parts.map_err(|error| ParquetError::External(Box::new(error)))
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        async move { self.footers.get(&self.files, &self.location, self.bytes).await }.boxed()
    }
}

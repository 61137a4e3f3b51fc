//! One released version as a table: plain DataFusion Parquet nodes over the manifest's file list.
//!
//! The manifest's exact statistics answer `count(*)`, `min` and `max` without reading and prune whole files while
//! planning; row groups, pages and bloom filters are pruned when a file is opened. Text is read as views, which
//! compare and group faster; `output` makes it plain again before it leaves.

mod late;
mod pieces;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::pruning::PrunableStatistics;
use datafusion::common::{DFSchema, Statistics};
use datafusion::datasource::TableProvider;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType, utils::conjunction};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use object_store::path::Path;
use portico_model::manifest::{Manifest, ReleasedFile};
use portico_model::order::OrderTable;

use crate::files::{ReleasedFiles, STORE_URL};
use crate::footers::Readers;
use crate::statistics;
pub(crate) use pieces::ScanOf;
use pieces::{Spread, TableFile};

/// A pinned version, ready to be scanned.
pub(crate) struct ReleasedTable {
    name: Arc<str>,
    schema: SchemaRef,
    files: Vec<TableFile>,
    sort_key: Vec<usize>,
    stored_order: bool,
    ordered: AtomicBool,
    readers: Arc<Readers>,
}

impl ReleasedTable {
    /// The table of an order, its files added to `files`.
    pub(crate) fn new(table: &OrderTable, stored_order: bool, locations: &[Path], readers: Arc<Readers>) -> Self {
        let schema = viewed(&table.manifest.schema);
        let files = table
            .manifest
            .files
            .iter()
            .zip(locations)
            .enumerate()
            .filter_map(|(index, (file, location))| table_file(table, index, file, location, &schema))
            .collect();
        Self {
            name: Arc::from(table.name.as_str()),
            sort_key: sort_key(&table.manifest, &schema),
            schema,
            files,
            stored_order,
            ordered: AtomicBool::new(stored_order),
            readers,
        }
    }

    /// Adds a table's files to the order's store and says where each is.
    pub(crate) fn locate(table: &OrderTable, files: &mut ReleasedFiles) -> Vec<Path> {
        table.manifest.files.iter().zip(&table.access).map(|(file, access)| files.add(file, access)).collect()
    }

    /// The identifier in the statement.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The column that the rows are sorted by first.
    pub(crate) fn sorted_by(&self) -> Option<&str> {
        self.sort_key.first().map(|&index| self.schema.field(index).name().as_str())
    }

    /// Makes scans declare their sort order and keep it: worth the loss of freedom only where a plan sorts by it.
    pub(crate) fn keep_order(&self) {
        self.ordered.store(true, Ordering::Relaxed);
    }

    fn orderings(&self, statistics: &Statistics) -> Vec<LexOrdering> {
        if !self.ordered.load(Ordering::Relaxed) {
            return Vec::new();
        }
        // Rows come nulls first. Without nulls they are as well nulls last, which is what ORDER BY asks for by default;
        // the planner takes one of the two only.
        let nulls_first = self.sort_key.iter().any(|&index| {
            statistics.column_statistics.get(index).is_none_or(|column| column.null_count.get_value() != Some(&0))
        });
        let ordering = self.sort_key.iter().map(|&index| {
            let column = Column::new(self.schema.field(index).name(), index);
            PhysicalSortExpr::new(Arc::new(column), SortOptions { descending: false, nulls_first })
        });
        LexOrdering::new(ordering).into_iter().collect()
    }

    /// The files that may hold rows which pass `filters`, by their statistics.
    fn prune(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<TableFile>> {
        let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(self.files.clone()) };
        let df_schema = DFSchema::try_from(self.schema.as_ref().clone())?;
        let Ok(physical) = state.create_physical_expr(filter, &df_schema) else { return Ok(self.files.clone()) };
        let builder = PruningPredicateBuilder::new().with_file_schema(self.schema.clone());
        let Some(predicate) = builder.build(physical) else { return Ok(self.files.clone()) };
        let statistics = self.files.iter().map(|file| file.statistics.clone()).collect();
        // A condition that cannot be judged by bounds says nothing of any file.
        let bounds = PrunableStatistics::new(statistics, self.schema.clone());
        let Ok(keep) = predicate.prune(&bounds) else { return Ok(self.files.clone()) };
        Ok(self.files.iter().zip(keep).filter(|(_, keep)| *keep).map(|(file, _)| file.clone()).collect())
    }

    fn source(&self, projection: Option<&Vec<usize>>, filters: &[Expr], statistics: &Statistics) -> ParquetSource {
        ParquetSource::new(self.schema.clone())
            .with_parquet_file_reader_factory(self.readers.clone())
            .with_enable_page_index(true)
            .with_bloom_filter_on_read(true)
            .with_reorder_filters(true)
            .with_pushdown_filters(late::pays(&self.schema, projection, filters, statistics))
    }
}

#[async_trait]
impl TableProvider for ReleasedTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.prune(state, filters)?;
        let file_statistics = files.iter().map(|file| file.statistics.clone()).collect::<Vec<_>>();
        let mut statistics = statistics::merged(&file_statistics, &self.schema);
        // A limit is only ever passed on when nothing filters above the scan.
        let rows_max = limit.filter(|_| filters.is_empty());
        if rows_max.is_some() {
            statistics = statistics.to_inexact();
        }
        let orderings = self.orderings(&statistics);
        let spread = match (self.stored_order, orderings.is_empty()) {
            (true, _) => Spread::Whole,
            (false, false) => Spread::Ordered(state.config().target_partitions()),
            (false, true) => Spread::Free(state.config().target_partitions()),
        };
        let groups = pieces::groups(&self.name, &files, spread, rows_max);
        if groups.is_empty() {
            let schema = match projection {
                Some(indices) => Arc::new(self.schema.project(indices)?),
                None => self.schema.clone(),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let source = self.source(projection, filters, &statistics);
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE_URL)?, Arc::new(source))
            .with_file_groups(groups.into_iter().map(FileGroup::new).collect())
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_output_ordering(orderings)
            .with_preserve_order(self.stored_order)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // Filters are seen here for pruning; where they are evaluated is settled by the physical plan.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn statistics(&self) -> Option<Statistics> {
        let files = self.files.iter().map(|file| file.statistics.clone()).collect::<Vec<_>>();
        Some(statistics::merged(&files, &self.schema))
    }
}

impl fmt::Debug for ReleasedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReleasedTable({}, {} files)", self.name, self.files.len())
    }
}

/// A file of the table, cut down to the part that the order asks for; `None` when it asks for none of it.
fn table_file(
    table: &OrderTable,
    index: usize,
    file: &ReleasedFile,
    location: &Path,
    schema: &Schema,
) -> Option<TableFile> {
    let all = 0..file.row_groups.len();
    let wanted = match &table.part {
        Some(part) if part.file == index => {
            part.row_group_start.min(all.end)..part.row_group_end.clamp(part.row_group_start.min(all.end), all.end)
        }
        Some(_) => return None,
        None => all.clone(),
    };
    if file.rows == 0 || wanted.is_empty() {
        return None;
    }
    let mut statistics = statistics::of_file(file, schema);
    if wanted != all {
        let rows = file.row_groups.get(wanted.clone()).unwrap_or_default().iter().sum::<u64>();
        statistics = statistics.to_inexact();
        statistics.num_rows = datafusion::common::stats::Precision::Exact(usize::try_from(rows).unwrap_or(usize::MAX));
    }
    Some(TableFile {
        location: location.clone(),
        bytes: file.bytes,
        row_groups: Arc::from(file.row_groups.as_slice()),
        wanted,
        statistics: Arc::new(statistics),
    })
}

fn sort_key(manifest: &Manifest, schema: &Schema) -> Vec<usize> {
    // Rows sorted by (a, b) are sorted by (a); a name the schema lacks ends the key.
    manifest.sort_key.iter().map_while(|name| schema.index_of(name).ok()).collect()
}

/// The schema as scans give it: text and bytes as views.
fn viewed(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let data_type = match field.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
            DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
            other => other.clone(),
        };
        Field::new(field.name(), data_type, field.is_nullable()).with_metadata(field.metadata().clone())
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

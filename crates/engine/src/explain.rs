//! A plan as text, and what running it would read.
//!
//! Scans are said in words of ours, `Scan building_permits@3 files=2 row_groups=3/40 columns=[…] filter=…`: the
//! engine's own text would list files. The estimate reads footers and prunes by their statistics, as a run would
//! before its first page; bloom filters and the page index are not asked.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Write as _};
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::physical_plan::parquet::{
    ParquetAccessPlan, ParquetFileMetrics, RowGroupAccess, RowGroupAccessPlanFilter,
};
use datafusion::datasource::physical_plan::{FileScanConfig, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan};
use object_store::path::Path;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;
use portico_model::order::Explanation;

use crate::session::Session;
use crate::table::ScanOf;

/// Explains a plan.
///
/// # Errors
/// A footer that cannot be read.
pub(crate) async fn explain(
    session: &Session,
    logical: &LogicalPlan,
    physical: &Arc<dyn ExecutionPlan>,
) -> Result<Explanation> {
    let mut explanation = Explanation { logical_plan: logical.display_indent().to_string(), ..Explanation::default() };
    let mut nodes = Vec::new();
    flatten(physical, 0, &mut nodes);
    for (depth, node) in nodes {
        let line = match scan_of(&node) {
            Some((config, source)) => {
                let reading = Reading::estimate(session, config, source).await?;
                explanation.files += reading.files;
                explanation.row_groups += reading.row_groups;
                explanation.bytes += reading.bytes;
                reading.line(config, source)
            }
            None => One(node.as_ref()).to_string(),
        };
        // Writing to a string does not fail.
        let _ = writeln!(explanation.physical_plan, "{:indent$}{line}", "", indent = 2 * depth);
    }
    Ok(explanation)
}

/// The nodes of a plan from the root down, with their depth.
fn flatten(node: &Arc<dyn ExecutionPlan>, depth: usize, nodes: &mut Vec<(usize, Arc<dyn ExecutionPlan>)>) {
    nodes.push((depth, node.clone()));
    for child in node.children() {
        flatten(child, depth + 1, nodes);
    }
}

fn scan_of(node: &Arc<dyn ExecutionPlan>) -> Option<(&FileScanConfig, &ParquetSource)> {
    node.downcast_ref::<DataSourceExec>()?.downcast_to_file_source::<ParquetSource>()
}

/// One node's own line, as the engine writes it.
struct One<'a>(&'a dyn ExecutionPlan);

impl Display for One<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        DisplayAs::fmt_as(self.0, DisplayFormatType::Default, f)
    }
}

/// What a scan would read.
#[derive(Default)]
struct Reading {
    files: u64,
    row_groups: u64,
    row_groups_all: u64,
    bytes: u64,
}

impl Reading {
    async fn estimate(session: &Session, config: &FileScanConfig, source: &ParquetSource) -> Result<Self> {
        let mut reading = Self::default();
        let columns = columns_read(source)?;
        let mut files: Vec<(Path, u64, Option<ParquetAccessPlan>)> = Vec::new();
        for piece in config.file_groups.iter().flat_map(|group| group.iter()) {
            let access = piece.extension::<ParquetAccessPlan>().cloned();
            match files.last_mut() {
                Some((location, _, known)) if *location == piece.object_meta.location => join(known, access),
                _ => files.push((piece.object_meta.location.clone(), piece.object_meta.size, access)),
            }
        }
        for (location, bytes, access) in files {
            let footer = session.readers.footer(&location, bytes).await;
            let footer = footer.map_err(|error| DataFusionError::ParquetError(Box::new(error)))?;
            reading.add_file(&footer, access, source, &columns)?;
        }
        Ok(reading)
    }

    fn add_file(
        &mut self,
        footer: &ParquetMetaData,
        access: Option<ParquetAccessPlan>,
        source: &ParquetSource,
        columns: &BTreeSet<String>,
    ) -> Result<()> {
        let groups = footer.row_groups();
        let parquet_schema = footer.file_metadata().schema_descr();
        let access = access.unwrap_or_else(|| ParquetAccessPlan::new_all(groups.len()));
        let mut filter = RowGroupAccessPlanFilter::new(access);
        if let Some(predicate) = source.filter() {
            let schema = Arc::new(parquet_to_arrow_schema(parquet_schema, None)?);
            let builder = PruningPredicateBuilder::new().with_file_schema(source.table_schema().table_schema().clone());
            if let Some(predicate) = builder.build(predicate) {
                let metrics = ParquetFileMetrics::new(0, "", &ExecutionPlanMetricsSet::new());
                filter.prune_by_statistics(&schema, parquet_schema, groups, &predicate, &metrics);
            }
        }
        let kept = filter.build();
        let mut any = false;
        for group in kept.row_group_index_iter().filter_map(|index| groups.get(index)) {
            any = true;
            self.row_groups += 1;
            let read = group
                .columns()
                .iter()
                .filter(|column| column.column_path().parts().first().is_some_and(|name| columns.contains(name)));
            let bytes = read.map(|column| column.compressed_size()).sum::<i64>();
            self.bytes += u64::try_from(bytes).unwrap_or(0);
        }
        self.files += u64::from(any);
        self.row_groups_all += u64::try_from(groups.len()).unwrap_or(0);
        Ok(())
    }

    fn line(&self, config: &FileScanConfig, source: &ParquetSource) -> String {
        let first = config.file_groups.iter().flat_map(|group| group.iter()).next();
        let name = first.and_then(|piece| piece.extension::<ScanOf>()).map_or("table", |scan| scan.0.as_ref());
        let columns = source.projection().map(|projection| {
            projection.as_ref().iter().map(|column| column.alias.clone()).collect::<Vec<_>>().join(", ")
        });
        let mut line = format!(
            "Scan {name} files={} row_groups={}/{} columns=[{}]",
            self.files,
            self.row_groups,
            self.row_groups_all,
            columns.unwrap_or_default()
        );
        if let Some(filter) = source.filter() {
            let _ = write!(line, " filter={filter}");
        }
        if source.table_parquet_options().global.pushdown_filters {
            line.push_str(" late=true");
        }
        if let Some(ordering) = config.output_ordering.first() {
            let _ = write!(line, " sorted=[{ordering}]");
        }
        if let Some(limit) = config.limit {
            let _ = write!(line, " limit={limit}");
        }
        line
    }
}

/// Pieces of one file follow each other; their row groups are read together.
fn join(known: &mut Option<ParquetAccessPlan>, more: Option<ParquetAccessPlan>) {
    if let (Some(known), Some(more)) = (known, more) {
        for index in more.row_group_index_iter() {
            known.set(index, RowGroupAccess::Scan);
        }
    }
}

/// The columns that a scan decodes: those of its projection and of its filter.
fn columns_read(source: &ParquetSource) -> Result<BTreeSet<String>> {
    let mut columns = BTreeSet::new();
    source.apply_expressions(&mut |expression| {
        columns.extend(collect_columns(expression).into_iter().map(|column| column.name().to_owned()));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(columns)
}

//! One session per question, from a template that holds everything but the question.
//!
//! A session sees the tables of its order and nothing else: no file system, no URL tables, no settings, no
//! information schema but the virtual tables that the server sends along.

use std::collections::HashMap;
use std::io::Cursor;
use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemTable, MemoryCatalogProvider, MemoryCatalogProviderList,
    MemorySchemaProvider, SchemaProvider,
};
use datafusion::common::config::SpillCompression;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::optimizer::{Analyzer, Optimizer, OptimizerRule};
use datafusion::prelude::SessionConfig;
use object_store::ObjectStore;
use portico_model::order::{VirtualTable, WorkOrder};
use url::Url;

use crate::alike::Alike;
use crate::cases::{ConvertedDenials, LongCases};
use crate::files::ReleasedFiles;
use crate::footers::{Footers, Readers};
use crate::frames::Frames;
use crate::functions::Functions;
use crate::laterals::Laterals;
use crate::pushdown;
use crate::settings::WorkerSettings;
use crate::subqueries::SubqueriesAsValues;
use crate::table::ReleasedTable;

/// The catalog and schema that unqualified names are in.
const CATALOG: &str = "portico";
const SCHEMA: &str = "public";
/// Rows of a batch, the engine's own default: wider batches measured no better.
const BATCH_ROWS: usize = 8_192;
/// Memory that keeps a sorted scan ahead of its merge, per partition.
const SORTED_SCAN_BUFFER_BYTES: usize = 16 * 1024 * 1024;
/// The share of a question's memory that a sort sets aside, per partition, so that it can merge what it spilt.
const SORT_RESERVED: usize = 16;
/// How many of the largest consumers a message about lack of memory names, in the log.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4);

/// How a plan is to use memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thrift {
    /// All threads, joins by hash tables.
    Fast,
    /// One partition, so that one operator has all the memory; joins by sorting, which spills where a hash table
    /// cannot.
    Frugal,
}

/// What all sessions of a process have in common.
pub(crate) struct Template {
    state: SessionState,
    settings: WorkerSettings,
}

/// A session for one order, which knows the tables that it may name.
pub(crate) struct Session {
    pub(crate) state: SessionState,
    pub(crate) readers: Arc<Readers>,
    pub(crate) files: Arc<ReleasedFiles>,
}

impl Template {
    pub(crate) fn new(settings: WorkerSettings) -> Self {
        Self { state: planning_state(), settings }
    }

    /// The session of an order. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// A virtual table that cannot be read, or a scratch directory that cannot be written.
    pub(crate) fn session(
        &self,
        order: &WorkOrder,
        thrift: Thrift,
        files: ReleasedFiles,
        footers: &Footers,
    ) -> Result<Session> {
        let mut files = files;
        let locations = order.tables.iter().map(|table| ReleasedTable::locate(table, &mut files)).collect::<Vec<_>>();
        let files = Arc::new(files);
        let readers = Arc::new(Readers::new(files.clone(), footers.clone()));
        let tables = order
            .tables
            .iter()
            .zip(&locations)
            .map(|(table, places)| Arc::new(ReleasedTable::new(table, order.stored_order, places, readers.clone())))
            .collect::<Vec<_>>();
        let partitions = match thrift {
            Thrift::Fast if !order.stored_order => self.settings.threads.max(1),
            Thrift::Fast | Thrift::Frugal => 1,
        };
        let mut config = config(partitions, memory_bytes(order));
        config.options_mut().optimizer.prefer_hash_join = thrift == Thrift::Fast;
        let mut state = SessionStateBuilder::new_from_existing(self.state.clone())
            .with_session_id(order.question_id.clone())
            .with_config(config)
            .with_catalog_list(catalog(&tables, &order.virtual_tables)?)
            .with_runtime_env(self.runtime_env(order, files.clone())?)
            .build();
        state.mark_start_execution();
        Ok(Session { state, readers, files })
    }

    fn runtime_env(&self, order: &WorkOrder, files: Arc<ReleasedFiles>) -> Result<Arc<RuntimeEnv>> {
        let pool = FairSpillPool::new(memory_bytes(order));
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![self.settings.scratch.clone()]))
            .with_max_temp_directory_size(order.limits.spill_bytes);
        RuntimeEnvBuilder::new()
            // Fair: no sort or aggregate can take what another needs to spill; what cannot spill comes first.
            .with_memory_pool(Arc::new(TrackConsumersPool::new(pool, CONSUMERS_NAMED)))
            .with_disk_manager_builder(disk)
            .with_object_store_registry(Arc::new(OnlyReleased(files)))
            .build_arc()
    }
}

/// What plans are made with: functions and rules, and no tables.
pub(crate) fn planning_state() -> SessionState {
    let builder = SessionStateBuilder::new().with_config(SessionConfig::new());
    let builder = builder.with_physical_optimizer_rules(pushdown::rules());
    let mut rules = Analyzer::new().rules;
    rules.insert(0, Arc::new(Frames));
    rules.insert(0, Arc::new(Alike));
    rules.push(Arc::new(SubqueriesAsValues));
    let builder = builder.with_analyzer_rules(rules);
    let builder = builder.with_optimizer_rules(optimizer_rules());
    Functions::offered().register(builder).build()
}

/// The engine's rules for logical plans, and ours.
fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let laterals = Laterals::default();
    let mut rules = Optimizer::new().rules;
    for rule in &mut rules {
        if rule.name() == laterals.name() {
            *rule = Arc::new(Laterals::default());
        }
    }
    rules.insert(0, Arc::new(LongCases));
    rules.push(Arc::new(ConvertedDenials));
    rules
}

fn memory_bytes(order: &WorkOrder) -> usize {
    usize::try_from(order.limits.memory_bytes).unwrap_or(usize::MAX)
}

pub(crate) fn config(partitions: usize, memory_bytes: usize) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false)
        .with_target_partitions(partitions)
        .with_batch_size(BATCH_ROWS)
        // The table cuts its files itself, at row groups.
        .with_repartition_file_scans(false)
        .with_spill_compression(SpillCompression::Lz4Frame)
        .with_sort_spill_reservation_bytes(memory_bytes / SORT_RESERVED);
    let options = config.options_mut();
    options.execution.enable_recursive_ctes = false;
    // It compares whether columns may be null, in which the two plans of one good statement may differ.
    options.execution.skip_physical_aggregate_schema_check = true;
    options.execution.sort_pushdown_buffer_capacity = SORTED_SCAN_BUFFER_BYTES;
    options.sql_parser.collect_spans = false;
    config
}

/// The catalog of an order: released tables under their names, virtual tables as the gate printed theirs.
fn catalog(tables: &[Arc<ReleasedTable>], virtual_tables: &[VirtualTable]) -> Result<Arc<dyn CatalogProviderList>> {
    let catalog = MemoryCatalogProvider::new();
    let mut schemas: HashMap<String, Arc<MemorySchemaProvider>> = HashMap::new();
    let public = schemas.entry(SCHEMA.to_owned()).or_default().clone();
    for table in tables {
        public.register_table(table.name().to_owned(), table.clone())?;
    }
    for table in virtual_tables {
        let provider = Arc::new(mem_table(table)?);
        // `information_schema.tables` is found both as one quoted identifier and as a schema's table.
        if let Some((schema, name)) = table.name.split_once('.') {
            let schema = schemas.entry(schema.to_owned()).or_default();
            schema.register_table(name.to_owned(), provider.clone())?;
        }
        public.register_table(table.name.clone(), provider)?;
    }
    for (name, schema) in schemas {
        catalog.register_schema(&name, schema)?;
    }
    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    Ok(Arc::new(catalogs))
}

fn mem_table(table: &VirtualTable) -> Result<MemTable> {
    let bytes = BASE64_STANDARD
        .decode(&table.ipc_base64)
        .map_err(|error| DataFusionError::Internal(format!("virtual table is not base64: {error}")))?;
    let reader = StreamReader::try_new(Cursor::new(bytes), None)?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<RecordBatch>, _>>()?;
    MemTable::try_new(schema, vec![batches])
}

/// The only store a session can find, whatever URL it is asked for.
#[derive(Debug)]
struct OnlyReleased(Arc<ReleasedFiles>);

impl ObjectStoreRegistry for OnlyReleased {
    fn register_store(&self, _: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        // Nobody registers stores here; what is refused is handed back.
        Some(store)
    }

    fn deregister_store(&self, _: &Url) -> Result<Arc<dyn ObjectStore>> {
        Err(DataFusionError::NotImplemented("stores are fixed".to_owned()))
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        if url.scheme() == "portico" {
            Ok(self.0.clone())
        } else {
            Err(DataFusionError::Internal("a plan asked for a store other than the released files".to_owned()))
        }
    }
}

//! A small city: released files in a temporary directory, orders over them, and a client.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::utils::flight_data_to_arrow_batch;
use arrow_flight::{FlightData, Ticket};
use futures::StreamExt;
use futures::future::BoxFuture;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use portico_engine::{MESSAGE_BYTES_MAX, WorkerSettings, in_process};
use portico_model::blocks::{BlockDigests, Hasher};
use portico_model::format::{Compression, FileKind, Format};
use portico_model::manifest::{ColumnStatistics, Manifest, ReleasedFile, StatisticValue};
use portico_model::name::{DatasetName, VersionRef};
use portico_model::order::{
    AnswerHead, AnswerTail, Envelope, FileAccess, OrderTable, Output, OutputOptions, ParameterValue, Work, WorkLimits,
    WorkOrder,
};
use portico_model::problem::Problem;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tonic::transport::Channel;

/// Rows of the permits.
pub(crate) const ROWS: i64 = 1_000;
/// Rows of one of their row groups.
const ROW_GROUP: usize = 100;
/// Their boroughs, by `id % 5`.
pub(crate) const BOROUGHS: [&str; 5] = ["Bronx", "Brooklyn", "Manhattan", "Queens", "Staten Island"];

type Connect = Arc<dyn Fn() -> BoxFuture<'static, Channel> + Send + Sync>;

/// Released files and a worker that reads them.
pub(crate) struct City {
    directory: TempDir,
    connect: Connect,
    permits: OrderTable,
}

/// All that came back for one order.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) head: AnswerHead,
    pub(crate) tail: AnswerTail,
    pub(crate) messages: Vec<FlightData>,
    pub(crate) bytes: Vec<u8>,
}

impl City {
    /// A city with `permits@3`: two files of five row groups each, sorted by `id`.
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let scratch = directory.path().join("scratch");
        std::fs::create_dir(&scratch).unwrap();
        let settings =
            WorkerSettings { scratch, threads: 2, footer_cache_bytes: 1 << 20, memory_bytes: 0, spill_bytes: 0 };
        let connect: Connect = Arc::new(in_process(settings).unwrap());
        let permits = permits(directory.path());
        Self { directory, connect, permits }
    }

    /// An order over the permits, answered as CSV.
    pub(crate) fn order(&self, sql: &str) -> WorkOrder {
        WorkOrder {
            question_id: "q1".into(),
            work: Work::Answer,
            sql: sql.into(),
            tables: vec![self.permits.clone()],
            virtual_tables: Vec::new(),
            parameters: BTreeMap::new(),
            stored_order: false,
            output: output(Format::Csv),
            limits: WorkLimits {
                first_byte_ms: 60_000,
                total_ms: 60_000,
                memory_bytes: 256 << 20,
                spill_bytes: 64 << 20,
                answer_bytes: 1 << 30,
                answer_rows: 10_000_000,
                row_bytes: 16 << 20,
            },
        }
    }

    /// Where the files lie.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let access = self.permits.access.iter().map(|access| match access {
            FileAccess::Path(path) => PathBuf::from(path),
            FileAccess::Url(url) => panic!("{url}"),
        });
        access.collect()
    }

    /// The directory that no answer may name.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) async fn client(&self) -> FlightServiceClient<Channel> {
        FlightServiceClient::new((self.connect)().await).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Sends an order and takes the whole answer.
    pub(crate) async fn ask(&self, order: &WorkOrder) -> Result<Collected, Problem> {
        let ticket = Ticket { ticket: serde_json::to_vec(order).unwrap().into() };
        let mut stream = self.client().await.do_get(ticket).await.map_err(|status| problem(&status))?.into_inner();
        let mut messages = Vec::new();
        while let Some(message) = stream.next().await {
            messages.push(message.map_err(|status| problem(&status))?);
        }
        let head = serde_json::from_slice(&messages.first().unwrap().app_metadata).unwrap();
        let tail = serde_json::from_slice(&messages.last().unwrap().app_metadata).expect("an answer has a tail");
        let bytes = messages.iter().flat_map(|message| message.data_body.to_vec()).collect();
        Ok(Collected { head, tail, messages, bytes })
    }

    /// The answer to a statement as CSV.
    pub(crate) async fn csv(&self, sql: &str) -> String {
        let collected = self.ask(&self.order(sql)).await.unwrap();
        String::from_utf8(collected.bytes).unwrap()
    }

    /// The lines of the answer below the header, sorted.
    pub(crate) async fn lines(&self, sql: &str) -> Vec<String> {
        let csv = self.csv(sql).await;
        let mut lines = csv.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
        lines.sort();
        lines
    }

    /// The problem that a statement ends in.
    pub(crate) async fn refused(&self, sql: &str) -> Problem {
        match self.ask(&self.order(sql)).await {
            Err(problem) => problem,
            Ok(collected) => panic!("{sql}: {}", String::from_utf8_lossy(&collected.bytes)),
        }
    }
}

impl Collected {
    /// The batches of a Flight answer.
    pub(crate) fn batches(&self) -> Vec<RecordBatch> {
        let schema = Arc::new(Schema::try_from(&self.messages[0]).unwrap());
        let data = self.messages.iter().skip(1).filter(|message| !message.data_header.is_empty());
        data.map(|message| {
            flight_data_to_arrow_batch(message, schema.clone(), &std::collections::HashMap::new()).unwrap()
        })
        .collect()
    }
}

pub(crate) fn output(format: Format) -> Output {
    Output {
        kind: FileKind { format, compression: Compression::None },
        options: OutputOptions::default(),
        envelope: Envelope::default(),
    }
}

pub(crate) fn with(order: WorkOrder, name: &str, value: ParameterValue) -> WorkOrder {
    let mut order = order;
    order.parameters.insert(name.into(), value);
    order
}

fn problem(status: &tonic::Status) -> Problem {
    let problem: Problem = serde_json::from_slice(status.details()).unwrap_or_else(|_| panic!("{status:?}"));
    assert_eq!(status.message(), problem.kind.code());
    problem
}

fn permits(directory: &Path) -> OrderTable {
    // Released columns say what they were called in their file.
    let field = |name: &str, kind| {
        Field::new(name, kind, true).with_metadata([("portico:source_name".to_owned(), name.to_uppercase())].into())
    };
    let schema = Arc::new(Schema::new(vec![
        field("id", DataType::Int64),
        field("borough", DataType::Utf8),
        field("cost", DataType::Decimal128(10, 2)),
        field("issued", DataType::Date32),
        field("note", DataType::Utf8),
        field("score", DataType::Float64),
    ]));
    let mut files = Vec::new();
    let mut access = Vec::new();
    for (index, ids) in [(0, 0..ROWS / 2), (1, ROWS / 2..ROWS)] {
        let path = directory.join(format!("part-{index}.parquet"));
        let batch = rows(&schema, ids);
        files.push(write(&path, &batch));
        access.push(FileAccess::Path(path.to_str().unwrap().into()));
    }
    let manifest = Manifest {
        version: VersionRef { dataset: DatasetName::parse("permits").unwrap(), version: 3 },
        schema,
        rows: files.iter().map(|file| file.rows).sum(),
        bytes: files.iter().map(|file| file.bytes).sum(),
        files,
        sort_key: vec!["id".into()],
    };
    OrderTable { name: "permits@3".into(), manifest, access, part: None }
}

/// `id`, a borough by `id % 5`, a cost of `id` cents, a day, a note that every tenth row lacks, half of `id`.
fn rows(schema: &SchemaRef, ids: std::ops::Range<i64>) -> RecordBatch {
    let ids = ids.collect::<Vec<_>>();
    let borough = ids.iter().map(|id| BOROUGHS[usize::try_from(id % 5).unwrap()]);
    let notes = ids.iter().map(|id| (id % 10 != 0).then(|| format!("SECRET-{id}")));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(ids.clone())),
        Arc::new(StringArray::from_iter_values(borough)),
        Arc::new(
            Decimal128Array::from_iter_values(ids.iter().map(|id| i128::from(*id)))
                .with_precision_and_scale(10, 2)
                .unwrap(),
        ),
        Arc::new(Date32Array::from_iter_values(ids.iter().map(|id| i32::try_from(18_000 + id / 10).unwrap()))),
        Arc::new(StringArray::from_iter(notes)),
        Arc::new(Float64Array::from_iter_values(ids.iter().map(|id| f64::from(i32::try_from(*id).unwrap()) / 2.0))),
    ];
    RecordBatch::try_new(schema.clone(), columns).unwrap()
}

/// Digests of blocks so small that a file has dozens.
fn in_blocks(bytes: &[u8]) -> BlockDigests {
    let mut hasher = Hasher::in_blocks_of(512);
    hasher.update(bytes);
    hasher.finish()
}

fn write(path: &Path, batch: &RecordBatch) -> ReleasedFile {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_data_page_row_count_limit(20)
        .set_write_batch_size(10)
        .build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    let metadata = writer.close().unwrap();
    let bytes = std::fs::read(path).unwrap();
    let int = |array: &ArrayRef, row: usize| {
        let array = array.as_any().downcast_ref::<Int64Array>().unwrap();
        Some(StatisticValue::Int(array.value(row)))
    };
    let columns = batch.columns().iter().enumerate().map(|(index, column)| ColumnStatistics {
        nulls: u64::try_from(column.null_count()).unwrap(),
        // Only the sort key has extremes here: they are those of its first and last row.
        min: (index == 0).then(|| int(column, 0)).flatten(),
        max: (index == 0).then(|| int(column, batch.num_rows() - 1)).flatten(),
    });
    ReleasedFile {
        path: "opaque".into(),
        sha256: Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
        bytes: u64::try_from(bytes.len()).unwrap(),
        blocks: Some(in_blocks(&bytes)),
        rows: u64::try_from(batch.num_rows()).unwrap(),
        row_groups: metadata.row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap()).collect(),
        columns: columns.collect(),
    }
}

//! A worker that speaks the protocol and does what a marker in the statement says, such as `do:chunks:3:10`.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaAsIpc, SchemaResult, Ticket,
};
use arrow_schema::{DataType, Field, Schema};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::stream::{self, StreamExt};
use hyper_util::rt::TokioIo;
use portico_model::format::Format;
use portico_model::order::{AnswerColumn, AnswerHead, AnswerTail, Explanation, Work, WorkOrder};
use portico_model::problem::{Problem, ProblemKind};
use tokio::sync::{Semaphore, mpsc};
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

use crate::workers::Launcher;

type Stream<T> = Pin<Box<dyn futures::Stream<Item = Result<T, Status>> + Send>>;
type Sender = mpsc::Sender<Result<FlightData, Status>>;

/// What all connections of one test share.
#[derive(Clone, Default)]
pub(super) struct Fake {
    inner: Arc<Inner>,
}

struct Inner {
    orders: Mutex<Vec<WorkOrder>>,
    connections: AtomicUsize,
    lost: AtomicUsize,
    /// `do:steps` sends a chunk for each permit.
    steps: Semaphore,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            orders: Mutex::default(),
            connections: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
            steps: Semaphore::new(0),
        }
    }
}

impl Fake {
    /// Workers in this process, each over a pipe of its own.
    pub(super) fn launcher(&self) -> Launcher {
        let fake = self.clone();
        Launcher::Connect(Arc::new(move || {
            let fake = fake.clone();
            Box::pin(async move {
                fake.inner.connections.fetch_add(1, Ordering::SeqCst);
                let (client, server) = tokio::io::duplex(1 << 20);
                let service = FlightServiceServer::new(fake).max_decoding_message_size(usize::MAX);
                let pipe = stream::iter([Ok::<_, std::io::Error>(server)]);
                tokio::spawn(Server::builder().add_service(service).serve_with_incoming(pipe));
                let mut client = Some(client);
                let connector = tower::service_fn(move |_| {
                    let client = client.take().ok_or_else(|| std::io::Error::other("connected before"));
                    async move { client.map(TokioIo::new) }
                });
                Ok(Endpoint::from_static("http://worker").connect_with_connector(connector).await?)
            })
        }))
    }

    /// Everything that the workers were asked so far.
    pub(super) fn orders(&self) -> Vec<WorkOrder> {
        self.inner.orders.lock().unwrap().clone()
    }

    /// How many workers were connected to so far.
    pub(super) fn connections(&self) -> usize {
        self.inner.connections.load(Ordering::SeqCst)
    }

    /// Lets `do:steps` send this many more chunks.
    pub(super) fn step(&self, chunks: usize) {
        self.inner.steps.add_permits(chunks);
    }

    async fn act(self, order: WorkOrder, sender: Sender) {
        let flight = order.output.kind.format == Format::Flight;
        let command = command(&order.sql);
        let words: Vec<&str> = command.split(':').collect();
        let number = |index: usize| words.get(index).and_then(|word| word.parse::<usize>().ok()).unwrap_or(0);
        let to_come = Script { flight, sender };
        match words.first().copied().unwrap_or_default() {
            _ if order.work != Work::Answer => {
                to_come.head(&order).await;
                to_come.tail(0).await;
            }
            "hang" => std::future::pending().await,
            "begin-hang" => {
                to_come.begin(&order).await;
                std::future::pending::<()>().await;
            }
            "problem" => to_come.problem(ProblemKind::QueryFailed).await,
            "late-problem" => {
                to_come.begin_with(&order, number(1)).await;
                to_come.problem(ProblemKind::AnswerTooLarge).await;
            }
            "no-tail" => to_come.begin_with(&order, number(1)).await,
            "no-words" => to_come.send(Err(Status::unknown("it broke at /secret/path"))).await,
            "lost" if self.inner.lost.fetch_add(1, Ordering::SeqCst) < number(1) => {
                to_come.send(Err(Status::unavailable("gone"))).await;
            }
            "lost-late" if self.inner.lost.fetch_add(1, Ordering::SeqCst) < number(1) => {
                to_come.begin(&order).await;
                to_come.send(Err(Status::unavailable("gone"))).await;
            }
            "steps" => {
                to_come.head(&order).await;
                for step in 0..number(1) {
                    self.inner.steps.acquire().await.unwrap().forget();
                    to_come.chunk(step, number(2)).await;
                }
                to_come.tail(number(1)).await;
            }
            "chunks" => {
                to_come.head(&order).await;
                for index in 0..number(1) {
                    to_come.chunk(index, number(2)).await;
                }
                to_come.tail(number(1)).await;
            }
            "panic" => {
                let panicking: Result<(), _> = tokio::spawn(async { panic!("as a plan may") }).await;
                assert!(panicking.is_err());
                to_come.problem(ProblemKind::Internal).await;
            }
            "begin-burn" => {
                // On a thread of its own: what is to be sent may wait for this one.
                std::thread::spawn(burn);
                to_come.begin(&order).await;
                std::future::pending::<()>().await;
            }
            "eat" | "burn" | "abort" | "killed" | "allocate" | "overflow" => misbehave(&words, number(1)).await,
            "pid" => {
                to_come.head(&order).await;
                to_come.bytes(std::process::id().to_string().into_bytes()).await;
                to_come.tail(1).await;
            }
            _ => {
                to_come.begin(&order).await;
                to_come.tail(1).await;
            }
        }
    }
}

/// The marker in a statement, without `do:`.
fn command(sql: &str) -> String {
    let rest = sql.split("do:").nth(1).unwrap_or_default();
    rest.chars().take_while(|&c| c.is_ascii_alphanumeric() || c == ':' || c == '-').collect()
}

/// Ends the process, or makes the server end it.
async fn misbehave(words: &[&str], mib: usize) {
    match words.first().copied().unwrap_or_default() {
        "eat" => eat(mib).await,
        "burn" => burn(),
        "abort" => std::process::abort(),
        "killed" => {
            let own = std::process::id().to_string();
            let _ = std::process::Command::new("kill").args(["-9", &own]).status();
        }
        "allocate" => drop(std::hint::black_box(vec![1_u8; usize::MAX / 4])),
        "overflow" => {
            overflow(0);
        }
        other => panic!("nobody knows how to {other}"),
    }
}

async fn eat(mib: usize) {
    let mut eaten = Vec::new();
    for _ in 0..mib {
        eaten.push(std::hint::black_box(vec![1_u8; 1 << 20]));
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    std::future::pending().await
}

fn burn() {
    let mut x = 1_u64;
    loop {
        x = std::hint::black_box(x.wrapping_mul(31));
    }
}

#[allow(unconditional_recursion, reason = "it is there to overflow the stack")]
fn overflow(depth: u64) -> u64 {
    let page = std::hint::black_box([depth; 512]);
    overflow(depth + 1) + page[0]
}

struct Script {
    flight: bool,
    sender: Sender,
}

impl Script {
    async fn send(&self, message: Result<FlightData, Status>) {
        let _ = self.sender.send(message).await;
    }

    async fn head(&self, order: &WorkOrder) {
        let schema = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
        let message = FlightData::from(SchemaAsIpc::new(&schema, &IpcWriteOptions::default()));
        let explanation = Explanation { logical_plan: format!("plan of {}", order.sql), ..Explanation::default() };
        let head = AnswerHead {
            columns: vec![AnswerColumn { name: "a".into(), data_type: "int64".into() }],
            schema_ipc_base64: STANDARD.encode(&message.data_header),
            parameters_ipc_base64: None,
            explanation: (order.work == Work::Explain).then_some(explanation),
        };
        let head = serde_json::to_vec(&head).unwrap().into();
        let message = if self.flight { message } else { FlightData::default() };
        self.send(Ok(FlightData { app_metadata: head, ..message })).await;
    }

    async fn begin(&self, order: &WorkOrder) {
        self.begin_with(order, 5).await;
    }

    async fn begin_with(&self, order: &WorkOrder, size: usize) {
        self.head(order).await;
        self.chunk(0, size).await;
    }

    /// Chunk `index`: its bytes are known, so that readers can be compared.
    async fn chunk(&self, index: usize, size: usize) {
        let letter = u8::try_from(index % 26).unwrap() + b'a';
        self.bytes(vec![letter; size]).await;
    }

    async fn bytes(&self, bytes: Vec<u8>) {
        let header = if self.flight { vec![1] } else { Vec::new() };
        self.send(Ok(FlightData { data_header: header.into(), data_body: bytes.into(), ..FlightData::default() }))
            .await;
    }

    async fn tail(&self, rows: usize) {
        let tail = AnswerTail { rows: u64::try_from(rows).unwrap(), ..AnswerTail::default() };
        let app_metadata = serde_json::to_vec(&tail).unwrap().into();
        self.send(Ok(FlightData { app_metadata, ..FlightData::default() })).await;
    }

    async fn problem(&self, kind: ProblemKind) {
        let details = serde_json::to_vec(&Problem::new(kind, "so the worker says")).unwrap().into();
        self.send(Err(Status::with_details(tonic::Code::InvalidArgument, kind.code(), details))).await;
    }
}

#[tonic::async_trait]
impl FlightService for Fake {
    type HandshakeStream = Stream<HandshakeResponse>;
    type ListFlightsStream = Stream<FlightInfo>;
    type DoGetStream = Stream<FlightData>;
    type DoPutStream = Stream<PutResult>;
    type DoExchangeStream = Stream<FlightData>;
    type DoActionStream = Stream<arrow_flight::Result>;
    type ListActionsStream = Stream<ActionType>;

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let order: WorkOrder = serde_json::from_slice(&request.into_inner().ticket).unwrap();
        self.inner.orders.lock().unwrap().push(order.clone());
        let (sender, receiver) = mpsc::channel(1);
        let act = self.clone().act(order, sender.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = act => {}
                () = sender.closed() => {}
            }
        });
        let messages = stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
        Ok(Response::new(messages.boxed()))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        assert_eq!(request.into_inner().r#type, "ping");
        Ok(Response::new(stream::empty().boxed()))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        Err(Status::unimplemented(""))
    }
}

//! A storage that takes questions and never answers.

use std::collections::BTreeMap;

use portico_model::limits::Limits;
use portico_model::problem::ProblemKind;
use portico_store::{Storage, Store};

use super::portal::{Portal, ask};
use crate::questions::Questions;
use crate::workers::Workers;

#[tokio::test]
async fn a_storage_that_says_nothing_gives_the_turn_back_and_is_said_to_be_unavailable() {
    let portal = Portal::new(|_| {}).await;
    // The system takes the connections; nobody reads them.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options: BTreeMap<String, String> = [
        ("endpoint", format!("http://{}", silent.local_addr().unwrap()).as_str()),
        ("allow_http", "true"),
        ("region", "us-east-1"),
        ("access_key_id", "nobody"),
        ("secret_access_key", "nothing"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    let store =
        Store { storage: Storage::open("s3://bucket", &options).unwrap(), catalog: portal.store.catalog.clone() };
    let mut limits = Limits::default();
    (limits.query.workers, limits.query.spare_workers, limits.query.first_byte_ms) = (1, 0, 50);
    let workers = Workers::start(portal.fake.launcher(), &limits.query);
    let questions = Questions::new(store, workers, limits, portal.spool.path().join("other"));
    for _ in 0..3 {
        let question = questions.gate(&ask("a", "chunks:1:2")).await.unwrap();
        assert_eq!(questions.answer(question).await.err().unwrap().kind, ProblemKind::Unavailable);
    }
    assert_eq!(portal.fake.orders().len(), 0);
}

//! Limits of memory, time and size, and what happens when the client goes.

use arrow_flight::{Action, Ticket};
use portico_model::format::Format;
use portico_model::order::WorkOrder;
use portico_model::problem::ProblemKind;

use crate::city::{City, output};

/// A billion rows, one batch at a time.
const ENDLESS: &str = r#"SELECT a.id FROM "permits@3" a, "permits@3" b, "permits@3" c"#;

#[tokio::test]
async fn memory_is_limited() {
    let city = City::new();
    let mut order = city.order(r#"SELECT array_agg(a.id) FROM "permits@3" a, "permits@3" b"#);
    order.limits.memory_bytes = 1 << 20;
    order.limits.spill_bytes = 1 << 20;
    let problem = city.ask(&order).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::QueryMemory, "{problem}");
    assert!(problem.detail.contains("1048576"), "{problem}");
    // The worker lives.
    assert_eq!(city.lines(r#"SELECT count(*) FROM "permits@3""#).await, ["1000"]);
}

#[tokio::test]
async fn a_sort_beyond_memory_spills_and_cleans_up() {
    let city = City::new();
    let sql = r#"SELECT a.id, b.note FROM "permits@3" a, "permits@3" b WHERE b.id < 200 ORDER BY b.note, a.id DESC"#;
    let mut order = city.order(sql);
    order.limits.memory_bytes = 12 << 20;
    let collected = city.ask(&order).await.unwrap();
    assert_eq!(collected.tail.rows, 200_000);
    let scratch = city.directory().join("scratch");
    let left = std::fs::read_dir(scratch).unwrap().count();
    assert!(left <= 1, "{left}");
}

#[tokio::test]
async fn a_join_whose_table_does_not_fit_is_answered_by_sorting() {
    let city = City::new();
    let many = r#"SELECT a.id * 1000 + b.id AS n, b.note FROM "permits@3" a, "permits@3" b WHERE a.id < 100"#;
    let mut order = city.order(&format!("SELECT count(*) FROM ({many}) x JOIN ({many}) y ON x.n = y.n"));
    order.limits.memory_bytes = 6 << 20;
    assert_eq!(city.ask(&order).await.unwrap().bytes, b"count(*)\n100000\n");
}

#[tokio::test]
async fn time_to_the_first_byte_is_limited() {
    let city = City::new();
    let sql = r#"SELECT sum(a.score * b.score + c.score) FROM "permits@3" a, "permits@3" b, "permits@3" c"#;
    let mut order = city.order(sql);
    order.limits.first_byte_ms = 50;
    let problem = city.ask(&order).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::QueryTimeout, "{problem}");
    assert!(problem.detail.contains("50 ms"), "{problem}");
}

#[tokio::test]
async fn time_in_all_is_limited() {
    let city = City::new();
    let mut order = city.order(ENDLESS);
    order.limits.total_ms = 300;
    let problem = city.ask(&order).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::QueryTimeout, "{problem}");
}

#[tokio::test]
async fn answers_are_never_cut() {
    let city = City::new();
    let mut order = city.order(ENDLESS);
    order.limits.answer_rows = 10;
    let problem = city.ask(&order).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::AnswerTooLarge, "{problem}");
    assert!(problem.detail.contains("10 rows"), "{problem}");
    let mut order = city.order(ENDLESS);
    order.limits.answer_bytes = 1_000_000;
    let problem = city.ask(&order).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::AnswerTooLarge, "{problem}");
}

#[tokio::test]
async fn work_ends_when_the_client_goes() {
    let city = City::new();
    let mut client = city.client().await;
    let order: WorkOrder = city.order(ENDLESS);
    let ticket = Ticket { ticket: serde_json::to_vec(&order).unwrap().into() };
    let mut stream = client.do_get(ticket).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    assert_eq!(running(&city).await, 1);
    drop(stream);
    while running(&city).await > 0 {
        tokio::task::yield_now().await;
    }
}

async fn running(city: &City) -> u64 {
    let action = Action { r#type: "ping".into(), body: Default::default() };
    let mut replies = city.client().await.do_action(action).await.unwrap().into_inner();
    let body = replies.message().await.unwrap().unwrap().body;
    serde_json::from_slice::<serde_json::Value>(&body).unwrap()["running"].as_u64().unwrap()
}

#[tokio::test]
async fn a_row_that_is_too_long_for_one_message_is_refused_over_flight() {
    let city = City::new();
    let flight = |sql: &str| {
        let mut order = city.order(sql);
        order.output = output(Format::Flight);
        order
    };
    let of_many = |mega: usize| {
        let columns = (0..mega).map(|column| format!("repeat('x', 1000000) AS c{column}")).collect::<Vec<_>>();
        format!(r#"SELECT id, {} FROM "permits@3" WHERE id < 2"#, columns.join(", "))
    };
    let problem = city.ask(&flight(&of_many(20))).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::AnswerTooLarge, "{problem}");
    assert!(problem.detail.contains("16777216 bytes"), "{problem}");
    // As a file it is cut anywhere.
    assert!(city.ask(&city.order(&of_many(20))).await.unwrap().bytes.len() > 40_000_000);
    let collected = city.ask(&flight(&of_many(1))).await.unwrap();
    assert_eq!(collected.batches().iter().map(|batch| batch.num_rows()).collect::<Vec<_>>(), [1, 1]);
    // Long rows at the beginning of many short ones.
    let skewed = r#"SELECT CASE WHEN id < 8 THEN repeat('x', 1000000) ELSE '' END AS a, [note] AS b FROM "permits@3""#;
    let collected = city.ask(&flight(skewed)).await.unwrap();
    assert_eq!(collected.batches().iter().map(|batch| batch.num_rows()).sum::<usize>(), 1_000);
    assert!(collected.messages.iter().all(|message| message.data_body.len() < 2 << 20));
}

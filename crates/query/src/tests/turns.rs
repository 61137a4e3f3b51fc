//! Slow and quick questions side by side, from the queue to the worker.

use portico_model::order::WorkOrder;

use super::portal::{Portal, ask};
use crate::answer::AnswerChunk;
use futures::StreamExt;

/// The bytes of an answer.
async fn answer(portal: &Portal, block: &str, command: &str) -> Vec<u8> {
    let question = portal.questions.gate(&ask(block, command)).await.unwrap();
    let mut body = portal.questions.answer(question).await.unwrap().body;
    let mut all = Vec::new();
    while let Some(chunk) = body.next().await {
        if let AnswerChunk::Bytes(bytes) = chunk.unwrap() {
            all.extend_from_slice(&bytes);
        }
    }
    all
}

/// What the workers were asked, in order.
fn commands(orders: &[WorkOrder]) -> Vec<&'static str> {
    orders.iter().map(|order| if order.sql.contains("do:steps") { "slow" } else { "quick" }).collect()
}

/// A slow question, and a quick one that comes when it runs; the slow one goes on when the quick one has been answered.
async fn side_by_side(portal: &Portal) -> (Vec<u8>, Vec<u8>) {
    let before = portal.fake.orders().len();
    tokio::join!(answer(portal, "a", "steps:1:4"), async {
        while portal.fake.orders().len() == before {
            tokio::task::yield_now().await;
        }
        let quick = answer(portal, "b", "chunks:1:2").await;
        portal.fake.step(1);
        quick
    })
}

#[tokio::test]
async fn a_slow_question_of_a_stranger_makes_room_and_is_answered_all_the_same() {
    let portal = Portal::new(|limits| limits.query.workers = 1).await;
    let (slow, quick) = side_by_side(&portal).await;
    assert_eq!((slow.as_slice(), quick.as_slice()), (&b"aaaa"[..], &b"aa"[..]));
    assert_eq!(commands(&portal.fake.orders()), ["slow", "quick", "slow"]);
}

#[tokio::test]
async fn a_spare_worker_answers_who_asks_quick_questions() {
    let portal = Portal::new(|limits| (limits.query.workers, limits.query.spare_workers) = (1, 2)).await;
    assert_eq!(answer(&portal, "b", "chunks:1:3").await, b"aaa");
    let (slow, quick) = side_by_side(&portal).await;
    assert_eq!((slow.as_slice(), quick.as_slice()), (&b"aaaa"[..], &b"aa"[..]));
    assert_eq!(commands(&portal.fake.orders()), ["quick", "slow", "quick"]);
}

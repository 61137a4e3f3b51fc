//! Questions from the gate to the last chunk.

use std::time::Duration;

use futures::StreamExt;
use portico_model::order::{ParameterValue, Work};
use portico_model::problem::{Problem, ProblemKind};

use super::portal::{Portal, ask, caller};
use crate::answer::{Answer, AnswerChunk, Ask};

async fn answer(portal: &Portal, ask: &Ask) -> Result<Answer, Problem> {
    portal.questions.answer(portal.questions.gate(ask).await?).await
}

async fn collect(mut answer: Answer) -> Result<Vec<u8>, Problem> {
    let mut all = Vec::new();
    let mut complete = false;
    while let Some(chunk) = answer.body.next().await {
        match chunk? {
            AnswerChunk::Bytes(bytes) => all.extend_from_slice(&bytes),
            AnswerChunk::Message(message) => all.extend_from_slice(&message.data_body),
            AnswerChunk::Tail(_) => complete = true,
        }
    }
    assert!(complete, "it ended without a tail and without an error");
    Ok(all)
}

#[tokio::test]
async fn a_question_names_its_versions_and_is_answered() {
    let portal = Portal::new(|_| ()).await;
    let answer = answer(&portal, &ask("a", "chunks:2:2")).await.unwrap();
    assert_eq!(answer.versions.iter().collect::<Vec<_>>(), [(&"trees".to_owned(), &1)]);
    assert!(answer.pinned_sql.contains("trees@1") && answer.cacheable);
    assert_eq!(collect(answer).await.unwrap(), b"aabb");
    let order = portal.fake.orders().remove(0);
    assert_eq!((order.tables.len(), order.tables[0].name.as_str()), (1, "trees@1"));
    assert_eq!(order.tables[0].access.len(), 1);
    assert!(!order.stored_order);
}

#[tokio::test]
async fn the_tag_changes_with_the_version_and_the_form_and_nothing_else() {
    let portal = Portal::new(|_| ()).await;
    let tag = async |ask: &Ask| portal.questions.gate(ask).await.unwrap().etag;
    let base = ask("a", "x");
    let first = tag(&base).await;
    assert_eq!(first, tag(&Ask { caller: caller("b"), now_ms: 9, timeout_ms: Some(5), ..base.clone() }).await);
    assert_eq!(first, tag(&Ask { sql: base.sql.replace("SELECT *", "select  *"), ..base.clone() }).await);
    let mut other = base.clone();
    other.options.header = false;
    assert_ne!(first, tag(&other).await);
    assert_ne!(first, tag(&Ask { work: Work::Explain, ..base.clone() }).await);
    assert_ne!(first, tag(&ask("a", "y")).await);
    let random = Ask { sql: "SELECT random() FROM trees".into(), ..base.clone() };
    assert_ne!(tag(&random).await, tag(&random).await);
    assert!(!portal.questions.gate(&random).await.unwrap().cacheable);
    portal.release("trees", 2, &[b"another file"]).await;
    assert_ne!(first, tag(&base).await);
    let pinned = Ask { sql: base.sql.replace("FROM trees", "FROM \"trees@1\" AS trees"), ..base };
    assert_eq!(first, tag(&pinned).await);
}

#[tokio::test]
async fn two_versions_of_one_dataset_are_both_named() {
    let portal = Portal::new(|_| ()).await;
    portal.release("trees", 2, &[b"another file"]).await;
    let both = Ask { sql: "SELECT * FROM trees UNION ALL SELECT * FROM \"trees@1\"".into(), ..ask("a", "x") };
    let versions = portal.questions.gate(&both).await.unwrap().versions;
    assert_eq!(versions, [("trees@1".to_owned(), 1), ("trees@2".to_owned(), 2)].into());
}

#[tokio::test]
async fn parameters_are_checked_before_anything_runs() {
    let portal = Portal::new(|_| ()).await;
    let mut with = ask("a", "x");
    with.sql = "SELECT * FROM trees WHERE height > $1".into();
    let missing = portal.questions.gate(&with).await.unwrap_err();
    assert_eq!(missing.kind, ProblemKind::InvalidParameter);
    with.parameters.insert("1".into(), ParameterValue::Int(3));
    portal.questions.gate(&with).await.unwrap();
    assert!(portal.fake.orders().is_empty());
}

#[tokio::test]
async fn what_breaks_after_the_first_byte_is_an_error_in_the_body() {
    let portal = Portal::new(|_| ()).await;
    for (command, expect) in
        [("late-problem:100000", ProblemKind::AnswerTooLarge), ("no-tail:100000", ProblemKind::Unavailable)]
    {
        let answer = answer(&portal, &ask("a", command)).await.unwrap();
        assert_eq!(collect(answer).await.unwrap_err().kind, expect, "{command}");
    }
    let before = answer(&portal, &ask("a", "problem")).await.err().unwrap();
    assert_eq!(before.kind, ProblemKind::QueryFailed);
}

#[tokio::test]
async fn the_callers_own_limit_only_lowers() {
    let portal = Portal::new(|limits| limits.query.first_byte_ms = 5_000).await;
    let mut hanging = ask("a", "hang");
    hanging.timeout_ms = Some(60);
    assert_eq!(answer(&portal, &hanging).await.err().unwrap().kind, ProblemKind::QueryTimeout);
    let mut patient = ask("a", "chunks:1:1");
    patient.timeout_ms = Some(u64::MAX);
    collect(answer(&portal, &patient).await.unwrap()).await.unwrap();
    assert_eq!(portal.fake.orders().last().unwrap().limits.first_byte_ms, 5_000);
}

#[tokio::test]
async fn a_running_question_is_cancelled_by_its_caller_only() {
    let portal = Portal::new(|_| ()).await;
    let question = portal.questions.gate(&ask("a", "hang")).await.unwrap();
    let id = question.query_id.clone();
    let (outcome, ()) = tokio::join!(portal.questions.answer(question), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!portal.questions.cancel(&id, &caller("b")));
        assert!(portal.questions.cancel(&id, &caller("a")));
    });
    assert_eq!(outcome.err().unwrap().kind, ProblemKind::QueryCancelled);
    assert!(!portal.questions.cancel(&id, &caller("a")));
    // After its first byte too.
    let answer = answer(&portal, &ask("a", "begin-hang")).await.unwrap();
    assert!(portal.questions.cancel(&answer.query_id, &caller("a")));
    assert_eq!(collect(answer).await.unwrap_err().kind, ProblemKind::QueryCancelled);
}

#[tokio::test]
async fn an_address_has_its_share_and_no_more() {
    let portal = Portal::new(|limits| {
        limits.query.running_per_address = 1;
        limits.query.waiting_per_address = 0;
    })
    .await;
    let held = answer(&portal, &ask("a", "begin-hang")).await.unwrap();
    let refused = answer(&portal, &ask("a", "chunks:1:1")).await.err().unwrap();
    assert_eq!(refused.kind, ProblemKind::TooManyRequests);
    assert!(refused.retry_after_s.is_some());
    collect(answer(&portal, &ask("b", "chunks:1:1")).await.unwrap()).await.unwrap();
    drop(held);
    // The turn comes back as soon as the reader is seen to have left.
    for _ in 0..200 {
        if answer(&portal, &ask("a", "chunks:1:1")).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the turn never came back");
}

#[tokio::test]
async fn explain_is_a_document_or_rows() {
    let portal = Portal::new(|_| ()).await;
    let document = Ask { work: Work::Explain, ..ask("a", "x") };
    let document = answer(&portal, &document).await.unwrap();
    assert!(document.head.explanation.unwrap().logical_plan.contains("trees@1"));
    let rows = Ask { sql: "EXPLAIN SELECT * FROM trees".into(), ..ask("a", "x") };
    collect(answer(&portal, &rows).await.unwrap()).await.unwrap();
    let orders = portal.fake.orders();
    let [.., plan, rows] = orders.as_slice() else { panic!("two pieces of work") };
    assert_eq!((plan.work, rows.work), (Work::Explain, Work::Answer));
    assert_eq!((rows.tables.len(), rows.virtual_tables.len()), (0, 1));
}

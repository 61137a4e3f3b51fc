//! Exports: one making for all readers, the same bytes however they are read.

use std::time::Duration;

use futures::StreamExt;
use portico_model::format::FileKind;
use portico_model::name::DatasetName;
use portico_model::problem::ProblemKind;

use super::portal::{NOW_MS, Portal, bytes, caller, export};
use crate::exports::production::Productions;
use crate::exports::{ExportRequest, ExportTicket, FlightRequest};

fn whole(extension: &str) -> ExportRequest {
    ExportRequest { filter: None, kind: FileKind::from_extension(extension).unwrap(), ..export("a", "") }
}

#[tokio::test]
async fn a_whole_version_in_one_file_is_the_stored_file_itself() {
    let portal = Portal::new(|_| ()).await;
    let mut export = portal.questions.export(&whole("parquet")).await.unwrap();
    assert_eq!((export.length, export.rows), (Some(15), Some(1_200_000)));
    assert_eq!(export.file_name, "trees-v1.parquet");
    assert!(export.sha256.as_ref().unwrap().starts_with(&export.etag));
    assert_eq!(bytes(export.read(None).await.unwrap()).await.unwrap(), b"the stored file");
    assert_eq!(bytes(export.read(Some(4..10)).await.unwrap()).await.unwrap(), b"stored");
    assert_eq!(export.read(Some(4..99)).await.err().unwrap().kind, ProblemKind::RangeNotSatisfiable);
    let mut part = portal.questions.part(&export.version.dataset, 1, 0, &caller("a"), NOW_MS).await.unwrap();
    assert_eq!(bytes(part.read(None).await.unwrap()).await.unwrap(), b"the stored file");
    let missing = portal.questions.part(&export.version.dataset, 1, 1, &caller("a"), NOW_MS).await;
    assert_eq!(missing.err().unwrap().kind, ProblemKind::NotFound);
    assert!(portal.fake.orders().is_empty());
}

#[tokio::test]
async fn many_readers_are_one_making_and_later_ones_are_none() {
    let portal = Portal::new(|_| ()).await;
    let request = export("a", "steps:3:2");
    let mut first = portal.questions.export(&request).await.unwrap();
    let mut second = portal.questions.export(&ExportRequest { caller: caller("b"), ..request.clone() }).await.unwrap();
    assert_eq!((first.length, first.etag.clone()), (None, second.etag.clone()));
    portal.fake.step(1);
    let mut one = first.read(None).await.unwrap();
    assert_eq!(one.next().await.unwrap().unwrap(), "aa");
    // The second reads what is there and follows the rest, from where it likes.
    let two = second.read(Some(1..5)).await.unwrap();
    portal.fake.step(2);
    assert_eq!(bytes(two).await.unwrap(), b"abbc");
    assert_eq!(bytes(one).await.unwrap(), b"bbcc");
    first.ready().await.unwrap();
    assert_eq!((first.length, first.rows), (Some(6), Some(3)));
    assert_eq!(portal.fake.orders().len(), 1);
    assert!(portal.fake.orders()[0].stored_order);
    // Finished, it lies in the storage, and nothing is left on the local disk.
    let mut later = spooled(&portal, &request).await;
    assert_eq!((later.length, later.rows, &later.sha256), (Some(6), Some(3), &first.sha256));
    assert_eq!(bytes(later.read(None).await.unwrap()).await.unwrap(), b"aabbcc");
    assert_eq!(bytes(later.read(Some(2..4)).await.unwrap()).await.unwrap(), b"bb");
    assert_eq!(portal.fake.orders().len(), 1);
    drop((first, second));
    for _ in 0..400 {
        if std::fs::read_dir(portal.spool.path().join("spool")).unwrap().count() == 0 {
            return;
        }
        // Whoever made it looks for what has to make room.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("something is left on the local disk");
}

/// The export once it is in the storage, which is a moment after its last byte.
async fn spooled(portal: &Portal, request: &ExportRequest) -> crate::exports::Export {
    for _ in 0..400 {
        let export = portal.questions.export(request).await.unwrap();
        if export.length.is_some() {
            return export;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never got into the storage");
}

#[tokio::test]
async fn nothing_runs_before_it_is_read() {
    let portal = Portal::new(|_| ()).await;
    let export = portal.questions.export(&whole("csv")).await.unwrap();
    assert_eq!((export.rows, export.length), (Some(1_200_000), None));
    assert_eq!(export.file_name, "trees-v1.csv");
    assert!(portal.fake.orders().is_empty());
}

#[tokio::test]
async fn a_failed_making_breaks_its_readers_and_leaves_nothing() {
    let portal = Portal::new(|_| ()).await;
    let mut before = portal.questions.export(&export("a", "problem")).await.unwrap();
    assert_eq!(before.read(None).await.err().unwrap().kind, ProblemKind::QueryFailed);
    let request = export("a", "late-problem");
    let mut after = portal.questions.export(&request).await.unwrap();
    match after.read(None).await {
        Ok(stream) => assert!(bytes(stream).await.is_err()),
        Err(problem) => assert_eq!(problem.kind, ProblemKind::AnswerTooLarge),
    }
    assert!(portal.questions.export(&request).await.unwrap().length.is_none());
    assert!(portal.store.storage.spool_list().await.unwrap().is_empty());
    // Asked again, it is made again.
    let mut again = portal.questions.export(&request).await.unwrap();
    assert!(again.ready().await.is_err());
    assert_eq!(portal.fake.orders().len(), 3);
}

#[tokio::test]
async fn the_tag_changes_with_the_version_only() {
    let portal = Portal::new(|_| ()).await;
    let request = export("a", "x");
    let tag = async |request: &ExportRequest| portal.questions.export(request).await.unwrap().etag;
    let first = tag(&request).await;
    assert_eq!(first, tag(&ExportRequest { caller: caller("b"), now_ms: 5, ..request.clone() }).await);
    assert_eq!(first, tag(&ExportRequest { version: Some(1), ..request.clone() }).await);
    let spaced = request.filter.as_ref().map(|filter| filter.replace(" = ", "="));
    assert_eq!(first, tag(&ExportRequest { filter: spaced, ..request.clone() }).await);
    for other in [
        ExportRequest { limit: Some(1), ..request.clone() },
        ExportRequest { offset: Some(1), ..request.clone() },
        ExportRequest { order: Some("height desc".into()), ..request.clone() },
        ExportRequest { select: vec!["height".into()], ..request.clone() },
        ExportRequest { kind: FileKind::from_extension("csv.gz").unwrap(), ..request.clone() },
    ] {
        assert_ne!(first, tag(&other).await, "{other:?}");
    }
    portal.release("trees", 2, &[b"another"]).await;
    assert_ne!(first, tag(&request).await);
    assert_eq!(first, tag(&ExportRequest { version: Some(1), ..request.clone() }).await);
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_runs() {
    let portal = Portal::new(|_| ()).await;
    let mut filtered = export("a", "x");
    filtered.filter = Some("species = (SELECT 1)".into());
    for (request, expect) in [
        (ExportRequest { select: vec!["nope".into()], ..whole("csv") }, ProblemKind::UnknownColumn),
        (whole("geojson"), ProblemKind::NotAcceptable),
        (whole("xlsx"), ProblemKind::AnswerTooLarge),
        (ExportRequest { version: Some(9), ..whole("csv") }, ProblemKind::NotFound),
        (ExportRequest { dataset: DatasetName::parse("nope").unwrap(), ..whole("csv") }, ProblemKind::NotFound),
        (filtered, ProblemKind::InvalidSql),
    ] {
        assert_eq!(portal.questions.export(&request).await.err().unwrap().kind, expect, "{request:?}");
    }
    portal.questions.export(&ExportRequest { limit: Some(10), ..whole("xlsx") }).await.unwrap();
}

/// Waits until so many exports are kept.
async fn kept(portal: &Portal, count: usize) {
    for _ in 0..400 {
        if portal.store.storage.spool_list().await.unwrap().len() == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not {count} are kept");
}

async fn the_oldest_make_room(portal: &Portal) {
    let sizes = ["chunks:1:40", "chunks:2:20", "chunks:4:10", "chunks:5:8"];
    for (number, command) in sizes.iter().enumerate() {
        let mut export = portal.questions.export(&export("a", command)).await.unwrap();
        export.ready().await.unwrap();
        spooled(portal, &self::export("a", command)).await;
        kept(portal, (number + 1).min(2)).await;
    }
    let is_kept = async |command| portal.questions.export(&export("a", command)).await.unwrap().length.is_some();
    assert_eq!((is_kept(sizes[0]).await, is_kept(sizes[1]).await, is_kept(sizes[3]).await), (false, false, true));
}

#[tokio::test]
async fn the_oldest_exports_make_room() {
    // However small, an export takes room.
    the_oldest_make_room(&Portal::new(|limits| limits.query.spool_bytes = 20_000).await).await;
    // One that is larger than all there may be is refused, not cut.
    let portal = Portal::new(|limits| limits.query.spool_bytes = 100).await;
    let mut large = portal.questions.export(&export("a", "chunks:20:10")).await.unwrap();
    assert_eq!(large.ready().await.unwrap_err().kind, ProblemKind::AnswerTooLarge);
}

#[tokio::test]
async fn only_so_many_exports_are_kept() {
    the_oldest_make_room(&Portal::new(|limits| limits.query.spool_exports = 2).await).await;
}

#[tokio::test]
async fn a_file_takes_room_for_as_long_as_somebody_reads_it() {
    let portal = Portal::new(|limits| limits.query.spool_bytes = 150).await;
    let mut idle = portal.questions.export(&export("a", "chunks:10:10")).await.unwrap();
    idle.ready().await.unwrap();
    let reading = idle.read(None).await.unwrap();
    spooled(&portal, &export("a", "chunks:10:10")).await;
    let other = async || {
        let mut other = portal.questions.export(&export("b", "chunks:9:11")).await.unwrap();
        other.ready().await
    };
    let refused = other().await.unwrap_err();
    assert_eq!((refused.kind, refused.retry_after_s), (ProblemKind::Unavailable, Some(30)), "{refused}");
    // What was refused left no count behind, and a small one has room.
    portal.questions.export(&export("b", "chunks:5:10")).await.unwrap().ready().await.unwrap();
    drop((idle, reading));
    for _ in 0..400 {
        if other().await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("there is no room although the file is gone");
}

#[tokio::test]
async fn a_making_that_nobody_waits_for_ends_after_a_while() {
    let mut portal = Portal::new(|_| ()).await;
    let dir = portal.spool.path().join("short");
    portal.questions.productions = Productions::with_grace(dir.clone(), Duration::from_millis(500));
    let request = export("a", "steps:2:2");
    portal.fake.step(1);
    let mut first = portal.questions.export(&request).await.unwrap();
    drop(first.read(None).await.unwrap());
    drop(first);
    // Whoever comes back within the grace time finds it.
    let mut second = portal.questions.export(&request).await.unwrap();
    assert_eq!(bytes(second.read(Some(0..2)).await.unwrap()).await.unwrap(), b"aa");
    drop(second);
    for _ in 0..4_000 {
        if std::fs::read_dir(&dir).unwrap().count() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(portal.fake.orders().len(), 1);
    portal.fake.step(2);
    let mut third = portal.questions.export(&request).await.unwrap();
    assert_eq!(bytes(third.read(None).await.unwrap()).await.unwrap(), b"aabb");
    assert_eq!(portal.fake.orders().len(), 2);
}

#[tokio::test]
async fn a_caller_over_its_limit_does_not_spoil_the_export_of_another() {
    let portal = Portal::new(|limits| {
        limits.query.running_per_address = 1;
        limits.query.queue_wait_ms = 50;
    })
    .await;
    // The first address has its turn already, so that its making waits until it is refused.
    let mut busy = portal.questions.export(&export("a", "steps:1:1")).await.unwrap();
    let mut refused = portal.questions.export(&export("a", "chunks:1:3")).await.unwrap();
    let mut innocent = portal.questions.export(&export("b", "chunks:1:3")).await.unwrap();
    let (_, refused, innocent) = tokio::join!(
        async {
            let _ = tokio::time::timeout(Duration::from_millis(300), busy.ready()).await;
        },
        async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            refused.ready().await
        },
        async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            innocent.ready().await
        }
    );
    assert_eq!(refused.unwrap_err().kind, ProblemKind::TooManyRequests);
    innocent.unwrap();
}

#[tokio::test]
async fn a_download_over_flight_is_cut_into_parts_that_are_the_whole() {
    let portal = Portal::new(|_| ()).await;
    portal.release("trees", 2, &[b"one", b"two"]).await;
    let request = FlightRequest {
        dataset: DatasetName::parse("trees").unwrap(),
        version: None,
        columns: Vec::new(),
        filter: None,
        limit: None,
        caller: caller("a"),
        now_ms: NOW_MS,
    };
    let plan = portal.questions.plan_flight(&request).await.unwrap();
    assert_eq!((plan.rows, plan.bytes, plan.endpoints.len()), (Some(2_400_000), Some(6), 4));
    let mut rows = 0;
    for (index, endpoint) in plan.endpoints.iter().enumerate() {
        let ticket = ExportTicket::parse(&endpoint.ticket).unwrap().unwrap();
        let part = ticket.part.unwrap();
        let group = index % 2;
        assert_eq!((ticket.version, part.file), (2, index / 2));
        assert_eq!((part.row_group_start, part.row_group_end), (group, group + 1));
        rows += endpoint.rows.unwrap();
        portal.questions.answer_ticket(&ticket, &caller("a"), &Default::default(), NOW_MS).await.unwrap();
        let order = portal.fake.orders().pop().unwrap();
        assert_eq!(order.tables[0].part, Some(part));
        assert!(order.stored_order);
    }
    assert_eq!(rows, 2_400_000);
    let limited = FlightRequest { limit: Some(5), columns: vec!["height".into()], ..request.clone() };
    let plan = portal.questions.plan_flight(&limited).await.unwrap();
    assert_eq!((plan.endpoints.len(), plan.rows, plan.schema.fields().len()), (1, Some(5), 1));
    let unknown = FlightRequest { columns: vec!["nope".into()], ..request };
    assert_eq!(portal.questions.plan_flight(&unknown).await.unwrap_err().kind, ProblemKind::UnknownColumn);
}

#[tokio::test]
async fn tickets_that_are_none_are_sql_and_damaged_ones_are_refused() {
    assert!(ExportTicket::parse(b"SELECT 1").unwrap().is_none());
    assert_eq!(ExportTicket::parse(b"portico-export-1:%%").unwrap_err().kind, ProblemKind::InvalidRequest);
    let portal = Portal::new(|_| ()).await;
    let ticket = ExportTicket {
        dataset: DatasetName::parse("trees").unwrap(),
        version: 1,
        columns: Vec::new(),
        filter: None,
        limit: None,
        part: Some(portico_model::order::TablePart { file: 0, row_group_start: 1, row_group_end: 3 }),
    };
    let outside = portal.questions.answer_ticket(&ticket, &caller("a"), &Default::default(), NOW_MS).await;
    assert_eq!(outside.err().unwrap().kind, ProblemKind::InvalidRequest);
}

//! Whoever works on a dataset's files is stopped for longer than its lease lasts, and goes on when somebody else has worked
//! on them.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use object_store::memory::InMemory;
use portico_model::name::{DatasetName, VersionRef};
use portico_model::problem::ProblemKind;
use portico_publish::Publisher;
use portico_store::{Catalog, Storage, Store};

use super::troubled::{Fate, Fates, Troubled};
use super::{LATER_MS, Road, operator, publisher, trees, wrong};
use crate::world::NOW_MS;

/// Longer than a lease lasts.
const STALL_MS: i64 = 16 * 60 * 1000;

/// A portal in memory, and the same as seen by somebody who is stopped at the first removal of a file, until that which is
/// told here is done.
struct Portal {
    calm: Store,
    stopped: Store,
    meanwhile: Meanwhile,
    /// Entries of logs that were written anew.
    rewritten: Arc<AtomicU64>,
}

/// A release that goes on meanwhile.
type Meanwhile = Arc<Mutex<Option<(Arc<Publisher>, String, i64)>>>;

async fn portal() -> Portal {
    let memory = Arc::new(InMemory::new());
    let meanwhile: Meanwhile = Arc::default();
    let rewritten = Arc::new(AtomicU64::new(0));
    let (asked, counted) = (Arc::clone(&meanwhile), Arc::clone(&rewritten));
    let fates: Fates = Arc::new(move |operation| {
        let told = if operation == "delete" { asked.lock().unwrap().take() } else { None };
        if operation == "put delta log" {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        Box::pin(async move {
            if let Some((publisher, id, now_ms)) = told {
                publisher.release(&operator(), &id, now_ms).await.unwrap();
            }
            Fate::Fine
        })
    });
    let catalog = Catalog::open("sqlite::memory:").await.unwrap();
    let stopped = Storage::over(Arc::new(Troubled::new(Arc::clone(&memory), fates))).unwrap();
    let calm = Store { storage: Storage::over(memory).unwrap(), catalog: catalog.clone() };
    Portal { calm, stopped: Store { storage: stopped, catalog }, meanwhile, rewritten }
}

/// A revision that was approved and not released.
async fn approved(calm: &Publisher, file: &Path) -> String {
    let id = Road::new(calm, "street-trees", file).stage(NOW_MS).await.unwrap();
    let screened = calm.screen(&operator(), &id, NOW_MS, |_| {}).await.unwrap();
    calm.approve(&operator(), &id, &screened.digest.unwrap(), NOW_MS).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_was_stopped_takes_no_file_that_a_release_found_again() {
    let scratch = tempfile::tempdir().unwrap();
    let files = [1, 2].map(|mark| trees(scratch.path(), &mark.to_string(), 30, mark));
    let Portal { calm: store, stopped, meanwhile, .. } = portal().await;
    let calm = Arc::new(publisher(store.clone(), scratch.path()));
    Road::new(&calm, "street-trees", &files[0]).go(NOW_MS).await.unwrap();
    let id = approved(&calm, &files[1]).await;
    // A release of it that died left its file, and something else is left that a sweep comes to before.
    let name = DatasetName::parse("street-trees").unwrap();
    let root = store.catalog.dataset(&name).await.unwrap().unwrap().root;
    let prepared = store.catalog.revision(&id).await.unwrap().unwrap().prepared().unwrap().unwrap();
    let staged = &prepared.files[0].0;
    let file_id = staged.path.clone();
    store.storage.release_staged(&root, &file_id, staged).await.unwrap();
    store.storage.put_released(&root, "00leftover", &files[0]).await.unwrap();
    assert_eq!(store.storage.list_released().await.unwrap().len(), 3);
    *meanwhile.lock().unwrap() = Some((Arc::clone(&calm), id, LATER_MS + STALL_MS));
    let swept = publisher(stopped, scratch.path()).sweep(false, LATER_MS).await.unwrap();
    assert!(meanwhile.lock().unwrap().is_none(), "the release went on");
    assert_eq!((swept.files, swept.busy), (1, 1));
    assert_eq!(store.catalog.current_version(&name).await.unwrap().unwrap().version.version, 2);
    assert_eq!(wrong(&store).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_that_was_stopped_begins_again() {
    let scratch = tempfile::tempdir().unwrap();
    let files = [1, 2, 3].map(|mark| trees(scratch.path(), &mark.to_string(), 30, mark));
    let Portal { calm: store, stopped, meanwhile, rewritten } = portal().await;
    let calm = Arc::new(publisher(store.clone(), scratch.path()));
    for file in &files[..2] {
        Road::new(&calm, "street-trees", file).go(NOW_MS).await.unwrap();
    }
    let name = DatasetName::parse("street-trees").unwrap();
    let second = VersionRef { dataset: name.clone(), version: 2 };
    store.catalog.withdraw(&second, "It named people.", "cio", NOW_MS).await.unwrap();
    let id = approved(&calm, &files[2]).await;
    *meanwhile.lock().unwrap() = Some((Arc::clone(&calm), id, NOW_MS + STALL_MS));
    let said = ("It named people.", "street-trees@2");
    let refused = publisher(stopped, scratch.path()).purge(&operator(), &second, said, NOW_MS).await.unwrap_err();
    assert_eq!(refused.kind(), ProblemKind::Conflict, "{refused:?}");
    assert_eq!(rewritten.load(Ordering::SeqCst), 0, "the log is left to who has the lease");
    let purge = calm.purge(&operator(), &second, said, LATER_MS).await.unwrap();
    assert!(purge.record.done_ms.is_some());
    assert_eq!(store.catalog.current_version(&name).await.unwrap().unwrap().version.version, 3);
    assert_eq!(wrong(&store).await, [""; 0]);
}

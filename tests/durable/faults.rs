//! Every operation of storage and catalog on the road in fails once, loses its answer once, and is once the last that
//! a process did. Readers see the old version or the new one, whole; whoever does it again completes it; nothing that
//! was acknowledged is lost, and nothing that was left behind can be reached.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use object_store::memory::InMemory;
use portico_model::name::{DatasetName, VersionRef};
use portico_model::policy::VersionState;
use portico_store::{Catalog, CatalogMoment, Storage, Store, StoreError};
use tokio::sync::Notify;

use super::troubled::{Fate, Fates, Troubled};
use super::{LATER_MS, Road, operator, publisher, times, trees, wrong};
use crate::world::NOW_MS;

/// What happens to the chosen operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Fails,
    LosesItsAnswer,
    IsTheLast,
}

/// A store over memory of which one operation, of storage or catalog, is in trouble.
pub(super) struct Stage {
    /// Without trouble: what another process sees.
    pub(super) calm: Store,
    /// With it.
    pub(super) troubled: Store,
    trouble: Arc<Chosen>,
}

struct Chosen {
    trouble: Trouble,
    /// Operations until the chosen one; negative once it has been.
    left: AtomicI64,
    names: Mutex<BTreeSet<String>>,
    stopped: Notify,
    buried: Notify,
}

impl Chosen {
    /// The fate of an operation; none is told for one that the process does not live to hear of.
    async fn fate(&self, operation: String) -> Fate {
        let chosen = self.left.fetch_sub(1, Ordering::SeqCst) == 0;
        self.names.lock().unwrap().insert(operation);
        match self.trouble {
            _ if !chosen => Fate::Fine,
            Trouble::Fails => Fate::Before,
            Trouble::LosesItsAnswer => Fate::After,
            Trouble::IsTheLast => {
                self.stopped.notify_one();
                // Threads of libraries cannot die with the process that is played here; nothing is done for them.
                self.buried.notified().await;
                Fate::Before
            }
        }
    }
}

/// A portal as it is before the trouble, kept as a backup: restoring it is quicker than publishing anew each time.
pub(super) async fn before(portal: impl AsyncFnOnce(Store)) -> Storage {
    let catalog = Catalog::open("sqlite::memory:").await.unwrap();
    let store = Store { storage: Storage::over(Arc::new(InMemory::new())).unwrap(), catalog };
    portal(store.clone()).await;
    let kept = Storage::over(Arc::new(InMemory::new())).unwrap();
    store.backup(&kept, NOW_MS, &mut |_| {}).await.unwrap();
    kept
}

impl Stage {
    pub(super) async fn new(trouble: Trouble, before: &Storage) -> Self {
        let memory = Arc::new(InMemory::new());
        let chosen = Arc::new(Chosen {
            trouble,
            left: AtomicI64::new(i64::MAX),
            names: Mutex::default(),
            stopped: Notify::new(),
            buried: Notify::new(),
        });
        let asked = Arc::clone(&chosen);
        let fates: Fates = Arc::new(move |operation| {
            let asked = Arc::clone(&asked);
            Box::pin(async move { asked.fate(operation).await })
        });
        let asked = Arc::clone(&chosen);
        let catalog = Catalog::open("sqlite::memory:").await.unwrap();
        let interrupted = catalog.interrupted_by(Arc::new(move |moment| {
            let asked = Arc::clone(&asked);
            Box::pin(async move {
                // An answer gets lost after the commit, anything else before; both are failures of that moment.
                match asked.fate(format!("catalog {moment:?}")).await {
                    Fate::Fine => Ok(()),
                    _ => Err(lost(moment)),
                }
            })
        }));
        let storage = Storage::over(Arc::new(Troubled::new(Arc::clone(&memory), fates))).unwrap();
        let calm = Store { storage: Storage::over(memory).unwrap(), catalog };
        calm.restore(before, None, ("operator", NOW_MS), &mut |_| {}).await.unwrap();
        Self { calm, troubled: Store { storage, catalog: interrupted }, trouble: chosen }
    }

    /// Does some work of which operation number `nth` is in trouble. Answers whether there was one of that number.
    pub(super) async fn run<T>(&self, nth: i64, work: impl Future<Output = T>) -> (bool, Option<T>) {
        self.trouble.left.store(nth, Ordering::SeqCst);
        let done = tokio::select! {
            biased;
            () = self.trouble.stopped.notified() => None,
            done = work => Some(done),
        };
        // Of a process that has died nothing more is done, whatever of it is still waiting here.
        self.trouble.buried.notify_one();
        (self.trouble.left.swap(i64::MAX, Ordering::SeqCst) < 0, done)
    }
}

fn lost(moment: CatalogMoment) -> StoreError {
    StoreError::Unavailable { what: "the catalog", source: format!("cut off at {moment:?}").into() }
}

pub(super) fn street_trees() -> DatasetName {
    DatasetName::parse("street-trees").unwrap()
}

/// What readers see is one whole version; answers which, and how many there are.
pub(super) async fn visible(store: &Store, case: &str) -> (u32, usize) {
    let dataset = store.catalog.dataset(&street_trees()).await.unwrap().unwrap();
    let version = store.catalog.current_version(&street_trees()).await.unwrap().unwrap();
    assert_eq!(version.state, VersionState::Released, "{case}");
    let held = store.storage.delta_files(&dataset.root, Some(version.delta_version)).await.unwrap();
    assert_eq!(held.len(), version.manifest.files.len(), "{case}");
    for (file, held) in version.manifest.files.iter().zip(held) {
        assert_eq!(file.path, held.path, "{case}");
        store.storage.verify_released(file).await.unwrap_or_else(|error| panic!("{case}: {error:?}"));
    }
    (version.version.version, store.catalog.versions(&street_trees()).await.unwrap().len())
}

/// After a sweep nothing is left but what the catalog names.
pub(super) async fn clean(store: &Store, scratch: &Path, case: &str) {
    publisher(store.clone(), scratch).sweep(false, LATER_MS).await.unwrap();
    let named = store.catalog.released_paths(&street_trees()).await.unwrap();
    let found: Vec<_> = store.storage.list_released().await.unwrap().into_iter().map(|object| object.path).collect();
    assert!(found.iter().all(|path| named.contains(path)) && found.len() == named.len(), "{case}: {found:?}");
    assert_eq!(store.storage.list_staged().await.unwrap(), [], "{case}");
    assert_eq!(wrong(store).await, [""; 0], "{case}");
}

/// Every third operation is put into the first trouble, the others into the next two; `PORTICO_FAULT_STEP=1` puts every
/// operation into each.
pub(super) fn step() -> usize {
    usize::try_from(times("PORTICO_FAULT_STEP", 3)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_in_trouble_anywhere_is_completed_by_doing_it_again() {
    let scratch = tempfile::tempdir().unwrap();
    let (one, two) = (trees(scratch.path(), "1", 30, 1), trees(scratch.path(), "2", 40, 2));
    let before = before(async |store| {
        Road::new(&publisher(store, scratch.path()), "street-trees", &one).go(NOW_MS).await.unwrap();
    })
    .await;
    let step = step();
    for (index, trouble) in [Trouble::Fails, Trouble::LosesItsAnswer, Trouble::IsTheLast].into_iter().enumerate() {
        for nth in (i64::try_from(index % step).unwrap()..).step_by(step) {
            let stage = Stage::new(trouble, &before).await;
            let calm = publisher(stage.calm.clone(), scratch.path());
            let troubled = publisher(stage.troubled.clone(), scratch.path());
            let mut road = Road::new(&troubled, "street-trees", &two);
            let (happened, done) = stage.run(nth, road.go(NOW_MS)).await;
            let id = road.id.clone();
            let case = format!("{trouble:?}, operation {nth}");
            let (current, versions) = visible(&stage.calm, &case).await;
            assert!(current == 2 && versions == 2 || current == 1 && versions == 1, "{case}: {current} of {versions}");
            if let Some(Ok(acknowledged)) = done {
                assert_eq!(acknowledged, current, "{case}");
            }
            let mut again = Road { id, ..Road::new(&calm, "street-trees", &two) };
            again.go(NOW_MS).await.unwrap_or_else(|error| panic!("{case}: {error:?}"));
            assert_eq!(visible(&stage.calm, &case).await, (2, 2), "{case}");
            clean(&stage.calm, scratch.path(), &case).await;
            assert_eq!(visible(&stage.calm, &case).await, (2, 2), "{case}");
            if !happened {
                let names = stage.trouble.names.lock().unwrap().clone();
                assert!(nth > 20, "the road has more operations than {nth}: {names:?}");
                println!("{trouble:?}: {nth} operations in steps of {step}: {names:?}");
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_or_a_discard_in_trouble_takes_nothing_that_is_needed() {
    let scratch = tempfile::tempdir().unwrap();
    let files = [1, 2, 3].map(|mark| trees(scratch.path(), &mark.to_string(), 30, mark));
    let (mut open, mut given_up) = (String::new(), String::new());
    let before = before(async |store| {
        let calm = publisher(store, scratch.path());
        Road::new(&calm, "street-trees", &files[0]).go(NOW_MS).await.unwrap();
        // Open: its files must stay. Given up: they may go.
        open = Road::new(&calm, "street-trees", &files[1]).stage(NOW_MS).await.unwrap();
        calm.screen(&operator(), &open, NOW_MS, |_| {}).await.unwrap();
        given_up = Road::new(&calm, "street-trees", &files[2]).stage(NOW_MS).await.unwrap();
    })
    .await;
    let step = step();
    for (index, trouble) in [Trouble::Fails, Trouble::LosesItsAnswer, Trouble::IsTheLast].into_iter().enumerate() {
        for nth in (i64::try_from(index % step).unwrap()..).step_by(step) {
            let stage = Stage::new(trouble, &before).await;
            let calm = publisher(stage.calm.clone(), scratch.path());
            // Left over: it must go.
            let root = stage.calm.catalog.dataset(&street_trees()).await.unwrap().unwrap().root;
            stage.calm.storage.put_released(&root, "leftover", &files[2]).await.unwrap();
            let troubled = publisher(stage.troubled.clone(), scratch.path());
            let (happened, _) = stage
                .run(nth, async {
                    troubled.discard(&operator(), &given_up, NOW_MS).await?;
                    troubled.sweep(false, LATER_MS).await
                })
                .await;
            let case = format!("{trouble:?}, operation {nth}");
            assert_eq!(visible(&stage.calm, &case).await, (1, 1));
            assert_eq!(wrong(&stage.calm).await, [""; 0], "{case}");
            // A sweep that died holds the dataset's lease until it runs out.
            let state = calm.revision(&operator(), &given_up, NOW_MS).await.unwrap().state;
            if state != portico_model::revision::RevisionState::Discarded {
                calm.discard(&operator(), &given_up, NOW_MS).await.unwrap();
            }
            calm.sweep(false, LATER_MS * 2).await.unwrap();
            assert_eq!(stage.calm.storage.list_released().await.unwrap().len(), 1, "{case}");
            assert_eq!(wrong(&stage.calm).await, [""; 0], "{case}");
            let mut road = Road { id: Some(open.clone()), ..Road::new(&calm, "street-trees", &files[1]) };
            assert_eq!(road.go(LATER_MS * 3).await.unwrap(), 2, "{case}");
            clean(&stage.calm, scratch.path(), &case).await;
            if !happened {
                assert!(nth > 8, "there are more operations than {nth}");
                println!("{trouble:?}: {nth} operations in steps of {step}");
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_in_trouble_happens_or_does_not() {
    let scratch = tempfile::tempdir().unwrap();
    let files = [1, 2].map(|mark| trees(scratch.path(), &mark.to_string(), 30, mark));
    let second = VersionRef { dataset: street_trees(), version: 2 };
    let before = before(async |store| {
        for file in &files {
            Road::new(&publisher(store.clone(), scratch.path()), "street-trees", file).go(NOW_MS).await.unwrap();
        }
    })
    .await;
    for trouble in [Trouble::Fails, Trouble::IsTheLast] {
        for nth in 0.. {
            let stage = Stage::new(trouble, &before).await;
            let catalog = &stage.troubled.catalog;
            let (happened, _) = stage.run(nth, catalog.withdraw(&second, "It named people.", "cio", NOW_MS)).await;
            let case = format!("{trouble:?}, moment {nth}");
            let record = stage.calm.catalog.version(&street_trees(), 2).await.unwrap().unwrap();
            let (current, _) = visible(&stage.calm, &case).await;
            assert_eq!(current, if record.state == VersionState::Withdrawn { 1 } else { 2 }, "{case}");
            stage.calm.catalog.withdraw(&second, "It named people.", "cio", NOW_MS).await.unwrap();
            assert_eq!(visible(&stage.calm, &case).await, (1, 2), "{case}");
            assert_eq!(wrong(&stage.calm).await, [""; 0], "{case}");
            if !happened {
                assert_eq!(nth, 3);
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_in_trouble_goes_on_when_it_is_asked_for_again() {
    let scratch = tempfile::tempdir().unwrap();
    let files = [1, 2, 3].map(|mark| trees(scratch.path(), &mark.to_string(), 30, mark));
    let second = VersionRef { dataset: street_trees(), version: 2 };
    let before = before(async |store| {
        for file in &files {
            Road::new(&publisher(store.clone(), scratch.path()), "street-trees", file).go(NOW_MS).await.unwrap();
        }
        store.catalog.withdraw(&second, "It named people.", "cio", NOW_MS).await.unwrap();
    })
    .await;
    let step = step();
    let said = ("It named people.", "street-trees@2");
    for (index, trouble) in [Trouble::Fails, Trouble::LosesItsAnswer, Trouble::IsTheLast].into_iter().enumerate() {
        for nth in (i64::try_from(index % step).unwrap()..).step_by(step) {
            let stage = Stage::new(trouble, &before).await;
            let troubled = publisher(stage.troubled.clone(), scratch.path());
            let (happened, done) = stage.run(nth, troubled.purge(&operator(), &second, said, NOW_MS)).await;
            let case = format!("{trouble:?}, operation {nth}");
            // The others are there all the time.
            assert_eq!(visible(&stage.calm, &case).await, (3, 3), "{case}");
            if let Some(Ok(purge)) = done {
                assert!(purge.record.done_ms.is_some(), "{case}");
            }
            let calm = publisher(stage.calm.clone(), scratch.path());
            let purge = calm.purge(&operator(), &second, said, LATER_MS).await;
            let purge = purge.unwrap_or_else(|error| panic!("{case}: {error:?}"));
            assert!(purge.record.done_ms.is_some(), "{case}");
            assert_eq!(calm.finish_purges(LATER_MS).await.unwrap(), 0, "{case}");
            let record = stage.calm.catalog.version(&street_trees(), 2).await.unwrap().unwrap();
            assert_eq!((record.state, record.manifest.rows), (VersionState::Purged, 0), "{case}");
            assert_eq!(visible(&stage.calm, &case).await, (3, 3), "{case}");
            assert_eq!(wrong(&stage.calm).await, [""; 0], "{case}");
            assert_eq!(stage.calm.storage.list_released().await.unwrap().len(), 2, "{case}");
            if !happened {
                assert!(nth > 12, "there are more operations than {nth}");
                println!("{trouble:?}: {nth} operations in steps of {step}");
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_lost_its_lease_to_a_sweep_begins_again() {
    let scratch = tempfile::tempdir().unwrap();
    let file = trees(scratch.path(), "1", 30, 1);
    let before = before(async |store| {
        Road::new(&publisher(store, scratch.path()), "street-trees", &file).go(NOW_MS).await.unwrap();
    })
    .await;
    let stage = Stage::new(Trouble::IsTheLast, &before).await;
    let calm = publisher(stage.calm.clone(), scratch.path());
    let catalog = &stage.calm.catalog;
    // While somebody else is at work a release waits, and a sweep passes the dataset over.
    catalog.lease(&street_trees(), "somebody", NOW_MS, 1_000).await.unwrap();
    let second = trees(scratch.path(), "2", 40, 2);
    let mut road = Road::new(&calm, "street-trees", &second);
    let refused = road.go(NOW_MS).await.unwrap_err();
    assert_eq!(refused.kind(), portico_model::problem::ProblemKind::Conflict, "{refused:?}");
    let root = catalog.dataset(&street_trees()).await.unwrap().unwrap().root;
    stage.calm.storage.put_released(&root, "leftover", &file).await.unwrap();
    catalog.lease(&street_trees(), "somebody", NOW_MS, LATER_MS * 2).await.unwrap();
    assert_eq!(calm.sweep(false, LATER_MS).await.unwrap().busy, 1);
    catalog.end_lease(&street_trees(), "somebody").await.unwrap();
    assert_eq!(calm.sweep(false, LATER_MS).await.unwrap().busy, 0);
    assert_eq!(road.go(NOW_MS).await.unwrap(), 2);
    clean(&stage.calm, scratch.path(), "after the lease").await;
}

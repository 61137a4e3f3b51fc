//! A storage that fails on purpose, and the promise that a release retried reaches the same state.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use portico_model::manifest::ReleasedFile;
use portico_model::revision::RevisionState;
use portico_store::{Catalog, DeltaCommit, Storage, Store, StoreError};

use crate::sample::{NOW, bytes, commit, local, metadata, name, release, released, revision};

/// When an operation that fails does so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing was done.
    Before,
    /// All was done, and only the answer got lost.
    After,
}

/// Memory of which one operation fails, once.
#[derive(Debug)]
struct Faulty {
    inner: InMemory,
    /// Operations until the one that fails.
    left: AtomicI64,
    fault: Fault,
}

impl Faulty {
    fn new(fault: Fault) -> Self {
        Self { inner: InMemory::new(), left: AtomicI64::new(i64::MAX), fault }
    }

    /// From now on, operation number `nth` fails, counted from 0.
    fn arm(&self, nth: i64) {
        self.left.store(nth, Ordering::SeqCst);
    }

    /// Whether the fault has happened; none will from now on.
    fn disarm(&self) -> bool {
        self.left.swap(i64::MAX, Ordering::SeqCst) < 0
    }

    /// How many operations there were since it was made.
    fn asked(&self) -> i64 {
        i64::MAX - self.left.load(Ordering::SeqCst)
    }

    fn is_the_one(&self) -> bool {
        self.left.fetch_sub(1, Ordering::SeqCst) == 0
    }

    async fn run<T>(&self, operation: impl Future<Output = Result<T>>) -> Result<T> {
        if !self.is_the_one() {
            return operation.await;
        }
        if self.fault == Fault::After {
            operation.await?;
        }
        Err(broken())
    }
}

fn broken() -> object_store::Error {
    object_store::Error::Generic { store: "Faulty", source: "the line was cut".into() }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.run(self.inner.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.run(self.inner.put_multipart_opts(location, options)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.run(self.inner.get_opts(location, options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.run(self.inner.get_ranges(location, ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        if self.is_the_one() {
            return futures::stream::once(async { Err(broken()) }).boxed();
        }
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if self.is_the_one() {
            return futures::stream::once(async { Err(broken()) }).boxed();
        }
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        if self.is_the_one() {
            return futures::stream::once(async { Err(broken()) }).boxed();
        }
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.run(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.run(self.inner.copy_opts(from, to, options)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.run(self.inner.rename_opts(from, to, options)).await
    }
}

/// Memory that takes every condition for a wish.
#[derive(Debug, Default)]
pub(crate) struct Careless {
    inner: InMemory,
}

impl fmt::Display for Careless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Careless")
    }
}

#[async_trait]
impl ObjectStore for Careless {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, PutOptions { mode: PutMode::Overwrite, ..options }).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// The parts of a version, of which one is written in several requests; made once, for they are long.
struct Parts(Vec<(std::path::PathBuf, ReleasedFile)>);

impl Parts {
    fn new(scratch: &std::path::Path) -> Self {
        let parts = [900, 16 * 1024 * 1024 + 1].into_iter().zip(2..);
        let part = |(length, seed)| {
            let content = bytes(seed, length);
            (local(scratch, &format!("part-{seed}"), &content), released("", &content))
        };
        Self(parts.map(part).collect())
    }
}

/// The road in as far as the store sees it: every step may be done again.
async fn publish(store: &Store, id: &str, scratch: &std::path::Path, parts: &Parts) -> Result<(), StoreError> {
    let Store { storage, catalog } = store;
    let trees = name("trees");
    let dataset = catalog.put_dataset(&metadata("trees"), "steward", NOW).await?;
    let staged = storage.put_staged(id, &local(scratch, "upload", &bytes(1, 500))).await?;
    let mut record = revision(id, "trees");
    record.staged = staged;
    if catalog.revision(id).await?.is_none() {
        catalog.insert_revision(&record).await?;
        for (expected, next) in
            [(RevisionState::Staged, RevisionState::Screened), (RevisionState::Screened, RevisionState::Approved)]
        {
            record.state = next;
            catalog.update_revision(expected, &record, "cio", NOW).await?;
        }
    }
    storage.fetch_staged(&record.staged, &scratch.join("fetched")).await?;
    let mut files = Vec::new();
    for (part, (local, file)) in parts.0.iter().enumerate() {
        let path = storage.put_released(&dataset.root, &format!("{id}-{part}"), local).await?;
        files.push(ReleasedFile { path, ..file.clone() });
    }
    let delta_version = storage.commit_version(&dataset.root, &commit(id, files.clone())).await?;
    let number = match catalog.version_of_revision(id).await? {
        Some(version) => version.version,
        None => catalog.next_version(&trees).await?,
    };
    catalog.release(&release(id, "trees", number, delta_version, files), "operator", NOW).await?;
    storage.remove_staged(&record.staged).await
}

#[tokio::test]
async fn a_release_that_failed_anywhere_completes_when_retried() {
    let scratch = tempfile::tempdir().unwrap();
    let parts = Parts::new(scratch.path());
    // Every other operation fails before it is done, those between lose their answer; the tests of the whole road in have
    // each operation fail in every way.
    for (fault, mut nth) in [(Fault::Before, 0), (Fault::After, 1)] {
        loop {
            let case = format!("{fault:?} {nth}");
            let faulty = Arc::new(Faulty::new(fault));
            let storage = Storage::over(faulty.clone()).unwrap();
            let store = Store { storage, catalog: Catalog::open("sqlite::memory:").await.unwrap() };
            publish(&store, "01REV", scratch.path(), &parts).await.unwrap();
            faulty.arm(nth);
            let tried = publish(&store, "02REV", scratch.path(), &parts).await;
            if !faulty.disarm() {
                tried.unwrap();
                assert!(nth > 8, "the line has more operations than {nth}");
                eprintln!("{fault:?}: each of {nth} operations failed once");
                break;
            }
            check_visible(&store, &case).await;
            publish(&store, "02REV", scratch.path(), &parts).await.unwrap_or_else(|error| panic!("{case}: {error:?}"));
            let current = check_visible(&store, &case).await;
            assert_eq!(current, 2, "{case}");
            check_clean(&store, &case).await;
            nth += 2;
        }
    }
}

/// What readers see is one whole version: its files are there, are right and are those that Delta has. Answers
/// which.
async fn check_visible(store: &Store, case: &str) -> u32 {
    let dataset = store.catalog.dataset(&name("trees")).await.unwrap().unwrap();
    let version = store.catalog.current_version(&name("trees")).await.unwrap().unwrap();
    assert_eq!(dataset.current, Some(version.version.version), "{case}");
    let mut named: Vec<_> = version.manifest.files.iter().map(|file| file.path.clone()).collect();
    named.sort();
    assert_eq!(named.len(), 2, "{case}");
    let held = store.storage.delta_files(&dataset.root, Some(version.delta_version)).await.unwrap();
    assert_eq!(held.iter().map(|file| file.path.clone()).collect::<Vec<_>>(), named, "{case}");
    for file in &version.manifest.files {
        store.storage.verify_released(file).await.unwrap_or_else(|error| panic!("{case}: {error:?}"));
    }
    version.version.version
}

/// Two versions, two Delta commits, their files and no others, nothing in staging, an unbroken audit log.
async fn check_clean(store: &Store, case: &str) {
    let dataset = store.catalog.dataset(&name("trees")).await.unwrap().unwrap();
    assert_eq!(store.catalog.versions(&name("trees")).await.unwrap().len(), 2, "{case}");
    assert_eq!(store.storage.delta_version(&dataset.root).await.unwrap(), Some(1), "{case}");
    assert_eq!(store.storage.list_released().await.unwrap().len(), 4, "{case}");
    assert_eq!(store.storage.list_staged().await.unwrap(), [], "{case}");
    store.catalog.verify_audit().await.unwrap();
}

#[tokio::test]
async fn a_commit_whose_answer_got_lost_is_found() {
    let mut found = 0;
    for nth in 0.. {
        let faulty = Arc::new(Faulty::new(Fault::After));
        let storage = Storage::over(faulty.clone()).unwrap();
        let wanted = commit("r1", vec![released("ROOT/a.parquet", b"a")]);
        faulty.arm(nth);
        let answer = storage.commit_version("ROOT", &wanted).await;
        if !faulty.disarm() {
            break;
        }
        found += usize::from(answer.is_ok());
        assert_eq!(storage.commit_version("ROOT", &wanted).await.unwrap(), 0);
        assert_eq!(storage.delta_version("ROOT").await.unwrap(), Some(0));
    }
    assert!(found > 0, "the conditional create is one of the operations");
}

#[tokio::test]
async fn a_commit_asks_the_storage_as_often_however_long_the_log_is() {
    const ENTRIES: i64 = 2_000;
    let counting = Arc::new(Faulty::new(Fault::Before));
    let storage = Storage::over(counting.clone()).unwrap();
    let file = |number: i64| released(&format!("ROOT/{number}.parquet"), b"a");
    for number in 0..2 {
        assert_eq!(
            storage.commit_version("ROOT", &commit(&format!("r{number}"), vec![file(number)])).await.unwrap(),
            number
        );
    }
    // The others as the second one is: another transaction, another file, and the one before it goes.
    let place = |number: i64| Path::from(format!("released/ROOT/_delta_log/{number:020}.json"));
    let second = counting.inner.get_opts(&place(1), GetOptions::default()).await.unwrap().bytes().await.unwrap();
    let second: Vec<serde_json::Value> =
        std::str::from_utf8(&second).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for number in 2..ENTRIES {
        let mut text = String::new();
        for mut action in second.clone() {
            for (pointer, value) in [
                ("/txn/appId", serde_json::json!(format!("r{number}"))),
                ("/txn/version", serde_json::json!(number)),
                ("/add/path", serde_json::json!(format!("{number}.parquet"))),
                ("/remove/path", serde_json::json!(format!("{}.parquet", number - 1))),
            ] {
                if let Some(found) = action.pointer_mut(pointer) {
                    *found = value;
                }
            }
            text.push_str(&format!("{action}\n"));
        }
        counting.inner.put_opts(&place(number), text.into(), PutOptions::default()).await.unwrap();
    }
    let next = DeltaCommit { after: Some(ENTRIES - 1), ..commit("next", vec![file(ENTRIES)]) };
    for (times, allowed) in [(1, 4), (2, 4)] {
        let before = counting.asked();
        assert_eq!(storage.commit_version("ROOT", &next).await.unwrap(), ENTRIES, "{times}");
        let asked = counting.asked() - before;
        assert!(asked <= allowed, "{asked} requests");
        eprintln!("{asked} requests for a commit after {ENTRIES} entries");
    }
    let files = storage.delta_files("ROOT", None).await.unwrap();
    assert_eq!(files.iter().map(|file| file.path.clone()).collect::<Vec<_>>(), [file(ENTRIES).path]);
    // Who knows no version of the log finds the same.
    assert_eq!(storage.commit_version("ROOT", &DeltaCommit { after: None, ..next }).await.unwrap(), ENTRIES);
}

#[tokio::test]
async fn a_scrub_reads_each_entry_of_a_log_as_often_however_long_the_log_is() {
    let scratch = tempfile::tempdir().unwrap();
    let counting = Arc::new(Faulty::new(Fault::Before));
    let storage = Storage::over(counting.clone()).unwrap();
    let store = Store { storage, catalog: Catalog::open("sqlite::memory:").await.unwrap() };
    let mut asked = Vec::new();
    for version in 1..=18_u8 {
        let content = bytes(version, 900);
        let part = (local(scratch.path(), "part", &content), released("", &content));
        publish(&store, &format!("{version:02}REV"), scratch.path(), &Parts(vec![part])).await.unwrap();
        if version.is_multiple_of(6) {
            let before = counting.asked();
            assert_eq!(store.scrub(&mut |_| {}).await.unwrap().wrong, 0);
            asked.push(counting.asked() - before);
        }
    }
    eprintln!("{asked:?} requests for scrubs of 6, 12 and 18 versions");
    assert!(asked[2] - asked[1] <= asked[1] - asked[0] + 2, "{asked:?}");
}

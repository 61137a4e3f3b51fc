//! The power goes: what is left on the disk after every moment of a recorded run, honouring only what was synced,
//! holds all that was acknowledged.
//!
//! The model is that of a hostile file system that keeps its promises: bytes of a file are there once it was synced
//! after they were written, a name once its directory was synced after it was given or taken. Of everything else
//! the cut may have kept nothing, all names without their bytes, or any part.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::ObjectStoreExt;
use portico_model::manifest::{ColumnStatistics, ReleasedFile};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::disk::Disk;
use super::{DurableDirectory, UNFINISHED};
use crate::storage::{Area, DeltaCommit, Reach, StagedFile, Storage, hex};

/// What was done, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    steps: Arc<Mutex<Vec<Step>>>,
}

/// One change of the file system, or a promise.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Create(PathBuf),
    Write(PathBuf, u64, Bytes),
    SyncFile(PathBuf),
    Link(PathBuf, PathBuf),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
    MakeDirectory(PathBuf),
    SyncDirectory(PathBuf),
    /// Somebody was told that this is so.
    Acknowledged(Promise),
}

/// What somebody was told.
#[derive(Clone, Debug)]
pub(super) enum Promise {
    Staged(StagedFile),
    Released(ReleasedFile),
    Committed(i64),
    Removed(String),
}

impl Journal {
    pub(super) fn push(&self, step: Step) {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).push(step);
    }

    fn steps(&self) -> Vec<Step> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A file: what programs see of it, and what the disk has.
#[derive(Clone, Debug, Default)]
struct Inode {
    seen: Vec<u8>,
    kept: Vec<u8>,
}

/// Names as programs see them, and as the disk has them: of files by number, of directories.
#[derive(Clone, Debug, Default)]
struct Model {
    inodes: Vec<Inode>,
    seen: BTreeMap<PathBuf, usize>,
    kept: BTreeMap<PathBuf, usize>,
    directories_seen: BTreeSet<PathBuf>,
    directories_kept: BTreeSet<PathBuf>,
}

impl Model {
    fn apply(&mut self, step: &Step) {
        match step {
            Step::Create(path) => {
                self.inodes.push(Inode::default());
                self.seen.insert(path.clone(), self.inodes.len() - 1);
            }
            Step::Write(path, offset, bytes) => {
                let seen = &mut self.inodes[self.seen[path]].seen;
                let start = usize::try_from(*offset).unwrap();
                seen.resize(seen.len().max(start + bytes.len()), 0);
                seen[start..start + bytes.len()].copy_from_slice(bytes);
            }
            Step::SyncFile(path) => {
                let inode = &mut self.inodes[self.seen[path]];
                inode.kept = inode.seen.clone();
            }
            Step::Link(from, to) => {
                self.seen.insert(to.clone(), self.seen[from]);
            }
            Step::Rename(from, to) => {
                let inode = self.seen.remove(from).unwrap();
                self.seen.insert(to.clone(), inode);
            }
            Step::Unlink(path) => {
                self.seen.remove(path).unwrap();
            }
            Step::MakeDirectory(path) => {
                self.directories_seen.insert(path.clone());
            }
            Step::SyncDirectory(path) => {
                let inside = |name: &PathBuf| name.parent() == Some(path);
                self.kept.retain(|name, _| !inside(name));
                self.kept.extend(self.seen.iter().filter(|(name, _)| inside(name)).map(|(name, i)| (name.clone(), *i)));
                self.directories_kept.extend(self.directories_seen.iter().filter(|name| inside(name)).cloned());
            }
            Step::Acknowledged(_) => {}
        }
    }

    /// Puts what a cut leaves under `to` instead of `root`. A name whose directory is not there is not there.
    fn leave(&self, root: &Path, to: &Path, cut: &mut Cut) {
        let place = |path: &Path| to.join(path.strip_prefix(root).unwrap());
        for directory in &self.directories_seen {
            if self.directories_kept.contains(directory) || cut.keeps_name() {
                // A lost parent loses it.
                let _ = fs::create_dir(place(directory));
            }
        }
        let names: BTreeSet<&PathBuf> = self.seen.keys().chain(self.kept.keys()).collect();
        for name in names {
            let (seen, kept) = (self.seen.get(name), self.kept.get(name));
            let inode = if seen == kept || !cut.keeps_name() { kept } else { seen };
            if let Some(inode) = inode {
                let inode = &self.inodes[*inode];
                let _ = fs::write(place(name), cut.bytes(inode));
            }
        }
    }
}

/// What becomes of all that was not synced.
enum Cut {
    Nothing,
    NamesOnly,
    Any(Box<ChaCha8Rng>),
}

impl Cut {
    fn keeps_name(&mut self) -> bool {
        match self {
            Self::Nothing => false,
            Self::NamesOnly => true,
            Self::Any(random) => random.random(),
        }
    }

    fn bytes<'a>(&mut self, inode: &'a Inode) -> &'a [u8] {
        match self {
            Self::Nothing | Self::NamesOnly => &inode.kept,
            Self::Any(random) if inode.kept.len() < inode.seen.len() => {
                &inode.seen[..random.random_range(inode.kept.len()..=inode.seen.len())]
            }
            Self::Any(_) => &inode.kept,
        }
    }
}

fn released(path: String, content: &[u8]) -> ReleasedFile {
    ReleasedFile {
        path,
        sha256: hex(&Sha256::digest(content)),
        bytes: u64::try_from(content.len()).unwrap(),
        blocks: None,
        rows: 1,
        row_groups: vec![1],
        columns: Vec::new(),
    }
}

/// The road in as far as the storage sees it, twice, with every promise noted as soon as it is made.
async fn run(storage: &Storage, journal: &Journal, scratch: &Path) {
    let note = |promise| journal.push(Step::Acknowledged(promise));
    let schema =
        Arc::new(arrow_schema::Schema::new(vec![arrow_schema::Field::new("id", arrow_schema::DataType::Int64, true)]));
    let local = scratch.join("upload");
    let mut first_path = None;
    for version in [0_u8, 1] {
        let content = vec![version + 7; 5_000];
        fs::write(&local, &content).unwrap();
        let staged = storage.put_staged(&format!("0{version}R"), &local).await.unwrap();
        note(Promise::Staged(staged.clone()));
        let copied = storage.release_staged("ROOT", &format!("0{version}R"), &staged).await.unwrap();
        note(Promise::Released(released(copied.clone(), &content)));
        let put = storage.put_released("ROOT", &format!("1{version}R"), &local).await.unwrap();
        note(Promise::Released(released(put.clone(), &content)));
        first_path.get_or_insert(put);
        let parts = format!("ROOT/2{version}R.parquet");
        put_in_parts(storage, &parts, &content).await;
        note(Promise::Released(released(parts, &content)));
        let mut file = released(copied, &content);
        file.columns = vec![ColumnStatistics::default()];
        let (txn, after) = (format!("r{version}"), version.checked_sub(1).map(i64::from));
        let commit = DeltaCommit { txn, schema: schema.clone(), files: vec![file], now_ms: 1, after };
        let number = storage.commit_version("ROOT", &commit).await.unwrap();
        note(Promise::Committed(number));
        storage.remove_staged(&staged).await.unwrap();
        note(Promise::Removed(format!("staging/{}", staged.path)));
    }
    let first_path = first_path.unwrap();
    storage.remove_released(&first_path).await.unwrap();
    note(Promise::Removed(format!("released/{first_path}")));
}

/// As an upload of more than one request is, without its size.
async fn put_in_parts(storage: &Storage, path: &str, content: &[u8]) {
    let path = storage.path(Area::Released, path).unwrap();
    let mut upload = storage.inner.store.put_multipart(&path).await.unwrap();
    for part in content.chunks(2_000) {
        upload.put_part(part.to_vec().into()).await.unwrap();
    }
    upload.complete().await.unwrap();
}

/// What of a promise is broken by what is left under `place`. From the moment that a removal begins, its file may
/// be gone.
async fn broken(storage: &Storage, place: &Path, promise: &Promise, going: &BTreeSet<String>) -> Option<String> {
    let going = |area: &str, path: &str| going.contains(&format!("{area}/{path}"));
    let kept = match promise {
        Promise::Staged(file) if going("staging", &file.path) => Ok(()),
        Promise::Staged(file) => storage.verify_staged(file).await,
        Promise::Released(file) if going("released", &file.path) => Ok(()),
        Promise::Released(file) => storage.verify_released(file).await,
        Promise::Committed(number) => storage.delta_files("ROOT", Some(*number)).await.map(drop),
        Promise::Removed(path) if place.join(path).exists() => return Some(format!("{path} is back")),
        Promise::Removed(_) => Ok(()),
    };
    kept.err().map(|error| format!("{promise:?}: {error:?}"))
}

/// What is removed at any time: from the moment that its removal begins it may be gone.
fn removals(steps: &[Step], root: &Path) -> BTreeSet<String> {
    let names = steps.iter().filter_map(|step| match step {
        Step::Unlink(path) => path.strip_prefix(root).ok().map(|name| name.display().to_string()),
        _ => None,
    });
    names.filter(|name| !name.starts_with(UNFINISHED)).collect()
}

/// What a recorded run comes to.
#[derive(Default)]
struct Outcome {
    cuts: usize,
    promises: usize,
    lost: Vec<String>,
}

/// Cuts the power after every step from `first` on.
async fn cut_from(first: usize, steps: &[Step], root: &Path) -> Outcome {
    let mut model = Model::default();
    let mut outcome = Outcome::default();
    for end in 0..=steps.len() {
        if let Some(step) = end.checked_sub(1).map(|last| &steps[last]) {
            model.apply(step);
            // What was only begun or written is in nobody's promise yet.
            if end < first || matches!(step, Step::Create(_) | Step::Write(..)) {
                continue;
            }
        }
        let promised: Vec<&Promise> = steps[..end]
            .iter()
            .filter_map(|step| match step {
                Step::Acknowledged(promise) => Some(promise),
                _ => None,
            })
            .collect();
        let going = removals(&steps[..end], root);
        let seed = u64::try_from(end).unwrap();
        let random = |seed| Cut::Any(Box::new(ChaCha8Rng::seed_from_u64(seed)));
        for mut cut in [Cut::Nothing, Cut::NamesOnly, random(seed)] {
            let left = tempfile::tempdir().unwrap();
            let place = left.path().join("store");
            model.leave(root.parent().unwrap(), left.path(), &mut cut);
            let again = Storage::open(&format!("file://{}", place.display()), &BTreeMap::new()).unwrap();
            for &promise in &promised {
                let broken = broken(&again, &place, promise, &going).await;
                outcome.lost.extend(broken.map(|how| format!("after step {end}: {how}")));
            }
            // Whatever else is left, the log reads: an entry that can be seen is whole.
            let log = again.delta_version("ROOT").await;
            outcome.lost.extend(log.err().map(|error| format!("after step {end}: the log: {error:?}")));
            outcome.cuts += 1;
            outcome.promises += promised.len();
        }
    }
    outcome
}

#[tokio::test]
async fn a_power_cut_at_any_moment_loses_nothing_acknowledged() {
    let scratch = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(scratch.path()).unwrap().join("store");
    let journal = Journal::default();
    let directory = DurableDirectory::on(Disk::recorded(journal.clone()), &root).unwrap();
    let storage = Storage::assemble(Arc::new(directory), Reach::Directory(root.clone()));
    run(&storage, &journal, scratch.path()).await;
    let steps = journal.steps();
    let outcome = cut_from(0, &steps, &root).await;
    assert_eq!(outcome.lost, [""; 0]);
    assert!(outcome.cuts > 150 && outcome.promises > 500, "{} cuts", outcome.cuts);
    println!("{} steps, {} power cuts, {} promises, 0 lost", steps.len(), outcome.cuts, outcome.promises);
    // Who forgets to sync loses: files and names alike.
    for forgotten in [
        |step: &Step| matches!(step, Step::SyncFile(_)),
        |step: &Step| matches!(step, Step::SyncDirectory(path) if path.ends_with("ROOT")),
        |step: &Step| matches!(step, Step::SyncDirectory(path) if path.ends_with("_delta_log")),
    ] {
        let careless: Vec<Step> = steps.iter().filter(|step| !forgotten(step)).cloned().collect();
        assert!(!cut_from(careless.len(), &careless, &root).await.lost.is_empty());
    }
}

#[tokio::test]
async fn what_a_process_began_before_it_died_the_next_one_makes_durable() {
    let scratch = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(scratch.path()).unwrap().join("store");
    let journal = Journal::default();
    let open = || {
        let directory = DurableDirectory::on(Disk::recorded(journal.clone()), &root).unwrap();
        Storage::assemble(Arc::new(directory), Reach::Directory(root.clone()))
    };
    let note = |promise| journal.push(Step::Acknowledged(promise));
    let content = vec![7; 5_000];
    let local = scratch.path().join("upload");
    fs::write(&local, &content).unwrap();
    let staged = open().put_staged("00R", &local).await.unwrap();
    note(Promise::Staged(staged.clone()));
    // It made a directory, and took a name, and died before it synced where they are.
    let dataset = root.join("released/ROOT");
    fs::create_dir(&dataset).unwrap();
    journal.push(Step::MakeDirectory(dataset));
    let name = root.join("staging").join(&staged.path);
    fs::remove_file(&name).unwrap();
    journal.push(Step::Unlink(name));
    let next = open();
    let put = next.put_released("ROOT", "00R", &local).await.unwrap();
    note(Promise::Released(released(put, &content)));
    next.remove_staged(&staged).await.unwrap();
    note(Promise::Removed(format!("staging/{}", staged.path)));
    let outcome = cut_from(0, &journal.steps(), &root).await;
    assert_eq!(outcome.lost, [""; 0]);
    assert!(outcome.cuts > 30, "{}", outcome.cuts);
}

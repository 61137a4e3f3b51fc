//! What is asked of the file system, and in which order: the only place of the store that changes files.
//!
//! A file is durable when it has been synced after its last byte, a name when its directory has been synced after
//! it was given. Nothing here returns before both are true of what it was asked for. In tests the disk keeps a
//! journal, from which `power` makes what a power cut at any moment may leave.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Result};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// The file system. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    /// Directories whose names this process has made durable.
    settled: Arc<Mutex<HashSet<PathBuf>>>,
    #[cfg(test)]
    journal: Option<super::power::Journal>,
}

#[cfg(test)]
use super::power::Step;

impl Disk {
    /// A disk that keeps a journal.
    #[cfg(test)]
    pub(super) fn recorded(journal: super::power::Journal) -> Self {
        Self { journal: Some(journal), ..Self::default() }
    }

    #[cfg(test)]
    fn note(&self, step: Step) {
        if let Some(journal) = &self.journal {
            journal.push(step);
        }
    }

    /// Begins a file that is not there.
    pub(super) fn create(&self, path: &Path) -> Result<File> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        #[cfg(test)]
        self.note(Step::Create(path.to_owned()));
        Ok(file)
    }

    /// Writes at a place in a file.
    pub(super) fn write_at(&self, file: &File, path: &Path, mut offset: u64, chunks: &[Bytes]) -> Result<()> {
        let _named = path;
        for chunk in chunks {
            file.write_all_at(chunk, offset)?;
            #[cfg(test)]
            self.note(Step::Write(path.to_owned(), offset, chunk.clone()));
            offset = offset.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    /// Makes the bytes of a file durable.
    pub(super) fn sync(&self, file: &File, path: &Path) -> Result<()> {
        let _named = path;
        file.sync_all()?;
        #[cfg(test)]
        self.note(Step::SyncFile(path.to_owned()));
        Ok(())
    }

    /// Gives a synced file its name in place of the one that it was written under, and makes the name durable.
    pub(super) fn publish(&self, unfinished: &Path, target: &Path, replace: bool) -> Result<()> {
        self.make_directory(parent_of(target)?)?;
        if replace {
            self.rename(unfinished, target)?;
            return self.sync_parent(target);
        }
        self.link(unfinished, target)?;
        self.forget(unfinished)
    }

    /// Gives bytes that are durable a second name, which must be free, and makes it durable.
    pub(super) fn link(&self, from: &Path, to: &Path) -> Result<()> {
        self.make_directory(parent_of(to)?)?;
        let linked = fs::hard_link(from, to);
        #[cfg(test)]
        if linked.is_ok() {
            self.note(Step::Link(from.to_owned(), to.to_owned()));
        }
        // Synced also when the name is there: its writer may have died before this, and who finds it relies on it.
        self.sync_parent(to)?;
        linked
    }

    /// Removes a name, durably. Also when it is gone: who took it may have died before that was durable, and whoever is
    /// told that it is gone relies on it.
    pub(super) fn remove(&self, path: &Path) -> Result<()> {
        let removed = self.forget(path);
        if removed.as_ref().is_err_and(|error| error.kind() != ErrorKind::NotFound) {
            return removed;
        }
        self.sync_parent(path)?;
        removed
    }

    /// Removes a name that may come back after a power cut.
    pub(super) fn forget(&self, path: &Path) -> Result<()> {
        fs::remove_file(path)?;
        #[cfg(test)]
        self.note(Step::Unlink(path.to_owned()));
        Ok(())
    }

    /// Makes the directory that all others are in, and its missing ancestors; answers it without links.
    pub(super) fn make_root(&self, path: &Path) -> Result<PathBuf> {
        self.make_missing(path)?;
        let root = fs::canonicalize(path)?;
        if let Some(parent) = root.parent() {
            match self.sync_directory(parent) {
                // What we may not even open we have not made.
                Err(error) if error.kind() != ErrorKind::PermissionDenied => return Err(error),
                _ => {}
            }
        }
        self.settle(&root);
        Ok(root)
    }

    /// Makes a directory below the root and its missing ancestors; each name is durable. Those that are there may have been
    /// made a moment ago, or by somebody who died before they were durable: the first time, they are synced all the same.
    pub(super) fn make_directory(&self, path: &Path) -> Result<()> {
        if self.settled.lock().unwrap_or_else(PoisonError::into_inner).contains(path) {
            return Ok(());
        }
        let parent = parent_of(path)?;
        self.make_directory(parent)?;
        self.create_directory(path)?;
        self.sync_directory(parent)?;
        self.settle(path);
        Ok(())
    }

    fn make_missing(&self, path: &Path) -> Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        let parent = parent_of(path)?;
        self.make_missing(parent)?;
        self.create_directory(path)?;
        self.sync_directory(parent)
    }

    fn create_directory(&self, path: &Path) -> Result<()> {
        match fs::create_dir(path) {
            Ok(()) => {
                #[cfg(test)]
                self.note(Step::MakeDirectory(path.to_owned()));
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn settle(&self, path: &Path) {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to)?;
        #[cfg(test)]
        self.note(Step::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn sync_parent(&self, path: &Path) -> Result<()> {
        self.sync_directory(parent_of(path)?)
    }

    fn sync_directory(&self, path: &Path) -> Result<()> {
        File::open(path)?.sync_all()?;
        #[cfg(test)]
        self.note(Step::SyncDirectory(path.to_owned()));
        Ok(())
    }
}

fn parent_of(path: &Path) -> Result<&Path> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Ok(Path::new(".")),
        Some(parent) => Ok(parent),
        None => Err(std::io::Error::from(ErrorKind::NotFound)),
    }
}

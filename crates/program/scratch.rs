//! The directory for what need not outlive a process: workers' spill files, spooled exports, files being read.
//!
//! Each process has one of its own, so that `portico check` beside a running server, or two servers with the same
//! configuration, do not take each other's files away. It goes with the process; what one that was killed left behind
//! is removed by the next.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// How the directories are named, followed by chance.
const PREFIX: &str = "portico-scratch-";
/// The file in each that its process holds locked: the kernel lets go of it however the process ends.
const LOCK: &str = "lock";

/// A directory for what need not outlive the process.
pub(crate) struct Scratch {
    /// Removed when the parts go.
    directory: tempfile::TempDir,
    _lock: File,
}

impl Scratch {
    /// A new directory in the configured place, or in the system's place for temporary files.
    pub(crate) fn open(config: &crate::config::Config) -> anyhow::Result<Self> {
        Self::open_in(&config.server.scratch.clone().unwrap_or_else(std::env::temp_dir))
    }

    fn open_in(place: &Path) -> anyhow::Result<Self> {
        let context = || format!("cannot use {} for temporary files", place.display());
        std::fs::create_dir_all(place).with_context(context)?;
        let place = place.canonicalize().with_context(context)?;
        sweep(&place);
        // Made with mode 0700.
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&place).with_context(context)?;
        let lock = File::create(directory.path().join(LOCK)).with_context(context)?;
        lock.try_lock().with_context(context)?;
        Ok(Self { directory, _lock: lock })
    }

    /// A directory below it for one purpose.
    pub(crate) fn directory(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(path)
    }
}

/// Removes the directories of processes that have ended. One without a lock file is being made at this moment.
fn sweep(place: &Path) {
    let Ok(entries) = std::fs::read_dir(place) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let directory = entry.path();
        // Another user's cannot be opened, and is not ours to remove.
        let Ok(lock) = File::options().write(true).open(directory.join(LOCK)) else { continue };
        match lock.try_lock() {
            Ok(()) => match std::fs::remove_dir_all(&directory) {
                Ok(()) => tracing::info!("removed what a process that was killed had left"),
                Err(error) => tracing::warn!(%error, "what a process that was killed had left cannot be removed"),
            },
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => tracing::warn!(%error, "a lock file cannot be locked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_goes_and_what_a_living_one_uses_stays() {
        let place = tempfile::tempdir().unwrap();
        let living = Scratch::open_in(place.path()).unwrap();
        std::fs::write(living.directory("workers").unwrap().join("spill"), b"1").unwrap();
        let killed = place.path().join(format!("{PREFIX}killed"));
        std::fs::create_dir_all(killed.join("workers")).unwrap();
        std::fs::write(killed.join("workers/spill"), b"1").unwrap();
        std::fs::write(killed.join(LOCK), b"").unwrap();
        std::fs::write(place.path().join("other"), b"1").unwrap();
        let next = Scratch::open_in(place.path()).unwrap();
        assert!(!killed.exists());
        assert!(living.directory("workers").unwrap().join("spill").exists());
        drop((living, next));
        let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["other"]);
    }
}

//! A growing file on the local disk: one writer, any number of readers that follow it.
//!
//! The worker writes as fast as it can and is free again, however slowly the readers read. Everybody shares one
//! file descriptor and reads at offsets, so that the file can be unlinked while it is read.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use portico_model::problem::{Problem, ProblemKind};
use portico_store::{Buffers, buffer_bytes};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

/// How far a growing file has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// Bytes that readers may read.
    pub(super) written: u64,
    /// Whether more will come.
    pub(super) state: ProgressState,
}

/// Whether more will come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProgressState {
    /// Yes.
    Growing,
    /// No, it is complete.
    Complete(Finished),
    /// No, and it never will be complete.
    Failed(Problem),
}

/// What is known of a complete file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finished {
    /// Rows.
    pub(super) rows: u64,
    /// SHA-256, lower-case hex.
    pub(super) sha256: String,
}

/// The file, removed when the last reader and the writer are gone.
#[derive(Debug)]
pub(super) struct SpoolFile {
    file: Arc<File>,
    path: PathBuf,
    progress: watch::Sender<Progress>,
    room: Room,
}

/// What one file has of the room for all of them: given back when the file goes, not when it is complete.
#[derive(Debug)]
struct Room {
    all: Arc<AtomicU64>,
    own: AtomicU64,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.all.fetch_sub(self.own.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// The only writer of a file.
pub(super) struct SpoolWriter {
    file: Arc<File>,
    hasher: Sha256,
    written: u64,
}

impl SpoolFile {
    /// Makes an empty file at `path`, readable by this user only. `all` counts the bytes of all files that are there.
    pub(super) fn create(path: &Path, all: &Arc<AtomicU64>) -> io::Result<(Self, SpoolWriter)> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        let file = Arc::new(file);
        let progress = watch::Sender::new(Progress { written: 0, state: ProgressState::Growing });
        let writer = SpoolWriter { file: Arc::clone(&file), hasher: Sha256::new(), written: 0 };
        let room = Room { all: Arc::clone(all), own: AtomicU64::new(0) };
        Ok((Self { file, path: path.to_owned(), progress, room }, writer))
    }

    /// Counts bytes that are about to be written; gives the bytes of this file and those of all.
    pub(super) fn count(&self, bytes: u64) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        (count(&self.room.own), count(&self.room.all))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Lets readers see what was written.
    pub(super) fn advance(&self, written: u64) {
        self.progress.send_modify(|progress| progress.written = written);
    }

    /// Ends the file, one way or the other; the first end stands.
    pub(super) fn end(&self, outcome: Result<Finished, Problem>) {
        self.progress.send_if_modified(|progress| {
            if progress.state != ProgressState::Growing {
                return false;
            }
            progress.state = match outcome {
                Ok(finished) => ProgressState::Complete(finished),
                Err(problem) => ProgressState::Failed(problem),
            };
            true
        });
    }

    /// Reads `range`, or everything, following the file while it grows. `keep` is held as long as the stream.
    pub(super) fn follow<K: Send + 'static>(
        &self,
        range: Option<Range<u64>>,
        keep: K,
    ) -> BoxStream<'static, Result<Bytes, Problem>> {
        let range = range.unwrap_or(0..u64::MAX);
        let reader = Reader {
            file: Arc::clone(&self.file),
            progress: self.progress(),
            range,
            buffers: Buffers::default(),
            given: 0,
            _keep: keep,
        };
        stream::unfold(Some(reader), |reader| async move {
            let mut reader = reader?;
            match reader.next().await {
                Ok(None) => None,
                Ok(Some(bytes)) => Some((Ok(bytes), Some(reader))),
                Err(problem) => Some((Err(problem), None)),
            }
        })
        .boxed()
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "a spool file could not be removed");
        }
    }
}

impl SpoolWriter {
    /// Appends and hashes, off the threads that serve requests; gives itself back with the bytes written so far.
    pub(super) async fn append(mut self, bytes: Bytes) -> io::Result<(Self, u64)> {
        tokio::task::spawn_blocking(move || {
            self.hasher.update(&bytes);
            self.file.write_all_at(&bytes, self.written)?;
            self.written = self.written.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            let written = self.written;
            Ok((self, written))
        })
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    /// The digest of everything written, in lower-case hex.
    pub(super) fn sha256(self) -> String {
        hex(&self.hasher.finalize())
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

struct Reader<K> {
    file: Arc<File>,
    progress: watch::Receiver<Progress>,
    range: Range<u64>,
    buffers: Buffers,
    /// Bytes read so far.
    given: u64,
    _keep: K,
}

impl<K> Reader<K> {
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            if self.range.is_empty() {
                return Ok(None);
            }
            let (written, state) = {
                let progress = self.progress.borrow_and_update();
                (progress.written, progress.state.clone())
            };
            let readable = written.min(self.range.end).saturating_sub(self.range.start);
            if readable > 0 {
                let most = buffer_bytes(self.given);
                let length = usize::try_from(readable).unwrap_or(most).min(most);
                let bytes = read_at(Arc::clone(&self.file), self.range.start, length, &self.buffers).await?;
                let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                self.range.start += read;
                self.given = self.given.saturating_add(read);
                return Ok(Some(bytes));
            }
            match state {
                ProgressState::Complete(_) => return Ok(None),
                ProgressState::Failed(problem) => return Err(problem),
                ProgressState::Growing => {}
            }
            if self.progress.changed().await.is_err() {
                return Err(Problem::new(ProblemKind::Unavailable, "The export was broken off. Try again."));
            }
        }
    }
}

async fn read_at(file: Arc<File>, offset: u64, length: usize, buffers: &Buffers) -> Result<Bytes, Problem> {
    let mut buffer = buffers.take(length);
    let read = tokio::task::spawn_blocking(move || {
        file.read_exact_at(&mut buffer, offset)?;
        Ok::<_, io::Error>(buffer)
    })
    .await
    .unwrap_or_else(|error| Err(io::Error::other(error)));
    read.map(|buffer| buffers.lend(buffer)).map_err(|error| {
        tracing::error!(%error, "a spool file could not be read");
        Problem::internal()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    async fn collect(mut stream: BoxStream<'static, Result<Bytes, Problem>>) -> Result<Vec<u8>, Problem> {
        let mut all = Vec::new();
        while let Some(bytes) = stream.next().await {
            all.extend_from_slice(&bytes?);
        }
        Ok(all)
    }

    fn finished() -> Finished {
        Finished { rows: 1, sha256: String::new() }
    }

    #[tokio::test]
    async fn readers_follow_a_file_that_grows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.part");
        let (spool, writer) = SpoolFile::create(&path, &Arc::default()).unwrap();
        let mut early = spool.follow(None, ());
        assert!(early.next().now_or_never().is_none());
        let (writer, written) = writer.append(Bytes::from_static(b"hello ")).await.unwrap();
        spool.advance(written);
        assert_eq!(early.next().await.unwrap().unwrap(), "hello ");
        assert!(early.next().now_or_never().is_none());
        let (writer, written) = writer.append(Bytes::from_static(b"world")).await.unwrap();
        spool.advance(written);
        spool.end(Ok(finished()));
        assert_eq!(collect(early).await.unwrap(), b"world");
        assert_eq!(collect(spool.follow(None, ())).await.unwrap(), b"hello world");
        assert_eq!(collect(spool.follow(Some(3..8), ())).await.unwrap(), b"lo wo");
        assert_eq!(collect(spool.follow(Some(8..99), ())).await.unwrap(), b"rld");
        assert_eq!(collect(spool.follow(Some(11..99), ())).await.unwrap(), b"");
        assert_eq!(writer.sha256(), hex(&Sha256::digest(b"hello world")));
    }

    #[tokio::test]
    async fn a_failed_file_never_looks_complete() {
        let dir = tempfile::tempdir().unwrap();
        let (spool, writer) = SpoolFile::create(&dir.path().join("a.part"), &Arc::default()).unwrap();
        let (_, written) = writer.append(Bytes::from_static(b"half")).await.unwrap();
        spool.advance(written);
        spool.end(Err(Problem::internal()));
        spool.end(Ok(finished()));
        let mut stream = spool.follow(None, ());
        assert_eq!(stream.next().await.unwrap().unwrap(), "half");
        assert!(stream.next().await.unwrap().is_err());
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn a_file_is_read_to_its_end_after_it_was_unlinked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.part");
        let (spool, writer) = SpoolFile::create(&path, &Arc::default()).unwrap();
        let (_, written) = writer.append(Bytes::from_static(b"all of it")).await.unwrap();
        spool.advance(written);
        spool.end(Ok(finished()));
        let stream = spool.follow(None, ());
        drop(spool);
        assert!(!path.exists());
        assert_eq!(collect(stream).await.unwrap(), b"all of it");
    }
}

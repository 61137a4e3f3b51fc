//! One worker process: its start, its socket, its last words and its end.

use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, ChildStdin, Command};
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use super::pool::Bounds;
use crate::priority;

/// How long a worker may take until its socket answers; an unoptimised build on a busy machine takes seconds.
const START: Duration = Duration::from_secs(30);
/// Between two tries at a socket that is not there yet.
const KNOCK: Duration = Duration::from_millis(10);
/// How long the last words of a worker that has ended are waited for. They are in the pipe when it has ended, so this
/// is about how busy the server is; only a process that was given the pipe by the worker could hold it open.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// The longest path of a Unix socket on every system, with its closing NUL taken off.
const SOCKET_PATH_MAX: usize = 100;
/// What flows from a worker before the server has read it: enough for two chunks, so that neither side waits.
const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// Why a worker did not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum LaunchError {
    #[error("its scratch directory could not be made")]
    Scratch(#[source] std::io::Error),
    #[error("the program could not be started")]
    Spawn(#[source] std::io::Error),
    #[error("it ended while it started")]
    Ended(Option<ExitStatus>),
    #[error("its socket did not answer in time")]
    Silent,
    #[error("no connection could be made")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What a worker wrote to its standard error as it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum LastWords {
    /// Nothing that tells why.
    #[default]
    None,
    /// An allocation failed.
    Memory,
    /// A stack overflowed.
    Stack,
}

/// A worker with its connection; the process ends when this is dropped.
pub(super) struct Process {
    channel: Channel,
    local: Option<Local>,
}

struct Local {
    child: Child,
    /// Held open: the worker ends when the other end of this pipe does, even if the server is killed.
    _stdin: Option<ChildStdin>,
    stderr: Option<JoinHandle<()>>,
    heard: Arc<AtomicU8>,
    /// Taken when it is removed elsewhere.
    scratch: Option<PathBuf>,
    /// Where the socket lies when the scratch directory's path is too long for one.
    _socket_dir: Option<tempfile::TempDir>,
}

impl Process {
    /// Starts a worker, at a low priority if it is to have one, and waits until it answers.
    pub(super) async fn launch(
        program: &Path,
        scratch: &Path,
        released: Option<&Path>,
        log_level: Option<&str>,
        bounds: &Bounds,
        low: bool,
    ) -> Result<Self, LaunchError> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(scratch).map_err(LaunchError::Scratch)?;
        // The worker's working directory is its scratch directory: every path it gets is absolute.
        let scratch = std::path::absolute(scratch).map_err(LaunchError::Scratch)?;
        let (socket, socket_dir) = socket_path(&scratch).map_err(LaunchError::Scratch)?;
        let mut command = Command::new(program);
        command
            .arg("worker")
            .arg("--socket")
            .arg(&socket)
            .arg("--scratch")
            .arg(&scratch)
            .args(["--memory", &bounds.memory_bytes.to_string()])
            .args(["--spill", &bounds.spill_bytes.to_string()])
            .args(["--threads", &bounds.threads.to_string()]);
        if let Some(released) = released {
            command.arg("--released").arg(released);
        }
        if let Some(level) = log_level {
            command.args(["--log", level]);
        }
        command.env_clear().env("TMPDIR", &scratch).current_dir(&scratch);
        // What the allocator reserves ahead would count against the limit that the worker sets on itself.
        command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
        // A group of its own: Ctrl-C at a terminal is for the server, which ends its workers when it is done.
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(LaunchError::Spawn)?;
        if low && let Some(pid) = child.id() {
            priority::lower(pid);
        }
        let heard = Arc::new(AtomicU8::new(0));
        let stderr = child.stderr.take().map(|stderr| tokio::spawn(listen(stderr, Arc::clone(&heard))));
        // Taken out of the child: waiting for it would close its standard input, which ends it.
        let stdin = child.stdin.take();
        let mut local = Local { child, _stdin: stdin, stderr, heard, scratch: Some(scratch), _socket_dir: socket_dir };
        let channel = tokio::select! {
            connected = connect(socket) => connected?,
            status = local.child.wait() => return Err(LaunchError::Ended(status.ok())),
        };
        Ok(Self { channel, local: Some(local) })
    }

    /// A worker that somebody else runs.
    pub(super) fn remote(channel: Channel) -> Self {
        Self { channel, local: None }
    }

    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.local.as_ref().and_then(|local| local.child.id())
    }

    /// Waits until the process has ended by itself; never, for a worker that is no process of ours.
    pub(super) async fn wait(&mut self) {
        match &mut self.local {
            Some(local) => {
                // The status is asked for again, and kept by tokio, in `end`.
                let _ = local.child.wait().await;
            }
            None => std::future::pending().await,
        }
    }

    /// Kills the process if it still runs, and says how it ended.
    pub(super) async fn end(self) -> (Option<ExitStatus>, LastWords) {
        let Some(mut local) = self.local else { return (None, LastWords::None) };
        // An error means that it has ended already.
        let _ = local.child.start_kill();
        let status = local.child.wait().await.ok();
        if let Some(stderr) = local.stderr.take() {
            let _ = tokio::time::timeout(LAST_WORDS, stderr).await;
        }
        if let Some(scratch) = local.scratch.take() {
            // Spill files may be large: nobody waits for their removal, least of all a thread that serves requests.
            drop(tokio::task::spawn_blocking(move || remove(&scratch)));
        }
        (status, LastWords::from_code(local.heard.load(Ordering::Relaxed)))
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Some(scratch) = &self.scratch {
            remove(scratch);
        }
    }
}

fn remove(scratch: &Path) {
    if let Err(error) = std::fs::remove_dir_all(scratch)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "a worker's scratch directory could not be removed");
    }
}

/// Removes what workers of an earlier run left.
pub(super) fn sweep(scratch: &Path) {
    let Ok(entries) = std::fs::read_dir(scratch) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with("worker-") {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A path for the socket that the system can bind: beside the worker's files, or in a short directory of its own.
fn socket_path(scratch: &Path) -> std::io::Result<(PathBuf, Option<tempfile::TempDir>)> {
    let beside = scratch.join("socket");
    if beside.as_os_str().len() <= SOCKET_PATH_MAX {
        return Ok((beside, None));
    }
    // Made with mode 0700.
    let dir = tempfile::Builder::new().prefix("portico-").tempdir()?;
    Ok((dir.path().join("socket"), Some(dir)))
}

async fn connect(socket: PathBuf) -> Result<Channel, LaunchError> {
    let knocking = async {
        while UnixStream::connect(&socket).await.is_err() {
            tokio::time::sleep(KNOCK).await;
        }
    };
    tokio::time::timeout(START, knocking).await.map_err(|_| LaunchError::Silent)?;
    // The host of the URL is never looked up: every connection goes to the socket.
    Endpoint::from_static("http://worker")
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(STREAM_WINDOW_BYTES)
        .connect_with_connector(tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        }))
        .await
        .map_err(|error| LaunchError::Connect(error.into()))
}

/// Passes a worker's log on and remembers what it says of its own end.
async fn listen(mut stderr: ChildStderr, heard: Arc<AtomicU8>) {
    let mut buffer = vec![0; 8 * 1024];
    let mut tail: Vec<u8> = Vec::new();
    while let Ok(read) = stderr.read(&mut buffer).await {
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { return };
        // What matters may be cut in two by a read: keep a little of the one before.
        tail.extend_from_slice(bytes);
        match LastWords::find(&tail) {
            LastWords::None => {}
            words => heard.store(words.code(), Ordering::Relaxed),
        }
        let keep_from = tail.len().saturating_sub(64);
        tail.drain(..keep_from);
        // As the server's own log goes out: small writes, and nobody to tell when they fail.
        let _ = std::io::stderr().write_all(bytes);
    }
}

impl LastWords {
    /// What Rust's runtime writes before it aborts.
    fn find(text: &[u8]) -> Self {
        let holds = |words: &[u8]| text.windows(words.len()).any(|window| window == words);
        if holds(b"has overflowed its stack") {
            Self::Stack
        } else if holds(b"memory allocation of ") {
            Self::Memory
        } else {
            Self::None
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Memory => 1,
            Self::Stack => 2,
        }
    }

    fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Memory,
            2 => Self::Stack,
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds() -> Bounds {
        Bounds::of(&portico_model::limits::QueryLimits::default())
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_or_ends_at_once_is_no_worker() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().join("worker-0");
        let missing = Process::launch(Path::new("/nowhere/portico"), &dir, None, None, &bounds(), false).await;
        assert!(matches!(missing, Err(LaunchError::Spawn(_))));
        let ended = Process::launch(Path::new("/bin/false"), &dir, None, None, &bounds(), false).await;
        assert!(matches!(ended, Err(LaunchError::Ended(Some(status))) if status.code() == Some(1)));
        assert!(!dir.exists());
    }

    #[test]
    fn long_paths_get_a_short_socket() {
        let (short, none) = socket_path(Path::new("/tmp/x")).unwrap();
        assert!(none.is_none() && short.starts_with("/tmp/x"));
        let long = PathBuf::from(format!("/{}", "a".repeat(120)));
        let (short, dir) = socket_path(&long).unwrap();
        assert!(dir.is_some() && short.as_os_str().len() <= SOCKET_PATH_MAX);
    }

    #[test]
    fn leftovers_of_an_earlier_run_are_swept() {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(scratch.path().join("worker-7/spill")).unwrap();
        std::fs::create_dir(scratch.path().join("other")).unwrap();
        sweep(scratch.path());
        assert!(!scratch.path().join("worker-7").exists() && scratch.path().join("other").exists());
    }

    #[test]
    fn last_words_are_understood() {
        let check = |text: &str, expect| assert_eq!(LastWords::find(text.as_bytes()), expect, "{text}");
        check("thread 'main' has overflowed its stack\nfatal runtime error", LastWords::Stack);
        check("memory allocation of 4000000000 bytes failed", LastWords::Memory);
        check("INFO ready", LastWords::None);
    }
}

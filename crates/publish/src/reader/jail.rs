//! The publisher's side: starts a reader, hears it, watches it, ends it, and believes nothing that it can check.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use portico_intake::IntakeError;
use portico_intake::screen::RuleSet;
use portico_model::limits::IntakeLimits;
use portico_model::problem::{Problem, ProblemKind};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinHandle;

use super::messages::{self, Asked, Order, Said, Task};
use super::watcher::{self, Verdict};
use crate::compare::Comparison;
use crate::difference::RowDifference;
use crate::error::PublishError;
use crate::rows::{PREVIEW, Page};
use crate::screening::{Progress, Screened};

/// The name of the staged file in a reader's scratch directory.
pub(crate) const SOURCE: &str = "source";

/// Bytes of text that a byte of a stored file came from, about: time is allowed for text.
const TEXT_PER_STORED: u64 = 8;
/// The last bytes of standard error that are kept.
const WORDS_BYTES: usize = 4 * 1024;
/// How long the end of a reader that has closed its standard output is waited for.
const END: Duration = Duration::from_secs(10);
/// The signal at the limit of processor time, the same on every Linux.
const SIGXCPU: i32 = 24;
/// The signal at the limit of a file's size.
const SIGXFSZ: i32 = 25;
const SIGKILL: i32 = 9;

/// Starts readers.
#[derive(Clone, Debug)]
pub(crate) struct Jail {
    program: PathBuf,
    rules: RuleSet,
}

/// How a reader ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Memory,
    Wall,
    Cpu,
    FileSize,
    Stack,
    Crash,
    /// It said what no reader says.
    Garbled,
}

impl Jail {
    /// Readers are `program reader --scratch DIR`, and screen by the built-in rules.
    pub(crate) fn new(program: PathBuf) -> Self {
        Self { program, rules: RuleSet::default() }
    }

    /// The rules that readers screen by.
    pub(crate) const fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// Readers screen by these rules.
    pub(crate) fn set_rules(&mut self, rules: RuleSet) {
        self.rules = rules;
    }

    /// Has the file [`SOURCE`] in `scratch` read. Dropping the future ends the reader.
    ///
    /// # Errors
    /// [`PublishError::Refused`] or [`PublishError::Intake`] when the file is at fault, [`PublishError::Write`] when we
    /// are.
    pub(crate) async fn read(
        &self,
        asked: Asked,
        limits: &IntakeLimits,
        scratch: &Path,
        progress: &mut (impl FnMut(Progress) + Send),
    ) -> Result<Screened, PublishError> {
        let mut bytes = tokio::fs::metadata(scratch.join(SOURCE)).await?.len();
        for name in &asked.current {
            let stored = tokio::fs::metadata(scratch.join(name)).await?.len();
            bytes = bytes.saturating_add(stored.saturating_mul(TEXT_PER_STORED));
        }
        let task = Task::Screen(Box::new(asked), self.rules.clone());
        match self.run(task, bytes, limits, scratch, progress).await? {
            (Said::Screened(screened), words) => {
                check(&screened, limits, scratch).map_err(|what| garbled(what, &words))?;
                Ok(*screened)
            }
            (_, words) => Err(garbled("it has not screened", &words)),
        }
    }

    /// Has files in `scratch` compared that have so many bytes, and these numbers of rows before and after.
    ///
    /// # Errors
    /// [`PublishError::Refused`] or [`PublishError::Intake`] when it is too much, [`PublishError::Write`] when we are at
    /// fault.
    pub(crate) async fn compare(
        &self,
        comparison: Comparison,
        bytes: u64,
        rows: (u64, u64),
        limits: &IntakeLimits,
        scratch: &Path,
    ) -> Result<RowDifference, PublishError> {
        match self.run(Task::Compare(comparison), bytes, limits, scratch, &mut |_| ()).await? {
            (Said::Compared(found), words) => {
                check_compared(&found, rows, limits).map_err(|what| garbled(what, &words))?;
                Ok(*found)
            }
            (_, words) => Err(garbled("it has not compared", &words)),
        }
    }

    /// Has rows of a file in `scratch` spelt there, in [`PREVIEW`].
    ///
    /// # Errors
    /// Those of [`Jail::compare`].
    pub(crate) async fn spell(
        &self,
        page: Page,
        bytes: u64,
        limits: &IntakeLimits,
        scratch: &Path,
    ) -> Result<(), PublishError> {
        match self.run(Task::Spell(page), bytes, limits, scratch, &mut |_| ()).await? {
            (Said::Spelt(_), words) => check_rows(limits, scratch).map_err(|what| garbled(what, &words)),
            (_, words) => Err(garbled("it has not spelt rows", &words)),
        }
    }

    /// Runs a reader on files of so many bytes in `scratch`.
    async fn run(
        &self,
        task: Task,
        bytes: u64,
        limits: &IntakeLimits,
        scratch: &Path,
        progress: &mut (impl FnMut(Progress) + Send),
    ) -> Result<(Said, Words), PublishError> {
        let allowed = |least: u64, per_mib: u64| (bytes / (1024 * 1024)).saturating_mul(per_mib).max(least);
        let cpu_ms = allowed(limits.reader_cpu_ms, limits.reader_cpu_ms_per_mib);
        let wall_ms = allowed(limits.reader_wall_ms, limits.reader_wall_ms_per_mib);
        let order = messages::encode(&Order { task, limits: limits.clone(), cpu_ms })?;
        let mut reader = Reader::start(&self.program, scratch)?;
        let (pid, memory_bytes) = (reader.child.id(), limits.reader_memory_bytes);
        let ended = tokio::select! {
            said = reader.hear(&order, progress) => said,
            verdict = watcher::watch(pid, memory_bytes, Duration::from_millis(wall_ms)) => Err(match verdict {
                Verdict::Memory => Fate::Memory,
                Verdict::Wall => Fate::Wall,
            }),
        };
        let words = reader.end().await;
        match ended {
            Ok(Said::Refused(problem)) => Err(PublishError::Refused(problem)),
            Ok(Said::Failed(cause)) => Err(PublishError::Write(cause.into())),
            Ok(Said::Progress(_)) => Err(garbled("it ended with a report of progress", &words)),
            Ok(said) => Ok((said, words)),
            Err(fate) => {
                tracing::warn!(?fate, "a reader was lost");
                tracing::debug!(words = %words.text, "the last words of a reader");
                Err(fate.refusal(&words, limits, cpu_ms, wall_ms))
            }
        }
    }
}

/// A reader that runs; it ends when this is dropped.
struct Reader {
    child: Child,
    /// Held open: the reader ends when the other end of this pipe does, even if this process is killed.
    stdin: Option<ChildStdin>,
    words: Option<JoinHandle<Vec<u8>>>,
}

/// What a reader wrote to its standard error.
struct Words {
    text: String,
}

impl Reader {
    fn start(program: &Path, scratch: &Path) -> std::io::Result<Self> {
        let scratch = std::path::absolute(scratch)?;
        let mut command = Command::new(program);
        command.arg("reader").arg("--scratch").arg(&scratch);
        command.env_clear().env("TMPDIR", &scratch).current_dir(&scratch);
        // What the allocator reserves ahead would count against the limit that the reader sets on itself.
        command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
        // A group of its own: Ctrl-C at a terminal is for the program that started it.
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        // Taken out of the child: waiting for it would close its standard input, which ends it.
        let stdin = child.stdin.take();
        let words = child.stderr.take().map(|stderr| tokio::spawn(listen(stderr)));
        Ok(Self { child, stdin, words })
    }

    /// Gives the order and hears the answer.
    async fn hear(&mut self, order: &[u8], progress: &mut (impl FnMut(Progress) + Send)) -> Result<Said, Fate> {
        if let Some(stdin) = &mut self.stdin {
            // A reader that does not take its order has ended, and how it ended says more.
            let _ = stdin.write_all(order).await;
            let _ = stdin.flush().await;
        }
        let mut stdout = self.child.stdout.take();
        while let Some(stdout) = &mut stdout {
            match messages::receive(stdout).await {
                Ok(Some(Said::Progress(said))) => progress(said),
                Ok(Some(said)) => return Ok(said),
                Ok(None) => break,
                Err(_) => return Err(Fate::Garbled),
            }
        }
        let status = tokio::time::timeout(END, self.child.wait()).await;
        Err(status.ok().and_then(Result::ok).map_or(Fate::Crash, Fate::of))
    }

    /// Ends the process if it still runs; its files are at rest when this returns.
    async fn end(mut self) -> Words {
        // An error means that it has ended already.
        let _ = self.child.start_kill();
        let _ = self.child.wait().await;
        let heard = match self.words.take() {
            Some(words) => tokio::time::timeout(END, words).await.ok().and_then(Result::ok).unwrap_or_default(),
            None => Vec::new(),
        };
        Words { text: String::from_utf8_lossy(&heard).into_owned() }
    }
}

/// Keeps the last of what a reader writes.
async fn listen(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
    let (mut buffer, mut tail) = (vec![0; WORDS_BYTES], Vec::new());
    while let Ok(read) = from.read(&mut buffer).await {
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        tail.extend_from_slice(bytes);
        let keep_from = tail.len().saturating_sub(WORDS_BYTES);
        tail.drain(..keep_from);
    }
    tail
}

impl Fate {
    fn of(status: ExitStatus) -> Self {
        match status.signal() {
            Some(SIGXCPU) => Self::Cpu,
            Some(SIGXFSZ) => Self::FileSize,
            // Nobody else kills it: the system was out of memory.
            Some(SIGKILL) => Self::Memory,
            _ => Self::Crash,
        }
    }

    /// What it means to whoever brought the file.
    fn refusal(self, words: &Words, limits: &IntakeLimits, cpu_ms: u64, wall_ms: u64) -> PublishError {
        let over = |what, limit, maximum| {
            PublishError::from(IntakeError::OverLimit { what, limit, maximum, place: String::new() })
        };
        match self.explained(&words.text) {
            Self::Memory => over(
                "the file could not be read within limits: it needs more bytes of memory",
                "reader_memory_bytes",
                limits.reader_memory_bytes,
            ),
            Self::Cpu => over(
                "the file could not be read within limits: it needs more milliseconds of processor time",
                "reader_cpu_ms",
                cpu_ms,
            ),
            Self::Wall => {
                over("the file could not be read within limits: it takes more milliseconds", "reader_wall_ms", wall_ms)
            }
            Self::FileSize => over(
                "the file could not be read within limits: a temporary file has more bytes",
                "unpacked_bytes",
                limits.unpacked_bytes,
            ),
            Self::Stack | Self::Crash | Self::Garbled => PublishError::Refused(Problem::new(
                ProblemKind::InvalidRequest,
                "the file could not be read: its reader broke down on it. The file is damaged, or made to do that; save \
                 it anew, or bring it as CSV",
            )),
        }
    }

    /// What Rust's runtime writes before it aborts tells more than the signal.
    fn explained(self, words: &str) -> Self {
        match self {
            Self::Crash if words.contains("has overflowed its stack") => Self::Stack,
            Self::Crash if words.contains("memory allocation of ") => Self::Memory,
            other => other,
        }
    }
}

fn garbled(what: &str, words: &Words) -> PublishError {
    tracing::error!(what, "a reader gave an answer that cannot be");
    Fate::Garbled.refusal(words, &IntakeLimits::default(), 0, 0)
}

/// Whether a comparison holds together.
fn check_compared(
    found: &RowDifference,
    (before, after): (u64, u64),
    limits: &IntakeLimits,
) -> Result<(), &'static str> {
    let sum = |other: u64| found.unchanged.checked_add(found.changed)?.checked_add(other);
    if sum(found.removed) != Some(before) || sum(found.added) != Some(after) {
        return Err("its rows do not agree");
    }
    let shown = [found.added_rows.len(), found.removed_rows.len(), found.changed_rows.len()];
    if shown.iter().any(|rows| u64::try_from(*rows).map_or(true, |rows| rows > limits.difference_rows)) {
        return Err("it shows too many rows");
    }
    Ok(())
}

/// Whether the rows that were spelt are a plain file within its limit.
fn check_rows(limits: &IntakeLimits, scratch: &Path) -> Result<(), &'static str> {
    let preview = std::fs::symlink_metadata(scratch.join(PREVIEW)).map_err(|_| "the first rows are not there")?;
    if !preview.is_file() || preview.len() > limits.preview_bytes {
        return Err("the first rows are not what they should be");
    }
    Ok(())
}

/// Whether an answer holds together, and its files are plain ones in the scratch directory. Their digests are compared
/// when they are stored.
fn check(screened: &Screened, limits: &IntakeLimits, scratch: &Path) -> Result<(), &'static str> {
    check_rows(limits, scratch)?;
    let width = screened.schema.fields().len();
    if width == 0 || screened.profile.columns.len() != width {
        return Err("its columns do not agree");
    }
    if screened.sort_key.iter().any(|name| screened.schema.column_with_name(name).is_none()) {
        return Err("its sort key is no column");
    }
    let rows = screened.files.iter().try_fold(0_u64, |rows, file| rows.checked_add(file.rows));
    if rows != Some(screened.rows) || screened.files.is_empty() {
        return Err("its rows do not agree");
    }
    for file in &screened.files {
        let mut parts = Path::new(&file.name).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
            || file.name == SOURCE
            || file.name == PREVIEW
        {
            return Err("a file is not in its scratch directory");
        }
        let found = std::fs::symlink_metadata(scratch.join(&file.name)).map_err(|_| "a file is not there")?;
        if !found.is_file() || found.len() != file.bytes {
            return Err("a file is not what it said");
        }
        if file.columns.len() != width
            || file.row_groups.iter().try_fold(0_u64, |a, b| a.checked_add(*b)) != Some(file.rows)
        {
            return Err("a file's figures do not agree");
        }
    }
    Ok(())
}

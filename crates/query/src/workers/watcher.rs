//! What a question may cost its worker, and how the server sees what it does cost.
//!
//! Linux tells both in `/proc`; where there is no `/proc` only wall time is watched, and the limits that the
//! worker sets on itself remain.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use portico_model::problem::{Problem, ProblemKind};

use super::deadly::Statement;
use crate::queue::Turn;

/// How much a question may compute before all others go first on the processors.
const AT_FULL_PRIORITY: Duration = Duration::from_millis(250);

/// Milliseconds in a unit of `/proc/<pid>/stat`: user space sees 100 ticks a second on every Linux that Rust
/// builds for, whatever the kernel's own tick is.
const TICK_MS: u64 = 10;

/// What one worker uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Memory that only this process holds, in bytes: pages of files are the kernel's to take back.
    pub(super) memory_bytes: u64,
    /// Processor time since its start, in milliseconds.
    pub(super) cpu_ms: u64,
}

impl Usage {
    /// Reads what process `pid` uses now; `None` when it is gone or the system does not tell.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Some(Self { memory_bytes: memory_bytes(&status)?, cpu_ms: cpu_ms(&stat)? })
    }
}

/// Whether no thread of process `pid` runs or wants to: what a thread waits for tells more than the processor time
/// it got, which is little on a busy machine. A process that is gone rests; `None` where the system does not tell.
pub(super) fn rests(pid: u32) -> Option<bool> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let mut stats = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok());
    Some(stats.all(|stat| thread_rests(&stat)))
}

/// The state follows the name, which may hold anything: running and waiting for a disk are work.
fn thread_rests(stat: &str) -> bool {
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    !matches!(state, Some('R' | 'D'))
}

/// Anonymous and shared memory; the whole resident set on kernels that do not tell them apart.
fn memory_bytes(status: &str) -> Option<u64> {
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        kib.checked_mul(1024)
    };
    match (field("RssAnon"), field("RssShmem")) {
        (Some(anonymous), shared) => Some(anonymous.saturating_add(shared.unwrap_or(0))),
        // A process that is ending has no memory lines at all.
        (None, _) => Some(field("VmRSS").unwrap_or(0)),
    }
}

/// User and system time: the 14th and 15th field; the second may hold spaces, so count from its end.
fn cpu_ms(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)?.checked_mul(TICK_MS)
}

/// The limits of one question, and how far it has come.
#[derive(Debug)]
pub(super) struct Assignment {
    /// The question's id, for the log.
    pub(super) question_id: String,
    /// What was asked.
    pub(super) statement: Statement,
    started: Instant,
    bounds: AssignmentBounds,
    begun: AtomicBool,
    verdict: OnceLock<Verdict>,
    /// The place that it takes, until the worker is free or gone.
    turn: Arc<Turn>,
    /// What the turn was charged with, in milliseconds.
    charged_ms: AtomicU64,
}

/// The limits of one question.
#[derive(Clone, Copy, Debug)]
pub(super) struct AssignmentBounds {
    /// Wall time until the first bytes.
    pub(super) first_byte: Duration,
    /// Wall time in all.
    pub(super) total: Duration,
    /// Processor time, in milliseconds.
    pub(super) cpu_ms: u64,
    /// Whether processor time counts only until the first bytes: a plain scan streams for as long as it is read.
    pub(super) scan: bool,
    /// Memory of the process, in bytes.
    pub(super) memory_bytes: u64,
    /// Processor time that the worker had used before, in milliseconds.
    pub(super) cpu_before_ms: u64,
}

/// Why the server ended a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Over its memory.
    Memory,
    /// Over its processor time.
    Cpu,
    /// No first bytes in time.
    FirstByte,
    /// Not finished in time.
    Total,
}

impl Verdict {
    /// The name in metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::FirstByte => "first_byte",
            Self::Total => "total",
        }
    }

    /// Whether the same statement would overstep again: how long it takes depends on the machine and on the reader.
    pub(super) fn is_the_statements(self) -> bool {
        matches!(self, Self::Memory | Self::Cpu)
    }
}

impl Assignment {
    pub(super) fn new(question_id: &str, statement: Statement, bounds: AssignmentBounds, turn: &Arc<Turn>) -> Self {
        Self {
            question_id: question_id.to_owned(),
            statement,
            started: Instant::now(),
            bounds,
            begun: AtomicBool::new(false),
            verdict: OnceLock::new(),
            turn: Arc::clone(turn),
            charged_ms: AtomicU64::new(0),
        }
    }

    /// Charges the turn with what was used since it was last charged: processor time, or all the time that has passed
    /// where the system does not tell.
    pub(super) fn charge(&self, usage: Option<Usage>) {
        let used_ms = match usage {
            Some(usage) => self.used_ms(usage),
            None => u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        let charged_ms = self.charged_ms.fetch_max(used_ms, Ordering::Relaxed);
        self.turn.charge(Duration::from_millis(used_ms.saturating_sub(charged_ms)));
    }

    /// Whether the question has to be begun anew, so that its worker can be ended at once.
    pub(super) fn is_called_back(&self) -> bool {
        self.turn.is_called_back()
    }

    /// Whether the question has computed for long enough to let others go first.
    pub(super) fn is_slow(&self, usage: Option<Usage>) -> bool {
        usage.is_some_and(|usage| Duration::from_millis(self.used_ms(usage)) >= AT_FULL_PRIORITY)
    }

    fn used_ms(&self, usage: Usage) -> u64 {
        usage.cpu_ms.saturating_sub(self.bounds.cpu_before_ms)
    }

    /// The first bytes of the answer are here.
    pub(super) fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// Judges what the worker uses; a verdict stands once it is spoken.
    pub(super) fn judge(&self, usage: Option<Usage>) -> Option<Verdict> {
        let verdict = self.overstepped(usage, self.started.elapsed(), self.begun.load(Ordering::Relaxed))?;
        Some(*self.verdict.get_or_init(|| verdict))
    }

    /// The verdict, if one was spoken.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.verdict.get().copied()
    }

    /// What a verdict means to whoever asked.
    pub(super) fn problem(&self, verdict: Verdict) -> Problem {
        match verdict {
            Verdict::Memory => needs_memory(self.bounds.memory_bytes),
            Verdict::Cpu => Problem::new(
                ProblemKind::QueryTimeout,
                format!(
                    "The query used more than {} of processor time. Read fewer rows or columns, filter earlier, \
                     or split it.",
                    duration(Duration::from_millis(self.bounds.cpu_ms))
                ),
            ),
            Verdict::FirstByte => Problem::new(
                ProblemKind::QueryTimeout,
                format!(
                    "The query gave no first row within {}. Read fewer rows or columns, filter earlier, or split it.",
                    duration(self.bounds.first_byte)
                ),
            ),
            Verdict::Total => Problem::new(
                ProblemKind::QueryTimeout,
                format!(
                    "The answer was not complete within {}. Read faster, or ask for less at a time.",
                    duration(self.bounds.total)
                ),
            ),
        }
    }

    fn overstepped(&self, usage: Option<Usage>, elapsed: Duration, begun: bool) -> Option<Verdict> {
        let bounds = &self.bounds;
        if let Some(usage) = usage {
            if usage.memory_bytes > bounds.memory_bytes {
                return Some(Verdict::Memory);
            }
            if self.used_ms(usage) > bounds.cpu_ms && !(bounds.scan && begun) {
                return Some(Verdict::Cpu);
            }
        }
        if elapsed > bounds.total {
            return Some(Verdict::Total);
        }
        (!begun && elapsed > bounds.first_byte).then_some(Verdict::FirstByte)
    }
}

/// The problem of a query that needs more memory than a worker has.
pub(super) fn needs_memory(limit_bytes: u64) -> Problem {
    Problem::new(
        ProblemKind::QueryMemory,
        format!(
            "The query needs more memory than one query may have ({} MiB). Read fewer columns or rows, build \
             shorter values, or aggregate over fewer groups.",
            limit_bytes / (1024 * 1024)
        ),
    )
}

fn duration(time: Duration) -> String {
    if time.subsec_millis() == 0 { format!("{} s", time.as_secs()) } else { format!("{} ms", time.as_millis()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn() -> Arc<Turn> {
        let queue = crate::queue::Queue::new(&portico_model::limits::QueryLimits::default(), 1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Arc::new(runtime.block_on(queue.enter("a")).unwrap())
    }

    fn assignment(scan: bool) -> Assignment {
        Assignment::new(
            "q",
            Statement::of("", &std::collections::BTreeMap::new()),
            AssignmentBounds {
                first_byte: Duration::from_secs(30),
                total: Duration::from_secs(3600),
                cpu_ms: 1000,
                scan,
                memory_bytes: 1 << 20,
                cpu_before_ms: 500,
            },
            &turn(),
        )
    }

    fn check(scan: bool, usage: (u64, u64), elapsed_s: u64, begun: bool, expect: Option<Verdict>) {
        let usage = Usage { memory_bytes: usage.0, cpu_ms: usage.1 };
        let seen = assignment(scan).overstepped(Some(usage), Duration::from_secs(elapsed_s), begun);
        assert_eq!(seen, expect, "scan {scan} usage {usage:?} elapsed {elapsed_s} begun {begun}");
    }

    #[test]
    fn each_limit_has_its_verdict() {
        check(false, (1 << 20, 1500), 30, false, None);
        check(false, ((1 << 20) + 1, 0), 0, true, Some(Verdict::Memory));
        check(false, (0, 1501), 0, true, Some(Verdict::Cpu));
        check(true, (0, 1501), 0, false, Some(Verdict::Cpu));
        check(false, (0, 0), 31, false, Some(Verdict::FirstByte));
        check(false, (0, 0), 3601, true, Some(Verdict::Total));
    }

    #[test]
    fn a_plain_scan_streams_for_as_long_as_it_is_read() {
        check(true, (0, 1_000_000), 3599, true, None);
    }

    #[test]
    fn a_verdict_stands() {
        let assignment = assignment(false);
        let over = |memory_bytes, cpu_ms| assignment.judge(Some(Usage { memory_bytes, cpu_ms }));
        assert_eq!(over(2 << 20, 0), Some(Verdict::Memory));
        assert_eq!(over(0, 9999), Some(Verdict::Memory));
        assert_eq!(assignment.problem(Verdict::Memory).kind, ProblemKind::QueryMemory);
        assert_eq!(assignment.problem(Verdict::Total).kind, ProblemKind::QueryTimeout);
    }

    #[test]
    fn proc_files_are_read_as_the_kernel_writes_them() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 7 5 0 0 20 0 9 0 100 1 2 3";
        assert_eq!(cpu_ms(stat), Some(120));
        assert!(thread_rests(stat) && !thread_rests("43 (R) S) R 1") && !thread_rests("44 (x) D 1"));
        let status = "Name:\tportico\nVmRSS:\t  900 kB\nRssAnon:\t   300 kB\nRssFile:\t 600 kB\nRssShmem:\t 1 kB\n";
        assert_eq!(memory_bytes(status), Some(301 * 1024));
        assert_eq!(memory_bytes("Name:\tx\nVmRSS:\t  900 kB\n"), Some(900 * 1024));
        assert_eq!(memory_bytes("Name:\tx\nState:\tZ\n"), Some(0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_can_be_seen() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.memory_bytes > 0);
        // The thread that looks runs.
        assert_eq!(rests(std::process::id()), Some(false));
    }
}

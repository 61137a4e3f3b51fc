//! What a reader uses, as seen from outside, and when that is too much.

use std::time::Duration;

/// How often a reader is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Why a reader was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Over its memory.
    Memory,
    /// Not done in time.
    Wall,
}

/// Looks at process `pid` until it oversteps. Where the system does not tell what a process uses only time is watched,
/// and the limits that the reader sets on itself remain.
pub(super) async fn watch(pid: Option<u32>, memory_bytes: u64, wall: Duration) -> Verdict {
    let overstepped = async {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            if pid.and_then(used_bytes).is_some_and(|used| used > memory_bytes) {
                return Verdict::Memory;
            }
        }
    };
    tokio::time::timeout(wall, overstepped).await.unwrap_or(Verdict::Wall)
}

/// Memory that only this process holds: pages of files are the kernel's to take back.
fn used_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(field(&status, "RssAnon")?.saturating_add(field(&status, "RssShmem").unwrap_or(0)))
}

/// A figure of `/proc/<pid>/status`, in bytes.
pub(super) fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_as_the_kernel_writes_them() {
        let status = "Name:\tportico\nVmData:\t  900 kB\nRssAnon:\t   300 kB\n";
        assert_eq!(field(status, "RssAnon"), Some(300 * 1024));
        assert_eq!(field(status, "Rss"), None);
    }

    #[tokio::test]
    async fn memory_and_time_end_a_reader() {
        let this = Some(std::process::id());
        assert_eq!(watch(this, u64::MAX, Duration::from_millis(1)).await, Verdict::Wall);
        if cfg!(target_os = "linux") {
            assert_eq!(watch(this, 1, Duration::from_secs(60)).await, Verdict::Memory);
        }
    }
}

//! Whether all of Portico together has a limit of memory.

use std::path::Path;

use portico_model::order::MeasureState;

/// Whether a control group (version 2) around this process limits memory. The server and its workers are in one group,
/// which whoever starts the server makes and limits: this only tells whether it was done.
pub(super) fn limits_memory() -> MeasureState {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    // The one hierarchy of version 2, as opposed to the numbered ones of version 1.
    let Some(path) = own.lines().find_map(|line| line.strip_prefix("0::/")) else { return MeasureState::NotSet };
    let root = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    let limited = root.iter().any(|root| {
        let group = root.join(path);
        group.ancestors().take_while(|group| group.starts_with(root)).any(has_limit)
    });
    if limited { MeasureState::InForce } else { MeasureState::NotSet }
}

fn has_limit(group: &Path) -> bool {
    std::fs::read_to_string(group.join("memory.max")).is_ok_and(|limit| limit.trim().parse::<u64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number() {
        let group = tempfile::tempdir().unwrap();
        assert!(!has_limit(group.path()));
        for (text, limits) in [("max\n", false), ("1073741824\n", true)] {
            std::fs::write(group.path().join("memory.max"), text).unwrap();
            assert_eq!(has_limit(group.path()), limits, "{text}");
        }
    }
}

//! Which system calls a worker can make, kept by the kernel (seccomp, Linux 3.17 and later): those on a list, with the
//! arguments that matter; every other fails with `EPERM`.
//!
//! The list is what the runtime, the allocator, the engine and its spill files use. Not on it: starting programs and
//! processes, signals to others, `ptrace`, `mount`, `bpf`, `io_uring`, `keyctl`, namespaces, new executable memory, and
//! sockets, unless the released files are in object storage.

use std::collections::BTreeMap;

use portico_model::order::MeasureState;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use super::Reach;

/// Allowed whatever their arguments are.
const ANY: &[i64] = &[
    // Memory.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Files: which ones is not decided here.
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pipe2,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_unlinkat,
    libc::SYS_write,
    libc::SYS_writev,
    // Waiting, and the connection to the server.
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    // Threads, clocks, and what a process asks about itself.
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getcpu,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_sysinfo,
    libc::SYS_uname,
];

/// The older forms that only this architecture has.
#[cfg(target_arch = "x86_64")]
const OLDER: &[i64] = &[
    libc::SYS_access,
    libc::SYS_dup2,
    libc::SYS_epoll_wait,
    libc::SYS_getdents,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_rmdir,
    libc::SYS_select,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[i64] = &[];

/// What connecting to object storage takes besides.
const CONNECTING: &[i64] = &[libc::SYS_bind, libc::SYS_connect, libc::SYS_recvmmsg, libc::SYS_sendmmsg];

/// Names of mappings, which allocators set; older versions of libc do not have the number.
const PR_SET_VMA: u64 = 0x5356_4d41;
/// Whether huge pages are off, which allocators ask.
const PR_GET_THP_DISABLE: u64 = 42;
/// The name of a thread.
const PR_SET_NAME: u64 = 15;
/// Terminal attributes, asked to find out whether there is a terminal.
const TCGETS: u64 = 0x5401;
/// Bytes that wait in a socket.
const FIONREAD: u64 = 0x541b;
/// Sockets that do not block.
const FIONBIO: u64 = 0x5421;
/// Address families (`AF_…`), the same on every architecture.
const UNIX: u64 = 1;
const INET: u64 = 2;
const INET6: u64 = 10;
/// The kernel's own tables, which name lookups ask for addresses of this machine.
const NETLINK: u64 = 16;
/// Bits of `clone` and of mappings, likewise.
const CLONE_THREAD: u64 = 0x1_0000;
const PROT_EXEC: u64 = 4;

/// Leaves this thread, and the threads it will start, the calls on the list.
pub(super) fn restrict(reach: &Reach) -> MeasureState {
    match programs(reach, u64::from(std::process::id()))
        .and_then(|programs| programs.iter().try_for_each(|program| seccompiler::apply_filter(program)))
    {
        Ok(()) => MeasureState::InForce,
        Err(error) => {
            tracing::warn!(%error, "system calls cannot be filtered");
            MeasureState::NotOffered
        }
    }
}

/// Two filters, both of which must allow a call. `clone3` hides its flags from filters: with `ENOSYS` the C library
/// falls back to `clone`, whose flags can be judged.
fn programs(reach: &Reach, pid: u64) -> Result<[BpfProgram; 2], seccompiler::Error> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let missing = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let hidden = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let hidden = SeccompFilter::new(hidden, SeccompAction::Allow, missing, architecture)?;
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let listed = SeccompFilter::new(rules(reach, pid)?, refused, SeccompAction::Allow, architecture)?;
    Ok([BpfProgram::try_from(hidden)?, BpfProgram::try_from(listed)?])
}

fn rules(reach: &Reach, pid: u64) -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::Error> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ANY.iter().chain(OLDER).map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_clone, vec![masked(0, CLONE_THREAD, CLONE_THREAD)?]);
    rules.insert(libc::SYS_clone3, Vec::new());
    // To itself, which is how a process aborts.
    rules.insert(libc::SYS_tgkill, vec![equals(0, pid)?]);
    rules.insert(libc::SYS_prlimit64, vec![equals(0, 0)?]);
    rules.insert(libc::SYS_socketpair, vec![equals(0, UNIX)?]);
    let any = |index, values: &[u64]| values.iter().map(|value| equals(index, *value)).collect::<Result<Vec<_>, _>>();
    rules.insert(libc::SYS_prctl, any(0, &[PR_SET_NAME, PR_SET_VMA, PR_GET_THP_DISABLE])?);
    rules.insert(libc::SYS_ioctl, any(1, &[TCGETS, FIONREAD, FIONBIO])?);
    match reach {
        Reach::Directory(_) => {
            for call in [libc::SYS_mmap, libc::SYS_mprotect] {
                rules.insert(call, vec![masked(2, PROT_EXEC, 0)?]);
            }
        }
        Reach::Network => {
            // Name lookups may load libraries.
            rules
                .extend(CONNECTING.iter().chain(&[libc::SYS_mmap, libc::SYS_mprotect]).map(|call| (*call, Vec::new())));
            rules.insert(libc::SYS_socket, any(0, &[UNIX, INET, INET6, NETLINK])?);
        }
    }
    Ok(rules)
}

fn equals(argument: u8, value: u64) -> Result<SeccompRule, seccompiler::Error> {
    condition(argument, SeccompCmpOp::Eq, value)
}

fn masked(argument: u8, mask: u64, value: u64) -> Result<SeccompRule, seccompiler::Error> {
    condition(argument, SeccompCmpOp::MaskedEq(mask), value)
}

/// All arguments judged here are of 32 bits, or have the bits that matter in the lower half.
fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, seccompiler::Error> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?;
    Ok(SeccompRule::new(vec![condition])?)
}

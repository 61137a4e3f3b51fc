//! What confines a worker process: measures of the kernel, taken once before it hears its first question and before
//! its threads start, which inherit them. None can be taken back.
//!
//! The watcher in the server and the limits of the plan bound what a question costs; these bound what it could reach
//! if it got hold of the process: [`limits`] its figures, [`files`] its files, [`calls`] its system calls. A kernel
//! that lacks a measure does not keep the worker from starting: each is told as a [`Measure`], and the server says so.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod group;
#[cfg(target_os = "linux")]
mod hidden;
mod limits;

use std::path::PathBuf;

use portico_model::order::{Measure, MeasureState};

use crate::error::EngineError;
use crate::settings::WorkerSettings;

/// How a worker gets at released files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// They lie in this directory, which holds nothing else: the worker may read it, and has no network.
    Directory(PathBuf),
    /// They are in object storage: the worker is given signed URLs and may connect.
    Network,
}

/// Confines this process for good.
///
/// # Errors
/// When a limit is refused or a directory that is to stay in reach does not exist. What the kernel does not offer is
/// no error but a measure that is not in force.
pub(crate) fn confine(settings: &WorkerSettings, reach: &Reach) -> Result<Vec<Measure>, EngineError> {
    limits::set(settings)?;
    let mut measures = vec![
        Measure::new("limits of memory, open files and file size", MeasureState::InForce),
        Measure::new("no core dumps", MeasureState::InForce),
        Measure::new("first to go when the machine runs out of memory", limits::offer_to_the_killer()),
    ];
    measures.extend(hold(settings, reach)?);
    Ok(measures)
}

#[cfg(target_os = "linux")]
fn hold(settings: &WorkerSettings, reach: &Reach) -> Result<Vec<Measure>, EngineError> {
    let group = group::limits_memory();
    let hidden = hidden::hide();
    let files = files::restrict(&settings.scratch, reach)?;
    let calls = calls::restrict(reach);
    let either = if files == MeasureState::NotOffered { calls } else { MeasureState::InForce };
    let network = match reach {
        Reach::Directory(_) => calls,
        Reach::Network => MeasureState::NotNeeded,
    };
    Ok(vec![
        Measure::new("no new privileges", either),
        Measure::new("files: released ones to read, its own scratch to write", files),
        Measure::new("system calls: those a query needs, no other programs", calls),
        Measure::new("no network", network),
        Measure::new("memory closed to other processes of the same user", hidden),
        Measure::new("a control group that limits the memory of all together", group),
    ])
}

#[cfg(not(target_os = "linux"))]
fn hold(_: &WorkerSettings, _: &Reach) -> Result<Vec<Measure>, EngineError> {
    Ok(vec![Measure::new("files, system calls, network", MeasureState::NotOffered)])
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::io::ErrorKind::PermissionDenied;
    use std::net::{TcpListener, TcpStream};
    use std::process::Command;

    /// Runs on a thread of its own: files and calls are confined thread by thread.
    fn confined(reach: &Reach, scratch: &std::path::Path, check: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            let done = scope.spawn(|| {
                let files = files::restrict(scratch, reach).unwrap();
                let calls = calls::restrict(reach);
                if files == MeasureState::InForce && calls == MeasureState::InForce {
                    check();
                } else {
                    println!("skipped: this kernel offers files {files:?}, calls {calls:?}");
                }
            });
            done.join().unwrap();
        });
    }

    #[test]
    fn a_worker_reads_released_files_and_writes_its_scratch_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let [released, scratch, staging] = ["released", "scratch", "staging"].map(|name| {
            let directory = place.path().join(name);
            std::fs::create_dir(&directory).unwrap();
            std::fs::write(directory.join("file"), name).unwrap();
            directory
        });
        confined(&Reach::Directory(released.clone()), &scratch, || {
            let denied = |outcome: std::io::Result<()>| assert_eq!(outcome.unwrap_err().kind(), PermissionDenied);
            let read = |path: &std::path::Path| std::fs::read(path).map(drop);
            read(&released.join("file")).unwrap();
            denied(std::fs::write(released.join("file"), "changed"));
            denied(std::fs::write(released.join("new"), ""));
            denied(std::fs::remove_file(released.join("file")));
            for path in ["/etc/passwd", "/proc/self/environ", "/etc/hostname"] {
                denied(read(std::path::Path::new(path)));
            }
            denied(read(&staging.join("file")));
            denied(read(&released.join("../staging/file")));
            std::os::unix::fs::symlink(staging.join("file"), scratch.join("link")).unwrap_err();
            std::fs::create_dir(scratch.join("spill")).unwrap();
            std::fs::write(scratch.join("spill/1"), "rows").unwrap();
            std::fs::rename(scratch.join("spill/1"), scratch.join("spill/2")).unwrap();
            assert_eq!(std::fs::read(scratch.join("spill/2")).unwrap(), b"rows");
            std::fs::remove_dir_all(scratch.join("spill")).unwrap();
        });
    }

    #[test]
    fn a_worker_starts_threads_but_no_programs_and_connects_nowhere() {
        let place = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        confined(&Reach::Directory(place.path().to_owned()), place.path(), || {
            assert_eq!(std::thread::spawn(|| 7).join().unwrap(), 7);
            let allocated = std::hint::black_box(vec![1_u8; 64 << 20]);
            assert_eq!(allocated.len(), 64 << 20);
            assert_eq!(Command::new("/bin/true").status().unwrap_err().kind(), PermissionDenied);
            assert_eq!(TcpStream::connect(address).unwrap_err().kind(), PermissionDenied);
            assert_eq!(TcpListener::bind("127.0.0.1:0").unwrap_err().kind(), PermissionDenied);
            assert_eq!(std::net::UdpSocket::bind("127.0.0.1:0").unwrap_err().kind(), PermissionDenied);
            let socket = place.path().join("socket");
            assert_eq!(std::os::unix::net::UnixListener::bind(socket).unwrap_err().kind(), PermissionDenied);
            std::os::unix::net::UnixStream::pair().unwrap();
        });
        drop(listener);
    }

    #[test]
    fn a_worker_that_is_given_urls_connects_and_starts_no_programs_either() {
        let place = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        confined(&Reach::Network, place.path(), || {
            drop(TcpStream::connect(address).unwrap());
            drop(TcpStream::connect(("localhost", address.port())).unwrap());
            assert_eq!(std::fs::read("/etc/passwd").unwrap_err().kind(), PermissionDenied);
            assert_eq!(Command::new("/bin/true").status().unwrap_err().kind(), PermissionDenied);
        });
        drop(listener);
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let place = tempfile::tempdir().unwrap();
        let missing = Reach::Directory(place.path().join("missing"));
        std::thread::scope(|scope| {
            let outcome = scope.spawn(|| files::restrict(place.path(), &missing)).join().unwrap();
            assert!(matches!(outcome, Err(EngineError::Setup { .. })));
        });
    }
}

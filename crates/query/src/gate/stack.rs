//! Room to recurse in: long or deep statements are parsed, walked, printed and dropped on a thread of their own.
//!
//! A left-deep chain such as `1+1+…` parses in a loop, but the tree that comes out is as deep as the chain is
//! long, and dropping it recurses.

use portico_model::problem::Problem;

/// Stack of the thread, in bytes: a statement of 64 KiB makes a chain of at most 32,768 levels.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Runs `work` where it cannot run out of stack; small statements stay on the caller's thread.
///
/// # Errors
/// What `work` returns; [`Problem::internal`] when the system gives no thread or `work` panicked.
pub(super) fn with_room<T: Send>(roomy: bool, work: impl FnOnce() -> Result<T, Problem> + Send) -> Result<T, Problem> {
    if !roomy {
        return work();
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("gate".to_owned()).stack_size(STACK_BYTES);
        match thread.spawn_scoped(scope, work) {
            Ok(handle) => handle.join().unwrap_or_else(|_| Err(Problem::internal())),
            Err(_) => Err(Problem::internal()),
        }
    })
}

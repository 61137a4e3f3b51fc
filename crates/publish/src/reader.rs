//! The reader: a process of ours that reads one staged file for screening, and nothing else.
//!
//! ```text
//!   publisher ── order ──▶ stdin   reader: limits on itself, both passes, files into its scratch directory
//!             ◀─ stdout ── progress … then what was screened, or why the file is refused
//!             watches memory and wall time, kills; then checks every file that was named
//! ```
//!
//! A file comes from outside, and what reads it are large libraries: they may be made to panic, to loop, to ask for all
//! memory, or worse. In a process of its own that ends one reading. The process has no environment, no storage and no
//! catalog; the staged bytes are put into its scratch directory before it starts, and what it leaves there is looked at
//! before anything of it is used. Whatever happens to it, the revision stays as it was and may be screened again.

mod confine;
mod inside;
mod jail;
mod messages;
#[cfg(test)]
mod tests;
mod watcher;

pub use inside::read_staged;
pub(crate) use jail::{Jail, SOURCE};
pub(crate) use messages::Asked;

//! What a portal keeps of itself, and what it gives up: withdrawals that reach every server, purges that leave nothing,
//! the audit log that others can check, counts of use, annual reports.

mod audit;
pub(crate) mod purge;
mod report;
mod usage;
pub(crate) mod withdraw;

//! What a portal keeps of itself, and what it gives up: withdrawals that reach every server, purges that leave nothing,
//! the audit log that others can check, counts of use, annual reports.

mod audit;
mod purge;
mod report;
mod usage;
mod withdraw;

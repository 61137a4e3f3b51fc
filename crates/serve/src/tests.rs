//! The site as a client sees it, through the router, without a port.

mod catalog;
mod downloads;
mod pages;
mod sql;
mod surface;

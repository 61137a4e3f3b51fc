//! The site as a client sees it, through the router, without a port.

mod attacks;
mod catalog;
mod downloads;
mod flight;
mod own_pages;
mod pages;
mod rates;
mod replay;
mod sessions;
mod signin;
mod sql;
mod staff;
mod surface;
mod wire;

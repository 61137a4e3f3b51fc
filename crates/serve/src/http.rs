//! HTTP: what clients that are programs see. Each endpoint file names its routes; `router` lists them all.

pub(crate) mod asker;
pub(crate) mod body;
pub(crate) mod cache;
pub(crate) mod calendar;
pub(crate) mod compress;
pub(crate) mod conditional;
pub(crate) mod datasets;
pub(crate) mod download_request;
pub(crate) mod downloads;
pub(crate) mod names;
pub(crate) mod negotiate;
pub(crate) mod options;
pub(crate) mod own_pages;
pub(crate) mod parameters;
pub(crate) mod parts;
pub(crate) mod ranges;
pub(crate) mod records;
pub(crate) mod reply;
pub(crate) mod requests;
pub(crate) mod service;
pub(crate) mod sql;
pub(crate) mod sql_answer;
pub(crate) mod sql_request;
pub(crate) mod staff;
pub(crate) mod terms;

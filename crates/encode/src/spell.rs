//! Single values as bytes, appended to a buffer without anything in between.

pub(crate) mod number;
pub(crate) mod text;
pub(crate) mod time;

//! How long an answer may be kept: four named policies, and no `Cache-Control` anywhere else.

/// What a cache may do with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CachePolicy {
    /// The URL names a version: its bytes never change.
    Immutable,
    /// The URL names whatever is current: keep it, and ask each time whether the tag still holds. No time of grace,
    /// because a release is public everywhere at once and a withdrawal must not linger.
    Revalidate,
    /// Problems, states of the server, and answers that differ each time.
    Never,
    /// Answers to somebody who showed a credential.
    Private,
}

impl CachePolicy {
    /// The value of `Cache-Control`.
    pub(crate) const fn header(self) -> &'static str {
        match self {
            Self::Immutable => "public, max-age=31536000, immutable",
            Self::Revalidate => "public, no-cache",
            Self::Never => "no-store",
            Self::Private => "private, no-store",
        }
    }
}

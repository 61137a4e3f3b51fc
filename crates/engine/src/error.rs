//! Why a worker does not start or does not go on: for the operator, not for strangers.

/// A fault of the worker itself, as opposed to a question's.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The system gave no threads, no socket or no directory.
    #[error("the worker could not set up {what}")]
    Setup {
        /// What was being set up.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// A resource limit could not be set.
    #[error("the worker could not limit its {what}")]
    Limit {
        /// Which limit.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// The allocator has mapped so much at the start that the memory limit leaves nothing to work with.
    #[error(
        "the allocator has mapped most of the worker's memory already: \
         start workers with MIMALLOC_ARENA_EAGER_COMMIT=0 in their environment"
    )]
    Allocator,
    /// The HTTP client for signed URLs could not be built.
    #[error("the client for signed URLs could not be built")]
    Client(#[from] reqwest::Error),
    /// The service on the socket failed.
    #[error("the worker's service failed")]
    Serve(#[from] tonic::transport::Error),
}

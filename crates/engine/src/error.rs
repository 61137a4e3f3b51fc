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
    /// The kernel refused rules that it should know.
    #[error("the worker could not be confined")]
    #[cfg(target_os = "linux")]
    Confine(#[from] landlock::RulesetError),
    /// The HTTP client for signed URLs could not be built.
    #[error("the client for signed URLs could not be built")]
    Client(#[from] reqwest::Error),
    /// The service on the socket failed.
    #[error("the worker's service failed")]
    Serve(#[from] tonic::transport::Error),
}

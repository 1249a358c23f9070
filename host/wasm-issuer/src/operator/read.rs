//! Reads of the API server, which may not answer.

use std::time::Duration;

use thiserror::Error;
use tokio::time::timeout;

/// How long the API server may take to read one object: whoever asks does nothing else meanwhile, and may hold a turn that
/// others want.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Why something was not read.
#[derive(Debug, Error)]
pub enum ReadError<E> {
    /// There was no answer in time.
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    TimedOut,
    /// The answer, or the way to it.
    #[error("{0}")]
    Failed(E),
}

/// What the API server says, or what keeps it from doing so. kube's own words repeat the answer as a programmer sees it.
pub fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} (HTTP {})", status.message, status.code),
        error => error.to_string(),
    }
}

impl ReadError<kube::Error> {
    /// The same of a read.
    pub fn words(&self) -> String {
        match self {
            Self::TimedOut => self.to_string(),
            Self::Failed(error) => words(error),
        }
    }
}

/// Wait for the answer, for 15 s at most.
pub async fn in_time<T, E>(reading: impl Future<Output = Result<T, E>>) -> Result<T, ReadError<E>> {
    match timeout(TIMEOUT, reading).await {
        Ok(answer) => answer.map_err(ReadError::Failed),
        Err(_elapsed) => Err(ReadError::TimedOut),
    }
}

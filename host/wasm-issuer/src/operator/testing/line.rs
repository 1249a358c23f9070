//! The network between a client and the API server.

use tokio::sync::watch;

/// A line that may be cut. Clones are the same one.
#[derive(Clone)]
pub struct Line(watch::Sender<bool>);

impl Line {
    /// One that is whole.
    pub fn new() -> Self {
        Self(watch::channel(true).0)
    }

    /// From now on nothing gets through.
    pub fn cut(&self) {
        self.0.send_replace(false);
    }

    /// Everything gets through again, and what has waited for it.
    pub fn mend(&self) {
        self.0.send_replace(true);
    }

    /// Wait until it is.
    pub async fn is_whole(&self) {
        let _ = self.0.subscribe().wait_for(|whole| *whole).await;
    }
}

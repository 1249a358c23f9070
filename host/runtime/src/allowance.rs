//! How much the calls of a namespace may compute before they take turns.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::lock::lock;

/// What is there at most, in processor time.
const BURST: Duration = Duration::from_millis(30);
/// It is refilled with one part in so many of a processor.
const REFILL: u32 = 4;

/// The processor time of a namespace.
pub struct Allowance {
    /// When all that was spent will be there again.
    refilled: Mutex<Instant>,
}

impl Allowance {
    /// All is there.
    pub fn new() -> Self {
        Self { refilled: Mutex::new(Instant::now()) }
    }

    /// So much was computed, be it in turns. Of what is more than there is only so much counts that it is known to be spent
    /// while that goes on, and soon forgotten when it ends.
    pub fn spend(&self, computed: Duration) {
        let now = Instant::now();
        let mut refilled = lock(&self.refilled);
        *refilled = ((*refilled).max(now) + REFILL * computed).min(now + 2 * REFILL * BURST);
    }

    /// Whether all is there.
    pub fn is_whole(&self) -> bool {
        *lock(&self.refilled) <= Instant::now()
    }

    /// Whether nothing is left.
    pub fn is_spent(&self) -> bool {
        *lock(&self.refilled) >= Instant::now() + REFILL * BURST
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_spent_comes_back_however_much_it_was() {
        let allowance = Allowance::new();
        allowance.spend(BURST - Duration::from_millis(1));
        assert!(!allowance.is_spent());
        allowance.spend(Duration::from_millis(1));
        assert!(allowance.is_spent());
        advance(Duration::from_millis(1)).await;
        assert!(!allowance.is_spent());
        allowance.spend(Duration::from_secs(3600));
        advance(REFILL * BURST).await;
        assert!(allowance.is_spent());
        advance(Duration::from_millis(1)).await;
        assert!(!allowance.is_spent());
    }
}

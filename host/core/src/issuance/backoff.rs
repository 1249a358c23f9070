//! Delays between tries: exponential, bounded, with jitter.

use std::time::Duration;

/// The bounds of a growing delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The delay after the first failure.
    pub min: Duration,
    /// What the delay grows to.
    pub max: Duration,
}

impl Backoff {
    /// The delay after `failures` failures in a row (1 for the first): `min` doubled for each further one, spread
    /// by up to a fifth in both directions so that what failed together does not come back together.
    ///
    /// `jitter` is a number from 0 to 1. `at_least` (a CA's Retry-After) is never undercut.
    pub fn delay(&self, failures: u32, jitter: f64, at_least: Option<Duration>) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let nominal = self.min.saturating_mul(1 << doublings).min(self.max.max(self.min));
        let spread = nominal.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0));
        match at_least {
            // Added on top, because all that were told the same time should not return in the same moment.
            Some(wish) if wish > spread => wish.saturating_add(nominal.mul_f64(0.2 * jitter.clamp(0.0, 1.0))),
            _ => spread,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(60) };

    #[test]
    fn delays_double_up_to_the_maximum() {
        let delays: Vec<u64> = (1..=9).map(|n| BACKOFF.delay(n, 0.5, None).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(BACKOFF.delay(u32::MAX, 0.5, None).as_secs(), 60);
    }

    #[test]
    fn jitter_spreads_by_a_fifth() {
        assert_eq!(BACKOFF.delay(5, 0.0, None), Duration::from_millis(12_800));
        assert_eq!(BACKOFF.delay(5, 1.0, None), Duration::from_millis(19_200));
    }

    #[test]
    fn a_retry_after_is_never_undercut() {
        let wish = Duration::from_secs(30);
        assert!(BACKOFF.delay(1, 0.0, Some(wish)) >= wish);
        assert!(BACKOFF.delay(1, 1.0, Some(wish)) > wish);
        assert_eq!(BACKOFF.delay(6, 0.5, Some(wish)).as_secs(), 32);
    }
}

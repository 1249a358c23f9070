//! The time and the chance that decisions take as arguments.

use jiff::Timestamp;
use wasm_issuer_core::issuance::plan::Moment;

/// The time in whole seconds, as the API keeps it: what comes back from there compares equal.
pub fn now() -> Timestamp {
    Timestamp::from_second(wall_clock().as_second()).unwrap_or_default()
}

#[cfg(not(test))]
fn wall_clock() -> Timestamp {
    Timestamp::now()
}

/// In tests it goes as tokio's clock does, which may be paused and moved on.
#[cfg(test)]
fn wall_clock() -> Timestamp {
    use std::sync::LazyLock;
    use std::time::Instant;
    static START: LazyLock<(Instant, Timestamp)> = LazyLock::new(|| (Instant::now(), Timestamp::now()));
    let (start, at) = &*START;
    let passed = tokio::time::Instant::now().into_std().saturating_duration_since(*start);
    at.saturating_add(jiff::SignedDuration::try_from(passed).unwrap()).unwrap()
}

/// [`now`] with a random number for one decision.
pub fn moment() -> Moment {
    Moment { now: now(), jitter: rand::random() }
}

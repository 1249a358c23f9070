//! The time and the chance that decisions take as arguments.

use jiff::Timestamp;
use wasm_issuer_core::issuance::plan::Moment;

/// The time in whole seconds, as the API keeps it: what comes back from there compares equal.
pub fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default()
}

/// [`now`] with a random number for one decision.
pub fn moment() -> Moment {
    Moment { now: now(), jitter: rand::random() }
}

//! How failed requests are tried again.

use std::time::Duration;

use wasm_issuer_core::issuance::backoff::Backoff;
use wasm_issuer_core::issuance::request::RetryPolicy;

use crate::api::IssuerSpec;

/// How failed requests are tried again unless the operator is told otherwise.
pub const RETRY: RetryPolicy = RetryPolicy {
    max_duration: Duration::from_secs(24 * 3600),
    backoff: Backoff { min: Duration::from_secs(1), max: Duration::from_secs(300) },
};

/// How failed requests of an Issuer are tried again: as its spec says, or else as the operator is told.
pub fn retry_policy(spec: &IssuerSpec, default: RetryPolicy) -> RetryPolicy {
    let wish = &spec.retry;
    RetryPolicy {
        max_duration: wish.max_duration.map_or(default.max_duration, |d| d.0),
        backoff: Backoff {
            min: wish.min_backoff.map_or(default.backoff.min, |d| d.0),
            max: wish.max_backoff.map_or(default.backoff.max, |d| d.0),
        },
    }
}

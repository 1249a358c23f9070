//! The ranges of what a spec may say. The schema, the CEL rules and the checks in Rust all take them from here; only the
//! fields' documentation repeats them, and a test compares it.

use std::ops::RangeInclusive;

use super::{GoDuration, Quantity};

const HOUR: u64 = 3600;

/// `spec.checkInterval`
pub const CHECK_INTERVAL: RangeInclusive<GoDuration> =
    GoDuration::from_secs(10)..=GoDuration::from_secs(24 * HOUR);
/// `spec.limits.timeout`
pub const TIMEOUT: RangeInclusive<GoDuration> = GoDuration::from_millis(100)..=GoDuration::from_secs(60);
/// `spec.limits.memory`
pub const MEMORY: RangeInclusive<Quantity> = Quantity::mebibytes(1)..=Quantity::mebibytes(1024);
/// `spec.retry.maxDuration`
pub const RETRY_DURATION: RangeInclusive<GoDuration> =
    GoDuration::from_secs(1)..=GoDuration::from_secs(8760 * HOUR);
/// `spec.retry.minBackoff`
pub const MIN_BACKOFF: RangeInclusive<GoDuration> =
    GoDuration::from_millis(100)..=GoDuration::from_secs(HOUR);
/// `spec.retry.maxBackoff`
pub const MAX_BACKOFF: RangeInclusive<GoDuration> =
    GoDuration::from_secs(1)..=GoDuration::from_secs(24 * HOUR);

//! The time and the chance that decisions take as arguments.

use std::time::Duration;

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

/// How long the machine has run: a clock that never goes back, and goes on while the process is stopped or the machine
/// sleeps, which tokio's does not.
#[cfg(not(test))]
pub fn uptime() -> Duration {
    #[cfg(target_os = "linux")]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(CLOCK);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(time.tv_sec.unsigned_abs(), nanoseconds)
}

#[cfg(test)]
thread_local! {
    static SLEPT: std::cell::Cell<Duration> = const { std::cell::Cell::new(Duration::ZERO) };
}

/// The machine sleeps for so long: tokio's clock stands still meanwhile, and its timers with it.
#[cfg(test)]
pub fn let_the_machine_sleep(time: Duration) {
    SLEPT.set(SLEPT.get() + time);
}

/// In tests it is tokio's, where the machine does not sleep.
#[cfg(test)]
pub fn uptime() -> Duration {
    use std::sync::LazyLock;
    static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
    let start = *START;
    let since = tokio::time::Instant::now().into_std().saturating_duration_since(start);
    // A point that is before every test.
    since + SLEPT.get() + Duration::from_secs(3600)
}

/// [`now`] with a random number for one decision.
pub fn moment() -> Moment {
    Moment { now: now(), jitter: rand::random() }
}

//! What the calls of a session meet where a plugin is tested: a network of the test's own, and time and chance that are the
//! same in each run. And what they spend.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng as _;
use wasmtime_wasi::{HostWallClock, WasiCtxBuilder};

use super::egress::Traffic;
use super::lock::lock;

/// What the calls of a session meet in place of the world. Signatures of ECDSA keys still differ from run to run, and so do
/// ephemeral keys.
#[derive(Clone)]
pub struct Rehearsal {
    /// Where requests go.
    pub traffic: Traffic,
    /// What the wall clock says from the beginning of a call to its end. The monotonic clock is real: timeouts pass.
    pub now: SystemTime,
    /// What random numbers are made of: the same seed, the same numbers in each call.
    pub seed: [u8; 32],
    /// Told what each call spends.
    pub meter: Option<Arc<Meter>>,
}

impl Rehearsal {
    /// Put the clock and the random numbers into what a call's store is made of.
    pub(super) fn set(&self, wasi: &mut WasiCtxBuilder) {
        // A generator whose numbers are the same in every version, unlike `StdRng`: recordings are kept.
        let random = || ChaCha20Rng::from_seed(self.seed);
        let insecure_seed = self.seed.first_chunk().copied().map_or(0, u128::from_le_bytes);
        wasi.wall_clock(Stopped(self.now))
            .secure_random(random())
            .insecure_random(random())
            .insecure_random_seed(insecure_seed);
    }
}

/// A wall clock that stands still.
struct Stopped(SystemTime);

impl HostWallClock for Stopped {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }
}

/// What the last call of a session spent.
#[derive(Default)]
pub struct Meter(Mutex<Spent>);

/// What a call spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Instructions of WebAssembly, as wasmtime's fuel counts them, those included that made the instance. None where the
    /// runtime does not count them ([`RuntimeConfig::count_instructions`](crate::RuntimeConfig::count_instructions)).
    pub instructions: Option<u64>,
    /// The most memory of the plugin, in bytes: all memories and tables.
    pub memory: usize,
}

impl Meter {
    /// What the last call spent; nothing before the first one.
    pub fn spent(&self) -> Spent {
        *lock(&self.0)
    }

    pub(super) fn note(&self, spent: Spent) {
        *lock(&self.0) = spent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_before_the_epoch_shows_the_epoch() {
        assert_eq!(Stopped(SystemTime::UNIX_EPOCH - Duration::from_secs(1)).now(), Duration::ZERO);
        assert_eq!(Stopped(SystemTime::UNIX_EPOCH + Duration::from_secs(7)).now().as_secs(), 7);
    }
}

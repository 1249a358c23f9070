//! How watches list and wait: for a connection that may have died, and for an API server that does not answer.

use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt as _};
use http::StatusCode;
use kube::runtime::utils::Backoff as WatchBackoff;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::{error, info};
use wasm_issuer_core::issuance::backoff::Backoff;

use super::namespaces::Part;

/// After so many seconds the API server ends a watch, and the next one begins where it ended. A watch that is still quiet
/// five seconds later is taken for dead (kube's own margin). They differ, so that not all watches begin anew in the same
/// moment.
const TIMEOUT: RangeInclusive<u32> = 15..=20;

/// Objects in a page of a list, which is in memory as a whole. One may have 1.5 MiB (etcd's limit), so that a page of
/// kube's default of 500 could have 750 MiB.
const PAGE: u32 = 50;

/// The longest delay is what a certificate may have to wait for after an outage. With the jitter it is under 5 s.
const DELAYS: Backoff = Backoff { min: Duration::from_millis(250), max: Duration::from_secs(4) };

/// How long nothing has to go wrong for the delays to start over.
const CALM: Duration = Duration::from_secs(30);

/// How the operator watches: everything, or what the caller selects further.
pub fn config() -> watcher::Config {
    watcher::Config::default().timeout(rand::random_range(TIMEOUT)).page_size(PAGE)
}

/// What happens to the objects of a part that the configuration selects, for ever.
pub fn follow<K>(
    part: Part,
    api: Api<K>,
    config: watcher::Config,
) -> BoxStream<'static, (Part, Result<watcher::Event<K>, watcher::Error>)>
where
    K: Resource<DynamicType: Clone> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let events = watcher::watcher(api, config).backoff(Delays::default());
    events.map(move |event| (part.clone(), event)).boxed()
}

/// Tell that a watch of `what` broke; it begins anew. `hint` is what to look at.
pub fn tell_broken(what: &str, namespace: Option<&str>, error: &watcher::Error, hint: &str) {
    if is_expired(error) {
        info!(
            namespace,
            "the watch of {what} begins anew: the API server knows no more what came after its last news"
        );
    } else {
        error!(namespace, %error, "cannot watch {what}; {hint}");
    }
}

/// Whether the API server has only forgotten what came after a watch's last news, as it does after a while and when it
/// restarts. The watch lists anew, and nothing is lost.
pub fn is_expired(error: &watcher::Error) -> bool {
    use watcher::Error::{WatchError, WatchStartFailed};
    match error {
        WatchError(status) | WatchStartFailed(kube::Error::Api(status)) => {
            status.code == StatusCode::GONE.as_u16()
        }
        _ => false,
    }
}

/// The delays between the tries of a watch that fails.
///
/// kube resets a delay with everything that a watch delivers, and each try to list delivers that it begins: a list that
/// fails for ever would be tried at the shortest delay for ever. Here time alone resets it.
#[derive(Default)]
pub struct Delays {
    failures: u32,
    last: Option<Instant>,
}

impl Delays {
    /// How long to wait after one more failure.
    pub fn after_failure(&mut self) -> Duration {
        let now = Instant::now();
        let is_calm = self.last.is_none_or(|last| now.duration_since(last) > CALM);
        self.failures = if is_calm { 1 } else { self.failures.saturating_add(1) };
        self.last = Some(now);
        DELAYS.delay(self.failures, rand::random(), None)
    }
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.after_failure())
    }
}

impl WatchBackoff for Delays {
    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use tokio::time::sleep;

    use super::*;

    #[test]
    fn what_the_api_server_has_forgotten_is_no_trouble() {
        let status = |code| Status::failure("too old", "Expired").with_code(code);
        assert!(is_expired(&watcher::Error::WatchError(status(410).boxed())));
        assert!(is_expired(&watcher::Error::WatchStartFailed(kube::Error::Api(status(410).boxed()))));
        assert!(!is_expired(&watcher::Error::WatchError(status(403).boxed())));
        // No list is ever too old.
        assert!(!is_expired(&watcher::Error::InitialListFailed(kube::Error::Api(status(410).boxed()))));
    }

    #[tokio::test(start_paused = true)]
    async fn delays_grow_up_to_five_seconds_and_start_over_when_it_is_calm() {
        let mut delays = Delays::default();
        let mut sum = Duration::ZERO;
        for _ in 0..20 {
            let delay = delays.after_failure();
            assert!(delay < Duration::from_secs(5), "{delay:?}");
            sleep(delay).await;
            sum += delay;
            delays.reset();
        }
        assert!(sum > Duration::from_secs(45), "it does not hammer: {sum:?}");
        sleep(CALM + Duration::from_secs(1)).await;
        assert!(delays.after_failure() < Duration::from_millis(400));
    }
}

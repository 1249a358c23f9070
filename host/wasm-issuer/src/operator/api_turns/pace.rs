//! How often a namespace may have the API server do what can wait: a burst at once, then so many a second, as client-go
//! limits all that a client asks for. Turns bound how much is under way at a time, and a namespace whose turns follow each
//! other without a pause has its share of the API server all the time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use wasm_issuer_runtime::Owner;

/// How many a namespace may have at once, of each sort: a few milliseconds of the API server's time.
const AT_ONCE: u32 = 5;
/// How many in a second, as client-go's default has it for all that a client does.
const A_SECOND: u32 = 20;
/// How many namespaces may be remembered that are not waited for.
const MAX_IDLE: usize = 1024;

/// From one to the next.
const EVERY: Duration = Duration::from_nanos(1_000_000_000 / A_SECOND as u64);

/// The pace of each namespace, for one sort of calls. What belongs to no namespace is the administrator's, and is not held up.
#[derive(Default)]
pub struct Pace {
    /// When each would have had all that it was given, had it come one by one (the generic cell rate algorithm's theoretical
    /// arrival time).
    namespaces: Mutex<HashMap<Arc<str>, Instant>>,
}

/// A place among the calls of a namespace. Dropped before it was taken, it is another's.
pub struct Place {
    pace: Arc<Pace>,
    namespace: Arc<str>,
    at: Instant,
    is_taken: bool,
}

impl Pace {
    /// The next free place.
    pub fn place(self: &Arc<Self>, owner: &Owner) -> Place {
        let now = Instant::now();
        let at = self.reserve(owner, now, 1, Duration::MAX).unwrap_or(now);
        Place { pace: self.clone(), namespace: owner.namespace.clone(), at, is_taken: false }
    }

    /// Wait for the next free place, and take it.
    pub async fn turn(self: &Arc<Self>, owner: &Owner) {
        let place = self.place(owner);
        sleep_until(place.at).await;
        place.take();
    }

    /// Wait for a moment in which nobody of the namespace waits for their place, and take one.
    pub async fn lull(&self, owner: &Owner) {
        while self.reserve(owner, Instant::now(), 1, Duration::ZERO).is_none() {
            sleep_until(Instant::now() + EVERY * AT_ONCE).await;
        }
    }

    /// Take so many places at once, whenever they come: for what has been done already.
    pub fn charge(&self, owner: &Owner, places: u32) {
        if places > 0 {
            self.reserve(owner, Instant::now(), places, Duration::MAX);
        }
    }

    /// Until when the namespace has to wait for what it has been charged with; none if it need not.
    pub fn charged_until(&self, owner: &Owner) -> Option<Instant> {
        let given = *self.namespaces().get(&owner.namespace)?;
        given.checked_sub(EVERY * AT_ONCE).filter(|until| *until > Instant::now())
    }

    /// Reserve so many places, if the last of them comes within `patience`; when it does.
    fn reserve(&self, owner: &Owner, now: Instant, places: u32, patience: Duration) -> Option<Instant> {
        if owner.namespace.is_empty() {
            return Some(now);
        }
        let mut namespaces = self.namespaces();
        if namespaces.len() >= MAX_IDLE {
            namespaces.retain(|_, given| *given > now);
        }
        let given = namespaces.get(&owner.namespace).map_or(now, |given| (*given).max(now)) + EVERY * places;
        let at = given.checked_sub(EVERY * AT_ONCE).map_or(now, |at| at.max(now));
        let is_soon = at - now <= patience;
        if is_soon {
            namespaces.insert(owner.namespace.clone(), given);
        }
        is_soon.then_some(at)
    }

    fn namespaces(&self) -> MutexGuard<'_, HashMap<Arc<str>, Instant>> {
        self.namespaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// How long until it comes.
    pub fn wait(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Make use of it.
    pub fn take(mut self) {
        self.is_taken = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Those behind it keep their places; whoever comes next has one the sooner.
        if !self.is_taken
            && let Some(given) = self.pace.namespaces().get_mut(&self.namespace)
            && let Some(earlier) = given.checked_sub(EVERY)
        {
            *given = earlier;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    /// How long `count` turns of a namespace take that are asked for at once.
    async fn took(pace: &Arc<Pace>, namespace: &str, count: u32) -> Duration {
        let (owner, began) = (Owner::new(namespace, "ca"), Instant::now());
        join_all((0..count).map(|_| pace.turn(&owner))).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_has_some_at_once_and_then_so_many_a_second() {
        let pace = Arc::<Pace>::default();
        assert!(took(&pace, "loud", AT_ONCE).await < Duration::from_millis(1));
        let rest = took(&pace, "loud", 2 * A_SECOND).await;
        assert!(rest.as_millis().abs_diff(2000) < 10, "{rest:?}");
        assert!(took(&pace, "quiet", 1).await < Duration::from_millis(1), "another namespace has its own");
        assert!(took(&pace, "", 100).await < Duration::from_millis(1));
        sleep_until(Instant::now() + Duration::from_secs(60)).await;
        assert!(took(&pace, "loud", AT_ONCE).await < Duration::from_millis(1));
    }

    /// Else requests that are decided anew again and again would let nobody of their namespace have a place soon.
    #[tokio::test(start_paused = true)]
    async fn what_is_given_up_is_anothers() {
        let (pace, owner) = (Arc::<Pace>::default(), Owner::new("loud", "ca"));
        for _ in 0..10 {
            let places: Vec<_> = (0..1000).map(|_| pace.place(&owner)).collect();
            assert!(places[999].wait() > Duration::from_secs(49), "{:?}", places[999].wait());
        }
        assert!(took(&pace, "loud", AT_ONCE).await < Duration::from_millis(1));
        assert!(!pace.place(&owner).wait().is_zero(), "those were taken");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lull_is_when_nobody_waits() {
        let (pace, owner, began) = (Arc::<Pace>::default(), Owner::new("loud", "ca"), Instant::now());
        let lull = async {
            pace.lull(&owner).await;
            began.elapsed()
        };
        let (others, lull) = futures::join!(took(&pace, "loud", 50), lull);
        assert!(lull >= others, "{lull:?} {others:?}");
        assert!(lull < others + Duration::from_secs(1), "{lull:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_charged_is_waited_for_beyond_what_may_be_had_at_once() {
        let (pace, owner) = (Arc::<Pace>::default(), Owner::new("loud", "ca"));
        pace.charge(&owner, AT_ONCE);
        assert_eq!(pace.charged_until(&owner), None);
        pace.charge(&owner, 2 * A_SECOND);
        assert_eq!(pace.charged_until(&owner), Some(Instant::now() + Duration::from_secs(2)));
        assert_eq!(pace.charged_until(&Owner::new("quiet", "ca")), None);
        pace.charge(&Owner::new("", "ca"), 1000);
        assert_eq!(pace.charged_until(&Owner::new("", "ca")), None);
        sleep_until(Instant::now() + Duration::from_secs(2)).await;
        assert_eq!(pace.charged_until(&owner), None);
    }

    #[tokio::test(start_paused = true)]
    async fn namespaces_that_are_not_waited_for_are_forgotten() {
        let (pace, first) = (Arc::<Pace>::default(), Owner::new("0", "ca"));
        for n in 0..2 * MAX_IDLE {
            let owner = Owner::new(&n.to_string(), "ca");
            if n % 2 == 0 {
                pace.charge(&owner, 1)
            } else {
                pace.turn(&owner).await
            }
            sleep_until(Instant::now() + EVERY).await;
        }
        assert!(pace.namespaces().len() <= MAX_IDLE, "{}", pace.namespaces().len());
        pace.charge(&first, 1000);
        for n in 0..2 * MAX_IDLE {
            pace.charge(&Owner::new(&n.to_string(), "other"), 1);
        }
        assert!(pace.charged_until(&first).is_some(), "who is waited for is not");
    }
}

//! Components whose compilation did not end well, so that it is not tried again with every check.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use wasm_issuer_runtime::{LoadError, Owner};

use crate::api::IssuerKind;
use crate::operator::shared::SharedMap;

/// How many are remembered.
const MAX: usize = 1024;
/// How long.
const LIFE: Duration = Duration::from_secs(600);

/// A component's digest, and the kind of its Issuer: their budgets differ.
type Key = (IssuerKind, String);

/// Why each was refused. It takes a place of the Issuer that had it compiled, and is known to all that name it.
pub struct Refusals(Mutex<SharedMap<Key, Refusal>>);

struct Refusal {
    at: Instant,
    error: String,
}

impl Refusal {
    fn is_over(&self) -> bool {
        self.at.elapsed() >= LIFE
    }
}

impl Default for Refusals {
    fn default() -> Self {
        Self(Mutex::new(SharedMap::new(MAX)))
    }
}

impl Refusals {
    /// Why the component was refused, if it was lately.
    pub fn get(&self, key: &Key) -> Option<String> {
        self.lock().get_mut(key).filter(|refusal| !refusal.is_over()).map(|refusal| refusal.error.clone())
    }

    /// Remember what `owner` had compiled. Where it has no place left, its component is compiled again.
    pub fn put(&self, key: Key, error: &LoadError, owner: &Owner) {
        // What has no place now may have one in a moment; everything else is mended by other bytes.
        if matches!(error, LoadError::CodeLimit { .. }) {
            return;
        }
        let new = Refusal { at: Instant::now(), error: error.to_string() };
        let mut refusals = self.lock();
        match refusals.get_mut(&key) {
            Some(old) => *old = new,
            None => {
                refusals.insert(key, new, owner, Refusal::is_over);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, SharedMap<Key, Refusal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(digest: &str) -> Key {
        (IssuerKind::Namespaced, digest.to_owned())
    }

    fn put(refusals: &Refusals, digest: &str, namespace: &str) {
        let error = LoadError::Invalid(digest.to_owned());
        refusals.put(key(digest), &error, &Owner::new(namespace, digest));
    }

    fn is_known(refusals: &Refusals, digest: &str) -> bool {
        refusals.get(&key(digest)).is_some_and(|error| error.contains(digest))
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_with_many_refused_components_takes_no_place_from_others() {
        let refusals = Refusals::default();
        for n in 0..2 * MAX {
            put(&refusals, &format!("loud-{n}"), "loud");
        }
        put(&refusals, "modest-0", "modest");
        assert!(is_known(&refusals, "modest-0") && is_known(&refusals, "loud-0"));
        assert!(!is_known(&refusals, &format!("loud-{}", 2 * MAX - 1)), "it has its share");
        assert!(refusals.get(&(IssuerKind::Cluster, "modest-0".to_owned())).is_none());

        tokio::time::advance(LIFE).await;
        assert!(!is_known(&refusals, "modest-0"), "it may be compiled again");
        put(&refusals, "modest-0", "modest");
        put(&refusals, "loud-new", "loud");
        assert!(is_known(&refusals, "modest-0") && is_known(&refusals, "loud-new"));
    }
}

//! What a process knows of a Lease: by its watch, by what it reads, and by what it writes itself.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use tokio::sync::watch;
use wasm_issuer_core::lease::{Seen, Terms};

use crate::operator::clock::uptime;

/// What is known of a Lease. Clones are the same one.
#[derive(Clone)]
pub struct Sight(watch::Sender<Option<Known>>);

/// A Lease; none where there is no such object.
#[derive(Clone, Debug)]
pub struct Known {
    pub lease: Option<Lease>,
    /// When it was seen to change last.
    changed: Duration,
}

impl Sight {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self(watch::channel(None).0)
    }

    /// What is known last; none before anything is.
    pub fn known(&self) -> Option<Known> {
        self.0.borrow().clone()
    }

    /// Tells when that changes.
    pub fn follow(&self) -> watch::Receiver<Option<Known>> {
        self.0.subscribe()
    }

    /// It is so. What is known already has not changed, and what is older is no news: a watch may be behind this process's
    /// own write.
    pub fn see(&self, lease: Lease) {
        self.learn(|known| known.is_older_than(&lease).then_some(Some(lease)));
    }

    /// It is gone, as this version of it tells.
    pub fn see_deleted(&self, last: &Lease) {
        self.learn(|known| known.is_older_than(last).then_some(None));
    }

    /// There was none when that was asked.
    pub fn see_none(&self, asked: Duration) {
        self.learn(|known| (known.lease.is_some() && known.changed < asked).then_some(None));
    }

    /// Take in what is news of what is known.
    fn learn(&self, news: impl FnOnce(&Known) -> Option<Option<Lease>>) {
        self.0.send_if_modified(|known| {
            let nothing = Known { lease: None, changed: Duration::ZERO };
            let was_unknown = known.is_none();
            let lease = match news(known.as_ref().unwrap_or(&nothing)) {
                Some(lease) => lease,
                None if was_unknown => None,
                None => return false,
            };
            *known = Some(Known { lease, changed: uptime() });
            true
        });
    }
}

impl Known {
    /// What decisions see of it.
    pub fn seen(&self, terms: &Terms) -> Option<Seen> {
        let spec = self.lease.as_ref()?.spec.clone().unwrap_or_default();
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Some(Seen {
            holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
            // What no replica would write is nobody's wish.
            duration: seconds
                .filter(|seconds| (1..=Terms::LONGEST).contains(seconds))
                .map_or(terms.lease(), Duration::from_secs),
            changed: self.changed,
        })
    }

    /// Who holds it, and whether that has not run out.
    pub fn holder(&self, terms: &Terms) -> Option<String> {
        let seen = self.seen(terms)?;
        seen.holder.filter(|_| uptime() < seen.changed + seen.duration)
    }

    /// Whether that is a later version. Resource versions are numbers that grow; others that differ are taken for later.
    fn is_older_than(&self, lease: &Lease) -> bool {
        let version = |lease: &Lease| lease.metadata.resource_version.clone().unwrap_or_default();
        let Some(known) = self.lease.as_ref().map(version) else { return true };
        let new = version(lease);
        match (known.parse::<u128>(), new.parse::<u128>()) {
            (Ok(known), Ok(new)) => known < new,
            _ => known != new,
        }
    }
}

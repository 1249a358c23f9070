//! What the tasks of all Issuers share.

use std::sync::Arc;

use super::api_server::ApiServer;
use super::prepare::Preparer;
use super::watches::Watches;
use crate::api::IssuerKey;
use crate::operator::events::Events;
use crate::operator::leadership::Leadership;
use crate::operator::metrics::Metrics;
use crate::operator::registry::Registry;

/// What the tasks of all Issuers share.
pub struct Shared {
    pub api: ApiServer,
    pub preparer: Preparer,
    pub watches: Watches,
    /// Where the requests' side finds what serves.
    pub registry: Arc<Registry>,
    pub events: Events,
    pub metrics: Arc<Metrics>,
    /// Which Issuers this process works for.
    pub leadership: Leadership,
}

impl Shared {
    /// Drop what is kept for an Issuer that is gone.
    pub fn forget(&self, key: &IssuerKey, uid: &str) {
        self.preparer.forget(uid);
        self.registry.remove(key, uid);
    }
}

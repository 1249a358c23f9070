//! The Issuers' side of the operator, for tests.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use wasm_issuer_core::issuance::backoff::Backoff;
use wasm_issuer_core::issuance::request::RetryPolicy;
use wasm_issuer_core::issuance::request_kind::RequestKind;
use wasm_issuer_runtime::egress::EgressConfig;
use wasm_issuer_runtime::{IssuerMemory, Turns};

use super::api_server::ScriptedApi;
use super::plugin::ScriptedLoader;
use crate::api::Quantity;
use crate::operator::events::Events;
use crate::operator::health::Synced;
use crate::operator::issuers::{Issuers, Settings};
use crate::operator::leadership::Leadership;
use crate::operator::metrics::Metrics;
use crate::operator::namespaces::Namespaces;
use crate::operator::registry::Registry;
use crate::policy::{CurrentPolicy, Policy};

/// How it is set up.
pub fn settings(policy: CurrentPolicy, memory: IssuerMemory) -> Settings {
    Settings {
        namespaces: Namespaces::All,
        builtin_dir: "/nowhere".into(),
        cluster_resource_namespace: "operator".to_owned(),
        retry: RetryPolicy {
            max_duration: Duration::from_secs(24 * 3600),
            backoff: Backoff { min: Duration::from_secs(1), max: Duration::from_secs(3600) },
        },
        policy,
        max_component: Quantity::mebibytes(64),
        memory,
        turns: Turns::at_a_time(1).unwrap(),
        egress: EgressConfig::default(),
        image_folder: None,
    }
}

/// Start it. What serves goes into the registry.
pub fn start_issuers(api: &ScriptedApi, plugins: &ScriptedLoader) -> Arc<Registry> {
    let (registry, _) = Registry::new();
    let metrics = Arc::new(Metrics::new());
    let (events, _) = Events::start(api.client(), "test".to_owned(), metrics.clone());
    let settings = settings(watch::channel(Arc::new(Policy::default())).1, IssuerMemory::unlimited());
    let loader = Arc::new(plugins.clone());
    let issuers =
        Issuers::new(api.client(), loader, settings, registry.clone(), events, Leadership::alone(), metrics);
    tokio::spawn(issuers.run(Synced::new(&Namespaces::All, &RequestKind::ALL)));
    registry
}

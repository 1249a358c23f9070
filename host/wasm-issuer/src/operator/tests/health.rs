//! Both loops are seen to come round.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use tokio::sync::watch;
use tokio::time::sleep;
use wasm_issuer_core::issuance::request_kind::RequestKind;
use wasm_issuer_runtime::{FairBytes, IssuerMemory};

use crate::operator::audit::Audit;
use crate::operator::events::Events;
use crate::operator::health::{Synced, alive};
use crate::operator::issuers::Issuers;
use crate::operator::leadership::Leadership;
use crate::operator::metrics::Metrics;
use crate::operator::namespaces::Namespaces;
use crate::operator::registry::Registry;
use crate::operator::requests::{Limits, Requests, Signing};
use crate::operator::testing::{Call, Fault, ScriptedApi, ScriptedLoader, settings};
use crate::policy::PolicyFile;

/// Whatever the API server does. A loop without a beat would be taken for one that stands still.
#[tokio::test(start_paused = true)]
async fn loops_with_nothing_to_do_come_round() {
    let (api, synced) = (ScriptedApi::new(), Synced::new(&Namespaces::All, &RequestKind::ALL));
    api.every(Call::Watch("certificaterequests".to_owned()), Fault::Hang);
    api.every(Call::Watch("wasmissuers".to_owned()), Fault::Hang);
    let (registry, changes) = Registry::new();
    let metrics = Arc::new(Metrics::new());
    let (events, _) = Events::start(api.client(), "test".to_owned(), metrics.clone());
    let settings = settings(PolicyFile::none().policy(), IssuerMemory::unlimited());
    let loader = Arc::new(ScriptedLoader::default());
    let turns = settings.turns.clone();
    let issuers = Issuers::new(
        api.client(),
        loader,
        settings,
        registry.clone(),
        events.clone(),
        Leadership::alone(),
        metrics.clone(),
    );
    tokio::spawn(issuers.run(synced.clone()));
    let leadership = Leadership::alone();
    let signing = Signing::new(api.client(), registry, leadership, events, metrics, Audit::off(), turns);
    let requests = Requests::new(
        &RequestKind::ALL,
        Arc::new(signing),
        synced.clone(),
        Limits { total: 8, per_issuer: 8, per_namespace: 8 },
        FairBytes::new(1 << 20),
        Namespaces::All,
    );
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(requests.run(api.client(), changes, stopped));
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(synced.loops(), ["Issuers", "requests"]);
    assert_eq!(alive(State(synced)).await, (StatusCode::OK, "ok\n".to_owned()));
}

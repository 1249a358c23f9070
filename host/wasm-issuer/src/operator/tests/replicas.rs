//! Several replicas: whatever happens, one works.

mod handover;
mod losing;
mod shards;
mod signing_requests;
mod standby;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;
use wasm_issuer_core::issuance::condition::READY;

use super::bench::ISSUED;
use crate::operator::testing::{Object, Replica, ScriptedApi, Setup, config_map, issuer, request};

/// client-go's.
const LEASE: Duration = Duration::from_secs(15);
const DEADLINE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(2);

/// An API server with one Issuer, `ca`, whose plugin is `v1`.
fn cluster() -> ScriptedApi {
    let api = ScriptedApi::new();
    for (object, value) in [issuer("ca"), config_map("plugin", "v1")] {
        api.put(&object, value);
    }
    api
}

fn lease(name: &str) -> Object {
    Object { plural: "leases".to_owned(), namespace: Some("operator".to_owned()), name: name.to_owned() }
}

/// The Lease of leader election.
fn the_lease() -> Object {
    lease("wasm-issuer")
}

/// Somebody writes the Lease as theirs, whoever holds it. What they write of the time is nonsense.
fn seize(api: &ScriptedApi, holder: &str) {
    api.edit(&the_lease(), |lease| {
        lease["spec"]["holderIdentity"] = holder.into();
        lease["spec"]["renewTime"] = "2001-01-01T00:00:00.000000Z".into();
    });
}

fn holder(api: &ScriptedApi, lease: &Object) -> Value {
    api.get(lease).map_or(Value::Null, |lease| lease["spec"]["holderIdentity"].clone())
}

/// The first leads, and the second is ready to.
async fn pair(api: &ScriptedApi) -> (Replica, Replica) {
    let first = Replica::start(api, "first", &Setup::default());
    api.until("a leader", |_| first.leads()).await;
    let second = Replica::start(api, "second", &Setup::default());
    api.until("a standby", |_| second.signer().configs().len() == 1).await;
    (first, second)
}

fn ask(api: &ScriptedApi, name: &str) -> Object {
    ask_of(api, name, "ca")
}

fn ask_of(api: &ScriptedApi, name: &str, issuer: &str) -> Object {
    let (object, mut value) = request(name);
    value["spec"]["issuerRef"]["name"] = issuer.into();
    api.put(&object, value);
    object
}

async fn until_issued(api: &ScriptedApi, request: &Object) {
    api.until("issued", |api| api.condition(request, READY).as_deref() == Some(ISSUED)).await;
}

/// For which requests a replica's plugin was asked.
fn asked(replica: &Replica) -> Vec<String> {
    replica.signer().asked().into_iter().map(|request| request.name).collect()
}

/// Watch two replicas for so long: never do both lead.
async fn never_both(first: &Replica, second: &Replica, time: Duration) {
    let step = Duration::from_millis(20);
    for _ in 0..time.as_millis() / step.as_millis() {
        assert!(!(first.leads() && second.leads()), "both lead");
        sleep(step).await;
    }
}

/// Another operator's Lease, or one that a person has made.
fn foreign_lease(holder: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15},
    })
}

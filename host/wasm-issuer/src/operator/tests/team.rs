//! A team's own operator: some namespaces are served, and nothing else.

use std::time::Duration;

use tokio::time::sleep;
use wasm_issuer_core::issuance::condition::READY;
use wasm_issuer_core::issuance::signer::FailureKind;

use super::bench::{Bench, CHECKED};
use crate::operator::namespaces::Namespaces;
use crate::operator::testing::{
    Answer, Call, Fault, Object, ScriptedApi, config_map, issuer, request, signing_request,
};

fn namespaces() -> Namespaces {
    Namespaces::of(&["team-a".to_owned(), "team-b".to_owned()]).unwrap()
}

/// An Issuer `ca` with what it names.
fn put_issuer(api: &ScriptedApi, namespace: &str) -> Object {
    let ((map, value), (ca, spec)) = (config_map("plugin", "v1"), issuer("ca"));
    let ca = ca.in_namespace(namespace);
    api.put(&map.in_namespace(namespace), value);
    api.put(&ca, spec);
    ca
}

fn put_request(api: &ScriptedApi, namespace: &str, kind: &str) -> Object {
    let (object, mut value) = request(&format!("web-{}", kind.to_lowercase()));
    value["spec"]["issuerRef"]["kind"] = kind.into();
    let object = object.in_namespace(namespace);
    api.put(&object, value);
    object
}

fn ready(api: &ScriptedApi, object: &Object) -> String {
    api.condition(object, READY).unwrap_or_default()
}

/// How many Issuers there are, all of them ready.
fn ready_ones(bench: &Bench) -> usize {
    let issuers = bench.registry.issuers();
    if issuers.iter().all(|(_, is_ready)| *is_ready) { issuers.len() } else { 0 }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_in_a_teams_namespaces_is_left_alone() {
    let bench = Bench::among(namespaces(), |api, _, _| {
        put_issuer(api, "team-b");
        put_issuer(api, "team-c");
        let (shared, (_, mut value)) = (Object::cluster_issuer("ca"), issuer("ca"));
        value["kind"] = "WasmClusterIssuer".into();
        api.put(&shared, value);
        let (map, value) = config_map("plugin", "v1");
        api.put(&map.in_namespace("operator"), value);
    });
    let api = &bench.api;
    // Nor is what has no namespace theirs, though it names an Issuer of one.
    api.allow_reference("jane", "team-a/ca");
    let (csr, value) = signing_request("web", "wasmissuers.wasm-issuer.dev/team-a.ca");
    api.put(&csr, value);
    let served = ["team-a", "team-b"].map(|namespace| put_request(api, namespace, "WasmIssuer"));
    let foreign = [put_request(api, "team-c", "WasmIssuer"), put_request(api, "team-a", "WasmClusterIssuer")];
    for request in &served {
        bench.until_issued(request).await;
    }
    sleep(Duration::from_secs(600)).await;
    for object in foreign.iter().chain(&[issuer("ca").0.in_namespace("team-c"), Object::cluster_issuer("ca")])
    {
        assert_eq!(ready(api, object), "", "{object:?}");
    }
    assert_eq!(ready_ones(&bench), 2);
    assert!(api.get(&csr).unwrap()["status"]["certificate"].is_null());
    // Nothing was asked that Roles do not allow.
    for plural in ["wasmissuers", "wasmclusterissuers", "certificaterequests", "certificatesigningrequests"] {
        assert_eq!(api.count(&Call::List(plural.to_owned())), 0, "{plural}");
    }
}

/// A namespace was deleted, and the RoleBinding with it.
#[tokio::test(start_paused = true)]
async fn a_namespace_that_may_not_be_read_holds_up_no_other() {
    let bench = Bench::among(namespaces(), |api, _, _| {
        for plural in ["wasmissuers", "certificaterequests"] {
            api.every(Call::ListNamespace(plural.to_owned(), "team-b".to_owned()), Fault::Code(403));
        }
        put_issuer(api, "team-b");
    });
    let web = put_request(&bench.api, "team-a", "WasmIssuer");
    bench.until_issued(&web).await;
    // The rights are there again.
    let late = put_request(&bench.api, "team-b", "WasmIssuer");
    bench.api.heal();
    bench.until_issued(&late).await;
}

#[tokio::test(start_paused = true)]
async fn a_list_of_one_namespace_takes_nothing_from_another() {
    let bench = Bench::among(namespaces(), |api, _, plugins| {
        put_issuer(api, "team-b");
        for _ in 0..2 {
            let rest = FailureKind::Retry { after: Some(Duration::from_secs(300)) };
            plugins.plugin("v1").signs(Answer::failure(rest));
        }
    });
    let web = ["team-a", "team-b"].map(|namespace| put_request(&bench.api, namespace, "WasmIssuer"));
    bench.api.until("both are asked", |_| bench.plugins.plugin("v1").asked().len() == 2).await;
    // One of the two is listed anew, of each kind.
    for plural in ["wasmissuers", "certificaterequests"] {
        bench.api.next(Call::Watch(plural.to_owned()), Fault::Code(410));
    }
    bench.api.break_watches();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(ready_ones(&bench), 2);
    for request in &web {
        bench.until_issued(request).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_new_list_of_a_namespace_lacks_is_gone() {
    let bench = Bench::among(namespaces(), |api, _, _| drop(put_issuer(api, "team-b")));
    bench.api.until("both are ready", |_| ready_ones(&bench) == 2).await;
    bench.api.hold("wasmissuers");
    bench.api.delete(&issuer("ca").0.in_namespace("team-b"));
    for _ in 0..2 {
        bench.api.next(Call::Watch("wasmissuers".to_owned()), Fault::Code(410));
    }
    bench.api.break_watches();
    bench.api.until("it is gone", |_| ready_ones(&bench) == 1).await;
    assert_eq!(ready(&bench.api, &bench.ca), CHECKED);
}

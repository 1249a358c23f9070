//! Requests for them to sign.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::channel::mpsc::UnboundedReceiver;
use futures::{StreamExt, stream};
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::Request as Call;
use serde_json::{Value, json};
use wasm_issuer_e2e::test::apply;
use wasm_issuer_e2e::{Csr, Kind, Test};

use crate::watch::{Change, watch};

/// Writes at a time, of what is not measured.
pub const WRITERS: usize = 32;

/// The name of a request.
pub fn name(n: usize) -> String {
    format!("web-{n}")
}

/// Make so many requests that nobody has approved. `issuer` says to whom each refers.
pub async fn make(t: &Test, count: usize, issuer: impl Fn(usize) -> Value) {
    let csr = Csr::for_host("a.example");
    let make = |n: usize| {
        let (csr, issuer) = (&csr, issuer(n));
        async move { drop(t.request(&name(n), issuer, csr, json!({})).await) }
    };
    stream::iter(0..count).map(make).buffer_unordered(WRITERS).collect::<()>().await;
}

/// Approve so many of them, as fast as can be.
pub async fn approve(t: &Test, count: usize) {
    let approve = |n: usize| async move { drop(t.approve(&name(n)).await) };
    stream::iter(0..count).map(approve).buffer_unordered(WRITERS).collect::<()>().await;
}

/// Make so many requests that have their certificates since long, and refer to this issuer.
pub async fn make_finished(t: &Test, count: usize, issuer: Value) {
    make(t, count, |_| issuer.clone()).await;
    let condition = |type_: &str, reason: &str| {
        json!({
            "type": type_, "status": "True", "reason": reason, "message": "Succeeded signing the CertificateRequest",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    };
    // What is in there nobody reads any more; it is as long as one.
    let certificate = BASE64_STANDARD.encode([b'-'; 800]);
    let status = json!({
        "conditions": [condition("Approved", "Test"), condition("Ready", "Issued")], "certificate": certificate,
    });
    let finish = |n: usize| {
        let patch = Patch::Merge(json!({"status": status}));
        let call = Call::new(Kind::CertificateRequest.collection(&t.namespace))
            .patch_subresource("status", &name(n), &PatchParams::default(), &patch)
            .expect("a request");
        async move { drop(t.client.request_text(call).await.expect("a status")) }
    };
    stream::iter(0..count).map(finish).buffer_unordered(WRITERS).collect::<()>().await;
}

/// The changes of the requests in the namespace from now on.
pub async fn watched(t: &Test) -> UnboundedReceiver<Change> {
    let path = Kind::CertificateRequest.collection(&t.namespace);
    let list = Call::new(&path).list(&ListParams::default().limit(1));
    let list: Value = t.client.request(list.expect("a request")).await.expect("a list");
    let version = list["metadata"]["resourceVersion"].as_str().expect("a version");
    watch(t.client.clone(), path, Some(version.to_owned()))
}

/// Delete all objects of a kind in the namespace. One call for all takes too long where they are many.
pub async fn delete(t: &Test, kind: Kind) {
    let params = ListParams::default().limit(500);
    loop {
        let list = Call::new(kind.collection(&t.namespace)).list(&params).expect("a request");
        let list: Value = t.client.request(list).await.expect("a list");
        let names = list["items"].as_array().into_iter().flatten();
        let names: Vec<&str> = names.filter_map(|object| object["metadata"]["name"].as_str()).collect();
        if names.is_empty() {
            return;
        }
        let delete = |name| async move { t.delete(kind, name).await };
        stream::iter(names).map(delete).buffer_unordered(WRITERS).collect::<()>().await;
    }
}

/// Make so many Issuers.
pub async fn make_issuers(t: &Test, count: usize, spec: impl Fn(usize) -> Value) {
    let make = |n: usize| {
        let spec = json!({"spec": spec(n)});
        async move { drop(apply(&t.client, Kind::WasmIssuer, &t.namespace, &issuer(n), spec).await) }
    };
    stream::iter(0..count).map(make).buffer_unordered(WRITERS).collect::<()>().await;
}

/// The name of an Issuer.
pub fn issuer(n: usize) -> String {
    format!("ca-{n}")
}

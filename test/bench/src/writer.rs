//! The limit: approved request in, finished status and Event out. It signs nothing: all get the same certificate.
//!
//! Like the operator it has one write on a request's path, many requests in flight, and the Events behind.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::StreamExt;
use futures::channel::mpsc;
use kube::Client;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Request as Call;
use serde_json::{Value, json};
use wasm_issuer_e2e::keys::{Ca, leaf_below};
use wasm_issuer_e2e::{KeyKind, Kind};

use crate::side::Side;
use crate::watch::{Request, watch};

const NAME: &str = "bare-writer.bench.wasm-issuer.dev";
/// Statuses that are written at a time; more are no faster.
const IN_FLIGHT: usize = 32;
/// The same of Events.
const EVENTS_IN_FLIGHT: usize = 8;

/// Finishes requests for ever.
pub async fn run(client: Client) {
    let certificate = ready_made();
    let (events, waiting) = mpsc::unbounded();
    let telling = waiting.for_each_concurrent(EVENTS_IN_FLIGHT, |request: Request| {
        let client = client.clone();
        async move { tell(&client, &request).await }
    });
    let path = format!("/apis/{}/certificaterequests", Kind::CertificateRequest.api_version());
    let changes = watch(client.clone(), path, None);
    let writing = changes.map(|(_, request)| request).filter(|request| {
        let issuer = &request.spec.issuer_ref;
        let is_ours = (issuer.group.as_str(), issuer.kind.as_str()) == Side::Limit.kind();
        std::future::ready(is_ours && request.is_approved() && !request.is_written())
    });
    let writing = writing.for_each_concurrent(IN_FLIGHT, |request| {
        let (client, certificate, events) = (&client, &certificate, &events);
        async move {
            if finish(client, &request, certificate).await {
                // Whoever waits for them does so as long as this runs.
                let _ = events.unbounded_send(request);
            }
        }
    });
    futures::join!(telling, writing);
}

/// A certificate as another one would look, as a status has it.
fn ready_made() -> String {
    let name = "bare writer";
    let leaf = leaf_below(name, &Ca::root(name, KeyKind::P256).key, "a.example");
    let body = BASE64_STANDARD.encode(leaf);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|l| std::str::from_utf8(l).expect("ASCII")).collect();
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
    BASE64_STANDARD.encode(pem)
}

/// Write the status as the operator does: onto the object that was read, or not at all.
async fn finish(client: &Client, request: &Request, certificate: &str) -> bool {
    let Request { metadata, .. } = request;
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let body = json!({
        "apiVersion": Kind::CertificateRequest.api_version(),
        "kind": "CertificateRequest",
        "metadata": {"resourceVersion": metadata.resource_version},
        "status": {
            "certificate": certificate,
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Issued", "lastTransitionTime": now,
                "message": "Succeeded signing the CertificateRequest",
            }],
        },
    });
    let call = Call::new(Kind::CertificateRequest.collection(&metadata.namespace))
        .patch_subresource("status", &metadata.name, &PatchParams::apply(NAME).force(), &Patch::Apply(&body))
        .expect("a request");
    match client.request_text(call).await {
        Ok(_) => true,
        // It has changed: the watch tells of it again.
        Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => false,
        Err(error) => panic!("cannot finish {}: {error}", metadata.name),
    }
}

async fn tell(client: &Client, request: &Request) {
    let Request { metadata, .. } = request;
    let event = json!({
        "apiVersion": Kind::Event.api_version(),
        "kind": "Event",
        "metadata": {"generateName": format!("{}-", metadata.name), "namespace": metadata.namespace},
        "eventTime": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
        "reportingController": NAME,
        "reportingInstance": NAME,
        "action": "Sign",
        "reason": "Issued",
        "type": "Normal",
        "note": "Succeeded signing the CertificateRequest",
        "regarding": {
            "apiVersion": Kind::CertificateRequest.api_version(), "kind": "CertificateRequest",
            "name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid,
        },
    });
    let call = Call::new(Kind::Event.collection(&metadata.namespace))
        .create(&PostParams::default(), serde_json::to_vec(&event).expect("JSON"));
    let _: Value = client.request(call.expect("a request")).await.expect("an Event");
}

//! The objects of both kinds at the API server: watched, read, and what is written to them.

use futures::stream::{BoxStream, StreamExt as _};
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestStatus};
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use serde::Serialize;
use tracing::warn;
use wasm_issuer_core::issuance::plan::RequestStatus;
use wasm_issuer_core::issuance::request_kind::RequestKind;
use wasm_issuer_core::issuance::write;

use super::observe::{Observed, RequestKey, RequestObject};
use super::{certificate_request, signing_request};
use crate::api::cert_manager::{CertificateRequest, CertificateRequestStatus};
use crate::operator::apply::path_segment;
use crate::operator::clock::now;
use crate::operator::namespaces::Part;
use crate::operator::watching;

/// What a watch has brought of a kind in a part. Requests for somebody else's issuers, and objects that cannot be read, are
/// none.
pub type Watched = (RequestKind, Part, Result<Event<Option<Observed>>, watcher::Error>);

/// Watch the objects of a kind in a part, for ever.
pub fn watch(client: Client, kind: RequestKind, part: Part) -> BoxStream<'static, Watched> {
    match (kind, &part) {
        (RequestKind::CertificateRequest, Some(namespace)) => {
            let api = Api::<DeserializeGuard<CertificateRequest>>::namespaced(client, namespace);
            follow(part, api)
        }
        (RequestKind::CertificateRequest, None) => follow::<CertificateRequest>(part, Api::all(client)),
        (RequestKind::CertificateSigningRequest, _) => {
            follow::<CertificateSigningRequest>(part, Api::all(client))
        }
    }
}

fn follow<K: RequestObject>(part: Part, api: Api<DeserializeGuard<K>>) -> BoxStream<'static, Watched> {
    let events = watching::follow(part, api, watching::config());
    events.map(|(part, event)| (K::KIND, part, event.map(read_event::<K>))).boxed()
}

fn read_event<K: RequestObject>(event: Event<DeserializeGuard<K>>) -> Event<Option<Observed>> {
    match event {
        Event::Init => Event::Init,
        Event::InitApply(guard) => Event::InitApply(read_guarded(guard)),
        Event::InitDone => Event::InitDone,
        Event::Apply(guard) => Event::Apply(read_guarded(guard)),
        Event::Delete(guard) => Event::Delete(read_guarded(guard)),
    }
}

fn read_guarded<K: RequestObject>(guard: DeserializeGuard<K>) -> Option<Observed> {
    match guard.0 {
        Ok(request) => request.observe(),
        Err(invalid) => {
            let (namespace, name) = (&invalid.metadata.namespace, &invalid.metadata.name);
            warn!(kind = %K::KIND, ?namespace, ?name, error = %invalid.error, "a request that cannot be read is ignored");
            None
        }
    }
}

/// What to look at where requests of a kind cannot be watched.
pub fn hint(kind: RequestKind) -> &'static str {
    match kind {
        RequestKind::CertificateRequest => "is cert-manager installed and may the ServiceAccount list them?",
        RequestKind::CertificateSigningRequest => {
            "may the ServiceAccount list them? --kubernetes-csrs=false does without"
        }
    }
}

/// A request as it is now; none if there is none of ours by that name.
pub async fn read(client: &Client, key: &RequestKey) -> kube::Result<Option<Observed>> {
    let (client, namespace) = (client.clone(), key.namespace.as_deref().unwrap_or_default());
    match key.kind {
        RequestKind::CertificateRequest => {
            read_one::<CertificateRequest>(Api::namespaced(client, namespace), &key.name).await
        }
        RequestKind::CertificateSigningRequest => {
            read_one::<CertificateSigningRequest>(Api::all(client), &key.name).await
        }
    }
}

async fn read_one<K: RequestObject>(api: Api<K>, name: &str) -> kube::Result<Option<Observed>> {
    Ok(api.get_opt(&path_segment(name)).await?.and_then(K::observe))
}

/// A status as it is written.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Written {
    CertificateRequest(CertificateRequestStatus),
    SigningRequest(CertificateSigningRequestStatus),
}

/// What is written to a request's object to say this; none where it has no place for more than it says already.
pub fn written(observed: &Observed, status: &RequestStatus) -> Option<Written> {
    match observed.key.kind {
        RequestKind::CertificateRequest => {
            Some(Written::CertificateRequest(certificate_request::status(status)))
        }
        RequestKind::CertificateSigningRequest => {
            signing_request::status(&observed.view, status, now()).map(Written::SigningRequest)
        }
    }
}

/// Tells the end that a status puts to a request from others; none if it puts none.
pub fn end(observed: &Observed, status: &RequestStatus) -> Option<u64> {
    match written(observed, status)? {
        Written::CertificateRequest(status) => certificate_request::end(&status),
        Written::SigningRequest(status) => signing_request::end(&status),
    }
}

/// Whether a status is what has become of a request, as its object was read, though no answer to its write has said so.
pub fn has_landed(status: &RequestStatus, found: &Observed) -> bool {
    match end(found, status) {
        Some(end) => found.end == Some(end),
        None => write::has_landed(status, &found.view),
    }
}

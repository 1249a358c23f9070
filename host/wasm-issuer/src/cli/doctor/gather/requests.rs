//! Certificates, and requests of both kinds, that have no certificate.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::ListParams;
use kube::core::{ApiResource, DeserializeGuard, DynamicObject};
use serde_json::Value;
use wasm_issuer_core::issuance::condition::{Condition, READY, TRUE, find};
use wasm_issuer_core::issuance::{FIELD_MANAGER, GROUP};

use super::look::Look;
use super::reader::Reader;
use crate::api::IssuerKind;
use crate::api::cert_manager::{self, CertificateRequest};
use crate::cli::doctor::facts::{Certificate, Request};
use crate::cli::doctor::finding::ObjectRef;
use crate::operator::RequestObject;

/// cert-manager's annotation with the revision of the Certificate that a request is for.
const REVISION: &str = "cert-manager.io/certificate-revision";
const CERTIFICATE: &str = "Certificate";
const REQUEST: &str = "CertificateRequest";
const SIGNING_REQUEST: &str = "CertificateSigningRequest";

/// What has no certificate.
#[derive(Default)]
pub struct Requests {
    /// Requests that are of no Certificate below.
    pub requests: Vec<Request>,
    pub certificates: Vec<Certificate>,
    /// What was asked for by name and is not there.
    pub missing: Vec<ObjectRef>,
}

/// A request, and of which Certificate it is.
struct Found {
    request: Request,
    /// The owner's uid and the revision.
    owner: Option<(String, u64)>,
}

/// Read what is to be looked at.
pub async fn read(reader: &Reader, look: &Look) -> Requests {
    let kind = look.object.as_ref().map(|object| object.kind.as_str());
    let (certificates, requests) = match kind {
        Some(SIGNING_REQUEST) => (vec![], vec![]),
        _ => (certificates(reader, look).await, certificate_requests(reader, look).await),
    };
    let signing_requests = match kind {
        None | Some(SIGNING_REQUEST) => signing_requests(reader, look).await,
        _ => vec![],
    };
    sort(look, certificates, requests, signing_requests)
}

/// Put requests to their Certificates, and leave out what is not asked for and what has come to its end well.
fn sort(
    look: &Look,
    all: Vec<Certificate>,
    requests: Vec<Found>,
    signing_requests: Vec<Request>,
) -> Requests {
    let is_wanted = |object: &ObjectRef| look.object.as_ref().is_none_or(|wanted| wanted == object);
    let mut newest: HashMap<String, (u64, Request)> = HashMap::new();
    let mut alone = Vec::new();
    let uids: HashSet<&str> = all.iter().map(|certificate| certificate.uid.as_str()).collect();
    for Found { request, owner } in requests {
        match owner.filter(|(uid, _)| {
            uids.contains(uid.as_str()) && look.object.as_ref().is_none_or(|o| o.kind != REQUEST)
        }) {
            Some((uid, revision)) if newest.get(&uid).is_none_or(|(known, _)| *known < revision) => {
                drop(newest.insert(uid, (revision, request)));
            }
            Some(_) => {}
            None => alone.push(request),
        }
    }
    let mut found = Requests::default();
    for mut certificate in all {
        let is_ready = find(&certificate.conditions, READY).is_some_and(|ready| ready.status == TRUE);
        certificate.request = newest.remove(&certificate.uid).map(|(_, request)| request);
        if is_wanted(&certificate.object) && (!is_ready || look.object.is_some()) {
            found.certificates.push(certificate);
        }
    }
    let issued = |request: &Request| request.view.ready().is_some_and(|ready| ready.status == TRUE);
    let requests = alone.into_iter().chain(signing_requests).filter(|request| is_wanted(&request.object));
    found.requests = requests.filter(|request| look.object.is_some() || !issued(request)).collect();
    let is_found = |wanted: &&ObjectRef| {
        let certificates = found.certificates.iter().map(|certificate| &certificate.object);
        certificates
            .chain(found.requests.iter().map(|request| &request.object))
            .any(|object| object == *wanted)
    };
    found.missing = look.object.iter().filter(|wanted| !is_found(wanted)).cloned().collect();
    found
}

async fn certificates(reader: &Reader, look: &Look) -> Vec<Certificate> {
    let resource = ApiResource {
        group: cert_manager::GROUP.to_owned(),
        version: "v1".to_owned(),
        api_version: format!("{}/v1", cert_manager::GROUP),
        kind: CERTIFICATE.to_owned(),
        plural: "certificates".to_owned(),
    };
    let client = reader.client.clone();
    let api: Api<DynamicObject> = match &look.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let all = reader.list(&api, ListParams::default()).await.unwrap_or_default();
    all.into_iter().filter_map(certificate).collect()
}

/// A Certificate that asks one of our kinds, or names one in another group.
fn certificate(object: DynamicObject) -> Option<Certificate> {
    let text = |value: &Value, default: &str| {
        value.as_str().filter(|text| !text.is_empty()).unwrap_or(default).to_owned()
    };
    let reference = &object.data["spec"]["issuerRef"];
    let (group, kind) = (text(&reference["group"], cert_manager::GROUP), text(&reference["kind"], "Issuer"));
    if group != GROUP && kind.parse::<IssuerKind>().is_err() {
        return None;
    }
    let conditions = object.data["status"]["conditions"].as_array();
    let conditions = conditions.into_iter().flatten().map(|condition| {
        let said = |field: &str| text(&condition[field], "");
        Condition {
            type_: said("type"),
            status: said("status"),
            reason: said("reason"),
            message: said("message"),
            last_transition: None,
            observed_generation: None,
        }
    });
    let conditions = conditions.collect();
    let issuer = text(&reference["name"], "");
    let ObjectMeta { name, namespace, uid, creation_timestamp, .. } = object.metadata;
    Some(Certificate {
        object: ObjectRef::new(CERTIFICATE, &namespace?, &name?),
        uid: uid?,
        created: creation_timestamp.map_or(Timestamp::UNIX_EPOCH, |at| at.0),
        group,
        kind,
        issuer,
        conditions,
        request: None,
    })
}

async fn certificate_requests(reader: &Reader, look: &Look) -> Vec<Found> {
    let client = reader.client.clone();
    let api = match &look.namespace {
        Some(namespace) => Api::<DeserializeGuard<CertificateRequest>>::namespaced(client, namespace),
        None => Api::all(client),
    };
    let all = reader.list(&api, ListParams::default()).await.unwrap_or_default();
    let found = |guard: DeserializeGuard<CertificateRequest>| {
        let object = guard.0.ok()?;
        let meta = &object.metadata;
        let owner = meta.owner_references.iter().flatten().find(|owner| owner.kind == CERTIFICATE).cloned();
        let revision = meta.annotations.as_ref().and_then(|all| all.get(REVISION)?.parse().ok()).unwrap_or(0);
        let mut request = request(object)?;
        request.certificate = owner.as_ref().map(|owner| owner.name.clone());
        Some(Found { request, owner: owner.map(|owner| (owner.uid, revision)) })
    };
    all.into_iter().filter_map(found).collect()
}

/// A request that is ours.
fn request<K: RequestObject>(object: K) -> Option<Request> {
    let observed = object.observe()?;
    let key = &observed.key;
    Some(Request {
        object: ObjectRef::new(key.kind.as_str(), key.namespace.as_deref().unwrap_or_default(), &key.name),
        refusal: observed.refusal().map(|why| why.message),
        issuer: observed.issuer,
        view: observed.view,
        certificate: None,
        warning: None,
    })
}

async fn signing_requests(reader: &Reader, look: &Look) -> Vec<Request> {
    let api = Api::<DeserializeGuard<CertificateSigningRequest>>::all(reader.client.clone());
    let all = reader.list(&api, ListParams::default()).await.unwrap_or_default();
    let ours = all.into_iter().filter_map(|guard| request(guard.0.ok()?));
    let is_asked = |request: &Request| {
        let namespace = request.issuer.as_ref().and_then(|issuer| issuer.namespace.as_ref());
        look.object.is_some() || look.namespace.is_none() || look.namespace.as_ref() == namespace
    };
    let mut requests: Vec<Request> = ours.filter(is_asked).collect();
    let events = Api::<Event>::namespaced(reader.client.clone(), "default");
    for request in requests.iter_mut().filter(|request| !request.view.is_finished()) {
        let about =
            format!("involvedObject.kind={SIGNING_REQUEST},involvedObject.name={}", request.object.name);
        let told = reader.list(&events, ListParams::default().fields(&about)).await.unwrap_or_default();
        request.warning =
            told.into_iter().filter(is_warning).max_by_key(when).and_then(|event| event.message);
    }
    requests
}

fn is_warning(event: &Event) -> bool {
    event.type_.as_deref() == Some("Warning") && event.reporting_component.as_deref() == Some(FIELD_MANAGER)
}

/// When an Event was told last.
fn when(event: &Event) -> Option<Timestamp> {
    let again = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
    again.or(event.event_time.as_ref()).map(|at| at.0)
}

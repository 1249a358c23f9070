//! An operator with some rights, and whether it does what they are for.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;
use wasm_issuer_core::issuance::approval::signer_name;
use wasm_issuer_core::issuance::condition::READY;
use wasm_issuer_core::issuance::signer::FailureKind;
use wasm_issuer_runtime::testing::net::Net;

use super::super::bench::{Bench, CHECKED, ISSUED};
use super::Behaviour;
use crate::api::{IssuerKey, IssuerKind};
use crate::operator::control_plane::ControlPlane;
use crate::operator::namespaces::Namespaces;
use crate::operator::testing::{
    Answer, Object, Replica, Rights, ScriptedApi, Setup, config_map, issuer, request, secret, signing_request,
};

/// An operator with some rights.
pub(super) struct Operator {
    pub(super) rights: Rights,
    pub(super) namespaces: Namespaces,
    /// Where the Issuer `ca` and the requests for it are.
    pub(super) place: String,
}

/// It happens within some seconds: before the next check, which comes in a minute.
pub(super) async fn soon(happens: impl Fn() -> bool) -> bool {
    for _ in 0..250 {
        if happens() {
            return true;
        }
        sleep(Duration::from_millis(20)).await;
    }
    false
}

impl Operator {
    /// It runs, with an Issuer of this kind whose spec is so.
    pub(super) fn start(&self, kind: IssuerKind, spec: &Value) -> (Bench, IssuerKey) {
        let key = self.key(kind, "ca");
        let bench = Bench::among(self.namespaces.clone(), |api, ca, _| {
            api.delete(ca);
            let (map, value) = config_map("plugin", "v1");
            api.put(&map.in_namespace(self.home(kind)), value);
            let (auth, value) = secret("auth");
            api.put(&auth.in_namespace(self.home(kind)), value);
            put(api, &key, spec);
            api.grant(self.rights.clone());
        });
        (bench, key)
    }

    /// Where what an Issuer names is.
    fn home(&self, kind: IssuerKind) -> &str {
        if kind == IssuerKind::Cluster { "operator" } else { &self.place }
    }

    fn key(&self, kind: IssuerKind, name: &str) -> IssuerKey {
        let namespace = (kind == IssuerKind::Namespaced).then(|| self.place.clone());
        IssuerKey { kind, namespace, name: name.to_owned() }
    }

    /// The same with an Issuer that is ready, and a request for it.
    async fn with_request(&self, answers: Vec<Answer>) -> (Bench, Object) {
        let (bench, key) = self.start(IssuerKind::Namespaced, &json!({}));
        let (web, value) = request("web");
        let web = web.in_namespace(&self.place);
        bench.api.put(&web, value);
        answers.into_iter().for_each(|answer| bench.plugins.plugin("v1").signs(answer));
        soon(|| is_ready(&bench, &key)).await;
        (bench, web)
    }

    /// A replica where there is this Lease, if any.
    fn replica(&self, lease: Option<&Value>) -> (ScriptedApi, Object, Replica) {
        let (api, namespace) = (ScriptedApi::new(), Some(self.place.clone()));
        let object = Object { plural: "leases".to_owned(), namespace, name: "wasm-issuer".to_owned() };
        if let Some(lease) = lease {
            api.put(&object, lease.clone());
        }
        api.grant(self.rights.clone());
        let setup = Setup { lease_namespace: self.place.clone(), ..Setup::default() };
        let replica = Replica::start(&api, "replica", &setup);
        (api, object, replica)
    }

    /// The same with an Issuer of this kind that is ready, and a CertificateSigningRequest for it whose requester may refer
    /// to it.
    async fn with_signing_request(&self, kind: IssuerKind) -> (Bench, IssuerKey, Object) {
        let (bench, key) = self.start(kind, &json!({}));
        soon(|| is_ready(&bench, &key)).await;
        bench.api.allow_reference("jane", &format!("{}/ca", self.place));
        let web = ask_kubernetes(&bench, &key, "web");
        (bench, key, web)
    }

    pub(super) async fn does(&self, behaviour: Behaviour) -> bool {
        let namespaced = IssuerKind::Namespaced;
        match behaviour {
            Behaviour::AnIssuerIsFound(kind) => {
                let (bench, key) = self.start(kind, &json!({}));
                soon(|| is_known(&bench, &key)).await
            }
            Behaviour::ANewIssuerIsNoticed(kind) => {
                let (bench, _) = self.start(kind, &json!({}));
                sleep(Duration::from_secs(1)).await;
                let new = self.key(kind, "new");
                put(&bench.api, &new, &json!({}));
                soon(|| is_known(&bench, &new)).await
            }
            Behaviour::ALongConfigurationIsRead(kind) => {
                let (bench, key) = self.start(kind, &json!({"config": {"key": "x".repeat(8 << 10)}}));
                soon(|| is_ready(&bench, &key)).await
            }
            Behaviour::AnIssuerIsToldThatItIsReady(kind) => {
                let (bench, key) = self.start(kind, &json!({}));
                soon(|| is_ready(&bench, &key)).await
            }
            Behaviour::ARequestIsFound => {
                let (bench, _) = self.with_request(vec![]).await;
                soon(|| asked(&bench) == 1).await
            }
            Behaviour::ANewRequestIsNoticed => {
                let (bench, _) = self.with_request(vec![]).await;
                soon(|| asked(&bench) == 1).await;
                let (new, value) = request("new");
                bench.api.put(&new.in_namespace(&self.place), value);
                soon(|| asked(&bench) == 2).await
            }
            Behaviour::ARequestForWhichThereWasNoRoomIsReadAgain => {
                let (bench, web) = self.with_request(vec![]).await;
                soon(|| is_issued(&bench, &web)).await;
                let mut share = bench.request_memory.share(&self.place);
                while share.grow(256).is_ok() {}
                let (late, value) = request("late");
                bench.api.put(&late.clone().in_namespace(&self.place), value);
                soon(|| is_issued(&bench, &late.clone().in_namespace(&self.place))).await
            }
            Behaviour::ACertificateIsWritten => {
                let (bench, web) = self.with_request(vec![]).await;
                soon(|| is_issued(&bench, &web)).await
            }
            Behaviour::ASigningRequestIsFound => {
                let (bench, ..) = self.with_signing_request(namespaced).await;
                soon(|| asked(&bench) == 1).await
            }
            Behaviour::ANewSigningRequestIsNoticed => {
                let (bench, key, _) = self.with_signing_request(namespaced).await;
                soon(|| asked(&bench) == 1).await;
                ask_kubernetes(&bench, &key, "new");
                soon(|| asked(&bench) == 2).await
            }
            Behaviour::ASigningRequestForWhichThereWasNoRoomIsReadAgain => {
                let (bench, key, web) = self.with_signing_request(namespaced).await;
                soon(|| has_certificate(&bench, &web)).await;
                let mut share = bench.request_memory.share(&self.place);
                while share.grow(256).is_ok() {}
                let late = ask_kubernetes(&bench, &key, "late");
                soon(|| has_certificate(&bench, &late)).await
            }
            Behaviour::ACertificateIsWrittenToASigningRequest(kind) => {
                let (bench, _, web) = self.with_signing_request(kind).await;
                soon(|| has_certificate(&bench, &web)).await
            }
            Behaviour::WhetherARequesterMayReferToAnIssuerIsKnown => {
                let (bench, _, web) = self.with_signing_request(namespaced).await;
                soon(|| has_certificate(&bench, &web)).await
            }
            Behaviour::APluginIsReadFromItsConfigMap => {
                let (bench, key) = self.start(namespaced, &json!({}));
                soon(|| is_ready(&bench, &key)).await
            }
            Behaviour::ANewPluginIsNoticedAtOnce => {
                let (bench, key) = self.start(namespaced, &json!({}));
                soon(|| is_ready(&bench, &key)).await;
                sleep(Duration::from_secs(5)).await;
                let (map, value) = config_map("plugin", "v2");
                bench.api.put(&map.in_namespace(&self.place), value);
                soon(|| bench.plugins.plugin("v2").checked() == 1).await
            }
            Behaviour::ASecretIsLent => {
                let (bench, key) = self.start(namespaced, &json!({"authSecretName": "auth"}));
                soon(|| is_ready(&bench, &key)).await
            }
            Behaviour::ANewSecretIsNoticedAtOnce => {
                let (bench, key) = self.start(namespaced, &json!({"authSecretName": "auth"}));
                soon(|| is_ready(&bench, &key)).await;
                sleep(Duration::from_secs(5)).await;
                let checked = bench.plugins.plugin("v1").checked();
                let auth = secret("auth").0.in_namespace(&self.place);
                bench.api.edit(&auth, |value| value["data"]["token"] = json!("bmV3"));
                soon(|| bench.plugins.plugin("v1").checked() > checked).await
            }
            Behaviour::AnEventIsPublished => {
                let (bench, _) = self.start(namespaced, &json!({}));
                soon(|| bench.api.told("Checked") == 1).await
            }
            Behaviour::ARepeatedWarningIsCounted => {
                let fails = || Answer::failure(FailureKind::Retry { after: None });
                let (bench, _) = self.with_request(vec![fails(), fails()]).await;
                soon(|| bench.api.told("RetryableError") == 2).await
            }
            Behaviour::TheApiServersEndpointsAreOutOfReach => {
                let api = ScriptedApi::new();
                put_endpoints(&api);
                api.grant(self.rights.clone());
                let egress = Arc::new(Net::default()).config();
                ControlPlane::new(api.client(), &egress, [], true).look().await;
                !egress.api_servers.get().is_empty()
            }
            Behaviour::ALeaseIsMade => {
                let (_api, _, replica) = self.replica(None);
                soon(|| replica.leads()).await
            }
            Behaviour::AReleasedLeaseIsTaken => {
                let (_api, _, replica) = self.replica(Some(&lease("", true)));
                soon(|| replica.leads()).await
            }
            Behaviour::AReleaseIsNoticedAtOnce => {
                let (api, object, replica) = self.replica(Some(&lease("another", true)));
                sleep(Duration::from_secs(1)).await;
                api.edit(&object, |lease| lease["spec"]["holderIdentity"] = "".into());
                soon(|| replica.leads()).await
            }
            Behaviour::ALeaseThatAPersonHasMadeIsTaken => {
                let (_api, _, replica) = self.replica(Some(&lease("", false)));
                soon(|| replica.leads()).await
            }
        }
    }
}

pub(super) fn put(api: &ScriptedApi, key: &IssuerKey, spec: &Value) {
    let (_, mut value) = issuer(&key.name);
    value["kind"] = key.kind.as_str().into();
    for (field, given) in spec.as_object().unwrap() {
        value["spec"][field] = given.clone();
    }
    api.put(&object(key), value);
}

pub(super) fn object(key: &IssuerKey) -> Object {
    let IssuerKey { kind, namespace, name } = key.clone();
    Object { plural: kind.plural().to_owned(), namespace, name }
}

/// A Lease with this holder, and with the label by which replicas watch theirs, or without.
fn lease(holder: &str, is_labelled: bool) -> Value {
    let labels = if is_labelled { json!({"wasm-issuer.dev/lease": "wasm-issuer"}) } else { json!({}) };
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"labels": labels},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15},
    })
}

/// Somebody asks an Issuer for a certificate by a CertificateSigningRequest.
fn ask_kubernetes(bench: &Bench, issuer: &IssuerKey, name: &str) -> Object {
    let signer = signer_name(issuer.kind.plural(), issuer.namespace.as_deref(), &issuer.name);
    let (request, value) = signing_request(name, &signer);
    bench.api.put(&request, value);
    request
}

fn put_endpoints(api: &ScriptedApi) {
    let (plural, namespace) = ("endpointslices".to_owned(), Some("default".to_owned()));
    let slice = Object { plural, namespace, name: "kubernetes".to_owned() };
    let endpoints = json!([{"addresses": ["172.18.0.2"]}]);
    api.put(
        &slice,
        json!({
            "metadata": {"labels": {"kubernetes.io/service-name": "kubernetes"}},
            "addressType": "IPv4", "endpoints": endpoints, "ports": [{"port": 6443}],
        }),
    );
}

fn is_known(bench: &Bench, key: &IssuerKey) -> bool {
    bench.registry.find(key).0.is_some()
}

pub(super) fn is_ready(bench: &Bench, key: &IssuerKey) -> bool {
    bench.api.condition(&object(key), READY).as_deref() == Some(CHECKED)
}

fn is_issued(bench: &Bench, request: &Object) -> bool {
    bench.api.condition(request, READY).as_deref() == Some(ISSUED)
}

fn has_certificate(bench: &Bench, request: &Object) -> bool {
    bench.api.get(request).is_some_and(|value| value["status"]["certificate"].is_string())
}

/// How many requests the plugin was asked to sign.
fn asked(bench: &Bench) -> usize {
    let mut names: Vec<String> = bench.plugins.plugin("v1").asked().into_iter().map(|r| r.name).collect();
    names.sort();
    names.dedup();
    names.len()
}

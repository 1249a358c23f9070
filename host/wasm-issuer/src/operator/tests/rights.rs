//! What each right of the manifests is for: without it, something that is named here does not happen.

mod operator;

use std::time::Duration;

use operator::{Operator, is_ready, object, put, soon};
use serde_json::json;
use tokio::time::sleep;
use wasm_issuer_core::issuance::approval::signer_name;
use wasm_issuer_core::issuance::condition::READY;

use crate::api::{IssuerKey, IssuerKind};
use crate::operator::namespaces::Namespaces;
use crate::operator::testing::{Right, Rights, secret};

/// What the operator does, each by one right.
#[derive(Clone, Copy, Debug)]
enum Behaviour {
    AnIssuerIsFound(IssuerKind),
    ANewIssuerIsNoticed(IssuerKind),
    ALongConfigurationIsRead(IssuerKind),
    AnIssuerIsToldThatItIsReady(IssuerKind),
    ARequestIsFound,
    ANewRequestIsNoticed,
    ARequestForWhichThereWasNoRoomIsReadAgain,
    ACertificateIsWritten,
    ASigningRequestIsFound,
    ANewSigningRequestIsNoticed,
    ASigningRequestForWhichThereWasNoRoomIsReadAgain,
    ACertificateIsWrittenToASigningRequest(IssuerKind),
    WhetherARequesterMayReferToAnIssuerIsKnown,
    APluginIsReadFromItsConfigMap,
    ANewPluginIsNoticedAtOnce,
    ASecretIsLent,
    ANewSecretIsNoticedAtOnce,
    AnEventIsPublished,
    ARepeatedWarningIsCounted,
    TheApiServersEndpointsAreOutOfReach,
    ALeaseIsMade,
    AReleasedLeaseIsTaken,
    AReleaseIsNoticedAtOnce,
    ALeaseThatAPersonHasMadeIsTaken,
}

/// What needs a right. None: nothing does.
fn use_of(right: &Right) -> Option<Behaviour> {
    use Behaviour::*;
    let (resource, group) = right.resource.split_once('.').unwrap_or((&right.resource, ""));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let issuer = IssuerKind::ALL.into_iter().find(|kind| kind.plural() == resource);
    Some(match (right.verb.as_str(), resource, subresource, group) {
        ("list", _, "", "wasm-issuer.dev") => AnIssuerIsFound(issuer?),
        ("watch", _, "", "wasm-issuer.dev") => ANewIssuerIsNoticed(issuer?),
        ("get", _, "", "wasm-issuer.dev") => ALongConfigurationIsRead(issuer?),
        ("patch", _, "status", "wasm-issuer.dev") => AnIssuerIsToldThatItIsReady(issuer?),
        ("list", "certificaterequests", "", "cert-manager.io") => ARequestIsFound,
        ("watch", "certificaterequests", "", "cert-manager.io") => ANewRequestIsNoticed,
        ("get", "certificaterequests", "", "cert-manager.io") => ARequestForWhichThereWasNoRoomIsReadAgain,
        ("patch", "certificaterequests", "status", "cert-manager.io") => ACertificateIsWritten,
        ("list", "certificatesigningrequests", "", "certificates.k8s.io") => ASigningRequestIsFound,
        ("watch", "certificatesigningrequests", "", "certificates.k8s.io") => ANewSigningRequestIsNoticed,
        ("get", "certificatesigningrequests", "", "certificates.k8s.io") => {
            ASigningRequestForWhichThereWasNoRoomIsReadAgain
        }
        ("patch", "certificatesigningrequests", "status", "certificates.k8s.io") => {
            ACertificateIsWrittenToASigningRequest(IssuerKind::Cluster)
        }
        ("sign", "signers", "", "certificates.k8s.io") => {
            ACertificateIsWrittenToASigningRequest(signed_for(right.name.as_deref()?)?)
        }
        ("create", "subjectaccessreviews", "", "authorization.k8s.io") => {
            WhetherARequesterMayReferToAnIssuerIsKnown
        }
        ("get", "configmaps", "", "") => APluginIsReadFromItsConfigMap,
        ("list" | "watch", "configmaps", "", "") => ANewPluginIsNoticedAtOnce,
        ("get", "secrets", "", "") => ASecretIsLent,
        ("list" | "watch", "secrets", "", "") => ANewSecretIsNoticedAtOnce,
        ("create", "events", "", "events.k8s.io") => AnEventIsPublished,
        ("patch", "events", "", "events.k8s.io") => ARepeatedWarningIsCounted,
        ("list", "endpointslices", "", "discovery.k8s.io") => TheApiServersEndpointsAreOutOfReach,
        ("list" | "create", "leases", "", "coordination.k8s.io") => ALeaseIsMade,
        ("update", "leases", "", "coordination.k8s.io") => AReleasedLeaseIsTaken,
        ("watch", "leases", "", "coordination.k8s.io") => AReleaseIsNoticedAtOnce,
        ("get", "leases", "", "coordination.k8s.io") => ALeaseThatAPersonHasMadeIsTaken,
        _ => return None,
    })
}

/// The kind of Issuers that this name of signers is for.
fn signed_for(signers: &str) -> Option<IssuerKind> {
    IssuerKind::ALL.into_iter().find(|kind| signers == signer_name(kind.plural(), None, "*"))
}

fn manifest(file: &str) -> String {
    let path = format!("{}/../../deploy/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Each right is needed for what it is said to be for, and all together are enough for that.
async fn each_is_needed(manifest: &str, namespaces: &Namespaces) {
    let all = Rights::of(manifest);
    assert!(!all.each().is_empty());
    for right in all.each() {
        let Some(behaviour) = use_of(right) else { panic!("nothing is known to need: {right}") };
        let place = right.namespace.clone().filter(|namespace| namespace != "default");
        let place = place.unwrap_or_else(|| "team-a".to_owned());
        let with = |rights| Operator { rights, namespaces: namespaces.clone(), place: place.clone() };
        assert!(with(all.clone()).does(behaviour).await, "{behaviour:?} does not happen with all rights");
        assert!(!with(all.without(right)).does(behaviour).await, "{behaviour:?} does not need: {right}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_right_of_the_manifests_is_needed() {
    each_is_needed(&manifest("install.yaml"), &Namespaces::All).await;
}

#[tokio::test(start_paused = true)]
async fn every_right_of_a_teams_own_operator_is_needed() {
    let namespaces = Namespaces::of(&["team-a".to_owned(), "team-b".to_owned()]).unwrap();
    let manifest = manifest("install-team.yaml");
    each_is_needed(&manifest, &namespaces).await;
    assert!(!manifest.contains("ClusterRole"), "Roles are all that it has");
    assert!(manifest.contains("team-a,team-b"));
}

/// Secrets may be read by their names, and neither listed nor watched.
#[tokio::test(start_paused = true)]
async fn rights_on_secrets_by_name_are_enough() {
    let by_name = |verbs: &str| {
        let role = manifest("install-team.yaml");
        let rule = "    resources: [secrets]\n    verbs: [get, list, watch]\n";
        assert_eq!(role.matches(rule).count(), 2, "one for each namespace");
        role.replace(
            rule,
            &format!("    resources: [secrets]\n    verbs: [{verbs}]\n    resourceNames: [auth]\n"),
        )
    };
    let operator = |verbs: &str| Operator {
        rights: Rights::of(&by_name(verbs)),
        namespaces: Namespaces::of(&["team-a".to_owned(), "team-b".to_owned()]).unwrap(),
        place: "team-b".to_owned(),
    };
    assert!(operator("get").does(Behaviour::ASecretIsLent).await);
    assert!(!operator("get").does(Behaviour::ANewSecretIsNoticedAtOnce).await);
    assert!(operator("get, list, watch").does(Behaviour::ANewSecretIsNoticedAtOnce).await);

    // Without a watch it is read with each check.
    let (bench, key) = operator("get").start(IssuerKind::Namespaced, &json!({"authSecretName": "auth"}));
    assert!(soon(|| is_ready(&bench, &key)).await);
    let auth = secret("auth").0.in_namespace("team-b");
    bench.api.edit(&auth, |value| value["data"]["token"] = json!("bmV3"));
    let opened = bench.plugins.plugin("v1").configs().len();
    sleep(Duration::from_secs(70)).await;
    assert_eq!(bench.plugins.plugin("v1").configs().len(), opened + 1, "a session with the new one");
    // A Secret that is not granted is told by its name.
    let other = IssuerKey { name: "other".to_owned(), ..key };
    put(&bench.api, &other, &json!({"authSecretName": "other"}));
    let told = || bench.api.condition(&object(&other), READY).unwrap_or_default();
    assert!(soon(|| told().contains(r#"could not read Secret "team-b/other""#)).await, "{}", told());
}

//! What becomes of Kubernetes' own CertificateSigningRequests.

mod audited;
mod lasting;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;
use wasm_issuer_core::issuance::condition::{Condition, FALSE, READY};
use wasm_issuer_core::issuance::reason::ConditionReason;
use wasm_issuer_core::issuance::request_kind::RequestKind;
use wasm_issuer_core::issuance::signer::FailureKind;

use super::{Bench, a_while, annotate, certificate, issuer_key, within};
use crate::api::IssuerKind;
use crate::operator::audit::Audit;
use crate::operator::registry::IssuerEntry;
use crate::operator::testing::{Answer, Call, Fault, Object, ScriptedApi, ScriptedSigner, signing_request};

const PLURAL: &str = "certificatesigningrequests";
const OF_TEAM: &str = "wasmissuers.wasm-issuer.dev/team-a.ca";
const OF_CLUSTER: &str = "wasmclusterissuers.wasm-issuer.dev/ca";
const ISSUED: &str = "Issued: Succeeded signing the CertificateSigningRequest";

/// One request, `web`, of this signer, as `change` makes it, and these answers of the plugin. Its user may refer to `ca`.
fn with(
    signer_name: &str,
    change: impl FnOnce(&mut Value),
    answers: impl IntoIterator<Item = Answer>,
) -> (Bench, Object) {
    let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
    api.allow_reference("jane", "team-a/ca");
    answers.into_iter().for_each(|answer| signer.signs(answer));
    let web = ask(&api, "web", signer_name, change);
    (Bench::start(&api, &signer), web)
}

fn ask(api: &ScriptedApi, name: &str, signer_name: &str, change: impl FnOnce(&mut Value)) -> Object {
    let (web, mut value) = signing_request(name, signer_name);
    change(&mut value);
    api.put(&web, value);
    web
}

fn as_it_is(_: &mut Value) {}

fn unapproved(value: &mut Value) {
    value["status"] = json!({});
}

fn decide(api: &ScriptedApi, web: &Object, decision: &str) {
    let decided = json!([{"type": decision, "status": "True", "reason": "AdminSaysSo"}]);
    api.edit(web, |value| value["status"]["conditions"] = decided);
}

async fn until_issued(bench: &Bench, web: &Object) {
    bench.api.until("a certificate", |api| certificate(api, web).is_some()).await;
}

async fn until_failed(bench: &Bench, web: &Object, failed: &str) {
    bench.api.until(failed, |api| api.condition(web, "Failed").as_deref() == Some(failed)).await;
}

/// The Events but those about what the certificate lacks.
fn events(bench: &Bench) -> Vec<String> {
    let mut events = bench.api.events();
    events.retain(|event| !event.starts_with("CertificateDiffers"));
    events
}

/// The types of the conditions.
fn types(api: &ScriptedApi, web: &Object) -> Vec<String> {
    let value = api.get(web).unwrap();
    let conditions = value["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().map(|c| c["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_approved_one_gets_its_certificate_in_one_write() {
    for signer_name in [OF_TEAM, OF_CLUSTER] {
        let (bench, web) = with(signer_name, as_it_is, []);
        until_issued(&bench, &web).await;
        a_while().await;
        assert!(certificate(&bench.api, &web).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
        assert_eq!(types(&bench.api, &web), ["Approved"], "it has no Ready");
        assert_eq!((bench.asked(), bench.times_written(&web)), (1, 1));
        assert_eq!(events(&bench), [ISSUED]);
        let asked = bench.signer.asked().remove(0);
        assert_eq!((asked.namespace, asked.name.as_str(), asked.is_ca), (None, "web", false));
        assert_eq!((asked.requester.username.as_str(), asked.requester.uid.as_str()), ("jane", "u-1"));
        assert_eq!(asked.requester.extra, [("scopes".to_owned(), vec!["a".to_owned(), "b".to_owned()])]);
        assert_eq!(asked.usages, ["digital signature", "server auth"]);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_nobody_approved_is_left_alone_but_for_an_event() {
    let (bench, web) = with(OF_TEAM, unapproved, []);
    sleep(Duration::from_secs(50)).await;
    assert_eq!(bench.api.events(), [] as [String; 0]);
    a_while().await;
    assert_eq!((bench.asked(), bench.times_written(&web), bench.api.reviews().len()), (0, 0, 0));
    let told = bench.api.events();
    assert!(
        told.len() == 1
            && told[0].contains(r#"signers.certificates.k8s.io named "wasmissuers.wasm-issuer.dev/*""#)
    );
    decide(&bench.api, &web, "Approved");
    until_issued(&bench, &web).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_denied_or_failed_is_left_alone() {
    for decision in ["Denied", "Failed"] {
        let (bench, web) = with(OF_CLUSTER, unapproved, []);
        decide(&bench.api, &web, decision);
        a_while().await;
        assert_eq!((bench.asked(), bench.times_written(&web)), (0, 0), "{decision}");
        assert_eq!(bench.api.events(), [] as [String; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn who_may_not_refer_to_the_issuer_gets_nothing_and_learns_nothing() {
    for is_there in [true, false] {
        let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
        // Neither of these is the right that is asked for.
        api.allow_reference("jane", "team-b/ca");
        api.allow_reference("joe", "team-a/ca");
        let bench = Bench::start(&api, &signer);
        if !is_there {
            bench.registry.remove(&issuer_key(IssuerKind::Namespaced), "issuer");
        }
        let web = ask(&api, "web", OF_TEAM, as_it_is);
        let why = "Requester may not reference WasmIssuer team-a/ca: that takes the verb \"reference\" on \
                   signers.cert-manager.io named \"ca\" in the namespace team-a";
        until_failed(&bench, &web, &format!("True DeniedReference: {why}")).await;
        a_while().await;
        assert_eq!((bench.asked(), bench.times_written(&web)), (0, 1));
        assert_eq!(api.events(), [format!("DeniedReference: {why}")]);
        let attributes = |name: &str| {
            json!({"group": "cert-manager.io", "version": "*", "resource": "signers", "verb": "reference",
                   "namespace": "team-a", "name": name})
        };
        let reviewed = |name: &str| {
            json!({"user": "jane", "uid": "u-1", "groups": ["dev"], "extra": {"scopes": ["a", "b"]},
                   "resourceAttributes": attributes(name)})
        };
        assert_eq!(api.reviews(), [reviewed("ca"), reviewed("*")], "as cert-manager asks");
    }
}

#[tokio::test(start_paused = true)]
async fn who_may_refer_to_all_issuers_of_the_namespace_may_refer_to_each() {
    let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
    api.allow_reference("jane", "team-a/*");
    let web = ask(&api, "web", OF_TEAM, as_it_is);
    until_issued(&Bench::start(&api, &signer), &web).await;
}

#[tokio::test(start_paused = true)]
async fn a_right_that_cannot_be_reviewed_is_no_right_and_no_failure() {
    let (bench, web) = with(OF_TEAM, as_it_is, []);
    bench.api.every(Call::Review, Fault::Code(403));
    sleep(Duration::from_secs(600)).await;
    assert_eq!((bench.asked(), bench.times_written(&web)), (0, 0));
    let reviews = bench.api.count(&Call::Review);
    assert!((10..30).contains(&reviews), "{reviews}");
    assert!(
        bench.api.events()[0]
            .starts_with("UnexpectedError: Got an unexpected error while processing the Cert")
    );
    bench.api.heal();
    until_issued(&bench, &web).await;
    assert_eq!(bench.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_right_that_was_taken_back_ends_the_tries() {
    let retry = Answer::failure(FailureKind::Retry { after: None });
    let (bench, web) = with(OF_TEAM, as_it_is, [retry]);
    bench.api.until("a try", |_| bench.asked() == 1).await;
    bench.api.forbid_reference("jane", "team-a/ca");
    bench.api.until("the end", |api| api.condition(&web, "Failed").is_some()).await;
    a_while().await;
    assert_eq!(bench.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn requests_of_other_signers_are_left_alone() {
    for signer_name in
        ["kubernetes.io/kubelet-serving", "issuers.cert-manager.io/team-a.ca", "x.wasm-issuer.dev/ca"]
    {
        let (bench, web) = with(signer_name, as_it_is, []);
        a_while().await;
        assert_eq!((bench.asked(), bench.times_written(&web)), (0, 0), "{signer_name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_no_issuer_can_have_fails_once_it_is_approved() {
    let (bench, web) = with("wasmissuers.wasm-issuer.dev/ca", unapproved, []);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(bench.times_written(&web), 0);
    decide(&bench.api, &web, "Approved");
    let why = "CertificateSigningRequest has failed permanently: spec.signerName: behind \"wasmissuers.wasm-issuer.dev/\" \
               must be <namespace>.<name> of a WasmIssuer";
    until_failed(&bench, &web, &format!("True Failed: {why}")).await;
    assert_eq!(bench.api.events(), [format!("PermanentError: {why}")]);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_missing_or_not_ready_is_waited_for_with_events_alone() {
    let (bench, web) = with(OF_TEAM, unapproved, []);
    let key = issuer_key(IssuerKind::Namespaced);
    let serving = bench.registry.find(&key).0.unwrap();
    bench.registry.remove(&key, "issuer");
    decide(&bench.api, &web, "Approved");
    sleep(Duration::from_secs(5)).await;
    // A change of the request that is news tells nothing new.
    annotate(&bench.api, &web, "a");
    sleep(Duration::from_secs(5)).await;
    let missing = "WaitingForIssuerExist: WasmIssuer.wasm-issuer.dev \"team-a/ca\" not found. Waiting for it to be created.";
    assert_eq!(bench.api.events(), [missing]);

    let not_ready =
        Condition::new(READY, FALSE, ConditionReason::Pending, "Not ready yet: 503", jiff::Timestamp::now());
    let entry = IssuerEntry { ready: Some(not_ready.observing(1)), serving: None, ..serving.clone() };
    bench.registry.observe(&key, "issuer", 1, true);
    bench.registry.put(&key, entry);
    sleep(Duration::from_secs(5)).await;
    let waits = "WaitingForIssuerReady: Waiting for issuer to become ready. Current issuer ready condition is \"Pending\": \
                 Not ready yet: 503.";
    assert_eq!(bench.api.events(), [missing, waits]);
    assert_eq!(bench.times_written(&web), 0);

    bench.registry.put(&key, serving);
    until_issued(&bench, &web).await;
    assert_eq!((bench.asked(), bench.times_written(&web)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_by_annotations_reaches_the_plugin() {
    let annotated = |value: &mut Value| {
        value["spec"]["expirationSeconds"] = 3600.into();
        value["metadata"]["annotations"] = json!({
            "experimental.cert-manager.io/request-duration": "2h",
            "experimental.cert-manager.io/request-is-ca": "true",
        });
    };
    let (bench, web) = with(OF_CLUSTER, annotated, [Answer::failure(FailureKind::Permanent)]);
    let why = "CertificateSigningRequest has failed permanently: scripted";
    until_failed(&bench, &web, &format!("True Failed: {why}")).await;
    assert_eq!(bench.api.events(), [format!("PermanentError: {why}")]);
    assert_eq!(types(&bench.api, &web), ["Approved", "Failed"]);
    let asked = bench.signer.asked().remove(0);
    assert_eq!((asked.is_ca, asked.duration), (true, Duration::from_secs(7200)));
    assert_eq!(asked.usages, ["digital signature", "server auth"], "as the API has them");
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_below_ten_minutes_fails() {
    let short = |value: &mut Value| {
        value["metadata"]["annotations"] = json!({"experimental.cert-manager.io/request-duration": "9m59s"});
    };
    let (bench, web) = with(OF_CLUSTER, short, []);
    let why = "CertificateSigningRequest minimum allowed duration is 10m, requested 9m59s";
    until_failed(&bench, &web, &format!("True InvalidDuration: {why}")).await;
    assert_eq!((bench.asked(), bench.api.events()), (0, vec![format!("InvalidDuration: {why}")]));
}

#[tokio::test(start_paused = true)]
async fn the_kinds_are_told_apart_though_names_are_the_same() {
    let (bench, web) = with(OF_CLUSTER, as_it_is, []);
    let other = bench.ask("web");
    bench.until_issued(&other).await;
    until_issued(&bench, &web).await;
    // A list of one kind says nothing of the other.
    bench.api.break_watches();
    let late = ask(&bench.api, "late", OF_CLUSTER, as_it_is);
    within(Duration::from_secs(30), until_issued(&bench, &late)).await;
    assert_eq!(bench.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_needs_escaping_leads_to_its_own_object() {
    let (bench, web) = with(OF_CLUSTER, unapproved, []);
    let odd = ask(&bench.api, "web?x=1#Ä %", OF_CLUSTER, as_it_is);
    until_issued(&bench, &odd).await;
    assert_eq!((bench.times_written(&web), certificate(&bench.api, &web)), (0, None));
}

#[tokio::test(start_paused = true)]
async fn where_they_are_switched_off_they_are_not_even_watched() {
    let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
    let web = ask(&api, "web", OF_CLUSTER, as_it_is);
    let bench = Bench::start_for(&[RequestKind::CertificateRequest], &api, &signer, Audit::off());
    bench.until_issued(&bench.ask("other")).await;
    a_while().await;
    assert_eq!(certificate(&api, &web), None);
    assert_eq!(api.count(&Call::List(PLURAL.to_owned())) + api.count(&Call::Watch(PLURAL.to_owned())), 0);
}

//! What the audit says of CertificateSigningRequests, and what is told of those whose write got no answer.

use serde_json::{Value, json};
use wasm_issuer_core::issuance::request_kind::RequestKind;
use wasm_issuer_core::issuance::signer::FailureKind;

use super::super::{Bench, a_while, annotate, certificate};
use super::{
    ISSUED, OF_CLUSTER, OF_TEAM, PLURAL, as_it_is, ask, decide, events, unapproved, until_issued, with,
};
use crate::operator::testing::{Answer, Call, Fault, Paper, ScriptedApi, ScriptedSigner};

#[tokio::test(start_paused = true)]
async fn each_decision_is_one_line() {
    let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
    api.allow_reference("jane", "team-a/ca");
    signer.fails("failed", FailureKind::Permanent);
    let annotated = |duration: &'static str| {
        move |value: &mut Value| {
            let of_cert_manager = "experimental.cert-manager.io/request-duration";
            value["metadata"]["annotations"] = json!({of_cert_manager: duration});
        }
    };
    ask(&api, "issued", OF_TEAM, annotated("2h"));
    ask(&api, "failed", OF_CLUSTER, as_it_is);
    ask(&api, "short", OF_CLUSTER, annotated("1m"));
    ask(&api, "stranger", OF_TEAM, |value| value["spec"]["username"] = "joe".into());
    let denied = ask(&api, "denied", OF_CLUSTER, unapproved);
    ask(&api, "unapproved", OF_CLUSTER, unapproved);
    let paper = Paper::default();
    let audit = paper.audit();
    let _bench = Bench::start_for(&RequestKind::ALL, &api, &signer, audit.clone());
    a_while().await;
    decide(&api, &denied, "Denied");
    a_while().await;
    // Somebody labels it, and the watch begins anew: it was told.
    annotate(&api, &denied, "later");
    api.break_watches();
    a_while().await;

    let mut records = paper.records(&audit);
    records.sort_by_key(|record| record["object"]["name"].to_string());
    let told = |record: &Value| {
        let fields = ["/object/name", "/decision", "/written", "/reason"];
        fields.map(|field| record.pointer(field).unwrap().as_str().unwrap().to_owned()).join(" ")
    };
    let all = [
        "denied denied yes AdminSaysSo",
        "failed failed yes Failed",
        "issued issued yes Issued",
        "short refused yes InvalidDuration",
        "stranger refused yes DeniedReference",
    ];
    assert_eq!(records.iter().map(told).collect::<Vec<_>>(), all);
    let denied = &records[0];
    assert_eq!((&denied["attempts"], &denied["requester"]["username"]), (&json!(0), &json!("jane")));
    assert_eq!(denied["issuer"]["uid"], "issuer");
    let issued = &records[2];
    let object = issued["object"].as_object().unwrap();
    assert_eq!((object.get("namespace"), &object["kind"]), (None, &json!("CertificateSigningRequest")));
    assert_eq!(issued["requester"], json!({"username": "jane", "uid": "u-1", "groups": ["dev"]}));
    let asked = &issued["asked"];
    assert_eq!(asked["usages"], json!(["digital signature", "server auth"]));
    assert_eq!((&asked["durationSeconds"], &asked["isCA"]), (&json!(7200), &json!(false)));
    let issuer =
        json!({"kind": "WasmIssuer", "namespace": "team-a", "name": "ca", "uid": "issuer", "generation": 1});
    assert_eq!(issued["issuer"], issuer);
    assert_eq!(issued["certificate"]["issuer"], "CN=Scripted CA");
}

#[tokio::test(start_paused = true)]
async fn a_write_without_an_answer_is_told_once_whoever_brings_what_became_of_it() {
    for is_watched in [true, false] {
        let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
        let paper = Paper::default();
        let audit = paper.audit();
        let bench = Bench::start_for(&RequestKind::ALL, &api, &signer, audit.clone());
        let web = ask(&api, "web", OF_CLUSTER, unapproved);
        a_while().await;
        api.next(Call::WriteStatus(web.clone()), Fault::AnswerLost);
        decide(&api, &web, "Approved");
        bench.api.until("the call", |_| bench.asked() == 1).await;
        if !is_watched {
            api.hold(PLURAL);
        }
        until_issued(&bench, &web).await;
        a_while().await;
        assert_eq!((bench.asked(), bench.times_written(&web)), (1, 1), "{is_watched}");
        assert_eq!(events(&bench).last().map(String::as_str), Some(ISSUED), "{is_watched}");
        let records = paper.records(&audit);
        assert_eq!(records.len(), 1, "{is_watched}: {records:?}");
        assert_eq!((&records[0]["decision"], &records[0]["written"]), (&json!("issued"), &json!("yes")));
    }
}

/// It is finished, and not by what this process was about to write.
#[tokio::test(start_paused = true)]
async fn the_certificate_of_somebody_else_is_not_told_as_ours() {
    let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
    let paper = Paper::default();
    let audit = paper.audit();
    let web = ask(&api, "web", OF_CLUSTER, as_it_is);
    let (other, pem) = (web.clone(), "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==");
    let overtaken = Fault::overtaken(move |api| {
        // The operator reads it; the watch would be there first.
        api.hold(PLURAL);
        api.edit(&other, |value| value["status"]["certificate"] = pem.into());
    });
    api.next(Call::WriteStatus(web.clone()), overtaken);
    let bench = Bench::start_for(&RequestKind::ALL, &api, &signer, audit.clone());
    until_issued(&bench, &web).await;
    a_while().await;
    assert_eq!(certificate(&api, &web).unwrap(), "-----BEGIN CERTIFICATE-----\n");
    assert_eq!(events(&bench), [] as [String; 0]);
    let records = paper.records(&audit);
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!((&records[0]["decision"], &records[0]["written"]), (&json!("issued"), &json!("no")));
}

/// The conditions of an order say whether its write has landed; what Ready would say is not among them.
#[tokio::test(start_paused = true)]
async fn an_order_whose_write_landed_without_an_answer_is_told_at_once() {
    let (bench, web) = with(OF_TEAM, as_it_is, [Answer::pending("order-7")]);
    bench.api.next(Call::WriteStatus(web.clone()), Fault::AnswerLost);
    until_issued(&bench, &web).await;
    a_while().await;
    assert_eq!(bench.signer.tokens(), [None, Some("order-7".to_owned())]);
    assert_eq!((bench.times_written(&web), events(&bench).len()), (2, 2), "{:?}", events(&bench));
}

//! What is not published of a plugin's answer, and what comes of the request.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use tokio::time::sleep;
use wasm_issuer_core::issuance::condition::READY;
use wasm_issuer_core::issuance::verify::Mode;

use super::bench::{Bench, CHECKED, ISSUED};
use crate::operator::testing::{ANOTHER_CA, Answer, Object, ScriptedApi, secret};
use crate::policy::Policy;

/// Both sides, ready, with these answers to come, and a request.
async fn asking(answers: impl IntoIterator<Item = Answer>, prepare: impl FnOnce(&Bench)) -> (Bench, Object) {
    let bench = Bench::whole(|_, _, _| {});
    prepare(&bench);
    bench.until_says(READY, CHECKED).await;
    answers.into_iter().for_each(|answer| bench.plugins.plugin("v1").signs(answer));
    let web = bench.ask("web");
    (bench, web)
}

async fn until_says(api: &ScriptedApi, web: &Object, what: &str) {
    api.until(what, |api| api.condition(web, READY).is_some_and(|ready| ready.starts_with(what))).await;
}

fn failed(why: &str) -> String {
    format!(
        "False Failed: Failed permanently to sign CertificateRequest: the certificate that the plugin returned was \
         refused: {why}"
    )
}

/// How many certificates clients get to trust.
fn cas(bench: &Bench, web: &Object) -> usize {
    let ca =
        bench.api.get(web).unwrap()["status"]["ca"].as_str().map(|ca| BASE64_STANDARD.decode(ca).unwrap());
    String::from_utf8(ca.unwrap()).unwrap().matches("BEGIN CERTIFICATE").count()
}

#[tokio::test(start_paused = true)]
async fn a_refused_certificate_is_asked_for_twice_more_with_back_off() {
    let (bench, web) = asking([Answer::forged(), Answer::forged(), Answer::forged()], |_| {}).await;
    let why = "subjectAltName: the request has DNS:web.example.com; the certificate has DNS:web.example.com, \
               DNS:evil.example.com";
    let retried = "False Pending: Failed to sign CertificateRequest, will retry: the certificate that the plugin \
                   returned was refused: ";
    until_says(&bench.api, &web, &format!("{retried}{why}")).await;
    until_says(&bench.api, &web, &failed(why)).await;
    sleep(Duration::from_secs(3600)).await;
    assert!(bench.api.get(&web).unwrap()["status"]["certificate"].is_null());
    let times = bench.plugins.plugin("v1").times();
    assert_eq!(times.len(), 3);
    assert!(times[2] - times[1] > times[1] - times[0], "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stale_answer_costs_no_certificate() {
    let (bench, web) = asking([Answer::forged(), Answer::forged(), Answer::good()], |_| {}).await;
    until_says(&bench.api, &web, ISSUED).await;
    assert_eq!(bench.plugins.plugin("v1").asked().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_the_chain_does_not_lead_to_is_dropped_with_an_event() {
    let (bench, web) = asking([Answer::with_another_ca()], |_| {}).await;
    until_says(&bench.api, &web, ISSUED).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(cas(&bench, &web), 1);
    let dropped = "CaCertificatesDropped: CA certificates that the plugin returned are not published";
    let is_told = |it: &String| it.starts_with(dropped) && it.ends_with(r#""CN=Another CA" (serial 07)"#);
    assert!(bench.api.events().iter().any(is_told), "{:?}", bench.api.events());
}

#[tokio::test(start_paused = true)]
async fn a_ca_in_a_secret_that_the_issuer_names_is_published_and_no_longer_when_it_is_gone() {
    for field in ["/spec/authSecretName", "/spec/verification"] {
        let (auth, mut value) = secret("cas");
        value["data"]["old.crt"] = BASE64_STANDARD.encode(&*ANOTHER_CA).into();
        let (bench, web) = asking([Answer::with_another_ca(), Answer::with_another_ca()], |bench| {
            bench.api.put(&auth, value);
            bench.api.edit(&bench.ca, |value| match field {
                "/spec/verification" => value["spec"]["verification"] = json!({"caSecretName": "cas"}),
                _ => value["spec"]["authSecretName"] = "cas".into(),
            });
        })
        .await;
        until_says(&bench.api, &web, ISSUED).await;
        assert_eq!(cas(&bench, &web), 2, "{field}");
        bench.api.edit(&auth, |value| value["data"] = json!({"token": "eA=="}));
        sleep(Duration::from_secs(60)).await;
        let next = bench.ask("next");
        until_says(&bench.api, &next, ISSUED).await;
        assert_eq!(cas(&bench, &next), 1, "{field}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_reported_is_refused_where_the_policy_demands_strict() {
    // The scripted plugin's certificates last for centuries.
    let (bench, web) = asking([], |_| {}).await;
    until_says(&bench.api, &web, ISSUED).await;
    sleep(Duration::from_secs(1)).await;
    let differs = "CertificateDiffers: The certificate differs from the request (spec.verification.mode: Strict would \
                   refuse it): ";
    assert!(bench.api.events().iter().any(|event| event.starts_with(differs)), "{:?}", bench.api.events());

    let (bench, web) = asking([], |bench| {
        let mut policy = Policy::default();
        policy.wasm_issuers.verification = Mode::Strict;
        bench.policy.send_replace(Arc::new(policy));
    })
    .await;
    until_says(&bench.api, &web, &failed("keyUsage: ")).await;
}

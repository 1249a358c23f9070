use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};
use wasm_issuer_core::issuance::condition::RESUME;
use wasm_issuer_core::issuance::signer::SignRequest;

use super::*;

const SIGNER: &str = "wasmissuers.wasm-issuer.dev/team-a.ca";

fn csr(change: impl FnOnce(&mut CertificateParams)) -> String {
    let mut params = CertificateParams::new(vec!["web.example.com".to_owned()]).unwrap();
    change(&mut params);
    let csr = params.serialize_request(&KeyPair::generate().unwrap()).unwrap();
    BASE64_STANDARD.encode(csr.pem().unwrap())
}

fn request(spec: &Value, annotations: &Value, status: Value) -> Observed {
    let mut object = json!({
        "metadata": {"name": "web", "uid": "u", "resourceVersion": "7", "annotations": annotations},
        "spec": {"request": csr(|_| {}), "signerName": SIGNER, "usages": ["crl sign", "server auth"]},
        "status": status,
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    serde_json::from_value::<CertificateSigningRequest>(object).unwrap().observe().unwrap()
}

fn in_state(conditions: &[&str]) -> Observed {
    let conditions: Vec<Value> =
        conditions.iter().map(|type_| json!({"type": type_, "status": "True"})).collect();
    request(&json!({}), &json!({}), json!({"conditions": conditions}))
}

fn asks(spec: &Value, annotations: &Value) -> Result<SignRequest, Unsignable> {
    let observed = request(spec, annotations, json!({}));
    observed.sign_request(observed.asked.as_ref().unwrap())
}

#[test]
fn the_annotation_with_the_lifetime_comes_before_the_field_and_ninety_days_come_last() {
    let lifetime = |seconds: Value, annotation: Value| {
        let annotations = json!({DURATION: annotation});
        let annotations = if annotations[DURATION].is_null() { json!({}) } else { annotations };
        asks(&json!({"expirationSeconds": seconds}), &annotations).map(|asked| asked.duration.as_secs())
    };
    for (seconds, annotation, expected) in [
        (Value::Null, Value::Null, 90 * 24 * 3600),
        (json!(600), Value::Null, 600),
        (json!(7200), json!("1h"), 3600),
        (Value::Null, json!("10m"), 600),
        (Value::Null, json!("2160h0m0s"), 2160 * 3600),
    ] {
        assert_eq!(lifetime(seconds, annotation), Ok(expected));
    }
    let refused = |annotation: &str| {
        let Unsignable { reason, message } = lifetime(json!(7200), json!(annotation)).unwrap_err();
        format!("{reason}: {message}")
    };
    let short = "InvalidDuration: CertificateSigningRequest minimum allowed duration is 10m, requested ";
    assert_eq!(refused("599s"), format!("{short}9m59s"));
    assert_eq!(refused("-1h"), format!("{short}-1h"));
    for (text, why) in [("90d", "90 days are 2160h"), ("", "not a duration"), ("soon", "not a duration")] {
        let refused = refused(text);
        assert!(
            refused.starts_with("ErrorParseDuration: Failed to parse requested duration: the annotation")
        );
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn the_annotation_alone_asks_for_a_ca_certificate() {
    let asks_for_ca = |annotation: &str, csr: &str| {
        let asked = asks(&json!({"request": csr}), &json!({IS_CA: annotation}));
        asked.map(|asked| {
            assert_eq!(asked.usages, ["crl sign", "server auth"], "no usage is added");
            asked.is_ca
        })
    };
    let plain = csr(|_| {});
    assert_eq!(asks_for_ca("true", &plain), Ok(true), "though neither the CSR nor the usages say so");
    for other in ["false", "True", "1", ""] {
        assert_eq!(asks_for_ca(other, &plain), Ok(false), "{other:?}");
    }
    let with_basic_constraints = csr(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(asks_for_ca("true", &with_basic_constraints), Ok(true));
    let contradiction = asks_for_ca("false", &with_basic_constraints).unwrap_err().message;
    assert!(contradiction.starts_with("encoded CSR error: "), "{contradiction}");
}

#[test]
fn a_csr_may_not_contradict_the_usages() {
    let other = csr(|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    let message = asks(&json!({"request": other}), &json!({})).unwrap_err().message;
    assert_eq!(message, "encoded CSR error: the CSR's key usages differ from the request's");
}

#[test]
fn its_end_is_known_by_its_certificate_or_a_condition() {
    let certificate =
        json!({"certificate": "LS0tLS0=", "conditions": [{"type": "Approved", "status": "True"}]});
    assert!(request(&json!({}), &json!({}), certificate).view.is_finished());
    for (conditions, is_finished) in [
        (&["Approved"][..], false),
        (&["Approved", "Failed"], true),
        (&["Denied"], true),
        (&["Approved", RESUME], false),
        // Nobody's word counts for ours.
        (&["Approved", READY], false),
    ] {
        assert_eq!(in_state(conditions).view.is_finished(), is_finished, "{conditions:?}");
    }
    assert!(
        !request(&json!({}), &json!({}), json!({"certificate": "", "conditions": null})).view.is_finished()
    );
}

#[test]
fn before_it_is_approved_it_is_on_nobodys_account() {
    assert_eq!(in_state(&[]).account(), "");
    let approved = in_state(&["Approved"]);
    assert_eq!((approved.account(), approved.key.namespace.as_deref()), ("team-a", None));
    assert_eq!(approved.referred().map(ToString::to_string).as_deref(), Some("WasmIssuer team-a/ca"));
    let cluster = json!({"signerName": "wasmclusterissuers.wasm-issuer.dev/ca"});
    let approved = json!({"conditions": [{"type": "Approved", "status": "True"}]});
    let of_cluster = request(&cluster, &json!({}), approved);
    assert_eq!((of_cluster.account(), of_cluster.referred()), ("", None));
}

#[test]
fn an_order_that_is_over_is_none_and_only_decisions_are_news() {
    let state = |token: &str, status: &str, more: &[&str]| {
        let mut conditions = vec![json!({"type": RESUME, "status": status, "message": token})];
        conditions.extend(more.iter().map(|type_| json!({"type": type_, "status": "True"})));
        json!({"conditions": conditions})
    };
    let spec = json!({"request": csr(|_| {})});
    let observed =
        |token: &str, status: &str, more: &[&str]| request(&spec, &json!({}), state(token, status, more));
    let ordered = observed("order-7", "True", &["Approved"]);
    assert_eq!(
        (ordered.view.resume(), ordered.view.owned.as_slice()),
        (Some("order-7"), &[RESUME.to_owned()][..])
    );
    let over = observed("order-7", "False", &["Approved"]);
    assert_eq!((over.view.resume(), over.view.owned.len()), (None, 0));
    assert!(!ordered.differs(&over) && !ordered.differs(&observed("order-8", "True", &["Approved", "Odd"])));
    for decided in ["Denied", "Failed"] {
        assert!(ordered.differs(&observed("order-7", "True", &["Approved", decided])), "{decided}");
    }
}

#[test]
fn what_ready_would_say_is_remembered_and_the_rest_is_written() {
    let now = Timestamp::UNIX_EPOCH + Duration::from_secs(60);
    let before = in_state(&["Approved"]);
    let waits = RequestStatus {
        conditions: vec![Condition::new(READY, FALSE, ConditionReason::Pending, "Waiting", now)],
        ..RequestStatus::default()
    };
    assert_eq!(status(&before.view, &waits, now), None);
    let waiting = before.with_status(&waits, before.target.clone());
    let mut read_again = before.clone();
    assert_eq!(read_again.view.ready(), None);
    read_again.remember(&waiting);
    assert!(!waiting.differs(&read_again) && read_again.view.ready() == waiting.view.ready());
    let mut another = before.clone();
    another.target = Target::of(&CertificateSigningRequest::default());
    another.remember(&waiting);
    assert_eq!(another.view.ready(), None, "another uid");

    let mut order = waits.clone();
    order.conditions.push(Condition::new(RESUME, TRUE, ConditionReason::Pending, "order-7", now));
    let written = serde_json::to_value(status(&waiting.view, &order, now).unwrap()).unwrap();
    let condition = json!({"type": RESUME, "status": "True", "reason": "Pending", "message": "order-7",
                           "lastTransitionTime": "1970-01-01T00:01:00Z", "lastUpdateTime": "1970-01-01T00:01:00Z"});
    assert_eq!(written, json!({"conditions": [condition]}));
    let ordered = waiting.with_status(&order, waiting.target.clone());
    assert_eq!(status(&ordered.view, &order, now), None, "it is there");

    let issued = RequestStatus {
        certificate: Some("PEM".to_owned()),
        ca: Some("PEM".to_owned()),
        failure_time: Some(now),
        ..waits
    };
    let written = serde_json::to_value(status(&ordered.view, &issued, now).unwrap()).unwrap();
    let over = json!({"type": RESUME, "status": "False", "reason": "Over", "message": "",
                      "lastTransitionTime": "1970-01-01T00:01:00Z", "lastUpdateTime": "1970-01-01T00:01:00Z"});
    assert_eq!(written, json!({"conditions": [over], "certificate": BASE64_STANDARD.encode("PEM")}));
}

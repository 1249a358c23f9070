//! One line for each decision, and none for what is no decision.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;
use wasm_issuer_core::issuance::signer::FailureKind;

use super::{Bench, DENIED, ISSUED, REQUESTS, REST, a_while, annotate, certificate, deny};
use crate::operator::audit::Audit;
use crate::operator::testing::{Answer, Call, Fault, Object, Paper, ScriptedApi, ScriptedSigner, request};

const FAILED: &str = "False Failed: Failed permanently to sign CertificateRequest: scripted";

struct Audited {
    bench: Bench,
    paper: Paper,
    audit: Audit,
}

impl Audited {
    fn start(api: &ScriptedApi, signer: &ScriptedSigner) -> Self {
        let paper = Paper::default();
        let audit = paper.audit();
        Self { bench: Bench::audited(api, signer, audit.clone()), paper, audit }
    }

    /// With one request, `web`, and these answers of the plugin.
    fn with(answers: impl IntoIterator<Item = Answer>) -> (Self, Object) {
        let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
        answers.into_iter().for_each(|answer| signer.signs(answer));
        let web = super::ask(&api, "web");
        (Self::start(&api, &signer), web)
    }

    fn records(&self) -> Vec<Value> {
        self.paper.records(&self.audit)
    }

    /// The name of the request, the decision and whether it is written, of each record.
    fn told(&self) -> Vec<String> {
        let text = |record: &Value, field: &str| record.pointer(field).unwrap().as_str().unwrap().to_owned();
        let told = |record: &Value| {
            ["/object/name", "/decision", "/written"].map(|field| text(record, field)).join(" ")
        };
        let mut all: Vec<_> = self.records().iter().map(told).collect();
        all.sort_unstable();
        all
    }
}

fn ask_with(api: &ScriptedApi, name: &str, change: impl FnOnce(&mut Value)) -> Object {
    let (object, mut value) = request(name);
    change(&mut value);
    api.put(&object, value);
    object
}

#[tokio::test(start_paused = true)]
async fn each_decision_is_one_line() {
    let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
    super::ask(&api, "issued");
    super::ask(&api, "failed");
    signer.fails("failed", FailureKind::Permanent);
    ask_with(&api, "refused", |value| value["spec"]["request"] = "bm9uZQ==".into());
    deny(&api, &super::ask(&api, "denied"));
    super::ask(&api, "waits");
    signer.fails("waits", REST);
    ask_with(&api, "unapproved", |value| value["status"] = json!({}));
    let audited = Audited::start(&api, &signer);
    a_while().await;
    let all = ["denied denied yes", "failed failed yes", "issued issued yes", "refused refused yes"];
    assert_eq!(audited.told(), all);
}

#[tokio::test(start_paused = true)]
async fn a_record_says_who_asked_for_what_and_what_came_of_it() {
    let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
    signer.signs(Answer::failure(FailureKind::Retry { after: None }));
    signer.signs(Answer::pending("order-7"));
    let web = ask_with(&api, "web", |value| {
        value["spec"]["username"] = "anna".into();
        value["spec"]["uid"] = "u-1".into();
        value["spec"]["groups"] = json!(["devs", "system:authenticated"]);
        value["spec"]["usages"] = json!(["server auth", "digital signature"]);
        value["spec"]["duration"] = "1h".into();
        value["metadata"]["annotations"] = json!({"note": "an-annotation"});
    });
    let audited = Audited::start(&api, &signer);
    audited.bench.until_issued(&web).await;
    let [record] = &audited.records()[..] else { panic!("{:?}", audited.records()) };
    let object = json!({"kind": "CertificateRequest", "namespace": "team-a", "name": "web", "uid": "uid-1"});
    assert_eq!(record["object"], object);
    let who = json!({"username": "anna", "uid": "u-1", "groups": ["devs", "system:authenticated"]});
    assert_eq!(record["requester"], who);
    let mut asked = record["asked"].clone();
    let csr = asked.as_object_mut().unwrap().remove("csrSha256").unwrap();
    assert_eq!(csr.as_str().map(str::len), Some(64));
    let wanted = json!({
        "subject": [], "names": ["DNS:web.example.com"], "usages": ["server auth", "digital signature"],
        "isCA": false, "durationSeconds": 3600,
    });
    assert_eq!(asked, wanted);
    let issuer =
        json!({"kind": "WasmIssuer", "namespace": "team-a", "name": "ca", "uid": "issuer", "generation": 1});
    assert_eq!(record["issuer"], issuer);
    assert_eq!(record["plugin"], json!({"sha256": "4f0c", "source": "scripted"}));
    assert_eq!((&record["attempts"], &record["reason"]), (&json!(3), &json!("Issued")));
    assert_eq!(record["certificate"]["issuer"], "CN=Scripted CA");
    assert_eq!(record["schema"], "wasm-issuer.dev/audit/v1");
    assert!(!audited.paper.text().contains("an-annotation"));
}

#[tokio::test(start_paused = true)]
async fn the_last_of_three_certificates_that_are_refused_is_the_decision() {
    let (audited, _web) = Audited::with([Answer::forged(), Answer::forged(), Answer::forged()]);
    a_while().await;
    assert_eq!(audited.told(), ["web refused yes"]);
    let record = &audited.records()[0];
    assert_eq!(record["attempts"], 3);
    assert!(record["message"].as_str().unwrap().contains("evil.example.com"), "{record}");
    assert!(record.get("certificate").is_none(), "it is nobody's: {record}");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_conflicts_is_recorded_once_it_has_landed() {
    let (audited, web) = Audited::with([]);
    audited.bench.overtake_next_write(&web, "a");
    audited.bench.until_issued(&web).await;
    a_while().await;
    assert_eq!(audited.told(), ["web issued yes"]);
}

#[tokio::test(start_paused = true)]
async fn a_decision_whose_write_got_no_answer_is_recorded_once() {
    for (fails, end, told) in [(false, ISSUED, "web issued yes"), (true, FAILED, "web failed yes")] {
        for (fault, is_late) in [(Fault::AnswerLost, false), (Fault::AnswerLost, true), (Fault::Hang, false)]
        {
            let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
            if fails {
                signer.fails("web", FailureKind::Permanent);
            }
            let web = super::ask(&api, "web");
            let audited = Audited::start(&api, &signer);
            if is_late {
                audited.bench.api.hold(REQUESTS);
            }
            audited.bench.api.next(Call::WriteStatus(web.clone()), fault);
            audited.bench.until_ready_says(&web, end).await;
            sleep(Duration::from_secs(120)).await;
            audited.bench.api.release(REQUESTS);
            a_while().await;
            assert_eq!(audited.told(), [told], "late: {is_late}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_recorded_again_after_a_restart() {
    let (audited, web) = Audited::with([]);
    audited.bench.until_issued(&web).await;
    assert_eq!(audited.told(), ["web issued yes"]);
    let Audited { bench, .. } = audited;
    bench.running.abort();
    let _ = bench.running.await;
    let again = Audited::start(&bench.api, &bench.signer);
    let late = again.bench.ask("late");
    again.bench.until_issued(&late).await;
    a_while().await;
    assert_eq!(again.told(), ["late issued yes"]);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_nobody_can_fetch_is_recorded_as_such() {
    // The request is deleted before the certificate is written.
    let (audited, web) = Audited::with([]);
    let object = web.clone();
    let overtaken = Fault::overtaken(move |api| api.delete(&object));
    audited.bench.api.next(Call::WriteStatus(web.clone()), overtaken);
    audited.bench.api.until("the write", |api| api.count(&Call::WriteStatus(web.clone())) == 1).await;
    a_while().await;
    assert_eq!(audited.told(), ["web issued no"]);
    assert_eq!(audited.records()[0]["notWritten"], "the object is gone");

    // It cannot be written for ten minutes, and then another one is asked for.
    let (audited, web) = Audited::with([]);
    audited.bench.api.every(Call::WriteStatus(web.clone()), Fault::Code(403));
    sleep(Duration::from_secs(700)).await;
    assert_eq!(audited.told(), ["web issued no"]);
    audited.bench.api.heal();
    audited.bench.until_issued(&web).await;
    a_while().await;
    assert_eq!(audited.told(), ["web issued no", "web issued yes"]);
    let serial = |at: usize| audited.records()[at]["certificate"]["serial"].clone();
    assert_ne!(serial(0), serial(1));

    // Somebody denies it meanwhile.
    let (audited, web) = Audited::with([]);
    let object = web.clone();
    audited.bench.api.next(Call::WriteStatus(web.clone()), Fault::overtaken(move |api| deny(api, &object)));
    audited.bench.until_ready_says(&web, DENIED).await;
    a_while().await;
    assert_eq!(audited.told(), ["web denied yes", "web issued no"]);
}

#[tokio::test(start_paused = true)]
async fn what_became_of_a_certificate_may_never_be_known() {
    let (audited, web) = Audited::with([]);
    audited.bench.api.hold(REQUESTS);
    audited.bench.api.every(Call::WriteStatus(web.clone()), Fault::Hang);
    audited.bench.api.until("a write", |api| api.count(&Call::WriteStatus(web.clone())) == 1).await;
    let Audited { bench, paper, audit } = audited;
    bench.running.abort();
    let _ = bench.running.await;
    assert_eq!(paper.records(&audit).len(), 0, "it may have landed");
    audit.finish().await;
    let record: Value = serde_json::from_str(&paper.text()).unwrap();
    assert_eq!((&record["decision"], &record["written"]), (&json!("issued"), &json!("unknown")));
}

#[tokio::test(start_paused = true)]
async fn an_audit_that_takes_no_more_stops_nobody() {
    let (audited, web) = Audited::with([]);
    audited.paper.is_full(true);
    audited.bench.until_issued(&web).await;
    let more = audited.bench.ask("more");
    audited.bench.until_issued(&more).await;
    assert_eq!(audited.paper.text(), "");
    audited.paper.is_full(false);
    assert_eq!(audited.told(), ["more issued yes", "web issued yes"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_cannot_forge_a_line() {
    let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
    let forged = "eve\n{\"decision\":\"denied\"}\r\u{2028}\u{1b}[2J\u{202e}";
    ask_with(&api, "web", |value| {
        value["spec"]["username"] = forged.into();
        value["spec"]["uid"] = forged.repeat(10_000).into();
        value["spec"]["groups"] = vec![forged; 1000].into();
        value["spec"]["usages"] = vec![forged; 1000].into();
        value["spec"]["duration"] = forged.into();
    });
    let audited = Audited::start(&api, &signer);
    a_while().await;
    let [record] = &audited.records()[..] else { panic!("{}", audited.paper.text()) };
    assert_eq!(record["decision"], "refused");
    assert!(record["requester"]["username"].as_str().unwrap().starts_with("eve\u{FFFD}{\"decision"));
    let text = audited.paper.text();
    assert!(text.len() < 64 << 10, "{}", text.len());
    assert!(text.trim_end().chars().all(|c| !c.is_control() && c != '\u{2028}' && c != '\u{202e}'), "{text}");
}

#[tokio::test(start_paused = true)]
async fn who_asked_is_known_also_where_there_is_no_room_for_what_was_asked() {
    let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
    for n in 0..4 {
        let denied = ask_with(&api, &format!("denied-{n}"), |value| {
            value["spec"]["username"] = format!("user-{n}").into();
            value["metadata"]["annotations"] = json!({"ballast": "x".repeat(300 << 10)});
        });
        deny(&api, &denied);
    }
    let audited = Audited::start(&api, &signer);
    a_while().await;
    let mut who: Vec<_> = audited.records().iter().map(|it| it["requester"]["username"].clone()).collect();
    who.sort_by_key(ToString::to_string);
    assert_eq!(who, ["user-0", "user-1", "user-2", "user-3"]);
}

#[tokio::test(start_paused = true)]
async fn the_fingerprint_and_the_serial_number_are_those_of_the_certificate_that_was_published() {
    let (audited, web) = Audited::with([]);
    annotate(&audited.bench.api, &web, "a");
    audited.bench.until_issued(&web).await;
    let pem = certificate(&audited.bench.api, &web).unwrap();
    let (_, der) = wasm_issuer_core::x509::pem::first_block(pem.as_bytes()).unwrap();
    let leaf = wasm_issuer_core::x509::Certificate::parse(&der).unwrap();
    let fingerprint = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der));
    let record = &audited.records()[0]["certificate"];
    let serial = leaf.serial();
    let serial = serial.trim_start_matches("00");
    assert_eq!((&record["sha256"], &record["serial"]), (&json!(fingerprint), &json!(serial)));
}

#[tokio::test(start_paused = true)]
async fn every_record_is_as_the_schema_says() {
    let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
    super::ask(&api, "issued");
    deny(&api, &super::ask(&api, "denied"));
    ask_with(&api, "refused", |value| value["spec"]["request"] = "bm9uZQ==".into());
    let gone = super::ask(&api, "gone");
    let object = gone.clone();
    api.next(Call::WriteStatus(gone), Fault::overtaken(move |api| api.delete(&object)));
    let audited = Audited::start(&api, &signer);
    a_while().await;
    let schema = serde_json::to_value(wasm_issuer_core::issuance::audit::schema()).unwrap();
    let records = audited.records();
    assert_eq!(records.len(), 4);
    for record in &records {
        conforms(record, &schema, &schema);
    }
}

#[test]
fn the_schema_that_is_documented_is_the_one_of_the_records() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/audit.schema.json");
    let documented: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let schema = serde_json::to_value(wasm_issuer_core::issuance::audit::schema()).unwrap();
    assert_eq!(documented, schema, "run `make generate`");
}

/// Fails if a value is not as a schema of `root` says, as far as such schemas use the language.
fn conforms(value: &Value, schema: &Value, root: &Value) {
    if let Some(path) = schema["$ref"].as_str() {
        return conforms(value, root.pointer(path.trim_start_matches('#')).unwrap(), root);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let [some, null] = &any[..] else { panic!("{schema}") };
        assert_eq!(null["type"], "null", "{schema}");
        return conforms(value, some, root);
    }
    if let Some(words) = schema["oneOf"].as_array() {
        assert!(words.iter().any(|word| word["const"] == *value), "{value} is none of {schema}");
        return;
    }
    let type_ = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::Null => "null",
    };
    let is_type = |of: &Value| of == type_;
    assert!(
        is_type(&schema["type"]) || schema["type"].as_array().is_some_and(|any| any.iter().any(is_type)),
        "{value}: {schema}"
    );
    for (name, value) in value.as_object().into_iter().flatten() {
        let property = schema["properties"].get(name);
        conforms(value, property.unwrap_or_else(|| panic!("{name} is not in {schema}")), root);
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        // What is left out where it is 0 or none has a default in the schema.
        assert!(value.get(name.as_str().unwrap()).is_some(), "{name} is missing in {value}");
    }
    value.as_array().into_iter().flatten().for_each(|item| conforms(item, &schema["items"], root));
}

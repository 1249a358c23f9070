//! What the audit says of real certificates, and where it goes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};
use tokio::time::sleep;
use wasm_issuer_e2e::keys::Ca;
use wasm_issuer_e2e::{Csr, KeyKind, Kind, Launch, SOON, Test, e2e_alone, issuer_ref};

/// The records of this test in a file, once there are so many. What other tests left behind is recorded, too.
async fn records(t: &Test, file: &Path, count: usize) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if file.exists() && (text.is_empty() || text.ends_with('\n')) {
            let all = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
            // A CertificateSigningRequest has no namespace, and a name that begins with the test's.
            let is_ours = |object: &Value| {
                object["namespace"]
                    .as_str()
                    .or(object["name"].as_str())
                    .is_some_and(|of| of.starts_with(&t.namespace))
            };
            let ours: Vec<_> = all.filter(|record| is_ours(&record["object"])).collect();
            if ours.len() >= count {
                return ours;
            }
        }
        assert!(began.elapsed() < SOON, "{text}");
        sleep(Duration::from_millis(20)).await;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn launch(file: &Path) -> Launch {
    Launch::with(&["--audit", file.to_str().expect("a path in text")])
}

fn file(t: &Test) -> PathBuf {
    t.workdir.join("audit.jsonl")
}

#[test]
fn a_record_is_about_the_certificate_that_was_issued_and_holds_no_secret() {
    e2e_alone(async |t, operator| {
        let file = file(t);
        let root = Ca::root("Audited Root", KeyKind::P256);
        t.tls_secret("keys", &root.certificate, &root.key.pem()).await;
        let spec = json!({"plugin": {"builtin": "in-memory-ca"}, "authSecretName": "keys"});
        operator.relaunch(launch(&file)).await;
        let issuer = t.ready_issuer("ca", spec).await;
        let csr = Csr::for_host("audited.example");
        let issued = t.issue("web", issuer_ref("ca"), &csr, json!({"duration": "2h"})).await;
        let [record] = &records(t, &file, 1).await[..] else { panic!("more than one record") };
        assert_eq!(record["object"]["uid"], issued.request["metadata"]["uid"]);
        let serial = hex(issued.leaf.tbs_certificate().serial_number().as_bytes());
        let certificate = &record["certificate"];
        assert_eq!(certificate["sha256"], hex(digest(&SHA256, &issued.chain[0]).as_ref()));
        assert_eq!(certificate["serial"], serial.strip_prefix("00").unwrap_or(&serial));
        assert_eq!(certificate["issuer"], "CN=Audited Root");
        let time = |field: &str| {
            certificate[field].as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time")
        };
        let lifetime = time("notAfter").duration_since(time("notBefore"));
        assert_eq!(lifetime.unsigned_abs(), issued.lifetime());
        assert_eq!(record["asked"]["names"], json!(["DNS:audited.example"]));
        assert_eq!(record["issuer"]["uid"], issuer["metadata"]["uid"]);
        assert_eq!(
            record["plugin"]["sha256"],
            t.get(Kind::WasmIssuer, "ca").await["status"]["plugin"]["sha256"]
        );
        let text = fs::read_to_string(&file).expect("the audit");
        for line in root.key.pem().lines() {
            assert!(!text.contains(line), "a line of the key");
        }
    });
}

#[test]
fn a_file_that_was_moved_away_is_made_anew_and_a_restart_repeats_nothing() {
    e2e_alone(async |t, operator| {
        let (file, old) = (file(t).with_extension("rotated"), file(t).with_extension("old"));
        let start = launch(&file);
        operator.relaunch(start.clone()).await;
        t.ready_issuer("ca", json!({"plugin": {"builtin": "in-memory-ca"}})).await;
        t.issue("one", issuer_ref("ca"), &Csr::for_host("one.example"), json!({})).await;
        records(t, &file, 1).await;
        fs::rename(&file, &old).expect("a file");
        let hung_up = Command::new("kill").args(["-HUP", &operator.pid().to_string()]).status();
        assert!(hung_up.expect("kill").success());
        assert_eq!(records(t, &file, 0).await.len(), 0);
        t.issue("two", issuer_ref("ca"), &Csr::for_host("two.example"), json!({})).await;
        records(t, &file, 1).await;
        operator.relaunch(start).await;
        t.issue("three", issuer_ref("ca"), &Csr::for_host("three.example"), json!({})).await;
        let names: Vec<_> =
            records(t, &file, 2).await.iter().map(|it| it["object"]["name"].clone()).collect();
        assert_eq!(names, ["two", "three"]);
        assert_eq!(records(t, &old, 1).await.len(), 1);
    });
}

#[test]
fn a_denial_of_either_kind_of_request_is_recorded_once() {
    e2e_alone(async |t, operator| {
        let file = file(t);
        operator.relaunch(launch(&file)).await;
        let csr = Csr::for_host("a.example");
        // Before there is an Issuer: cert-manager's controller approves all requests, and may be there first.
        t.request("web", issuer_ref("ca"), &csr, json!({})).await;
        t.deny("web").await;
        t.ready_issuer("ca", json!({"plugin": {"builtin": "in-memory-ca"}})).await;
        let web = t.signing_request("web", &t.signer("ca"), &csr, json!({})).await;
        t.deny_signing(&web).await;
        records(t, &file, 2).await;
        operator.kill().await;
        operator.start().await;
        t.issue("late", issuer_ref("ca"), &csr, json!({})).await;
        let told: Vec<_> =
            records(t, &file, 3).await.iter().map(|record| record["decision"].clone()).collect();
        assert_eq!(told, ["denied", "denied", "issued"]);
    });
}

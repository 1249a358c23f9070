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

const REQUEST: Kind = Kind::CertificateRequest;

/// The records in a file, once there are so many.
async fn records(file: &Path, count: usize) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        let is_whole = text.is_empty() || text.ends_with('\n');
        if file.exists() && text.lines().count() >= count && is_whole {
            return text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        }
        assert!(began.elapsed() < SOON, "{text}");
        sleep(Duration::from_millis(20)).await;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn launch(file: &Path) -> Launch {
    Launch { args: vec!["--audit".into(), file.into()], ..Launch::default() }
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
        let is_ours = |record: &&Value| record["object"]["uid"] == issued.request["metadata"]["uid"];
        let all = records(&file, 1).await;
        let ours: Vec<_> = all.iter().filter(is_ours).collect();
        let [record] = &ours[..] else { panic!("{all:?}") };
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
        records(&file, 1).await;
        fs::rename(&file, &old).expect("a file");
        let hung_up = Command::new("kill").args(["-HUP", &operator.pid().to_string()]).status();
        assert!(hung_up.expect("kill").success());
        assert_eq!(records(&file, 0).await.len(), 0);
        t.request("no", issuer_ref("ca"), &Csr::for_host("no.example"), json!({})).await;
        t.deny("no").await;
        let denied =
            "False Denied: Detected that the CertificateRequest is denied, so it will never be Ready.";
        t.wait_ready(REQUEST, "no", SOON, denied).await;
        let all = records(&file, 1).await;
        let [record] = &all[..] else { panic!("{all:?}") };
        assert_eq!((&record["decision"], &record["object"]["name"]), (&json!("denied"), &json!("no")));
        operator.relaunch(start).await;
        t.issue("two", issuer_ref("ca"), &Csr::for_host("two.example"), json!({})).await;
        let names: Vec<_> = records(&file, 2).await.iter().map(|it| it["object"]["name"].clone()).collect();
        assert_eq!(names, ["no", "two"]);
        assert_eq!(records(&old, 1).await.len(), 1);
    });
}

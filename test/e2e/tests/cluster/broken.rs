//! What people see of what goes wrong: `kubectl get` and `kubectl describe` alone name the cause and what mends it.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;
use tokio::time::sleep;
use wasm_issuer_e2e::{
    Kind, Made, Object, Operator, SOON, Situation, Test, cert_manager_runs, e2e, e2e_alone, skip,
};

/// What is to be seen of a situation.
struct Seen {
    /// The condition Ready without its message.
    ready: &'static str,
    /// What its message names: the cause, and what mends it.
    names: Vec<String>,
    /// The start of an Event.
    event: &'static str,
}

fn seen(situation: Situation, t: &Test) -> Seen {
    let namespace = &t.namespace;
    let (ready, event, names): (_, _, &[&str]) = match situation {
        Situation::SpecTypo => (
            "False Failed",
            "Warning PermanentError",
            &["spec.config.comonName: no such field", "there are `algorithm`, `commonName`"],
        ),
        Situation::WrongSecret => (
            "False Pending",
            "Warning RetryableError",
            &["the Secret NAMESPACE/wrong-secret has no key `tls.key`"],
        ),
        Situation::MissingGrant => (
            "False Pending",
            "Warning RequestDenied",
            &[
                "the Issuer does not grant its plugin https://ca.example.com:8888",
                r#"to allow it: spec.http.allowedHosts: ["https://ca.example.com:8888"]"#,
            ],
        ),
        Situation::PrivateAddress => (
            "False Pending",
            "Warning RequestDenied",
            &[
                "https://10.255.255.1:8888 is at an address that plugins may not reach",
                r#"wasmIssuers: {allowAddresses: ["127.0.0.0/8","10.255.255.1/32"]}"#,
            ],
        ),
        Situation::ExpiredToken => (
            "False Pending",
            "Warning RetryableError",
            &["https://127.0.0.1:", "HTTP 401", "the token has expired"],
        ),
        Situation::SlowCa => (
            "False Pending",
            "Warning RetryableError",
            &["waiting for https://127.0.0.1:", " for 2 s", "spec.limits.timeout"],
        ),
        Situation::WrongTls => (
            "False Pending",
            "Warning RetryableError",
            &[
                "https://127.0.0.1:",
                "TLS: no trusted CA has signed the server's certificate",
                "spec.http.caBundleSecretName",
            ],
        ),
        Situation::PluginRefused => (
            "True PluginRefused",
            "Warning PluginRefused",
            &[
                "The new plugin was not taken into use",
                "ConfigMap NAMESPACE/plugin-refused plugin.wasm: the plugin is WebAssembly text",
                "cargo build --target wasm32-wasip2",
            ],
        ),
        Situation::ConfigMapGone => (
            "True PluginRefused",
            "Warning PluginRefused",
            &[
                "The new plugin was not taken into use",
                r#"ConfigMap "NAMESPACE/config-map-gone" not found (named by spec.plugin.configMap.name)"#,
            ],
        ),
        Situation::ApproverMissing => (
            "False Pending",
            "Warning WaitingApproval",
            &[
                "Nobody has approved or denied this CertificateRequest for 60 s",
                "\"wasmissuers.wasm-issuer.dev/NAMESPACE.approver-missing\"",
                "deploy/install.yaml allows it",
                "cmctl approve",
            ],
        ),
        Situation::CrdMissing => (
            "False Pending",
            "Normal WaitingForIssuerExist",
            &[r#"WasmIssuer.wasm-issuer.dev "crd-missing" not found"#],
        ),
        Situation::RbacMissing => (
            "False Pending",
            "Warning RetryableError",
            &[
                r#"could not read Secret "NAMESPACE/rbac-missing""#,
                "system:serviceaccount:wasm-issuer:wasm-issuer",
                r#"cannot get resource "secrets""#,
                "docs/rbac.md",
            ],
        ),
        Situation::OtherKind => (
            "False Pending",
            "Normal ImpossibleIssuer",
            &[
                r#"wasm-issuer.dev has no kind "WasmIssuers""#,
                "spec.issuerRef.kind is WasmIssuer or WasmClusterIssuer",
            ],
        ),
        Situation::RequestDenied => {
            ("False Denied", "Warning PermanentError", &["Detected that the CertificateRequest is denied"])
        }
        Situation::PluginPanics => (
            "False Pending",
            "Warning RetryableError",
            &["panicked at test/plugins/hostile/src/lib.rs:", "a panic on purpose", "(tried until "],
        ),
    };
    let names = names.iter().map(|name| name.replace("NAMESPACE", namespace)).collect();
    Seen { ready, names, event }
}

/// Make a situation, and look at what shows it.
async fn shows(t: &Test, situation: Situation) -> Made {
    let made = situation.make(t).await;
    let Seen { ready, names, event } = seen(situation, t);
    let (kind, name) = (made.kind, made.name.as_str());
    let is_said = |text: &str| names.iter().all(|name| text.contains(name.as_str()));
    let what = format!("{situation:?}: {ready} with {names:?}");
    let object = t
        .wait((kind, name), SOON, &what, |object| {
            let said = object.ready();
            said.starts_with(&format!("{ready}: ")) && is_said(&said)
        })
        .await;
    assert!(!looks_like_debug(&object.describe()), "{}", object.describe());
    t.wait_event(kind, name, &format!("{event} …")).await;
    for event in t.events(kind, name).await {
        assert!(!looks_like_debug(&event), "{event}");
    }
    if kind == Kind::WasmIssuer {
        let columns = t.columns(kind, name).await;
        assert_eq!(format!("{} {}", columns["Ready"], columns["Reason"]), ready, "{columns:?}");
        let (message, said) = (&columns["Message"], object.ready());
        let start = message.strip_suffix("...").unwrap_or(message);
        assert!(!start.is_empty() && message.len() <= 120 && said.contains(start), "{columns:?}");
    }
    made
}

/// Whether a text shows what only whoever programs in Rust can read.
fn looks_like_debug(text: &str) -> bool {
    ["ObjectName(", "DnsName(", "Some(", "None)", "Error(", "ErrorCode::", " { ", "Status {"]
        .iter()
        .any(|part| text.contains(part))
}

#[test]
fn each_situation_names_its_cause_and_what_mends_it() {
    e2e(async |t| {
        let situations = Situation::ALL.into_iter().filter(|situation| !situation.concerns_all());
        let all = join_all(situations.map(|situation| shows(t, situation))).await;
        assert_eq!(all.len(), 12);

        let ready = "True PluginBreaks";
        let breaks = |issuer: &Object| issuer.ready().starts_with(ready);
        let issuer = t.wait((Kind::WasmIssuer, "plugin-panics"), SOON, ready, breaks).await;
        assert!(issuer.ready().contains("a panic on purpose"), "{}", issuer.ready());
        t.wait_event(Kind::WasmIssuer, "plugin-panics", "Warning PluginBreaks …").await;
        let columns = t.columns(Kind::WasmIssuer, "plugin-panics").await;
        assert!(columns["Message"].starts_with("Its plugin breaks off at every call to sign"), "{columns:?}");
        assert!(columns["Plugin"].starts_with("hostile@"), "{columns:?}");
        let columns = t.columns(Kind::WasmIssuer, "plugin-refused").await;
        let digest = t.get(Kind::WasmIssuer, "plugin-refused").await["status"]["plugin"]["sha256"].clone();
        let short = &digest.as_str().unwrap()[..12];
        assert_eq!(columns["Plugin"], format!("plugin-refused@{short}"));
        drop(all);
    });
}

#[test]
fn a_request_that_nobody_may_approve_says_what_the_approver_lacks() {
    if cert_manager_runs() {
        return skip("cert-manager's approver approves everything here");
    }
    e2e_alone(async |t, _| shows(t, Situation::ApproverMissing).await.undo(t).await);
}

#[test]
fn a_right_that_the_operator_lacks_is_named() {
    e2e_alone(async |t, _| {
        let made = shows(t, Situation::RbacMissing).await;
        made.undo(t).await;
        t.wait((Kind::WasmIssuer, "rbac-missing"), SOON, "about something else", |issuer| {
            !issuer.ready().contains("could not read")
        })
        .await;
    });
}

/// kubectl itself says that the API server has no such kind; the operator's log says what to install.
#[test]
fn a_missing_definition_is_told_to_who_waits_for_its_kind() {
    e2e_alone(async |t, _| {
        let made = shows(t, Situation::CrdMissing).await;
        let log = || std::fs::read_to_string(Operator::log_file(&t.workdir)).unwrap();
        let began = Instant::now();
        while !log().contains("cannot watch WasmIssuers; is the CRD installed (deploy/crds.yaml)") {
            assert!(began.elapsed() < SOON, "the log does not name the CRD");
            sleep(Duration::from_millis(100)).await;
        }
        made.undo(t).await;
        t.issuer("crd-missing", json!({"plugin": {"builtin": "in-memory-ca"}})).await;
        t.issued("crd-missing").await;
    });
}

/// The section of the policy that a condition tells to put there.
fn section(said: &str) -> &str {
    let from = said.find("wasmIssuers: {").unwrap_or_else(|| panic!("no section: {said}"));
    let to = said[from..].find('}').unwrap_or_else(|| panic!("no end: {said}"));
    &said[from..=from + to]
}

#[test]
fn the_section_that_is_told_is_pasted_into_the_policy_and_holds() {
    e2e_alone(async |t, _| {
        let file = t.workdir.join("policy.yaml");
        let before = std::fs::read_to_string(&file).unwrap();
        let paste = |said: &str| {
            let of = |line: &str| line.starts_with("wasmIssuers:");
            let lines = before.lines().map(|line| if of(line) { section(said) } else { line });
            std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
        };
        let made = shows(t, Situation::PrivateAddress).await;
        let denied = t.get(made.kind, &made.name).await.ready();
        paste(&denied);
        let is_let_through = |issuer: &Object| !issuer.ready().contains("may not reach");
        t.wait((made.kind, &made.name), SOON, "let through", is_let_through).await;

        let greedy = json!({
            "plugin": {"builtin": "in-memory-ca"},
            "http": {"allowedHosts": ["http://ca.example:8888", "https://ca.example"]},
            "limits": {"timeout": "45s", "memory": "300Mi"},
        });
        t.issuer("greedy", greedy).await;
        let refused = t.settles(Kind::WasmIssuer, "greedy", "False Failed: …").await.ready();
        for wish in
            ["\"http://ca.example:8888\"", "45s for spec.limits.timeout", "300Mi for spec.limits.memory"]
        {
            assert!(refused.contains(wish), "all is told at once: {refused}");
        }
        paste(&refused);
        t.wait_ready(Kind::WasmIssuer, "greedy", SOON, "True Checked: Succeeded checking the issuer").await;
        std::fs::write(&file, &before).unwrap();
        t.wait_ready(Kind::WasmIssuer, "greedy", SOON, "False Failed: …").await;
    });
}

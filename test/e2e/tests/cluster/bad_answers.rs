//! A plugin may do anything in its sandbox and answer anything. It costs its own requests, and nothing of its
//! neighbours'.

use std::time::Instant;

use futures::future::join_all;
use serde_json::{Value, json};
use wasm_issuer_e2e::component::signing;
use wasm_issuer_e2e::der::attribute::CN;
use wasm_issuer_e2e::der::{self};
use wasm_issuer_e2e::{Csr, Key, Kind, SOON, Test, UNDISTURBED, cluster_issuer_ref, e2e, issuer_ref};

const REQUEST: Kind = Kind::CertificateRequest;

fn csr() -> Csr {
    Csr::new(&Key::p256()).names(&[der::dns("a.example")]).subject(der::name(&[&[(CN, der::UTF8, "web")]]))
}

/// Short where it is waited for.
fn timeout(behaviour: &str) -> &'static str {
    if behaviour == "loop-forever" { "1s" } else { "30s" }
}

async fn issuer(t: &Test, name: &str, behaviour: &str, more: Value) {
    let mut spec = json!({
        "plugin": {"builtin": "hostile"}, "config": {"behaviour": behaviour}, "limits": {"timeout": timeout(behaviour)},
    });
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    t.ready_issuer(name, spec).await;
}

/// Issue, over and over, while something else goes on. Most of it must be quick: a test machine has hiccups of its own.
async fn neighbour_notices_nothing(t: &Test) {
    t.ready_issuer("neighbour", json!({"plugin": {"builtin": "in-memory-ca"}})).await;
    let mut times = vec![];
    for i in 0..15 {
        let began = Instant::now();
        t.issue(&format!("neighbour-{i}"), issuer_ref("neighbour"), &csr(), json!({})).await;
        times.push(began.elapsed());
    }
    times.sort();
    assert!(times[times.len() * 4 / 5] < UNDISTURBED, "a neighbour's requests took {times:?}");
}

/// Ask an Issuer for each of these behaviours: its request ends with this outcome, and its neighbours notice nothing.
async fn each_is(t: &Test, outcome: &str, cases: &[(&str, &str)]) {
    let hostile = join_all(cases.iter().map(async |(behaviour, why)| {
        issuer(t, behaviour, behaviour, json!({})).await;
        t.approved_request(behaviour, issuer_ref(behaviour), &csr(), json!({})).await;
        let request = t.wait_ready(REQUEST, behaviour, SOON, &format!("{outcome}{why}")).await;
        assert_eq!(request["status"].get("certificate"), None, "{behaviour}");
    }));
    futures::join!(neighbour_notices_nothing(t), hostile);
}

#[test]
fn a_plugin_that_breaks_is_tried_again() {
    e2e(async |t| {
        let cases = [
            ("trap", "the plugin trapped: wasm `unreachable` instruction executed (tried until …"),
            (
                "panic",
                "the plugin trapped: wasm `unreachable` instruction executed; what it wrote last: panicked at test/plugins/hostile/src/lib.rs:…",
            ),
            ("exit", "the plugin exited with code 0 instead of answering (tried until …"),
            (
                "loop-forever",
                "the plugin did not answer within 1 s (spec.limits.timeout); it was still computing (tried until …",
            ),
            (
                "allocate-4gib",
                "the plugin asked for more than 64 MiB of memory (spec.limits.memory) (tried until …",
            ),
            ("deep-recursion", "the plugin trapped: …"),
            ("handle-flood", "the plugin opened too many handles at a time (tried until …"),
            (
                "random-flood",
                "the plugin trapped: requested len 1073741824 exceeds limit 4096 (tried until …",
            ),
            ("huge-chain", "the plugin passed more than 4 MiB to the host at once (tried until …"),
        ];
        each_is(t, "False Pending: Failed to sign CertificateRequest, will retry: ", &cases).await;
    });
}

#[test]
fn a_plugin_that_looks_around_sees_nothing() {
    e2e(async |t| {
        let cases = [
            ("read-env", "environment: nothing"),
            ("read-args", "arguments: nothing"),
            ("read-files", "files: nothing"),
            ("open-socket", "network: nothing"),
        ];
        each_is(t, "False Failed: Failed permanently to sign CertificateRequest: ", &cases).await;

        let secret = json!({"stringData": {"token": "hush", "granted": "told"}});
        t.apply(Kind::Secret, "keys", secret.clone()).await;
        issuer(t, "no-grant", "reveal-ungranted", json!({"authSecretName": "keys"})).await;
        t.approved_request("no-grant", issuer_ref("no-grant"), &csr(), json!({})).await;
        let failed = "False Failed: Failed permanently to sign CertificateRequest: revealed: ";
        t.settles(REQUEST, "no-grant", &format!("{failed}nothing")).await;

        // It takes two: the Issuer that grants, and the operator's policy, which by default lets administrators do so.
        let config = json!({"behaviour": "reveal-ungranted"});
        let spec = json!({
            "plugin": {"builtin": "hostile"}, "config": config, "authSecretName": t.namespace, "secrets": {"reveal": ["granted"]},
        });
        t.in_namespace("wasm-issuer").await.apply(Kind::Secret, &t.namespace, secret).await;
        t.apply(Kind::WasmClusterIssuer, &t.namespace, json!({"spec": spec})).await;
        t.approved_request("grant", cluster_issuer_ref(&t.namespace), &csr(), json!({})).await;
        t.settles(REQUEST, "grant", &format!("{failed}granted (4 bytes)")).await;
        t.issuer("tenant", spec).await;
        let refused = r#"False Failed: Failed permanently: the operator's policy does not allow "granted" in spec.secrets.reveal …"#;
        t.settles(Kind::WasmIssuer, "tenant", refused).await;
    });
}

#[test]
fn a_certificate_that_was_not_asked_for_is_not_published() {
    e2e(async |t| {
        let cases = [
            ("garbage-pem", "chain: it is not PEM: it holds no PEM block"),
            ("empty-chain", "chain: it is not PEM: it holds no PEM block"),
            ("other-key", "publicKey: the request has sha256:…"),
            (
                "extra-san",
                "subjectAltName: the request has DNS:a.example; the certificate has DNS:a.example, DNS:unasked.example",
            ),
            ("missing-san", "subjectAltName: the request has DNS:a.example; the certificate has none"),
            ("ca-true", "basicConstraints: the request has CA:FALSE; the certificate has CA:TRUE"),
            ("expired", r#"validity: "CN=web" (serial …"#),
            ("not-yet-valid", r#"validity: "CN=web" (serial …"#),
            ("wrong-order", r#"chain: certificate 1, "CN=web" (serial …"#),
            ("unrelated-chain", r#"chain: certificate 1, "CN=web" (serial …"#),
            (
                "other-subject",
                "subject: the request has CN=web; the certificate has CN=somebody else (spec.verification.allow …",
            ),
            (
                "code-signing",
                "extendedKeyUsage: the request has server auth; the certificate has code signing (spec.verification.allow …",
            ),
        ];
        let refused = "False Failed: Failed permanently to sign CertificateRequest: the certificate that the plugin returned was refused: ";
        each_is(t, refused, &cases).await;
    });
}

#[test]
fn what_a_cas_profile_decides_is_reported_or_refused_as_the_issuer_wants() {
    e2e(async |t| {
        let cases = [
            ("wrong-usages", "keyUsage: the request has digital signature; the certificate has crl sign"),
            ("longer-duration", "duration: the request has 2160h; the certificate has 21600h"),
        ];
        join_all(cases.iter().map(async |(behaviour, why)| {
            let strict = format!("strict-{behaviour}");
            issuer(t, &strict, behaviour, json!({"verification": {"mode": "Strict"}})).await;
            t.approved_request(&strict, issuer_ref(&strict), &csr(), json!({})).await;
            let refused = format!(
                "False Failed: Failed permanently to sign CertificateRequest: the certificate that the plugin returned was refused: {why}"
            );
            t.wait_ready(REQUEST, &strict, SOON, &refused).await;

            issuer(t, behaviour, behaviour, json!({})).await;
            t.approved_request(behaviour, issuer_ref(behaviour), &csr(), json!({})).await;
            t.issued(behaviour).await.verify_chain();
            let warning = format!(
                "Warning CertificateDiffers Synced: The certificate differs from the request (spec.verification.mode: Strict would refuse it): {why}…"
            );
            t.wait_event(REQUEST, behaviour, &warning).await;
        }))
        .await;
    });
}

#[test]
fn more_than_was_asked_for_is_published_where_the_issuer_and_the_policy_allow_it() {
    e2e(async |t| {
        let spec = json!({
            "plugin": {"builtin": "hostile"}, "config": {"behaviour": "other-subject"},
            "verification": {"allow": ["Subject"]},
        });
        t.apply(Kind::WasmClusterIssuer, &t.namespace, json!({"spec": spec})).await;
        t.approved_request("web", cluster_issuer_ref(&t.namespace), &csr(), json!({})).await;
        t.issued("web").await.verify_chain();
        t.issuer("tenant", spec).await;
        let refused = "False Failed: Failed permanently: the operator's policy does not allow Subject in \
                       spec.verification.allow …";
        t.settles(Kind::WasmIssuer, "tenant", refused).await;
    });
}

#[test]
fn a_root_that_the_chain_does_not_lead_to_reaches_no_client() {
    e2e(async |t| {
        issuer(t, "ca", "second-root", json!({})).await;
        t.approved_request("web", issuer_ref("ca"), &csr(), json!({})).await;
        let issued = t.issued("web").await;
        issued.verify_chain();
        assert_eq!(issued.ca.len(), 1);
        t.wait_event(REQUEST, "web", "Warning CaCertificatesDropped Synced: CA certificates that the plugin returned are not published…").await;
    });
}

#[test]
fn a_plugin_that_breaks_in_its_check_makes_its_issuer_not_ready() {
    e2e(async |t| {
        let cases = [
            (
                "trap",
                "False Pending: Not ready yet: the plugin trapped: wasm `unreachable` instruction executed",
            ),
            (
                "loop-forever",
                "False Pending: Not ready yet: the plugin did not answer within 1 s (spec.limits.timeout); it was still computing",
            ),
            (
                "allocate-4gib",
                "False Pending: Not ready yet: the plugin asked for more than 64 MiB of memory (spec.limits.memory)",
            ),
            ("read-env", "False Failed: Failed permanently: environment: nothing"),
            ("issuer-error", "False Pending: Not ready yet: the CA refuses the credentials"),
        ];
        join_all(cases.iter().map(async |(behaviour, ready)| {
            let config = json!({"behaviour": behaviour, "at": "check"});
            let spec =
                json!({"plugin": {"builtin": "hostile"}, "config": config, "limits": {"timeout": timeout(behaviour)}});
            t.issuer(behaviour, spec).await;
            t.settles(Kind::WasmIssuer, behaviour, ready).await;
        }))
        .await;
        // Also one that failed for good: its config has changed.
        t.hostile_issuer("read-env", json!({"behaviour": "good"})).await;
    });
}

#[test]
fn a_config_that_the_plugin_cannot_read_is_named() {
    e2e(async |t| {
        t.issuer("ca", json!({"plugin": {"builtin": "hostile"}, "config": {"behaviour": "nice"}})).await;
        let wrong = "False Failed: Failed permanently: spec.config.behaviour: `nice` is none of …";
        t.settles(Kind::WasmIssuer, "ca", wrong).await;
    });
}

#[test]
fn forty_plugins_that_loop_do_not_stop_a_neighbour() {
    e2e(async |t| {
        const TENANTS: usize = 4;
        let tenants = join_all((0..TENANTS).map(async |n| {
            let namespace = format!("{}-{n}", t.namespace);
            t.in_namespace(&namespace).await
        }))
        .await;
        // Twice as many calls as the operator has places for, and each takes longer than a neighbour's request may: one
        // that waits for the end of any of them takes too long.
        let limits = json!({"timeout": "30s"});
        let retry = json!({"minBackoff": "100ms", "maxBackoff": "1s"});
        join_all((0..40).map(async |n| {
            let (tenant, name) = (&tenants[n % TENANTS], format!("loops-{n}"));
            tenant.config_map(&name, "plugin.wasm", &signing("(loop $again (br $again))", n)).await;
            let plugin = json!({"configMap": {"name": name}});
            tenant.ready_issuer(&name, json!({"plugin": plugin, "limits": limits, "retry": retry})).await;
            for i in 0..8 {
                tenant.approved_request(&format!("{name}-{i}"), issuer_ref(&name), &csr(), json!({})).await;
            }
        }))
        .await;
        neighbour_notices_nothing(t).await;
        join_all(tenants.iter().map(Test::clean_up)).await;
    });
}

//! Plugins in real OCI registries.

use std::time::Duration;

use serde_json::{Value, json};
use wasm_issuer_e2e::operator::plugin;
use wasm_issuer_e2e::registry::Registry;
use wasm_issuer_e2e::{Csr, Kind, Launch, Object, SOON, Test, component, e2e, e2e_alone, issuer_ref, skip};

/// An Issuer with this plugin, which is checked as often as may be.
fn spec(image: Value) -> Value {
    json!({"plugin": {"image": image}, "checkInterval": "10s"})
}

fn by(reference: &str) -> Value {
    spec(json!({"reference": reference}))
}

async fn says(t: &Test, name: &str, wanted: &str) -> Object {
    let what = format!("not ready because of {wanted:?}");
    t.wait((Kind::WasmIssuer, name), SOON, &what, |issuer| issuer.ready().contains(wanted)).await
}

fn source(issuer: &Object) -> String {
    issuer["status"]["plugin"]["source"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_plugin_is_pushed_and_issues_by_tag_and_by_digest() {
    e2e(async |t| {
        let registry = Registry::open(&t.workdir.join("registry-push"));
        let ca = plugin("in_memory_ca");
        let pinned = registry.push(&ca, "team/ca:1", &[]).expect("it is pushed");
        let manifest: Value = serde_json::from_str(&registry.manifest(&pinned)).expect("JSON");
        assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
        assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
        assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(1));
        assert_eq!(registry.pull(&pinned), ca);
        assert_eq!(
            registry.push(&ca, "team/ca:1", &[]),
            Ok(pinned.clone()),
            "the same component has the same digest"
        );

        let tag = format!("{}/team/ca:1", registry.host);
        for (name, reference) in [("by-tag", &tag), ("by-digest", &pinned)] {
            let issuer = t.ready_issuer(name, by(reference)).await;
            assert_eq!(source(&issuer), format!("image {pinned}"));
            t.issue(name, issuer_ref(name), &Csr::for_host("web.example"), json!({})).await;
        }
        let wrong = format!("{tag}@sha256:{}", "0f".repeat(32));
        t.issuer("wrong-digest", by(&wrong)).await;
        says(t, "wrong-digest", "the registry has no such artifact: 404 Not Found").await;
        let other = json!({"image": {"reference": tag}, "sha256": "0f".repeat(32)});
        t.issuer("wrong-pin", json!({"plugin": other})).await;
        says(t, "wrong-pin", "but spec.plugin.sha256 pins 0f0f0f").await;

        // It moves, and what is pinned does not.
        let moved = registry.push(&component::unlike(&ca, 1), "team/ca:1", &[]).expect("it is pushed");
        let is_new = |issuer: &Object| source(issuer) == format!("image {moved}");
        t.wait((Kind::WasmIssuer, "by-tag"), SOON, "the new plugin", is_new).await;
        assert_eq!(source(&t.get(Kind::WasmIssuer, "by-digest").await), format!("image {pinned}"));
        t.issue("moved", issuer_ref("by-tag"), &Csr::for_host("web.example"), json!({})).await;
    });
}

#[test]
fn a_registry_that_is_down_stops_nobody_who_has_pulled_and_no_restart() {
    e2e_alone(async |t, operator| {
        let mut registry = Registry::open(&t.workdir.join("registry-down"));
        let pinned = registry.push(&plugin("in_memory_ca"), "ca:1", &[]).expect("it is pushed");
        let args = vec!["--cache-dir".into(), t.workdir.join("registry-down/cache").into()];
        let launch = Launch { args, ..Launch::default() };
        operator.relaunch(launch.clone()).await;
        t.ready_issuer("by-tag", by(&format!("{}/ca:1", registry.host))).await;
        t.ready_issuer("by-digest", by(&pinned)).await;
        registry.down();
        operator.kill().await;
        operator.start().await;
        for name in ["by-tag", "by-digest"] {
            t.issue(name, issuer_ref(name), &Csr::for_host("web.example"), json!({})).await;
        }
        // Two checks later too.
        tokio::time::sleep(Duration::from_secs(25)).await;
        for name in ["by-tag", "by-digest"] {
            t.issue(&format!("{name}-later"), issuer_ref(name), &Csr::for_host("web.example"), json!({}))
                .await;
        }
        t.issuer("never-pulled", by(&format!("{}/other:1", registry.host))).await;
        says(t, "never-pulled", "connection refused").await;
        registry.up();
        says(t, "never-pulled", "the registry has no such artifact").await;
    });
}

#[test]
fn what_other_tools_push_is_a_plugin_if_it_is_one() {
    e2e(async |t| {
        let registry = Registry::open(&t.workdir.join("registry-oras"));
        let reference = registry.oras("ca:1", &plugin("in_memory_ca"));
        t.ready_issuer("oras", by(&reference)).await;
        // A layer of 100 MiB is not even asked for.
        let large = registry.oras("large:1", &vec![0; 100 << 20]);
        t.issuer("large", by(&large)).await;
        says(t, "large", "the component has 104857600 bytes, where at most 16777216 are accepted").await;
    });
}

#[test]
fn a_registry_with_users_lets_those_in_who_are_named() {
    e2e(async |t| {
        let folder = t.workdir.join("registry-users");
        let Some(registry) = Registry::with_users(&folder) else {
            return skip("docker-registry is not installed (Debian: apt-get install docker-registry)");
        };
        let login = |password: &str| {
            let file = folder.join("login.json");
            std::fs::write(&file, registry.login(password)).expect("a file");
            file.display().to_string()
        };
        let ca = plugin("in_memory_ca");
        let refused = registry.push(&ca, "team/ca:1", &[]).expect_err("nobody is let in");
        assert!(refused.contains("log in first"), "{refused}");
        let refused = registry.push(&ca, "team/ca:1", &["--docker-config", &login("wrong")]);
        assert!(refused.expect_err("the password is wrong").contains("log in to 127.0.0.1"));
        let pinned = registry.push(&ca, "team/ca:1", &["--docker-config", &login("s3cret")]);
        let reference = pinned.expect("it is pushed");

        t.issuer("private", by(&reference)).await;
        says(t, "private", "in spec.plugin.image.pullSecretName").await;
        let secret = |password: &str| {
            let data = json!({".dockerconfigjson": registry.login(password)});
            json!({"type": "kubernetes.io/dockerconfigjson", "stringData": data})
        };
        t.apply(Kind::Secret, "regcred", secret("wrong")).await;
        t.issuer("private", spec(json!({"reference": reference, "pullSecretName": "regcred"}))).await;
        says(t, "private", "mend the credentials for 127.0.0.1").await;
        t.apply(Kind::Secret, "regcred", secret("s3cret")).await;
        t.wait_ready(Kind::WasmIssuer, "private", SOON, "True Checked: Succeeded checking the issuer").await;
    });
}

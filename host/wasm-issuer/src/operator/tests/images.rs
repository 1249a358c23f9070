//! Plugins in OCI registries.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::sleep;
use wasm_issuer_core::issuance::condition::{PLUGIN_CURRENT, READY};
use wasm_issuer_runtime::Folder;

use super::bench::{Bench, CHECKED};
use crate::operator::testing::{
    INSIDE, Mood, NAMESPACE, Object, ScriptedApi, ScriptedRegistry, issuer, secret,
};
use crate::policy::Policy;

const DOWN: &str = "r.example: connection refused";

/// The Issuer's plugin is this image.
fn image(image: Value) -> impl FnOnce(&ScriptedApi, &Object) {
    move |api, ca| api.edit(ca, |value| value["spec"]["plugin"] = json!({"image": image}))
}

fn start(registry: &ScriptedRegistry, prepare: impl FnOnce(&ScriptedApi, &Object)) -> Bench {
    Bench::pulling(registry, None, prepare)
}

fn tagged(registry: &ScriptedRegistry) -> Bench {
    start(registry, image(json!({"reference": "r.example/team/ca:1"})))
}

impl Bench {
    fn plugin(&self) -> Value {
        self.api.get(&self.ca).unwrap()["status"]["plugin"].clone()
    }

    /// Two rounds of checks, of a minute each.
    async fn some_checks(&self) {
        sleep(Duration::from_secs(150)).await;
    }

    async fn until_refused(&self, why: &str) {
        let says = |api: &ScriptedApi| api.condition(&self.ca, READY).is_some_and(|it| it.contains(why));
        self.api.until(why, says).await;
        assert!(!self.serves());
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_is_resolved_with_each_check_and_pulled_once() {
    let registry = ScriptedRegistry::default();
    let digest = registry.put("1", "v1");
    let bench = tagged(&registry);
    bench.until_says(READY, CHECKED).await;
    assert_eq!(bench.plugin()["source"], format!("image r.example/team/ca:1@{digest}"));
    bench.some_checks().await;
    assert!(bench.serves());
    assert_eq!((registry.pulls(), registry.count("GET /v2/team/ca/manifests/")), (1, 1));
    assert!(registry.count("HEAD /v2/team/ca/manifests/1") >= 3);
    // It moves.
    let digest = registry.put("1", "v2");
    bench.some_checks().await;
    assert_eq!(bench.plugin()["source"], format!("image r.example/team/ca:1@{digest}"));
    assert_eq!((registry.pulls(), bench.plugins.plugin("v2").checked() > 0), (2, true));
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_is_down_stops_nobody_who_has_pulled() {
    let registry = ScriptedRegistry::default();
    registry.put("1", "v1");
    let bench = tagged(&registry);
    bench.until_says(READY, CHECKED).await;
    registry.is(Mood::Down);
    let (checked, written) = (bench.plugins.plugin("v1").checked(), bench.times_written());
    bench.some_checks().await;
    assert!(bench.serves() && bench.plugins.plugin("v1").checked() > checked);
    assert_eq!(bench.times_written(), written, "nothing has changed");
    // What was never pulled cannot be had.
    bench.api.edit(&bench.ca, |value| value["spec"]["plugin"]["image"]["reference"] = "r.example/b:1".into());
    let says =
        |api: &ScriptedApi| api.condition(&bench.ca, PLUGIN_CURRENT).is_some_and(|it| it.contains(DOWN));
    bench.api.until(DOWN, says).await;
    assert!(bench.serves(), "the old plugin goes on");
}

#[tokio::test(start_paused = true)]
async fn what_was_pulled_outlives_a_restart_and_its_registry() {
    let registry = ScriptedRegistry::default();
    registry.put("1", "v1");
    let dir = tempfile::tempdir().unwrap();
    let folder = || Some(Folder::shared(dir.path().join("images"), 1 << 20).unwrap());
    let spec = || image(json!({"reference": "r.example/team/ca:1"}));
    let bench = Bench::pulling(&registry, folder(), spec());
    bench.until_says(READY, CHECKED).await;
    drop(bench);
    registry.is(Mood::Down);
    let bench = Bench::pulling(&registry, folder(), spec());
    bench.until_says(READY, CHECKED).await;
    assert_eq!(registry.pulls(), 1);
    // Without the folder there is nothing to start from.
    let bench = Bench::pulling(&registry, None, spec());
    bench.until_refused(DOWN).await;
}

#[tokio::test(start_paused = true)]
async fn a_digest_that_was_pulled_needs_no_registry_and_another_namespace_pulls_for_itself() {
    let registry = ScriptedRegistry::default();
    let digest = registry.put("1", "v1");
    let reference = json!({"reference": format!("r.example/team/ca@{digest}")});
    let bench = start(&registry, image(reference.clone()));
    bench.until_says(READY, CHECKED).await;
    let asked = registry.count("");
    bench.some_checks().await;
    let add = |namespace: &str, name: &str| {
        let (object, mut value) = issuer(name);
        let object = object.in_namespace(namespace);
        value["spec"]["plugin"] = json!({"image": reference});
        bench.api.put(&object, value);
        object
    };
    let same = add(NAMESPACE, "same");
    bench.until(&same, READY, CHECKED).await;
    assert_eq!((registry.count(""), registry.pulls()), (asked, 1));
    // Whoever knows the digest has not shown that it may have the component.
    registry.is(Mood::Guarded("dTpw"));
    let other = add("team-b", "other");
    let says =
        |api: &ScriptedApi| api.condition(&other, READY).is_some_and(|it| it.contains("pullSecretName"));
    bench.api.until("asked for credentials", says).await;
    registry.is(Mood::Well);
    bench.until(&other, READY, CHECKED).await;
    assert_eq!(registry.pulls(), 2);
}

#[tokio::test(start_paused = true)]
async fn credentials_are_those_of_the_pull_secret_and_a_change_of_it_is_noticed() {
    let registry = ScriptedRegistry::default();
    registry.put("1", "v1");
    registry.is(Mood::Guarded("dTpw"));
    let (regcred, mut value) = secret("regcred");
    let with = |value: &mut Value, auth: &str| {
        let config = json!({"auths": {"r.example": {"auth": auth}}}).to_string();
        value["data"] = json!({".dockerconfigjson": BASE64_STANDARD.encode(config)});
    };
    with(&mut value, "dTp3cm9uZw==");
    let bench = start(&registry, |api, ca| {
        image(json!({"reference": "r.example/team/ca:1", "pullSecretName": "regcred"}))(api, ca);
        api.put(&regcred, value);
    });
    bench.until_refused(r#"mend the credentials for r.example in Secret "team-a/regcred""#).await;
    bench.api.edit(&regcred, |value| with(value, "dTpw"));
    let began = tokio::time::Instant::now();
    bench.until_says(READY, CHECKED).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    bench.api.edit(&regcred, |value| value["data"] = json!({"token": "eA=="}));
    let no_key = r#"Secret "team-a/regcred" (named by spec.plugin.image.pullSecretName) has no key ".dockerconfigjson""#;
    let says =
        |api: &ScriptedApi| api.condition(&bench.ca, PLUGIN_CURRENT).is_some_and(|it| it.contains(no_key));
    bench.api.until(no_key, says).await;
    assert!(bench.serves(), "what was pulled goes on");
}

#[tokio::test(start_paused = true)]
async fn what_a_spec_pins_is_looked_at_before_anything_is_pulled() {
    let registry = ScriptedRegistry::default();
    registry.put("1", "v1");
    let bench = start(&registry, |api, ca| {
        let plugin = json!({"image": {"reference": "r.example/team/ca:1"}, "sha256": "0f".repeat(32)});
        api.edit(ca, |value| value["spec"]["plugin"] = plugin);
    });
    bench.until_refused("but spec.plugin.sha256 pins 0f0f").await;
    assert_eq!(registry.pulls(), 0);
}

#[tokio::test(start_paused = true)]
async fn other_bytes_and_too_many_are_no_plugin() {
    let registry = ScriptedRegistry::default();
    registry.put_layer("1", "v1", 2, Bytes::from_static(b"v2"));
    let bench = tagged(&registry);
    bench.until_refused("the registry sent other bytes than it was asked for").await;
    let registry = ScriptedRegistry::default();
    registry.put_layer("1", "v1", 100 << 20, Bytes::from_static(b"v1"));
    let bench = tagged(&registry);
    bench.until_refused("the component has 104857600 bytes, where at most 16777216 are accepted").await;
    assert_eq!(registry.pulls(), 0);
}

#[tokio::test(start_paused = true)]
async fn no_registry_leads_where_plugins_may_not_go() {
    let registry = ScriptedRegistry::default();
    registry.put("1", "v1");
    registry.is(Mood::Elsewhere("http://inside.example/v1"));
    let bench = tagged(&registry);
    bench.until_refused("http://inside.example is at an address that plugins may not reach").await;
    let bench = start(&registry, image(json!({"reference": "inside.example/ca:1"})));
    bench.until_refused("http://inside.example is at an address that plugins may not reach").await;
    assert!(!registry.dialed(INSIDE));
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_the_policy_does_not_name_is_not_asked() {
    let registry = ScriptedRegistry::default();
    registry.put("1", "v1");
    let bench = tagged(&registry);
    bench.until_says(READY, CHECKED).await;
    let mut policy = Policy::default();
    policy.wasm_issuers.registries = vec!["other.example".parse().unwrap()];
    let asked = registry.count("");
    bench.policy.send_replace(policy.into());
    bench
        .until_refused(
            "the operator's policy does not allow the registry r.example in spec.plugin.image.reference (it allows \
             other.example); to allow it, put the section \
             wasmIssuers: {registries: [\"other.example\",\"r.example\"]} there",
        )
        .await;
    assert_eq!(registry.count(""), asked);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_sends_slowly_holds_up_no_config_map() {
    let registry = ScriptedRegistry::default();
    registry.put("1", "v1");
    registry.is(Mood::Stuck(Duration::from_secs(3600)));
    let bench = tagged(&registry);
    let crowd: Vec<Object> = (0..40)
        .map(|n| {
            let (object, mut value) = issuer(&format!("slow-{n}"));
            let object = object.in_namespace(&format!("team-{n}"));
            value["spec"]["plugin"] = json!({"image": {"reference": "r.example/team/ca:1"}});
            bench.api.put(&object, value);
            object
        })
        .collect();
    sleep(Duration::from_secs(5)).await;
    let (object, value) = issuer("quick");
    bench.api.put(&object, value);
    let began = tokio::time::Instant::now();
    bench.until(&object, READY, CHECKED).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    // And it is given up.
    let says = |api: &ScriptedApi| {
        crowd.iter().any(|it| api.condition(it, READY).is_some_and(|it| it.contains("r.example: ")))
    };
    bench.api.until("a slow registry is given up", says).await;
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_sends_slowly_holds_up_nothing_that_was_kept() {
    let registry = ScriptedRegistry::default();
    registry.put("1", "kept");
    let dir = tempfile::tempdir().unwrap();
    let folder = || Some(Folder::shared(dir.path().join("images"), 1 << 20).unwrap());
    let spec = || image(json!({"reference": "r.example/team/ca:1"}));
    let bench = Bench::pulling(&registry, folder(), spec());
    bench.until_says(READY, CHECKED).await;
    drop(bench);
    registry.put("1", "v2");
    registry.is(Mood::Stuck(Duration::from_secs(3600)));
    let bench = Bench::pulling(&registry, folder(), |_, _| ());
    for n in 0..40 {
        let (object, mut value) = issuer(&format!("slow-{n}"));
        value["spec"]["plugin"] = json!({"image": {"reference": "r.example/team/ca:1"}});
        bench.api.put(&object.in_namespace(&format!("team-{n}")), value);
    }
    sleep(Duration::from_secs(5)).await;
    let pulls = registry.pulls();
    registry.put("1", "kept");
    let (object, mut value) = issuer("again");
    value["spec"]["plugin"] = json!({"image": {"reference": "r.example/team/ca:1"}});
    bench.api.put(&object, value);
    let began = tokio::time::Instant::now();
    bench.until(&object, READY, CHECKED).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!((pulls, registry.pulls()), (5, 5), "the first one, and those that are stuck");
}

#[tokio::test(start_paused = true)]
async fn a_tag_is_kept_when_its_component_is() {
    let registry = ScriptedRegistry::default();
    registry.put_layer("1", "v1", 2, Bytes::from_static(b"v2"));
    let dir = tempfile::tempdir().unwrap();
    let images = dir.path().join("images");
    let folder = Folder::shared(images.clone(), 1 << 20).unwrap();
    let spec = image(json!({"reference": "r.example/team/ca:1"}));
    let bench = Bench::pulling(&registry, Some(folder), spec);
    bench.until_refused("other bytes than it was asked for").await;
    let kept = || std::fs::read_dir(&images).unwrap().count();
    assert_eq!(kept(), 0);
    registry.put("1", "v1");
    bench.until_says(READY, CHECKED).await;
    assert_eq!(kept(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_names_a_digest_is_not_told_how_its_component_did() {
    let registry = ScriptedRegistry::default();
    registry.put("1", "invalid");
    let bench = start(&registry, |_, _| ());
    bench.plugins.uncompiled("invalid");
    bench.plugins.compiled("invalid");
    let add = |namespace: &str| {
        let (object, mut value) = issuer("image");
        let object = object.in_namespace(namespace);
        value["spec"]["plugin"] = json!({"image": {"reference": "r.example/team/ca:1"}});
        bench.api.put(&object, value);
        object
    };
    let says = async |object: &Object, what: &str| {
        let says = |api: &ScriptedApi| api.condition(object, READY).is_some_and(|it| it.contains(what));
        bench.api.until(what, says).await;
    };
    let theirs = add(NAMESPACE);
    says(&theirs, "scripted").await;
    // A manifest with that digest, and other bytes.
    registry.put_layer("1", "invalid", 7, Bytes::from_static(b"unknown"));
    let other = add("team-b");
    says(&other, "other bytes than it was asked for").await;
    // Who has the bytes need not have them compiled again.
    registry.put("1", "invalid");
    says(&other, "scripted").await;
    assert_eq!(bench.plugins.compiling(), ["invalid"]);
}

#[tokio::test(start_paused = true)]
async fn a_registry_is_asked_for_nothing_in_the_turn_to_compile() {
    let registry = ScriptedRegistry::default();
    registry.put("1", "v2");
    let bench = start(&registry, |_, _| ());
    for name in ["v1", "v2"] {
        bench.plugins.uncompiled(name);
    }
    bench.api.until("v1 is being compiled", |_| bench.plugins.compiling() == ["v1"]).await;
    let (pulled, mut value) = issuer("pulled");
    value["spec"]["plugin"] = json!({"image": {"reference": "r.example/team/ca:1"}});
    bench.api.put(&pulled, value);
    bench.api.until("v2 was pulled", |_| registry.pulls() == 1).await;
    let asked = registry.count("");
    bench.plugins.compiled("v1");
    bench.api.until("v2 is being compiled", |_| bench.plugins.compiling() == ["v1", "v2"]).await;
    assert_eq!(registry.count(""), asked);
    bench.plugins.compiled("v2");
    bench.until(&pulled, READY, CHECKED).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_reference_says_so() {
    let registry = ScriptedRegistry::default();
    let bench = start(&registry, image(json!({"reference": "r.example/CA:1"})));
    bench
        .until_refused(r#"spec.plugin.image.reference "r.example/CA:1": the repository is not lower-case"#)
        .await;
    assert_eq!(registry.count(""), 0);
}

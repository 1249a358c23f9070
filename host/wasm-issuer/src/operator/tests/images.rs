//! Plugins in OCI registries.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use wasm_issuer_core::issuance::condition::{PLUGIN_CURRENT, READY};
use wasm_issuer_runtime::Folder;

use super::bench::{Bench, CHECKED};
use crate::operator::testing::{
    INSIDE, Mood, NAMESPACE, Object, ScriptedApi, ScriptedRegistry, issuer, secret,
};
use crate::policy::Policy;

const DOWN: &str = "r.example: connection refused";

/// The Issuer's plugin is this image.
pub fn image(image: Value) -> impl FnOnce(&ScriptedApi, &Object) {
    move |api, ca| api.edit(ca, |value| value["spec"]["plugin"] = json!({"image": image}))
}

pub fn tagged_image() -> Value {
    json!({"reference": "r.example/team/ca:1"})
}

fn start(registry: &ScriptedRegistry, prepare: impl FnOnce(&ScriptedApi, &Object)) -> Bench {
    Bench::pulling(registry, None, prepare)
}

fn tagged(registry: &ScriptedRegistry) -> Bench {
    start(registry, image(tagged_image()))
}

/// A registry that has this component under the tag.
fn registry_with(component: &'static str) -> ScriptedRegistry {
    let registry = ScriptedRegistry::default();
    registry.put("1", component);
    registry
}

impl Bench {
    pub fn plugin(&self) -> Value {
        self.api.get(&self.ca).unwrap()["status"]["plugin"].clone()
    }

    /// Two rounds of checks, of a minute each.
    pub async fn some_checks(&self) {
        sleep(Duration::from_secs(150)).await;
    }

    /// Make one more Issuer, whose plugin is this image.
    fn add(&self, namespace: &str, name: &str, image: &Value) -> Object {
        let (object, mut value) = issuer(name);
        let object = object.in_namespace(namespace);
        value["spec"]["plugin"] = json!({"image": image});
        self.api.put(&object, value);
        object
    }

    /// Make Issuers of forty namespaces with the image of the tag.
    fn add_crowd(&self) -> Vec<Object> {
        let add = |n| self.add(&format!("team-{n}"), &format!("slow-{n}"), &tagged_image());
        (0..40).map(add).collect()
    }

    /// Wait until this is a part of what a condition says.
    pub async fn until_tells(&self, object: &Object, condition: &str, what: &str) {
        let tells = |api: &ScriptedApi| api.condition(object, condition).is_some_and(|it| it.contains(what));
        self.api.until(what, tells).await;
    }

    pub async fn until_refused(&self, why: &str) {
        self.until_tells(&self.ca, READY, why).await;
        assert!(!self.serves());
    }

    /// Wait until an Issuer is ready, which takes no longer than what is there.
    async fn until_ready_at_once(&self, object: &Object) {
        let began = Instant::now();
        self.until(object, READY, CHECKED).await;
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
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
    let registry = registry_with("v1");
    let bench = tagged(&registry);
    bench.until_says(READY, CHECKED).await;
    registry.is(Mood::Down);
    let (checked, written) = (bench.plugins.plugin("v1").checked(), bench.times_written());
    bench.some_checks().await;
    assert!(bench.serves() && bench.plugins.plugin("v1").checked() > checked);
    assert_eq!(bench.times_written(), written, "nothing has changed");
    // What was never pulled cannot be had.
    bench.api.edit(&bench.ca, |value| value["spec"]["plugin"]["image"]["reference"] = "r.example/b:1".into());
    bench.until_tells(&bench.ca, PLUGIN_CURRENT, DOWN).await;
    assert!(bench.serves(), "the old plugin goes on");
}

#[tokio::test(start_paused = true)]
async fn what_was_pulled_outlives_a_restart_and_its_registry() {
    let registry = registry_with("v1");
    let dir = tempfile::tempdir().unwrap();
    let folder = || Some(Folder::shared(dir.path().join("images"), 1 << 20).unwrap());
    let spec = || image(tagged_image());
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
    let same = bench.add(NAMESPACE, "same", &reference);
    bench.until(&same, READY, CHECKED).await;
    assert_eq!((registry.count(""), registry.pulls()), (asked, 1));
    // Whoever knows the digest has not shown that it may have the component.
    registry.is(Mood::Guarded("dTpw"));
    let other = bench.add("team-b", "other", &reference);
    bench.until_tells(&other, READY, "pullSecretName").await;
    registry.is(Mood::Well);
    bench.until(&other, READY, CHECKED).await;
    assert_eq!(registry.pulls(), 2);
}

#[tokio::test(start_paused = true)]
async fn credentials_are_those_of_the_pull_secret_and_a_change_of_it_is_noticed() {
    let registry = registry_with("v1");
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
    bench.until_ready_at_once(&bench.ca).await;
    bench.api.edit(&regcred, |value| value["data"] = json!({"token": "eA=="}));
    let no_key = r#"Secret "team-a/regcred" (named by spec.plugin.image.pullSecretName) has no key ".dockerconfigjson""#;
    bench.until_tells(&bench.ca, PLUGIN_CURRENT, no_key).await;
    assert!(bench.serves(), "what was pulled goes on");
}

#[tokio::test(start_paused = true)]
async fn what_a_spec_pins_is_looked_at_before_anything_is_pulled() {
    let registry = registry_with("v1");
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
    let registry = registry_with("v1");
    registry.is(Mood::Elsewhere("http://inside.example/v1"));
    let bench = tagged(&registry);
    bench.until_refused("http://inside.example is at an address that plugins may not reach").await;
    let bench = start(&registry, image(json!({"reference": "inside.example/ca:1"})));
    bench.until_refused("http://inside.example is at an address that plugins may not reach").await;
    assert!(!registry.dialed(INSIDE));
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_the_policy_does_not_name_is_not_asked() {
    let registry = registry_with("v1");
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
    let registry = registry_with("v1");
    registry.is(Mood::Stuck(Duration::from_secs(3600)));
    let bench = tagged(&registry);
    let crowd = bench.add_crowd();
    sleep(Duration::from_secs(5)).await;
    let (object, value) = issuer("quick");
    bench.api.put(&object, value);
    bench.until_ready_at_once(&object).await;
    // And it is given up.
    let says = |api: &ScriptedApi| {
        crowd.iter().any(|it| api.condition(it, READY).is_some_and(|it| it.contains("r.example: ")))
    };
    bench.api.until("a slow registry is given up", says).await;
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_sends_slowly_holds_up_nothing_that_was_kept() {
    let registry = registry_with("kept");
    let dir = tempfile::tempdir().unwrap();
    let folder = || Some(Folder::shared(dir.path().join("images"), 1 << 20).unwrap());
    let spec = || image(tagged_image());
    let bench = Bench::pulling(&registry, folder(), spec());
    bench.until_says(READY, CHECKED).await;
    drop(bench);
    registry.put("1", "v2");
    registry.is(Mood::Stuck(Duration::from_secs(3600)));
    let bench = Bench::pulling(&registry, folder(), |_, _| ());
    bench.add_crowd();
    sleep(Duration::from_secs(5)).await;
    let pulls = registry.pulls();
    registry.put("1", "kept");
    bench.until_ready_at_once(&bench.add(NAMESPACE, "again", &tagged_image())).await;
    assert_eq!((pulls, registry.pulls()), (5, 5), "the first one, and those that are stuck");
}

#[tokio::test(start_paused = true)]
async fn a_tag_is_kept_when_its_component_is() {
    let registry = ScriptedRegistry::default();
    registry.put_layer("1", "v1", 2, Bytes::from_static(b"v2"));
    let dir = tempfile::tempdir().unwrap();
    let images = dir.path().join("images");
    let folder = Folder::shared(images.clone(), 1 << 20).unwrap();
    let spec = image(tagged_image());
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
    let registry = registry_with("invalid");
    let bench = start(&registry, |_, _| ());
    bench.plugins.uncompiled("invalid");
    bench.plugins.compiled("invalid");
    let theirs = bench.add(NAMESPACE, "image", &tagged_image());
    bench.until_tells(&theirs, READY, "scripted").await;
    // A manifest with that digest, and other bytes.
    registry.put_layer("1", "invalid", 7, Bytes::from_static(b"unknown"));
    let other = bench.add("team-b", "image", &tagged_image());
    bench.until_tells(&other, READY, "other bytes than it was asked for").await;
    // Who has the bytes need not have them compiled again.
    registry.put("1", "invalid");
    bench.until_tells(&other, READY, "scripted").await;
    assert_eq!(bench.plugins.compiling(), ["invalid"]);
}

#[tokio::test(start_paused = true)]
async fn a_registry_is_asked_for_nothing_in_the_turn_to_compile() {
    let registry = registry_with("v2");
    let bench = start(&registry, |_, _| ());
    for name in ["v1", "v2"] {
        bench.plugins.uncompiled(name);
    }
    bench.api.until("v1 is being compiled", |_| bench.plugins.compiling() == ["v1"]).await;
    let pulled = bench.add(NAMESPACE, "pulled", &tagged_image());
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

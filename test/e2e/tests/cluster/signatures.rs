//! Signed plugins in real OCI registries, under a policy that asks for signatures.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use wasm_issuer_e2e::cosign::{Cosign, Form};
use wasm_issuer_e2e::operator::plugin;
use wasm_issuer_e2e::registry::Registry;
use wasm_issuer_e2e::{
    Csr, Kind, Launch, Object, Operator, SOON, Test, component, e2e_alone, issuer_ref, skip,
};

const NO_COSIGN: &str = "cosign cannot be had (see above)";

/// The operator's policy, which asks for signatures by a key until this is dropped.
struct Demand {
    file: PathBuf,
    before: String,
}

impl Demand {
    fn of(t: &Test, public_key: &str) -> Self {
        let file = t.workdir.join("policy.yaml");
        let before = std::fs::read_to_string(&file).unwrap();
        let demanding = |line: &str| match line.strip_suffix('}').filter(|_| line.starts_with("wasmIssuers:"))
        {
            Some(section) => format!("{section}, signedBy: {}}}", json!([public_key])),
            None => line.to_owned(),
        };
        let text = before.lines().map(demanding).collect::<Vec<_>>().join("\n");
        assert!(text.contains("signedBy"), "{text}");
        std::fs::write(&file, text).unwrap();
        Self { file, before }
    }
}

impl Drop for Demand {
    fn drop(&mut self) {
        let _ = std::fs::write(&self.file, &self.before);
    }
}

fn by(reference: &str) -> Value {
    json!({"plugin": {"image": {"reference": reference}}, "checkInterval": "10s"})
}

/// Wait until a condition says this.
async fn says(t: &Test, name: &str, condition: &str, wanted: &str) -> Object {
    let what = format!("{condition} says {wanted:?}");
    t.wait((Kind::WasmIssuer, name), SOON, &what, |issuer| issuer.says(condition).contains(wanted)).await
}

async fn runs(t: &Test, name: &str, reference: &str) {
    let what = format!("it runs {reference}");
    let is_so = |issuer: &Object| {
        issuer["status"]["plugin"]["source"] == format!("image {reference}")
            && issuer.ready().starts_with("True")
    };
    t.wait((Kind::WasmIssuer, name), SOON, &what, is_so).await;
    issues(t, name).await;
}

async fn issues(t: &Test, name: &str) {
    static REQUESTS: AtomicUsize = AtomicUsize::new(0);
    let request = format!("{name}-{}", REQUESTS.fetch_add(1, Ordering::Relaxed));
    t.issue(&request, issuer_ref(name), &Csr::for_host("web.example"), json!({})).await;
}

/// What is in a registry, by tag and by digest: refused, signed by somebody else, signed, moved.
async fn signed_plugins_run(t: &Test, registry: &Registry, cosign: &Cosign, form: Form) {
    let n = 2 * form as usize;
    let (ca, newer) =
        (component::unlike(&plugin("in_memory_ca"), n), component::unlike(&plugin("in_memory_ca"), n + 1));
    let pinned = registry.push(&ca, "team/ca:1", &[]).expect("it is pushed");
    let tag = format!("{}/team/ca:1", registry.host);
    let (tagged, by_digest) =
        (format!("tag-{form:?}").to_lowercase(), format!("digest-{form:?}").to_lowercase());
    for (name, reference) in [(&tagged, &tag), (&by_digest, &pinned)] {
        t.issuer(name, by(reference)).await;
        let refused = says(t, name, "Ready", "it has no signature; sign it: cosign sign --key FILE").await;
        assert!(
            refused.ready().contains("put the section wasmIssuers: {signedBy: []} there"),
            "{}",
            refused.ready()
        );
    }
    let digest = pinned.split('@').next_back().expect("a digest");
    let image = format!("{}/team/ca@{digest}", registry.host);
    cosign.sign("other", &image, form);
    says(t, &tagged, "Ready", "none of its signatures holds: it has 1 by another key").await;
    cosign.sign("ours", &image, form);
    for name in [&tagged, &by_digest] {
        runs(t, name, &pinned).await;
    }
    let verified = |key: &str| {
        let key = cosign.public_key(key).display().to_string();
        registry.pull_with(&image, &["--verify-key", &key])
    };
    assert_eq!(verified("ours"), Ok(ca));
    let looked = registry.verify(&tag, &cosign.public_key("ours"));
    assert_eq!(looked, Ok(pinned.clone()), "the tag and the digest that it stands for");
    let looked = registry.verify(&tag, &cosign.public_key("third")).expect_err("nobody signed with it");
    assert!(looked.contains(" by another key"), "{looked}");
    let refused = verified("third").expect_err("nobody signed with it");
    assert!(
        refused.contains(" by another key") && refused.contains("; --verify-key asks for one by sha256:"),
        "{refused}"
    );

    // What the tag moves to is not signed.
    let moved = registry.push(&newer, "team/ca:1", &[]).expect("it is pushed");
    says(t, &tagged, "PluginCurrent", "it has no signature").await;
    runs(t, &tagged, &pinned).await;
    cosign.sign("ours", &moved, form);
    runs(t, &tagged, &moved).await;
}

async fn with_cosign(t: &Test, open: impl Fn(&Path) -> Registry, name: &str) {
    let folder = t.workdir.join(name);
    let Some(cosign) = Cosign::find(&folder.join("cosign")) else { return skip(NO_COSIGN) };
    let registry = open(&folder);
    for key in ["ours", "other", "third"] {
        cosign.key_pair(key);
    }
    let _demand = Demand::of(t, &std::fs::read_to_string(cosign.public_key("ours")).unwrap());
    for form in [Form::Bundle, Form::Payload] {
        signed_plugins_run(t, &registry, &cosign, form).await;
        t.delete_all(Kind::WasmIssuer).await;
    }
    t.config_map("plugin", "plugin.wasm", &plugin("in_memory_ca")).await;
    t.issuer("map", json!({"plugin": {"configMap": {"name": "plugin"}}})).await;
    says(t, "map", "Ready", "does not allow spec.plugin.configMap, which has no signature").await;
    t.ready_issuer("builtin", json!({"plugin": {"builtin": "in-memory-ca"}})).await;
}

#[test]
fn what_cosign_signed_runs_where_signatures_are_asked_for() {
    e2e_alone(async |t, _| with_cosign(t, Registry::listing, "signed").await);
}

#[test]
fn what_cosign_signed_is_found_where_the_registry_lists_nothing() {
    e2e_alone(async |t, _| with_cosign(t, Registry::open, "signed-by-tag").await);
}

/// A private key that is not encrypted, in a file, and the public one.
fn key_pair(folder: &Path, name: &str) -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let file = folder.join(format!("{name}.pem"));
    std::fs::write(&file, key.serialize_pem()).expect("a file");
    std::fs::write(folder.join(format!("{name}.pub")), key.public_key_pem()).expect("a file");
    (file.display().to_string(), key.public_key_pem())
}

/// What `plugin push --sign-key` signs runs, is found by cosign, and needs no registry later.
async fn what_is_pushed_signed_runs(
    t: &Test,
    operator: &mut Operator,
    registry: &mut Registry,
    folder: &Path,
) {
    let ca = plugin("in_memory_ca");
    let (key, public_key) = key_pair(folder, "signer");
    key_pair(folder, "stranger");
    let signed = registry.push(&ca, "ca:1", &["--sign-key", &key]).expect("it is pushed");
    let other = component::unlike(&ca, 1);
    let unsigned = registry.push(&other, "unsigned:1", &[]).expect("it is pushed");
    match Cosign::find(folder) {
        Some(cosign) => {
            cosign.verify("signer", &signed).expect("cosign verifies it");
            cosign.verify("stranger", &signed).expect_err("it is not signed by this one");
        }
        None => skip(NO_COSIGN),
    }
    let _demand = Demand::of(t, &public_key);
    let args = vec!["--cache-dir".into(), folder.join("cache").into()];
    operator.relaunch(Launch { args, ..Launch::default() }).await;
    t.issuer("signed", by(&signed)).await;
    runs(t, "signed", &signed).await;
    t.issuer("unsigned", by(&unsigned)).await;
    says(t, "unsigned", "Ready", "it has no signature").await;

    registry.down();
    operator.kill().await;
    operator.start().await;
    issues(t, "signed").await;
    says(t, "unsigned", "Ready", "connection refused").await;
    registry.up();
    // It is pushed again, and signed now.
    assert_eq!(registry.push(&other, "unsigned:1", &["--sign-key", &key]), Ok(unsigned.clone()));
    runs(t, "unsigned", &unsigned).await;
}

#[test]
fn what_is_pushed_with_a_key_runs_and_needs_no_registry_later() {
    e2e_alone(async |t, operator| {
        let folder = t.workdir.join("pushed-signed");
        what_is_pushed_signed_runs(t, operator, &mut Registry::listing(&folder), &folder).await;
    });
}

#[test]
fn what_is_pushed_with_a_key_is_found_where_the_registry_lists_nothing() {
    e2e_alone(async |t, operator| {
        let folder = t.workdir.join("pushed-signed-by-tag");
        what_is_pushed_signed_runs(t, operator, &mut Registry::open(&folder), &folder).await;
    });
}

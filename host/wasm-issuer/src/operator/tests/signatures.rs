//! Plugins in registries, under a policy that asks for signatures.

use wasm_issuer_core::issuance::condition::{PLUGIN_CURRENT, READY};
use wasm_issuer_core::keys::{Algorithm, PrivateKey};
use wasm_issuer_core::x509::pem;
use wasm_issuer_oci::SignerKey;
use wasm_issuer_runtime::Folder;

use super::bench::{Bench, CHECKED};
use super::images::{image, tagged_image};
use crate::operator::testing::{Mood, ScriptedRegistry};

/// A private key, and what a policy has of it.
fn key() -> (PrivateKey, SignerKey) {
    let key = PrivateKey::generate(Algorithm::EcdsaP256Sha256).unwrap();
    let public = pem::encode("PUBLIC KEY", key.public_key_der()).parse().unwrap();
    (key, public)
}

/// With an Issuer whose plugin is under the tag.
fn start(registry: &ScriptedRegistry, folder: Option<Folder>, signed_by: &[SignerKey]) -> Bench {
    Bench::pulling_signed(registry, folder, signed_by.to_vec(), image(tagged_image()))
}

#[tokio::test(start_paused = true)]
async fn what_is_not_signed_does_not_run_although_it_did_until_it_is_signed() {
    let (key, public) = key();
    let registry = ScriptedRegistry::default();
    let digest = registry.put("1", "v1");
    let bench = start(&registry, None, &[]);
    bench.until_says(READY, CHECKED).await;
    assert_eq!(registry.count("GET /v2/team/ca/manifests/sha256-"), 0, "nobody asks");
    // It is in use, pulled and in memory.
    bench.demand(std::slice::from_ref(&public));
    bench
        .until_refused(&format!(
            "image r.example/team/ca@{digest} (spec.plugin.image.reference): it has no signature; sign it: cosign sign \
             --key FILE r.example/team/ca@{digest} (docs/oci.md); the operator's policy does not allow plugins that are \
             not signed (it allows what is signed by {public}); to allow it, put the section wasmIssuers: {{signedBy: []}} \
             there"
        ))
        .await;
    registry.sign(&digest, &key);
    bench.until_says(READY, CHECKED).await;
    let asked = || registry.count("GET /v2/team/ca/manifests/sha256-");
    let before = asked();
    bench.some_checks().await;
    assert!(bench.serves());
    assert_eq!(asked(), before, "what is known is not asked for");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_signed_is_not_even_pulled() {
    let registry = ScriptedRegistry::default();
    registry.put("1", "v1");
    let bench = start(&registry, None, &[key().1]);
    bench.until_refused("it has no signature").await;
    assert_eq!(registry.pulls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_moves_to_what_is_not_signed_leaves_the_old_plugin_serving() {
    let (key, public) = key();
    let registry = ScriptedRegistry::default();
    let first = registry.put("1", "v1");
    registry.sign(&first, &key);
    let bench = start(&registry, None, &[public]);
    bench.until_says(READY, CHECKED).await;
    let second = registry.put("1", "v2");
    bench
        .until_tells(&bench.ca, PLUGIN_CURRENT, &format!("{second} (spec.plugin.image.reference): it has no"))
        .await;
    assert!(bench.serves() && bench.plugin()["source"].as_str().unwrap().ends_with(&first.to_string()));
    registry.sign(&second, &key);
    bench.some_checks().await;
    assert!(bench.plugin()["source"].as_str().unwrap().ends_with(&second.to_string()));
}

#[tokio::test(start_paused = true)]
async fn whose_signature_it_is_outlives_a_restart_and_the_registry_and_is_no_other_keys() {
    let (key, public) = key();
    let registry = ScriptedRegistry::default();
    registry.sign(&registry.put("1", "v1"), &key);
    let dir = tempfile::tempdir().unwrap();
    let folder = || Some(Folder::shared(dir.path().join("images"), 1 << 20).unwrap());
    let bench = start(&registry, folder(), std::slice::from_ref(&public));
    bench.until_says(READY, CHECKED).await;
    drop(bench);
    registry.is(Mood::Down);
    let other = self::key().1;
    let bench = start(&registry, folder(), &[other.clone(), public]);
    bench.until_says(READY, CHECKED).await;
    // That it has another signature is not known of it.
    bench.demand(std::slice::from_ref(&other));
    bench.until_refused("r.example: connection refused").await;
    registry.is(Mood::Well);
    bench.until_refused("none of its signatures holds: it has 1 by another key; sign it").await;
    // Nor was it noted for the key that was asked for.
    registry.is(Mood::Down);
    bench.until_refused("r.example: connection refused").await;
}

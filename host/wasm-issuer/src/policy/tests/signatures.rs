//! What a policy asks of signatures.

use wasm_issuer_core::keys::{Algorithm, PrivateKey};
use wasm_issuer_core::x509::pem;

use super::*;
use crate::api::ConfigMapSource;

fn public_key() -> String {
    pem::encode("PUBLIC KEY", PrivateKey::generate(Algorithm::EcdsaP256Sha256).unwrap().public_key_der())
}

/// A policy file with these keys for WasmIssuers, as people write it.
fn file(keys: &[&str]) -> String {
    let indented = |key: &&str| format!("    - |\n      {}\n", key.trim_end().replace('\n', "\n      "));
    format!("wasmIssuers:\n  signedBy:\n{}", keys.iter().map(indented).collect::<String>())
}

fn from_config_map() -> IssuerSpec {
    let config_map = Some(ConfigMapSource { name: "a".parse().unwrap(), key: "b".into() });
    IssuerSpec::new(PluginSpec { config_map, ..PluginSpec::default() })
}

#[test]
fn keys_are_pem_and_a_mistake_in_one_has_its_place() {
    let (a, b) = (public_key(), public_key());
    let policy = Policy::parse(&file(&[&a, &b])).unwrap();
    let keys: Vec<String> = policy.wasm_issuers.signed_by.iter().map(SignerKey::to_pem).collect();
    assert_eq!(keys, [a.as_str(), b.as_str()]);
    assert_eq!(policy.wasm_cluster_issuers.signed_by, []);
    let private = pem::encode("PRIVATE KEY", b"secret");
    for (key, found) in [
        ("cosign.pub", "it holds no PEM block"),
        (private.as_str(), "its PEM block is PRIVATE KEY, where a public key's is PUBLIC KEY"),
    ] {
        let fault = Policy::parse(&file(&[&a, key])).unwrap_err().to_string();
        assert!(
            fault.starts_with("line 9, column 7: ") && fault.contains("wasmIssuers.signedBy[1]: "),
            "{fault}"
        );
        assert!(fault.contains(found) && !fault.contains("c2VjcmV0"), "{fault}");
    }
}

#[test]
fn where_plugins_are_signed_none_is_in_a_config_map() {
    let policy = Policy::parse(&file(&[&public_key()])).unwrap();
    let refused = refusal(&policy, Namespaced, &from_config_map());
    assert_eq!(
        refused,
        "the operator's policy does not allow spec.plugin.configMap, which has no signature (it allows image, builtin); to \
         allow it, put the section wasmIssuers: {signedBy: []} there"
    );
    assert_eq!(policy.check(Cluster, &from_config_map()), Ok(()));
    // What is in the operator's image is whose that is; an image is looked at.
    let image = serde_json::json!({"image": {"reference": "r.example/ca:1"}});
    for spec in [spec(), IssuerSpec::new(serde_json::from_value(image).unwrap())] {
        assert_eq!(policy.check(Namespaced, &spec), Ok(()));
    }
    // Of two reasons both are told, and what is told allows it.
    let text = format!("{}  sources: [image]\n", file(&[&public_key()]));
    let said = refusal(&Policy::parse(&text).unwrap(), Namespaced, &from_config_map());
    let pasted = Policy::parse(section(&said)).unwrap();
    assert_eq!(pasted.check(Namespaced, &from_config_map()), Ok(()), "{said}");
}

#[test]
fn what_is_not_signed_is_told_whose_signature_would_do() {
    let policy = Policy::parse(&file(&[&public_key(), &public_key()])).unwrap();
    let said = policy.bounds(Namespaced).unsigned(Namespaced).to_string();
    for key in &policy.wasm_issuers.signed_by {
        assert!(said.contains(&key.fingerprint().to_string()), "{said}");
    }
    assert_eq!(Policy::parse(section(&said)).unwrap().wasm_issuers.signed_by, []);
}

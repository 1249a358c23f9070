//! From a Certificate to its Secret, through cert-manager's own controllers, where they run.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use wasm_issuer_e2e::certificate::contains;
use wasm_issuer_e2e::der::attribute::*;
use wasm_issuer_e2e::der::{self};
use wasm_issuer_e2e::keys::Ca;
use wasm_issuer_e2e::{
    Issued, KeyKind, Kind, Object, SOON, Test, cluster_issuer_ref, e2e, has_cert_manager, issuer_ref,
};

/// Run a test if cert-manager's controllers run.
fn with_cert_manager(body: impl AsyncFnOnce(&Test)) {
    if has_cert_manager() {
        e2e(body);
    }
}

/// A Certificate, and what is in its Secret when it is ready.
async fn certificate(t: &Test, name: &str, issuer: Value, spec: Value) -> Issued {
    t.ask_for_certificate(name, issuer, spec).await;
    t.certificate(name).await
}

fn host(name: &str) -> Value {
    json!({"dnsNames": [format!("{name}.example")], "privateKey": {"algorithm": "ECDSA", "rotationPolicy": "Always"}})
}

#[test]
fn certificates_of_every_key_are_issued_by_both_kinds_of_issuer() {
    with_cert_manager(async |t| {
        let root = Ca::root("root", KeyKind::P384);
        let intermediate = root.below("intermediate", KeyKind::P256);
        let chain = format!("{}{}", intermediate.certificate, root.certificate);
        t.tls_secret("keys", &chain, &intermediate.key.pem()).await;
        t.ready_issuer("ca", json!({"plugin": {"builtin": "in-memory-ca"}, "authSecretName": "keys"})).await;
        let keys =
            [("RSA", 2048), ("RSA", 3072), ("ECDSA", 256), ("ECDSA", 384), ("ECDSA", 521), ("Ed25519", 0)];
        let issuers = [("own", issuer_ref("ca"), 2), ("cluster", cluster_issuer_ref("all-in-memory-ca"), 1)];
        join_all(issuers.iter().map(async |(kind, issuer, length)| {
            join_all(keys.map(async |(algorithm, size)| {
                let name = format!("{kind}-{algorithm}-{size}").to_lowercase();
                let mut spec = host(&name);
                spec["privateKey"] = json!({"algorithm": algorithm, "rotationPolicy": "Always"});
                if size != 0 {
                    spec["privateKey"]["size"] = size.into();
                }
                let issued = certificate(t, &name, issuer.clone(), spec).await;
                assert_eq!((issued.chain.len(), issued.ca.len()), (*length, 1), "{name}");
            }))
            .await;
        }))
        .await;
    });
}

#[test]
fn what_a_certificate_asks_for_is_in_its_secret() {
    with_cert_manager(async |t| {
        t.ready_issuer(
            "ca",
            json!({"plugin": {"builtin": "in-memory-ca"}, "verification": {"mode": "Strict"}}),
        )
        .await;
        let key = json!({"algorithm": "ECDSA", "rotationPolicy": "Always"});

        let issued = certificate(
            t,
            "everything",
            issuer_ref("ca"),
            json!({
                "privateKey": key,
                "literalSubject": "CN=web,OU=one,OU=two,O=Acme,C=DE",
                "dnsNames": ["a.example"],
                "uris": ["spiffe://cluster.local/ns/a"],
                "emailAddresses": ["someone@example.com"],
                "ipAddresses": ["10.1.2.3", "2001:db8::1"],
                "otherNames": [{"oid": "1.3.6.1.4.1.311.20.2.3", "utf8Value": "upn@example.com"}],
                "duration": "26h",
                "renewBefore": "1h",
                "usages": ["digital signature", "key agreement", "server auth", "client auth"],
            }),
        )
        .await;
        assert_eq!(issued.lifetime(), Duration::from_secs(26 * 3600));
        let usages = issued.key_usage();
        assert!(usages.digital_signature() && usages.key_agreement() && !usages.key_encipherment());
        assert_eq!(issued.extended_usages(), ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
        let names = issued.san().unwrap();
        for name in [
            der::dns("a.example"),
            der::uri("spiffe://cluster.local/ns/a"),
            der::email("someone@example.com"),
            der::ip("10.1.2.3"),
            der::ip("2001:db8::1"),
            der::other_name("1.3.6.1.4.1.311.20.2.3", "upn@example.com"),
        ] {
            assert!(contains(&names, &name), "{name:x?} is not in {names:x?}");
        }
        // Go's choice of strings.
        let text = der::PRINTABLE;
        let subject: [&[(&str, u8, &str)]; 5] = [
            &[(C, text, "DE")],
            &[(O, text, "Acme")],
            &[(OU, text, "two")],
            &[(OU, text, "one")],
            &[(CN, text, "web")],
        ];
        assert!(
            contains(&issued.chain[0], &der::name(&subject)),
            "{}",
            issued.leaf.tbs_certificate().subject()
        );

        let spec = json!({"privateKey": key, "commonName": "team ca", "isCA": true, "usages": ["crl sign"]});
        let issued = certificate(t, "sub-ca", issuer_ref("ca"), spec).await;
        assert!(issued.is_ca() && issued.key_usage().key_cert_sign());
    });
}

#[test]
fn a_certificate_is_issued_by_a_ca_that_cert_manager_made() {
    with_cert_manager(async |t| {
        let key = json!({"algorithm": "ECDSA", "rotationPolicy": "Always"});
        let spec = json!({"privateKey": key, "commonName": "team ca", "isCA": true});
        let root = certificate(t, "team-ca", cluster_issuer_ref("all-in-memory-ca"), spec).await;
        t.ready_issuer("ca", json!({"plugin": {"builtin": "in-memory-ca"}, "authSecretName": "team-ca"}))
            .await;
        let issued = certificate(t, "web", issuer_ref("ca"), host("web")).await;
        assert_eq!(issued.chain[1..], root.chain, "the leaf is followed by the CA's own chain");
    });
}

#[test]
fn a_certificate_fails_only_when_its_issuer_says_so() {
    with_cert_manager(async |t| {
        let states = [
            ("retry", "Failed to sign CertificateRequest, will retry: the CA is busy", "True"),
            ("permanent", "Failed permanently to sign CertificateRequest: the CA refuses", "False"),
        ];
        join_all(states.iter().map(async |(behaviour, message, issuing)| {
            t.hostile_issuer(behaviour, json!({"behaviour": behaviour})).await;
            t.ask_for_certificate(behaviour, issuer_ref(behaviour), host(behaviour)).await;
            let request = t.request_of(behaviour).await;
            let is_told = |request: &Object| request.ready().contains(message);
            t.wait((Kind::CertificateRequest, request.name()), SOON, message, is_told).await;
            let is_so = |certificate: &Object| certificate.says("Issuing").starts_with(issuing);
            t.wait((Kind::Certificate, behaviour), SOON, "told", is_so).await;
        }))
        .await;
    });
}

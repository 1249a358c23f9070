//! From a CertificateRequest to its certificate: what a request asks for is what the certificate says.

use std::future::ready;
use std::io::Write;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use kube::api::WatchEvent;
use serde_json::{Value, json};
use tokio::time::sleep;
use wasm_issuer_e2e::certificate::{certificates, verify};
use wasm_issuer_e2e::der::attribute::*;
use wasm_issuer_e2e::der::{self};
use wasm_issuer_e2e::keys::{Ca, leaf_below};
use wasm_issuer_e2e::{
    Csr, Issued, Key, KeyKind, Kind, Object, Test, cluster_issuer_ref, e2e, issuer_ref, operator,
};

const CHECKED: &str = "True Checked: Succeeded checking the issuer";

async fn ca(t: &Test) {
    t.ready_issuer("ca", json!({"plugin": {"builtin": "in-memory-ca"}, "verification": {"mode": "Strict"}}))
        .await;
}

#[test]
fn every_kind_of_request_key_is_signed_by_every_kind_of_ca_key() {
    e2e(async |t| {
        let with_secret = |name: &str| json!({"plugin": {"builtin": "in-memory-ca"}, "authSecretName": name});
        let mut cas = vec![];
        for (name, kind) in [("p256", KeyKind::P256), ("p521", KeyKind::P521), ("ed25519", KeyKind::Ed25519)]
        {
            let root = Ca::root(name, kind);
            t.tls_secret(name, &root.certificate, &root.key.pem()).await;
            cas.push((name, with_secret(name), Some(root.certificate), 1));
        }
        for (name, kind) in
            [("p384", KeyKind::P384), ("rsa2048", KeyKind::Rsa2048), ("rsa4096", KeyKind::Rsa4096)]
        {
            let root = Ca::root("root", KeyKind::P256);
            let intermediate = root.below(name, kind);
            let chain = format!("{}{}", intermediate.certificate, root.certificate);
            t.tls_secret(name, &chain, &intermediate.key.pem()).await;
            cas.push((name, with_secret(name), Some(root.certificate), 2));
        }
        // As cert-manager writes Secrets: without the root.
        let intermediate = Ca::root("root", KeyKind::P256).below("no-root", KeyKind::P256);
        t.tls_secret("no-root", &intermediate.certificate, &intermediate.key.pem()).await;
        cas.push(("no-root", with_secret("no-root"), Some(intermediate.certificate), 2));
        for (name, algorithm) in [("made-p256", "p256"), ("made-p384", "p384"), ("made-ed25519", "ed25519")] {
            let spec = json!({"plugin": {"builtin": "in-memory-ca"}, "config": {"algorithm": algorithm}});
            cas.push((name, spec, None, 1));
        }

        use KeyKind::*;
        let kinds = [Rsa2048, Rsa3072, Rsa4096, P256, P384, P521, Ed25519];
        let (cas, kinds) = (&cas, &kinds);
        join_all(cas.iter().map(async |(name, spec, root, chain_length)| {
            t.ready_issuer(name, spec.clone()).await;
            join_all(kinds.iter().map(async |kind| {
                let host = format!("{kind:?}.{name}.example").to_lowercase();
                let csr = Csr::new(&Key::new(*kind)).names(&[der::dns(&host)]);
                let issued = t.issue(&host.replace(".example", ""), issuer_ref(name), &csr, json!({})).await;
                assert_eq!(issued.chain.len(), *chain_length, "{host}");
                if let Some(root) = root {
                    assert_eq!(issued.ca, certificates(root.as_bytes()), "{host}");
                }
            }))
            .await;
        }))
        .await;
    });
}

#[test]
fn the_lifetime_is_the_requested_one_to_the_second_or_ninety_days() {
    e2e(async |t| {
        ca(t).await;
        let hours = |h: u64| Duration::from_secs(h * 3600);
        let cases = [
            ("short", json!("1h"), hours(1)),
            ("odd", json!("26h3m7s"), Duration::from_secs(93_787)),
            ("year", json!("8760h"), hours(8760)),
            ("default", Value::Null, hours(90 * 24)),
        ];
        join_all(cases.iter().map(async |(name, duration, expected)| {
            let issued = t
                .issue(name, issuer_ref("ca"), &Csr::for_host("a.example"), json!({"duration": duration}))
                .await;
            assert_eq!(issued.lifetime(), *expected, "{name}");
        }))
        .await;
    });
}

#[test]
fn all_usages_that_cert_manager_knows_are_kept() {
    e2e(async |t| {
        ca(t).await;
        let keys =
            ["signing", "digital signature", "content commitment", "key encipherment", "key agreement"];
        let more = ["data encipherment", "crl sign", "encipher only", "decipher only"];
        let extended = [
            ("any", "2.5.29.37.0"),
            ("server auth", "1.3.6.1.5.5.7.3.1"),
            ("client auth", "1.3.6.1.5.5.7.3.2"),
            ("code signing", "1.3.6.1.5.5.7.3.3"),
            ("email protection", "1.3.6.1.5.5.7.3.4"),
            ("s/mime", "1.3.6.1.5.5.7.3.4"),
            ("ipsec end system", "1.3.6.1.5.5.7.3.5"),
            ("ipsec tunnel", "1.3.6.1.5.5.7.3.6"),
            ("ipsec user", "1.3.6.1.5.5.7.3.7"),
            ("timestamping", "1.3.6.1.5.5.7.3.8"),
            ("ocsp signing", "1.3.6.1.5.5.7.3.9"),
            ("microsoft sgc", "1.3.6.1.4.1.311.10.3.3"),
            ("netscape sgc", "2.16.840.1.113730.4.1"),
        ];
        let usages: Vec<&str> = keys.into_iter().chain(more).chain(extended.map(|(name, _)| name)).collect();
        let csr = Csr::for_host("a.example");
        let issued = t.issue("all", issuer_ref("ca"), &csr, json!({"usages": usages})).await;
        let found = issued.key_usage();
        assert!(found.digital_signature() && found.non_repudiation() && found.key_encipherment());
        assert!(found.key_agreement() && found.data_encipherment() && found.crl_sign());
        assert!(found.encipher_only() && found.decipher_only() && !found.key_cert_sign());
        let mut expected: Vec<&str> = extended.iter().map(|(_, oid)| *oid).collect();
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(issued.extended_usages(), expected);

        let issued = t.issue("default", issuer_ref("ca"), &csr, json!({"usages": null})).await;
        let found = issued.key_usage();
        assert!(found.digital_signature() && found.key_encipherment());
        assert_eq!((found.0.into_iter().count(), issued.extended_usages()), (2, vec![]));
    });
}

#[test]
fn names_of_all_kinds_are_kept_byte_for_byte() {
    e2e(async |t| {
        ca(t).await;
        let names = [
            der::dns("a.example"),
            der::dns("*.b.example"),
            der::uri("spiffe://cluster.local/ns/a/sa/b"),
            der::email("someone@example.com"),
            der::ip("10.1.2.3"),
            der::ip("2001:db8::1"),
            der::other_name("1.3.6.1.4.1.311.20.2.3", "upn@example.com"),
        ];
        let csr = Csr::new(&Key::p256()).names(&names);
        let issued = t.issue("nameless", issuer_ref("ca"), &csr, json!({})).await;
        assert_eq!(issued.is_critical("2.5.29.17"), Some(true), "RFC 5280 4.2.1.6: there is no subject");

        let csr = csr.subject(der::name(&[&[(CN, der::UTF8, "a.example")]]));
        let issued = t.issue("named", issuer_ref("ca"), &csr, json!({})).await;
        assert_eq!(issued.is_critical("2.5.29.17"), Some(false));
    });
}

#[test]
fn subjects_are_kept_byte_for_byte() {
    e2e(async |t| {
        ca(t).await;
        let subjects = [
            (
                "several-ous",
                der::name(&[
                    &[(C, der::PRINTABLE, "DE")],
                    &[(O, der::UTF8, "Müller & Söhne")],
                    &[(OU, der::UTF8, "two")],
                    &[(OU, der::PRINTABLE, "one")],
                    &[(OU, der::UTF8, "two")],
                    &[(CN, der::UTF8, "web")],
                ]),
            ),
            // DER wants the shorter one first.
            (
                "multi-valued",
                der::name(&[&[(O, der::UTF8, "Acme")], &[(CN, der::UTF8, "joe"), (UID, der::UTF8, "42")]]),
            ),
            (
                "domain-components",
                der::name(&[
                    &[(DC, der::IA5, "org")],
                    &[(DC, der::IA5, "example")],
                    &[(CN, der::PRINTABLE, "joe")],
                ]),
            ),
            (
                "kubernetes-user",
                der::name(&[&[(O, der::UTF8, "system:masters")], &[(CN, der::UTF8, "admin")]]),
            ),
        ];
        join_all(subjects.iter().map(async |(name, subject)| {
            let csr = Csr::new(&Key::p256()).subject(subject.clone());
            t.issue(name, issuer_ref("ca"), &csr, json!({"usages": ["client auth", "digital signature"]}))
                .await;
        }))
        .await;
    });
}

#[test]
fn a_ca_certificate_signs_below_the_issuers_root() {
    e2e(async |t| {
        ca(t).await;
        let key = Key::new(KeyKind::P384);
        let csr = Csr::new(&key).subject(der::name(&[&[(CN, der::UTF8, "team ca")]]));
        let issued =
            t.issue("sub", issuer_ref("ca"), &csr, json!({"isCA": true, "usages": ["crl sign"]})).await;
        assert!(issued.is_ca() && issued.is_critical("2.5.29.19") == Some(true));
        let found = issued.key_usage();
        assert!(found.key_cert_sign() && found.crl_sign() && !found.digital_signature());
        verify(&leaf_below("team ca", &key, "web.example"), &issued.chain, &issued.ca);
    });
}

#[test]
fn a_cluster_issuer_serves_every_namespace_with_a_secret_of_its_own_namespace() {
    e2e(async |t| {
        let name = t.namespace.as_str();
        let root = Ca::root("cluster root", KeyKind::P384);
        let home = t.in_namespace("wasm-issuer").await;
        home.tls_secret(name, &root.certificate, &root.key.pem()).await;
        home.config_map(name, "plugin.wasm", &operator::plugin("in_memory_ca")).await;
        let spec = json!({"plugin": {"configMap": {"name": name}}, "authSecretName": name});
        t.apply(Kind::WasmClusterIssuer, name, json!({"spec": spec})).await;
        // The same names in a namespace of users are not what it means.
        let other = Ca::root("another root", KeyKind::P384);
        t.tls_secret(name, &other.certificate, &other.key.pem()).await;

        for t in [t, &t.in_namespace(&format!("{name}-x")).await] {
            let issued =
                t.issue("web", cluster_issuer_ref(name), &Csr::for_host("a.example"), json!({})).await;
            assert_eq!(issued.ca, certificates(root.certificate.as_bytes()));
        }
    });
}

#[test]
fn an_issuer_ref_without_a_kind_means_the_namespaced_one() {
    e2e(async |t| {
        ca(t).await;
        let reference = json!({"group": "wasm-issuer.dev", "name": "ca"});
        t.issue("web", reference, &Csr::for_host("a.example"), json!({})).await;
    });
}

#[test]
fn a_certificate_costs_one_status_write_and_one_event() {
    e2e(async |t| {
        ca(t).await;
        let request = t.request("web", issuer_ref("ca"), &Csr::for_host("a.example"), json!({})).await;
        let changes = t.changes(Kind::CertificateRequest, "web", request.meta("resourceVersion")).await;
        t.approve("web").await;
        let issued = t.issued("web").await;
        assert_eq!(issued.request.condition_types(), ["Approved", "Ready"]);
        let event = "Normal Issued Synced: Succeeded signing the CertificateRequest";
        t.wait_event(Kind::CertificateRequest, "web", event).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(t.events(Kind::CertificateRequest, "web").await, [event]);
        // A change of the test's own, so that it knows when it has seen all before.
        let mark = json!({"metadata": {"annotations": {"example.com/mark": "last"}}});
        t.merge(Kind::CertificateRequest, "web", mark).await;
        let is_marked = |request: &Value| request["metadata"]["annotations"]["example.com/mark"] == "last";
        let is_before = |event: &WatchEvent<Value>| !matches!(event, WatchEvent::Modified(r) if is_marked(r));
        let before = changes.take_while(|event| ready(is_before(event)));
        let written = before.filter_map(async |event| match event {
            WatchEvent::Modified(request) => {
                let request = Object(request);
                Some(json!([request.condition("Ready")?, request["status"]["certificate"]]))
            }
            _ => None,
        });
        let mut written: Vec<Value> = written.collect().await;
        // An approver may write besides.
        written.dedup();
        assert_eq!(written.len(), 1, "{written:?}");
    });
}

#[test]
fn a_plugin_comes_from_a_config_map_plain_or_gzip_and_its_digest_can_be_pinned() {
    e2e(async |t| {
        let wasm = operator::plugin("in_memory_ca");
        let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
        gzip.write_all(&wasm).unwrap();
        t.config_map("plain", "plugin.wasm", &wasm).await;
        t.config_map("gzip", "in-memory.wasm.gz", &gzip.finish().unwrap()).await;

        let plain = json!({"plugin": {"configMap": {"name": "plain"}}});
        let issuer = t.ready_issuer("plain", plain.clone()).await;
        let digest = issuer["status"]["plugin"]["sha256"].as_str().unwrap().to_owned();
        assert_eq!(
            issuer["status"]["plugin"]["source"],
            format!("ConfigMap {}/plain plugin.wasm", t.namespace)
        );
        let specs = [
            ("plain", plain),
            ("gzip", json!({"plugin": {"configMap": {"name": "gzip", "key": "in-memory.wasm.gz"}}})),
            ("pinned", json!({"plugin": {"configMap": {"name": "plain"}, "sha256": digest}})),
            ("builtin", json!({"plugin": {"builtin": "in-memory-ca", "sha256": digest}})),
        ];
        join_all(specs.iter().map(async |(name, spec)| {
            let issuer = t.ready_issuer(name, spec.clone()).await;
            assert_eq!(issuer["status"]["plugin"]["sha256"], digest, "{name}");
            t.issue(name, issuer_ref(name), &Csr::for_host("a.example"), json!({})).await;
        }))
        .await;
    });
}

#[test]
fn a_plugin_without_the_sdk_issues() {
    e2e(async |t| {
        let root = Ca::root("minimal root", KeyKind::P256);
        t.tls_secret("minimal", &root.certificate, &root.key.pem()).await;
        t.ready_issuer("minimal", json!({"plugin": {"builtin": "minimal"}, "authSecretName": "minimal"}))
            .await;
        let csr = Csr::for_host("a.example").subject(der::name(&[&[(CN, der::UTF8, "a.example")]]));
        t.approved_request("web", issuer_ref("minimal"), &csr, json!({})).await;
        let issued: Issued = t.issued("web").await;
        issued.verify_chain();
        assert_eq!(issued.spki(), csr.spki);
    });
}

#[test]
fn an_issuer_tells_what_it_uses_once() {
    e2e(async |t| {
        let issuer = t.ready_issuer("ca", json!({"plugin": {"builtin": "in-memory-ca"}})).await;
        assert_eq!(issuer["status"]["observedGeneration"], issuer["metadata"]["generation"]);
        assert_eq!(issuer.says("PluginCurrent"), "True Loaded: The plugin of the spec is in use");
        let version = issuer.meta("resourceVersion");
        assert_eq!(t.count_changes(Kind::WasmIssuer, "ca", version, Duration::from_secs(1)).await, 0);
        let event = CHECKED.replace("True Checked", "Normal Checked Synced");
        t.wait_event(Kind::WasmIssuer, "ca", &event).await;
        assert_eq!(t.events(Kind::WasmIssuer, "ca").await, [event]);
    });
}

//! What is in a CertificateRequest may be anything too. It fails that request, and says why.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::future::join_all;
use serde_json::{Value, json};
use wasm_issuer_e2e::csr::base64_pem;
use wasm_issuer_e2e::der::attribute::CN;
use wasm_issuer_e2e::der::{self};
use wasm_issuer_e2e::keys::Ca;
use wasm_issuer_e2e::object::is;
use wasm_issuer_e2e::{Csr, Key, KeyKind, Kind, SOON, cert_manager_runs, e2e, issuer_ref};

const REQUEST: Kind = Kind::CertificateRequest;
const READY: &str = "True Checked: Succeeded checking the issuer";

fn csr() -> Csr {
    Csr::for_host("a.example")
}

#[test]
fn whatever_cannot_be_signed_fails_and_says_why() {
    e2e(async |t| {
        t.ready_issuer("ca", json!({"plugin": {"builtin": "in-memory-ca"}})).await;
        let text = |text: &str| BASE64_STANDARD.encode(text);
        let rsa_1024 = include_str!("../../testdata/rsa-1024.pem");
        let block = |body: &str| {
            text(&format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n"))
        };
        let ca_true = der::sequence(&[&der::tlv(0x01, &[0xff])]);
        let crl_sign = [0x03, 0x02, 0x01, 0x02];
        let code_signing = der::sequence(&[&der::oid("1.3.6.1.5.5.7.3.3")]);
        let names: Vec<Vec<u8>> = (0..3000).map(|i| der::dns(&format!("host-{i}.example"))).collect();
        let cases: [(&str, String, Value, &str); 18] = [
            ("text", text("hello"), json!({}), "spec.request: the CSR is not PEM: it holds no PEM block"),
            (
                "large",
                BASE64_STANDARD.encode(vec![b'A'; 1_000_000]),
                json!({}),
                "spec.request: the CSR has 1000000 bytes; at most 65536 are accepted",
            ),
            ("many-names", csr().names(&names).base64(), json!({}), "spec.request: the CSR has 760…"),
            (
                "certificate",
                text(&rsa_1024.replace(" REQUEST", "")),
                json!({}),
                r#"spec.request: the CSR is a PEM block "CERTIFICATE"; accepted are "CERTIFICATE REQUEST" and "NEW CERTIFICATE REQUEST""#,
            ),
            (
                "no-names",
                csr().subject(der::sequence(&[])).names(&[]).base64(),
                json!({}),
                "spec.request: the CSR's names are refused: the list of subject alternative names is empty",
            ),
            (
                "address-with-a-mask",
                csr().names(&[der::tlv(0x87, &[10, 0, 0, 0, 255, 0, 0, 0])]).base64(),
                json!({}),
                "spec.request: the CSR's names are refused: subject alternative name [7]:0a000000ff000000: an iPAddress has 4 or 16 octets",
            ),
            (
                "no-base64",
                block("%%%"),
                json!({}),
                "spec.request: the CSR is not PEM: PEM block 1 is not valid base64",
            ),
            (
                "no-pkcs10",
                block(&BASE64_STANDARD.encode([0x30, 0x03, 0x02, 0x01, 0x00])),
                json!({}),
                "spec.request: the CSR is no PKCS#10 request (RFC 2986): …",
            ),
            (
                "weak-key",
                text(rsa_1024),
                json!({}),
                "spec.request: the CSR's self-signature is refused: the public key is RSA of 1024 bits; accepted are RSA keys of 2048 to 8192 bits, P-256, P-384, P-521 and Ed25519",
            ),
            (
                "signed-by-another",
                base64_pem(&csr().with_signature_of(&Key::p256())),
                json!({}),
                "spec.request: the CSR's self-signature is refused: the signature does not verify",
            ),
            (
                "wants-ca",
                csr().extension("2.5.29.19", &ca_true).base64(),
                json!({}),
                "encoded CSR error: the CSR's BasicConstraints differ from the request's isCA",
            ),
            (
                "wants-usage",
                csr().extension("2.5.29.15", &crl_sign).base64(),
                json!({}),
                "encoded CSR error: the CSR's key usages differ from the request's",
            ),
            (
                "wants-purpose",
                csr().extension("2.5.29.37", &code_signing).base64(),
                json!({"usages": ["server auth"]}),
                "encoded CSR error: the CSR's extended key usages differ from the request's",
            ),
            (
                "duration",
                csr().base64(),
                json!({"duration": "soon"}),
                "spec.duration: not a duration such as 90s, 1m30s or 500ms",
            ),
            (
                "days",
                csr().base64(),
                json!({"duration": "90d"}),
                "spec.duration: a duration's units are h, m, s, ms, us and ns: 90 days are 2160h",
            ),
            (
                "negative",
                csr().base64(),
                json!({"duration": "-1h"}),
                "spec.duration: a duration must not be negative",
            ),
            (
                "zero",
                csr().base64(),
                json!({"duration": "0s"}),
                "spec.duration: a certificate is valid for at least a second",
            ),
            (
                "less-than-a-second",
                csr().base64(),
                json!({"duration": "999ms"}),
                "spec.duration: a certificate is valid for at least a second",
            ),
        ];
        // One whose duration cannot be read would stop cert-manager's own watch of all requests.
        let cases =
            cases.iter().filter(|(name, ..)| !["duration", "days"].contains(name) || !cert_manager_runs());
        join_all(cases.map(async |(name, request, more, why)| {
            t.raw_request(name, issuer_ref("ca"), request, more.clone()).await;
            t.approve(name).await;
            let ready = format!("False Failed: Failed permanently to sign CertificateRequest: {why}");
            let failed = t.settles(REQUEST, name, &ready).await;
            let invalid = failed.says("InvalidRequest");
            assert!(is(&invalid, &format!("True InvalidRequest: {why}")), "{name}: {invalid}");
            assert!(failed["status"]["failureTime"].is_string(), "{name}");
        }))
        .await;
        t.issue("good", issuer_ref("ca"), &csr(), json!({})).await;
    });
}

#[test]
fn odd_requests_are_signed_or_refused_but_never_lost() {
    e2e(async |t| {
        t.ready_issuer("ca", json!({"plugin": {"builtin": "in-memory-ca"}})).await;
        let key = Key::p256();
        let long_name = der::name(&[&[(CN, der::UTF8, &"x".repeat(20_000))]]);
        let cases = [
            ("no-names", Csr::new(&key), json!({})),
            ("empty-names", Csr::new(&key).names(&[]), json!({})),
            ("long-subject", csr().subject(long_name), json!({})),
            ("one-second", csr(), json!({"duration": "1s"})),
            ("a-century", csr(), json!({"duration": "876000h"})),
            ("odd-usages", csr(), json!({"usages": ["any", "any", "cert sign"]})),
        ];
        join_all(cases.iter().map(async |(name, csr, more)| {
            t.approved_request(name, issuer_ref("ca"), csr, more.clone()).await;
            let is_finished =
                |ready: String| ready.starts_with("True Issued") || ready.starts_with("False Failed");
            t.wait((REQUEST, name), SOON, "finished", |request| is_finished(request.ready())).await;
        }))
        .await;
    });
}

#[test]
fn a_secret_that_makes_no_ca_is_the_issuers_fault_and_can_be_mended() {
    e2e(async |t| {
        let (root, other) = (Ca::root("root", KeyKind::P256), Ca::root("other", KeyKind::P256));
        let secret = |certificates: &str, key: &str| json!({"tls.crt": certificates, "tls.key": key});
        let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let (certificate, key) = (root.certificate.as_str(), root.key.pem());
        let cases = [
            ("no-keys", json!({"token": "x"}), format!("the Secret {}/no-keys has no key `tls.key`", t.namespace)),
            (
                "no-certificate",
                json!({"tls.key": key}),
                format!("the Secret {}/no-certificate has no key `tls.crt`", t.namespace),
            ),
            ("empty", secret("", ""), "`tls.key` of the Secret: no PEM block; a private key is expected".into()),
            (
                "other-key",
                secret(certificate, &other.key.pem()),
                "`tls.crt` and `tls.key` of the Secret: none of the certificates is for the private key; …".into(),
            ),
            (
                "broken-key",
                secret(certificate, broken),
                "`tls.key` of the Secret: the PEM block does not hold a private key of the kind that it names".into(),
            ),
            (
                "exchanged",
                secret(&key, certificate),
                "`tls.key` of the Secret: the PEM block is no private key; accepted are PRIVATE KEY, EC PRIVATE KEY and RSA PRIVATE KEY".into(),
            ),
            ("no-text", secret("\u{1f980}", &key), "`tls.crt` of the Secret: it holds no PEM block".into()),
        ];
        for (name, data, why) in &cases {
            t.apply(Kind::Secret, name, json!({"stringData": data})).await;
            t.issuer(name, json!({"plugin": {"builtin": "in-memory-ca"}, "authSecretName": name})).await;
            t.settles(Kind::WasmIssuer, name, &format!("False Pending: Not ready yet: {why}")).await;
        }
        for (name, ..) in &cases {
            t.apply(Kind::Secret, name, json!({"stringData": secret(certificate, &key)})).await;
            t.wait_ready(Kind::WasmIssuer, name, SOON, READY).await;
        }
    });
}

//! The plugin `step-ca` with a step-ca of each test's own, over TLS with the CA's own root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use server_fixture::Server;
use wasm_issuer_e2e::certificate::certificates;
use wasm_issuer_e2e::keys::Ca as Authority;
use wasm_issuer_e2e::{Csr, Key, KeyKind, Kind, Side, Test, der, e2e};

use crate::cases::Recording;
use crate::{Ca, programs, works};

const PROVISIONER: &str = "admin";
const PASSWORD: &str = "a password, made up";
/// A name that the CA's policy denies.
const REFUSED: &str = "refused.example.com";

/// A step-ca. It keeps what it must remember in memory.
pub struct StepCa {
    programs: PathBuf,
    server: Server,
    root: Authority,
    /// The provisioner as the CA's configuration has it, and its key, PEM.
    provisioner: Value,
    private_key: String,
    folder: PathBuf,
}

impl StepCa {
    /// With a new root, an intermediate, and a JWK provisioner with these `options` (of its template, say) and `claims`.
    pub fn start(t: &Test, programs: &Path, more: Value) -> Self {
        let folder = crate::folder(t, "step-ca");
        let server = Server::new(programs.join("step-ca"), &folder, |_| vec!["ca.json".to_owned()]);
        let root = Authority::root("step-ca test root", KeyKind::P256);
        let (mut provisioner, private_key) = new_provisioner(programs);
        for (field, value) in more.as_object().into_iter().flatten() {
            provisioner[field] = value.clone();
        }
        let mut ca = Self { programs: programs.to_owned(), server, root, provisioner, private_key, folder };
        ca.write();
        ca.server.start();
        ca
    }

    /// A provisioner of the same name with another key and password.
    fn rotate_provisioner(&mut self) {
        let claims = self.provisioner["claims"].take();
        (self.provisioner, self.private_key) = new_provisioner(&self.programs);
        self.provisioner["claims"] = claims;
        self.restart();
    }

    fn restart(&mut self) {
        self.server.stop();
        self.write();
        self.server.start();
    }

    fn write(&self) {
        let intermediate = self.root.below("step-ca test intermediate", KeyKind::P256);
        let config = json!({
            "root": "root.pem",
            "crt": "intermediate.pem",
            "key": "intermediate-key.pem",
            "address": self.server.address().to_string(),
            "dnsNames": ["127.0.0.1"],
            "logger": {"format": "text"},
            "authority": {
                "provisioners": [{"type": "ACME", "name": "acme"}, self.provisioner],
                "policy": {"x509": {"deny": {"dns": [REFUSED]}, "allowWildcardNames": true}},
            },
        });
        for (file, content) in [
            ("root.pem", &self.root.certificate),
            ("intermediate.pem", &intermediate.certificate),
            ("intermediate-key.pem", &intermediate.key.pem()),
            ("ca.json", &config.to_string()),
        ] {
            fs::write(self.folder.join(file), content).expect("a file in a folder of our own");
        }
    }

    /// What an Issuer's `spec.config` says.
    fn config(&self) -> Value {
        json!({"url": self.server.url(), "provisioner": {"name": PROVISIONER}, "rootSha256": self.fingerprint()})
    }

    fn fingerprint(&self) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.root());
        digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }
}

/// A JWK provisioner whose key step's own code has encrypted, and the key itself, PEM.
fn new_provisioner(programs: &Path) -> (Value, String) {
    let made =
        Command::new(programs.join("provisioner")).args([PROVISIONER, PASSWORD]).output().expect("it runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut made: Value = serde_json::from_slice(&made.stdout).expect("JSON");
    let private_key = made["privateKey"].as_str().expect("PEM").to_owned();
    (made["provisioner"].take(), private_key)
}

impl Ca for StepCa {
    async fn spec(&self, side: &Side) -> Value {
        let url = self.server.url();
        json!({
            "plugin": {"builtin": "step-ca"},
            "config": self.config(),
            "authSecretName": side.secret("password", json!({"password": format!("{PASSWORD}\n")})).await,
            "http": {
                "allowedHosts": [url],
                "caBundleSecretName": side.secret("root", json!({"ca.crt": self.root.certificate})).await,
            },
            "verification": {"allow": ["Extensions"]},
            "retry": {"minBackoff": "100ms", "maxBackoff": "1s"},
        })
    }

    async fn refused_credentials(&self, side: &Side) -> &'static str {
        side.secret("password", json!({"password": "another"})).await;
        "the password does not decrypt the JWE"
    }

    fn refused_csr(&self) -> (Csr, &'static str) {
        (Csr::for_host(REFUSED), "not allowed")
    }

    fn server(&mut self) -> &mut Server {
        &mut self.server
    }

    async fn rotate(&mut self) {
        self.root = Authority::root("step-ca test root", KeyKind::P256);
        self.restart();
    }

    fn root(&self) -> Vec<u8> {
        certificates(self.root.certificate.as_bytes()).remove(0)
    }
}

/// The tests, each of which needs step-ca and its provisioner's key maker.
fn with_step_ca(more: Value, body: impl AsyncFnOnce(&Test, StepCa)) {
    let Some(programs) = programs("step-ca") else { return };
    e2e(async |t| body(t, StepCa::start(t, &programs, more)).await);
}

/// An Issuer that is ready, whose spec has `more` in its config.
async fn ready(t: &Test, ca: &StepCa, name: &str, more: Value) -> Side {
    let side = Side::own(t, name).await;
    side.apply(configured(ca.spec(&side).await, more)).await;
    side.ready().await;
    side
}

fn configured(mut spec: Value, more: Value) -> Value {
    for (field, value) in more.as_object().into_iter().flatten() {
        spec["config"][field] = value.clone();
    }
    spec
}

/// With each kind of name that the CA gives, in the order that Go writes them in.
fn csr() -> Csr {
    let subject = der::name(&[&[(der::attribute::CN, der::PRINTABLE, "web.example.com")]]);
    Csr::new(&Key::p256()).subject(subject).names(&[
        der::dns("web.example.com"),
        der::dns("*.web.example.com"),
        der::email("web@example.com"),
        der::ip("192.0.2.7"),
        der::ip("2001:db8::7"),
        der::uri("spiffe://example.com/web"),
    ])
}

#[test]
fn certificates_reach_their_secrets() {
    let Some(programs) = programs("step-ca") else { return };
    works(async |t| StepCa::start(t, &programs, json!({})));
}

#[test]
fn every_kind_of_name_is_signed_for_as_long_as_the_provisioner_allows() {
    let claims = json!({
        "minTLSCertDuration": "10m0s", "maxTLSCertDuration": "48h0m0s", "disableSmallstepExtensions": true,
    });
    with_step_ca(json!({"claims": claims}), async |t, ca| {
        let side = Side::own(t, "step").await;
        let mut spec = ca.spec(&side).await;
        // Nothing has to be allowed where the CA leaves its own extension out.
        spec.as_object_mut().expect("an object").remove("verification");
        side.apply(spec).await;
        side.ready().await;
        for (asked, given) in [("36h", 36 * 3600), ("2160h", 48 * 3600), ("1m", 600)] {
            let name = format!("for-{asked}");
            let issued = t.issue(&name, side.reference(), &csr(), json!({"duration": asked})).await;
            assert_eq!(issued.lifetime(), Duration::from_secs(given), "{asked}");
        }
        let differs = "Warning CertificateDiffers Synced: The certificate differs from the request…";
        t.wait_event(Kind::CertificateRequest, "for-2160h", differs).await;
    });
}

#[test]
fn a_template_can_read_the_requests_usages_and_what_the_issuer_says() {
    let template = r#"{
        "subject": {"commonName": {{ toJson .Subject.CommonName }}, "organizationalUnit": {{ toJson .Insecure.User.team }}},
        "sans": {{ toJson .SANs }},
        "keyUsage": {{ toJson .Insecure.User.keyUsage }},
        "extKeyUsage": {{ toJson .Insecure.User.extKeyUsage }},
        "basicConstraints": {"isCA": {{ toJson .Insecure.User.isCA }}, "maxPathLen": 0}
    }"#;
    with_step_ca(json!({"options": {"x509": {"template": template}}}), async |t, ca| {
        let side = Side::cluster(t, "step").await;
        let mut spec = configured(ca.spec(&side).await, json!({"templateData": {"team": "a"}}));
        spec["verification"]["allow"] = json!(["Extensions", "Subject"]);
        side.apply(spec).await;
        side.ready().await;
        let usages = ["digital signature", "key agreement", "server auth", "code signing", "s/mime"];
        t.approved_request("usages", side.reference(), &csr(), json!({"usages": usages})).await;
        let issued = t.issued("usages").await;
        let key = issued.key_usage();
        assert!(key.digital_signature() && key.key_agreement() && !key.key_encipherment());
        let extended = ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.3", "1.3.6.1.5.5.7.3.4"];
        assert_eq!(issued.extended_usages(), extended);
        assert_eq!(issued.leaf.tbs_certificate().subject().to_string(), "CN=web.example.com,OU=a");

        let ca = json!({"isCA": true, "usages": ["cert sign", "crl sign"]});
        t.approved_request("ca", side.reference(), &Csr::for_host("ca.example.com"), ca).await;
        assert!(t.issued("ca").await.is_ca());
    });
}

#[test]
fn what_is_wrong_with_an_issuer_is_said_by_its_check() {
    with_step_ca(json!({}), async |t, mut ca| {
        let side = ready(t, &ca, "step", json!({})).await;
        let spec = ca.spec(&side).await;
        let other = json!({"rootSha256": "00".repeat(32)});
        side.apply(configured(spec.clone(), other)).await;
        side.says("none of the CA's roots has the SHA-256 0000").await;
        let other = json!({"provisioner": {"name": PROVISIONER, "kid": "other"}});
        side.apply(configured(spec.clone(), other)).await;
        side.says(
            "there is no JWK provisioner as spec.config.provisioner says; there are ACME acme , JWK admin",
        )
        .await;

        // The key itself in place of the password, until the CA has another one.
        let mut spec = spec;
        spec["authSecretName"] = side.secret("key", json!({"key": ca.private_key})).await.into();
        side.apply(spec).await;
        side.ready().await;
        t.issue("first", side.reference(), &csr(), json!({"duration": "1h"})).await;
        ca.rotate_provisioner();
        let csr = csr();
        t.approved_request("waits", side.reference(), &csr, json!({"duration": "1h"})).await;
        side.says("none of its dnsNames").await;
        side.secret("key", json!({"key": ca.private_key})).await;
        side.ready().await;
        t.issued("waits").await.verify(&csr);
    });
}

#[test]
fn a_ca_that_keeps_no_key_wants_it_in_the_secret() {
    with_step_ca(json!({"encryptedKey": null}), async |t, ca| {
        let side = Side::own(t, "step").await;
        let mut spec = ca.spec(&side).await;
        side.apply(spec.clone()).await;
        side.says("put it into the Secret, PEM, as `key` in place of `password`").await;
        spec["authSecretName"] = side.secret("key", json!({"key": ca.private_key})).await.into();
        side.apply(spec).await;
        side.ready().await;
    });
}

#[test]
fn its_cases_are_recorded_and_replayed() {
    with_step_ca(json!({}), async |t, mut ca| {
        let url = ca.server.url();
        let recording = Recording {
            plugin: "step-ca",
            names: &[("https://step-ca.pki.svc:9000", &url)],
            secret: &[("password", PASSWORD), ("other", "another")],
            trusted: &ca.root.certificate,
        };
        recording.is_replayed(t, || ca.server.stop());
    });
}

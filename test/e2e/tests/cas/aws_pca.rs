//! The plugin `aws-pca` with moto's AWS Private CA, over TLS with a private CA, which looks at signatures and rights.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use server_fixture::Server;
use wasm_issuer_e2e::certificate::certificates;
use wasm_issuer_e2e::keys::Ca as Authority;
use wasm_issuer_e2e::{Csr, KeyKind, Kind, Object, SOON, Side, Test, e2e, e2e_alone};

use crate::cases::Recording;
use crate::{Ca, programs, works};

/// moto, with a CA and users of its own. They outlive its process.
struct Moto {
    server: Server,
    tls: Authority,
    folder: PathBuf,
}

impl Moto {
    fn start(t: &Test, programs: &Path) -> Self {
        let folder = crate::folder(t, "moto");
        let tls = Authority::root("moto test TLS", KeyKind::P256);
        let (certificate, key) = tls.server("127.0.0.1");
        fs::write(folder.join("server.pem"), pem("CERTIFICATE", &certificate)).expect("a file");
        fs::write(folder.join("server-key.pem"), pem("PRIVATE KEY", &key)).expect("a file");
        let mut server = Server::new(programs.join("moto"), &folder, |address| {
            let (host, port) = (address.ip().to_string(), address.port().to_string());
            vec![host, port, "server.pem".to_owned(), "server-key.pem".to_owned()]
        });
        server.start();
        Self { server, tls, folder }
    }

    /// What test/cas/moto/server.py says of its account.
    fn account(&self) -> Value {
        let text = fs::read(self.folder.join("account.json")).expect("account.json");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// The Secret for `issuer`, for `assumer`, who may do nothing but take on a role, or for this `role`.
    fn credentials(&self, who: &str) -> Value {
        let account = self.account();
        let mut data = json!({"accessKeyId": account[who][0], "secretAccessKey": account[who][1]});
        if !account[who][2].is_null() {
            data["sessionToken"] = account[who][2].clone();
        }
        data
    }

    /// How many certificates it has been asked for.
    fn orders(&self) -> usize {
        self.server.log().matches("ordered").count()
    }

    /// While this is so, AWS is not done with any certificate.
    fn hold(&self, hold: bool) {
        let file = self.folder.join("hold");
        match hold {
            true => fs::write(file, "").expect("a file"),
            false => fs::remove_file(file).expect("a file"),
        }
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der))
}

impl Ca for Moto {
    async fn spec(&self, side: &Side) -> Value {
        let url = self.server.url();
        json!({
            "plugin": {"builtin": "aws-pca"},
            "config": {"arn": self.account()["arn"], "endpoint": url},
            "authSecretName": side.secret("aws", self.credentials("issuer")).await,
            "http": {
                "allowedHosts": [url],
                "caBundleSecretName": side.secret("tls", json!({"ca.crt": self.tls.certificate})).await,
            },
            "retry": {"minBackoff": "100ms", "maxBackoff": "1s"},
        })
    }

    async fn refused_credentials(&self, side: &Side) -> &'static str {
        let mut credentials = self.credentials("issuer");
        credentials["secretAccessKey"] = "another".into();
        side.secret("aws", credentials).await;
        "SignatureDoesNotMatch"
    }

    fn refused_csr(&self) -> (Csr, &'static str) {
        (Csr::for_host("refused.example.com"), "MalformedCSRException")
    }

    fn server(&mut self) -> &mut Server {
        &mut self.server
    }

    async fn rotate(&mut self) {
        self.server.stop();
        fs::remove_file(self.folder.join("state")).expect("a file");
        self.server.start();
    }

    fn root(&self) -> Vec<u8> {
        certificates(self.account()["root"].as_str().expect("PEM").as_bytes()).remove(0)
    }
}

fn with_moto(body: impl AsyncFnOnce(&Test, Moto)) {
    let Some(programs) = programs("moto") else { return };
    e2e(async |t| body(t, Moto::start(t, &programs)).await);
}

#[test]
fn certificates_reach_their_secrets() {
    let Some(programs) = programs("moto") else { return };
    works(async |t| Moto::start(t, &programs));
}

#[test]
fn an_order_is_gone_on_with_when_the_operator_has_restarted() {
    let Some(programs) = programs("moto") else { return };
    e2e_alone(async |t, operator| {
        let moto = Moto::start(t, &programs);
        let side = Side::own(t, "aws").await;
        side.apply(moto.spec(&side).await).await;
        side.ready().await;
        moto.hold(true);
        crate::ask(t, &side, "web").await;
        let request = t.request_of("web").await;
        let name = request.name().to_owned();
        let is_ordered = |request: &Object| {
            let order = request.says("wasm-issuer.dev/Resume");
            order.contains("/certificate/") && request.ready().contains("RequestInProgressException")
        };
        t.wait((Kind::CertificateRequest, &name), SOON, "ordered", is_ordered).await;

        operator.kill().await;
        operator.start().await;
        side.ready().await;
        moto.hold(false);
        crate::issued(t, &moto, "web").await;
        // moto knows no idempotency token: another order would be another certificate.
        let after = t.get(Kind::CertificateRequest, &name).await;
        assert_eq!(moto.orders(), 1, "{}", after.describe());
    });
}

#[test]
fn temporary_credentials_work_where_their_token_may_be_read() {
    with_moto(async |t, moto| {
        let side = Side::cluster(t, "role").await;
        let mut spec = moto.spec(&side).await;
        spec["authSecretName"] = side.secret("role", moto.credentials("role")).await.into();
        side.apply(spec.clone()).await;
        side.says("to grant it, add to the Issuer's spec").await;
        spec["secrets"] = json!({"reveal": ["sessionToken"]});
        side.apply(spec).await;
        side.ready().await;
        crate::certificate(t, &side, &moto, "web").await;
    });
}

#[test]
fn a_role_is_taken_on_by_whoever_may() {
    with_moto(async |t, moto| {
        let side = Side::own(t, "aws").await;
        let mut spec = moto.spec(&side).await;
        spec["config"]["stsEndpoint"] = spec["config"]["endpoint"].clone();
        spec["config"]["roleArn"] = "arn:aws:iam::123456789012:role/issuer".into();
        side.apply(spec.clone()).await;
        side.says("AccessDenied").await;
        spec["authSecretName"] = side.secret("assumer", moto.credentials("assumer")).await.into();
        side.apply(spec).await;
        side.ready().await;
        crate::certificate(t, &side, &moto, "web").await;
    });
}

#[test]
fn what_is_wrong_with_an_issuer_is_said_by_its_check() {
    with_moto(async |t, moto| {
        let side = Side::own(t, "aws").await;
        let mut spec = moto.spec(&side).await;
        let arn = std::mem::replace(&mut spec["config"]["arn"], "x".into());
        side.apply(spec.clone()).await;
        side.says("spec.config.arn is no ARN").await;
        spec["config"]["arn"] = format!("{}0", arn.as_str().expect("text")).into();
        side.apply(spec.clone()).await;
        side.says("ResourceNotFoundException").await;
        spec["config"]["arn"] = arn;
        spec["authSecretName"] = side.secret("assumer", moto.credentials("assumer")).await.into();
        side.apply(spec).await;
        side.says("AccessDenied").await;
    });
}

#[test]
fn its_cases_are_recorded_and_replayed() {
    with_moto(async |t, mut moto| {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let (url, issuer, trusted) =
            (moto.server.url(), moto.credentials("issuer"), moto.tls.certificate.clone());
        let arn = text(&moto.account()["arn"]);
        let [id, key] = ["accessKeyId", "secretAccessKey"].map(|name| text(&issuer[name]));
        let recording = Recording {
            plugin: "aws-pca",
            names: &[
                ("https://vpce.example.com:4443", &url),
                ("arn:aws:acm-pca:eu-central-1:123456789012:certificate-authority/an-id", &arn),
            ],
            secret: &[("accessKeyId", &id), ("secretAccessKey", &key)],
            trusted: &trusted,
        };
        recording.is_replayed(t, || moto.server.stop());
    });
}

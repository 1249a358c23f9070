//! From a Certificate to its Secret, through cert-manager's own controllers.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use serde_json::{Value, json};

use crate::{Issued, Kind, Object, SOON, Test, cert_manager_runs, is_our_cluster, skip};

/// Whether a test that needs cert-manager's controllers can run. Where they do not, this has told so.
pub fn has_cert_manager() -> bool {
    let has = !is_our_cluster() || cert_manager_runs();
    if !has {
        skip("cert-manager's controllers are not here (see what test/cluster/build.sh said)");
    }
    has
}

impl Test {
    /// Create a Certificate with a Secret of its own name. What is in `spec` is in its spec besides.
    pub async fn ask_for_certificate(&self, name: &str, issuer: Value, mut spec: Value) -> Object {
        spec["secretName"] = name.into();
        spec["issuerRef"] = issuer;
        self.apply(Kind::Certificate, name, json!({"spec": spec})).await
    }

    /// Wait for a Certificate, and see what is in its Secret; the chain leads to its `ca.crt`.
    pub async fn certificate(&self, name: &str) -> Issued {
        let is_ready = |certificate: &Object| certificate.ready().starts_with("True");
        self.wait((Kind::Certificate, name), SOON, "ready", is_ready).await;
        let secret = self.get(Kind::Secret, name).await;
        let data =
            |key: &str| BASE64_STANDARD.decode(secret["data"][key].as_str().unwrap_or_default()).unwrap();
        let issued = Issued::new(secret.clone(), &data("tls.crt"), &data("ca.crt"));
        assert!(!data("tls.key").is_empty());
        issued.verify_chain();
        issued
    }

    /// Have a Certificate renewed before its time, as `cmctl renew` does, and wait until that is done.
    pub async fn renew(&self, name: &str) {
        let revision = |certificate: &Object| certificate["status"]["revision"].as_u64().unwrap_or_default();
        let before = revision(&self.get(Kind::Certificate, name).await);
        let condition = json!({
            "type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "renewed by the test",
            "lastTransitionTime": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        });
        let body = json!({
            "apiVersion": Kind::Certificate.api_version(), "kind": "Certificate",
            "status": {"conditions": [condition]},
        });
        let request = Request::new(Kind::Certificate.collection(&self.namespace))
            .patch_subresource(
                "status",
                name,
                &PatchParams::apply("e2e-renewal").force(),
                &Patch::Apply(&body),
            )
            .expect("a request");
        let done = self.client.request::<Value>(request).await;
        done.unwrap_or_else(|error| panic!("cannot renew {}/{name}: {error}", self.namespace));
        self.wait((Kind::Certificate, name), SOON, "renewed", |it| revision(it) > before).await;
    }

    /// The request that cert-manager has made for a Certificate last, once there is one.
    pub async fn request_of(&self, certificate: &str) -> Object {
        let began = std::time::Instant::now();
        loop {
            let all = self.list(Kind::CertificateRequest).await;
            let of =
                |r: &Object| r["metadata"]["annotations"]["cert-manager.io/certificate-name"] == certificate;
            let newest = all.into_iter().filter(of).max_by_key(|r| r.meta("creationTimestamp").to_owned());
            if let Some(request) = newest {
                return request;
            }
            assert!(began.elapsed() < SOON, "there is no CertificateRequest for {certificate}");
            tokio::time::sleep(crate::test::POLL).await;
        }
    }
}

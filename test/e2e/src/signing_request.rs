//! What a test does with CertificateSigningRequests, which are in no namespace: their names begin with the test's.

use http::HeaderValue;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Request;
use serde_json::{Value, json};

use crate::{Csr, Kind, Object, Test};

const KIND: Kind = Kind::CertificateSigningRequest;

/// A name as it stands in a URL.
pub fn escaped(name: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    name.bytes()
        .map(|byte| if is_plain(&byte) { char::from(byte).into() } else { format!("%{byte:02X}") })
        .collect()
}

impl Test {
    /// The signer that a WasmIssuer of the namespace is.
    pub fn signer(&self, issuer: &str) -> String {
        format!("wasmissuers.wasm-issuer.dev/{}.{issuer}", self.namespace)
    }

    /// How a cluster-scoped object of the test is called.
    pub fn cluster_name(&self, name: &str) -> String {
        format!("{}-{name}", self.namespace)
    }

    /// A CertificateSigningRequest that nobody has approved. What is in `more` goes into the object besides. Returns its
    /// name.
    pub async fn signing_request(&self, name: &str, signer: &str, csr: &Csr, more: Value) -> String {
        self.signing_request_of(None, name, signer, csr, more).await
    }

    /// The same by this user; by the cluster's admin if it is none.
    pub async fn signing_request_of(
        &self,
        user: Option<&str>,
        name: &str,
        signer: &str,
        csr: &Csr,
        more: Value,
    ) -> String {
        let name = self.cluster_name(name);
        let spec = json!({
            "request": csr.base64(), "signerName": signer, "usages": ["digital signature", "server auth"],
        });
        let mut object = json!({
            "apiVersion": KIND.api_version(), "kind": KIND.name(), "metadata": {"name": name}, "spec": spec,
        });
        for (part, fields) in more.as_object().into_iter().flatten() {
            for (field, value) in fields.as_object().into_iter().flatten() {
                object[part][field] = value.clone();
            }
        }
        let body = serde_json::to_vec(&object).expect("JSON");
        let mut request =
            Request::new(KIND.collection("")).create(&PostParams::default(), body).expect("a request");
        if let Some(user) = user {
            let user = HeaderValue::from_str(user).expect("a header's value");
            request.headers_mut().insert("impersonate-user", user);
        }
        let done = self.client.request::<Value>(request).await;
        done.unwrap_or_else(|error| panic!("cannot create {KIND:?} {name}: {error}"));
        name
    }

    /// Approve it, as `kubectl certificate approve` does.
    pub async fn approve_signing(&self, name: &str) {
        self.decide_signing(name, "Approved").await;
    }

    /// Deny it, as `kubectl certificate deny` does.
    pub async fn deny_signing(&self, name: &str) {
        self.decide_signing(name, "Denied").await;
    }

    async fn decide_signing(&self, name: &str, decision: &str) {
        let condition =
            json!({"type": decision, "status": "True", "reason": "Test", "message": "decided by the test"});
        let body = json!({
            "apiVersion": KIND.api_version(), "kind": KIND.name(), "status": {"conditions": [condition]},
        });
        let params = PatchParams::apply("e2e-approver").force();
        let request = Request::new(KIND.collection(""))
            .patch_subresource("approval", name, &params, &Patch::Apply(&body))
            .expect("a request");
        let done = self.client.request::<Value>(request).await;
        done.unwrap_or_else(|error| panic!("cannot decide over {KIND:?} {name}: {error}"));
    }

    /// Wait for its certificate: the object, and the chain as PEM.
    pub async fn signed(&self, name: &str) -> (Object, Vec<u8>) {
        let is_signed = |object: &Object| object["status"]["certificate"].is_string();
        let object = self.wait((KIND, name), crate::SOON, "signed", is_signed).await;
        let chain = object.status_bytes("certificate").expect("status.certificate");
        (object, chain)
    }

    /// Wait until its condition Failed is this, by [`crate::object::is`].
    pub async fn signing_fails(&self, name: &str, failed: &str) -> Object {
        let says = |object: &Object| crate::object::is(&object.says("Failed"), failed);
        self.wait((KIND, name), crate::SOON, failed, says).await
    }
}

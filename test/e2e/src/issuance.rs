//! What a test does with Issuers and requests.

use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Request;
use serde_json::{Value, json};

use crate::{Csr, Issued, Kind, Object, SOON, Test};

/// What a CertificateRequest says to refer to a WasmIssuer.
pub fn issuer_ref(name: &str) -> Value {
    json!({"group": "wasm-issuer.dev", "kind": "WasmIssuer", "name": name})
}

/// What a CertificateRequest says to refer to a WasmClusterIssuer.
pub fn cluster_issuer_ref(name: &str) -> Value {
    json!({"group": "wasm-issuer.dev", "kind": "WasmClusterIssuer", "name": name})
}

impl Test {
    /// Create or change a WasmIssuer.
    pub async fn issuer(&self, name: &str, spec: Value) -> Object {
        self.apply(Kind::WasmIssuer, name, json!({"spec": spec})).await
    }

    /// [`Test::issuer`], and wait until it is ready.
    pub async fn ready_issuer(&self, name: &str, spec: Value) -> Object {
        self.issuer(name, spec).await;
        self.wait_ready(Kind::WasmIssuer, name, SOON, "True Checked: Succeeded checking the issuer").await
    }

    /// [`Test::ready_issuer`] with the hostile plugin and this as its config. It tries again soon.
    pub async fn hostile_issuer(&self, name: &str, config: Value) -> Object {
        let retry = json!({"minBackoff": "100ms", "maxBackoff": "1s"});
        self.ready_issuer(name, json!({"plugin": {"builtin": "hostile"}, "config": config, "retry": retry}))
            .await
    }

    /// A CertificateRequest that nobody has approved. What is in `more` goes into its spec besides.
    pub async fn request(&self, name: &str, issuer: Value, csr: &Csr, more: Value) -> Object {
        self.raw_request(name, issuer, &csr.base64(), more).await
    }

    /// A CertificateRequest with whatever it has as its CSR.
    pub async fn raw_request(&self, name: &str, issuer: Value, base64: &str, more: Value) -> Object {
        let made = self.try_request(name, &issuer, base64, &more).await;
        made.unwrap_or_else(|error| {
            panic!("cannot create CertificateRequest {}/{name}: {error}", self.namespace)
        })
    }

    /// The same, or why the API server has not made it.
    pub async fn try_request(
        &self,
        name: &str,
        issuer: &Value,
        base64: &str,
        more: &Value,
    ) -> kube::Result<Object> {
        let mut spec =
            json!({"issuerRef": issuer, "request": base64, "usages": ["digital signature", "server auth"]});
        for (field, value) in more.as_object().into_iter().flatten() {
            spec[field] = value.clone();
        }
        let object = json!({
            "apiVersion": Kind::CertificateRequest.api_version(),
            "kind": "CertificateRequest",
            "metadata": {"name": name},
            "spec": spec,
        });
        let request = Request::new(Kind::CertificateRequest.collection(&self.namespace))
            .create(&PostParams::default(), serde_json::to_vec(&object).expect("JSON"));
        self.client.request(request.expect("a request")).await.map(Object)
    }

    /// Approve a request, as cert-manager's approver does; where that runs too, it does so a moment sooner or later.
    pub async fn approve(&self, name: &str) -> Object {
        self.decide(name, "Approved").await
    }

    /// Deny a request, as a policy would.
    pub async fn deny(&self, name: &str) -> Object {
        self.decide(name, "Denied").await
    }

    async fn decide(&self, name: &str, decision: &str) -> Object {
        let decided = self.try_decide(name, decision).await;
        decided.unwrap_or_else(|error| panic!("cannot decide over {}/{name}: {error}", self.namespace))
    }

    /// Decide over a request (`Approved`, `Denied`), or say why that was not written.
    pub async fn try_decide(&self, name: &str, decision: &str) -> kube::Result<Object> {
        let condition = json!({
            "type": decision, "status": "True", "reason": "Test", "message": "decided by the test",
            "lastTransitionTime": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        });
        let body = json!({
            "apiVersion": Kind::CertificateRequest.api_version(),
            "kind": "CertificateRequest",
            "status": {"conditions": [condition]},
        });
        let request = Request::new(Kind::CertificateRequest.collection(&self.namespace))
            .patch_subresource(
                "status",
                name,
                &PatchParams::apply("e2e-approver").force(),
                &Patch::Apply(&body),
            )
            .expect("a request");
        self.client.request(request).await.map(Object)
    }

    /// A CertificateRequest that is approved.
    pub async fn approved_request(&self, name: &str, issuer: Value, csr: &Csr, more: Value) -> Object {
        self.request(name, issuer, csr, more).await;
        self.approve(name).await
    }

    /// Wait for the certificate of a request.
    pub async fn issued(&self, name: &str) -> Issued {
        let ready = "True Issued: Succeeded signing the CertificateRequest";
        let request = self.wait_ready(Kind::CertificateRequest, name, SOON, ready).await;
        Issued::from_request(request)
    }

    /// Request, approve, wait, and check what holds for every certificate.
    pub async fn issue(&self, name: &str, issuer: Value, csr: &Csr, more: Value) -> Issued {
        self.approved_request(name, issuer, csr, more).await;
        let issued = self.issued(name).await;
        issued.verify(csr);
        issued
    }
}

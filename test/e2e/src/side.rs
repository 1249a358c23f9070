//! A kind of Issuer and where it has its Secrets, for what is to work with both kinds.

use serde_json::{Value, json};

use crate::{Kind, Object, SOON, Test, cluster_issuer_ref, issuer_ref};

/// A WasmIssuer in a test's namespace, or a WasmClusterIssuer.
pub struct Side {
    /// Which.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Where its Secrets are.
    home: Test,
}

impl Side {
    /// A WasmIssuer of that name.
    pub async fn own(t: &Test, name: &str) -> Self {
        Self { kind: Kind::WasmIssuer, name: name.to_owned(), home: t.in_namespace(&t.namespace).await }
    }

    /// A WasmClusterIssuer. Its name is made one that only this test has.
    pub async fn cluster(t: &Test, name: &str) -> Self {
        let home = t.in_namespace("wasm-issuer").await;
        Self { kind: Kind::WasmClusterIssuer, name: format!("{}-{name}", t.namespace), home }
    }

    /// Write one of its Secrets, and return its name, which begins with the Issuer's.
    pub async fn secret(&self, name: &str, data: Value) -> String {
        let name = format!("{}-{name}", self.name);
        self.home.apply(Kind::Secret, &name, json!({"stringData": data})).await;
        name
    }

    /// Create or change it.
    pub async fn apply(&self, spec: Value) {
        self.home.apply(self.kind, &self.name, json!({"spec": spec})).await;
    }

    /// Wait until it is ready.
    pub async fn ready(&self) -> Object {
        let ready = "True Checked: Succeeded checking the issuer";
        self.home.wait_ready(self.kind, &self.name, SOON, ready).await
    }

    /// Wait until it is not ready, with this in its message.
    pub async fn says(&self, wanted: &str) -> Object {
        let what = format!("not ready because of {wanted:?}");
        let says = |issuer: &Object| issuer.ready().starts_with("False") && issuer.ready().contains(wanted);
        self.home.wait((self.kind, &self.name), SOON, &what, says).await
    }

    /// What a Certificate or a request says to refer to it.
    pub fn reference(&self) -> Value {
        match self.kind {
            Kind::WasmIssuer => issuer_ref(&self.name),
            _ => cluster_issuer_ref(&self.name),
        }
    }
}

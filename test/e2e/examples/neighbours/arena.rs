//! Where a tenant does its worst: it may make WasmIssuers, ConfigMaps, Secrets and approved requests in one namespace, and
//! nothing else.

use std::cell::RefCell;
use std::net::SocketAddr;

use futures::{StreamExt, stream};
use serde_json::{Value, json};
use wasm_issuer_e2e::{Csr, Kind, Operator, Test, issuer_ref};

/// Where an attack takes place.
pub struct Arena {
    /// The tenant's namespace.
    pub tenant: Test,
    /// A WasmClusterIssuer that is everybody's.
    pub shared: String,
    /// Answers for ever.
    pub server: SocketAddr,
    /// A component of which the attack makes others while it goes on.
    pub kept: RefCell<Vec<u8>>,
    csr: Csr,
}

impl Arena {
    pub async fn new(t: &Test, row: &str, shared: &str, server: SocketAddr) -> Self {
        let tenant = t.in_namespace(&format!("{}-{}", t.namespace, row.replace(' ', "-"))).await;
        let csr = Csr::for_host("a.example");
        Self { tenant, shared: shared.to_owned(), server, kept: RefCell::default(), csr }
    }

    /// Make Issuers of these specs, sixteen at a time.
    pub async fn issuers(&self, specs: impl IntoIterator<Item = (String, Value)>) {
        let make = |(name, spec): (String, Value)| async move { drop(self.tenant.issuer(&name, spec).await) };
        stream::iter(specs).for_each_concurrent(16, make).await;
    }

    /// Make an Issuer for each of these components.
    pub async fn issuers_of(&self, components: impl IntoIterator<Item = (String, Vec<u8>)>, limits: &Value) {
        let make = |(name, wasm): (String, Vec<u8>)| async move {
            self.tenant.config_map(&name, "plugin.wasm", &wasm).await;
            let spec = json!({
                "plugin": {"configMap": {"name": name}}, "limits": limits, "retry": eager(), "checkInterval": "10s",
            });
            self.tenant.issuer(&name, spec).await;
        };
        stream::iter(components).for_each_concurrent(4, make).await;
    }

    /// Make approved requests, so many for each of these Issuers.
    pub async fn requests(&self, issuers: &[(String, Value)], each: usize) {
        let all = issuers.iter().flat_map(|issuer| (0..each).map(move |n| (issuer, n)));
        let make = |((name, issuer), n): (&(String, Value), usize)| {
            let (request, issuer) = (format!("{name}-{n}"), issuer.clone());
            async move { drop(self.tenant.approved_request(&request, issuer, &self.csr, json!({})).await) }
        };
        stream::iter(all).for_each_concurrent(16, make).await;
    }

    /// Delete what the tenant made.
    pub async fn clean_up(&self) {
        for kind in [Kind::CertificateRequest, Kind::WasmIssuer, Kind::ConfigMap, Kind::Secret] {
            self.tenant.delete_all(kind).await;
        }
    }

    /// A client with the operator's rights.
    pub async fn operator(&self) -> kube::Client {
        Operator::client(&self.tenant.workdir).await
    }
}

/// `spec.retry` of somebody who is in a hurry.
pub fn eager() -> Value {
    json!({"minBackoff": "100ms", "maxBackoff": "1s"})
}

/// A number of names.
pub fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}-{n}")).collect()
}

/// With a reference to each of these Issuers.
pub fn referred(names: &[String]) -> Vec<(String, Value)> {
    names.iter().map(|name| (name.clone(), issuer_ref(name))).collect()
}

//! What goes wrong in clusters, made on purpose: for tests that look at what people see of it.

use kube::api::{DeleteParams, PostParams};
use kube::core::Request;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::test::POLL;
use crate::{Answer, Csr, Kind, Object, SOON, Server, Test, cert_manager_runs, issuer_ref, operator};

/// Something that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Situation {
    /// `spec.config` has a field that the plugin does not know.
    SpecTypo,
    /// The Secret is there and has not what the plugin looks for.
    WrongSecret,
    /// The plugin calls a server that `spec.http.allowedHosts` does not name.
    MissingGrant,
    /// The spec grants a server whose address the operator's policy forbids.
    PrivateAddress,
    /// The CA answers 401.
    ExpiredToken,
    /// The CA takes the request and does not answer.
    SlowCa,
    /// The CA's server has its certificate from a CA that nobody trusts.
    WrongTls,
    /// The ConfigMap of an Issuer that is ready now holds something that is no plugin.
    PluginRefused,
    /// The ConfigMap of an Issuer that is ready is deleted.
    ConfigMapGone,
    /// Nobody approves a request. It takes a minute to be told.
    ApproverMissing,
    /// There is no CustomResourceDefinition of WasmIssuer.
    CrdMissing,
    /// The operator may not read Secrets.
    RbacMissing,
    /// A request names a kind that there is not.
    OtherKind,
    /// An approver has denied a request.
    RequestDenied,
    /// The plugin's `sign` panics.
    PluginPanics,
}

/// A situation that was made, and what it shows on.
pub struct Made {
    /// The kind of the object that shows it.
    pub kind: Kind,
    /// The object's name. Its namespace is the test's.
    pub name: String,
    /// Of what concerns all: what is put back when it is over.
    before: Option<(Kind, Object)>,
    /// A CA that misbehaves as long as this is kept.
    _server: Option<Server>,
}

const CRD: &str = "wasmissuers.wasm-issuer.dev";
const APPROVER: &str = "cert-manager-controller-approve:wasm-issuer-dev";
const OPERATOR: &str = "wasm-issuer";

impl Situation {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::SpecTypo,
        Self::WrongSecret,
        Self::MissingGrant,
        Self::PrivateAddress,
        Self::ExpiredToken,
        Self::SlowCa,
        Self::WrongTls,
        Self::PluginRefused,
        Self::ConfigMapGone,
        Self::ApproverMissing,
        Self::CrdMissing,
        Self::RbacMissing,
        Self::OtherKind,
        Self::RequestDenied,
        Self::PluginPanics,
    ];

    /// Whether nothing else works meanwhile: for [`crate::e2e_alone`], and [`Made::undo`] afterwards.
    pub fn concerns_all(self) -> bool {
        matches!(self, Self::ApproverMissing | Self::CrdMissing | Self::RbacMissing)
    }

    /// What its Issuer and its request are called: `spec-typo`.
    pub fn name(self) -> String {
        let mut name = String::new();
        for c in format!("{self:?}").chars() {
            if c.is_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.extend(c.to_lowercase());
        }
        name
    }

    /// Bring it about. What shows it takes a moment more to say so.
    pub async fn make(self, t: &Test) -> Made {
        let name = &self.name();
        let made = |kind| Made { kind, name: name.clone(), before: None, _server: None };
        match self {
            Self::SpecTypo => {
                t.issuer(name, json!({"plugin": in_memory_ca(), "config": {"comonName": "Team A"}})).await;
            }
            Self::WrongSecret => {
                t.apply(Kind::Secret, name, json!({"stringData": {"password": "not a CA's key"}})).await;
                t.issuer(name, json!({"plugin": in_memory_ca(), "authSecretName": name})).await;
            }
            Self::MissingGrant => {
                let mut spec = cfssl("https://ca.example.com:8888");
                spec["http"]["allowedHosts"] = json!(["https://old.example.com:8888"]);
                t.issuer(name, spec).await;
            }
            Self::PrivateAddress => {
                t.issuer(name, cfssl("https://10.255.255.1:8888")).await;
            }
            Self::ExpiredToken => {
                let server =
                    Server::start(Answer::Status(401, r#"{"error": "the token has expired"}"#)).await;
                self.trusting(t, &server, json!({})).await;
                return Made { _server: Some(server), ..made(Kind::WasmIssuer) };
            }
            Self::SlowCa => {
                let server = Server::start(Answer::Nothing).await;
                // The plugin would wait longer than the call may take.
                self.trusting(t, &server, json!({"timeoutSeconds": 60})).await;
                return Made { _server: Some(server), ..made(Kind::WasmIssuer) };
            }
            Self::WrongTls => {
                let server = Server::start(Answer::Nothing).await;
                t.issuer(name, cfssl(&server.url)).await;
                return Made { _server: Some(server), ..made(Kind::WasmIssuer) };
            }
            Self::PluginRefused => {
                self.served_from_config_map(t).await;
                t.config_map(name, "plugin.wasm", b"(module)").await;
            }
            Self::ConfigMapGone => {
                self.served_from_config_map(t).await;
                t.delete(Kind::ConfigMap, name).await;
            }
            Self::ApproverMissing => {
                t.ready_issuer(name, json!({"plugin": in_memory_ca()})).await;
                let before = match cert_manager_runs() {
                    true => Some(take_away(t, Kind::ClusterRoleBinding, APPROVER).await),
                    false => None,
                };
                t.request(name, issuer_ref(name), &Csr::for_host("a.example"), json!({})).await;
                return Made { before, ..made(Kind::CertificateRequest) };
            }
            Self::CrdMissing => {
                let before = Some(take_away(t, Kind::CustomResourceDefinition, CRD).await);
                self.asked(t, issuer_ref(name)).await;
                return Made { before, ..made(Kind::CertificateRequest) };
            }
            Self::RbacMissing => {
                let before = t.get(Kind::ClusterRole, OPERATOR).await;
                let is_of_secrets = |rule: &&Value| rule["resources"] == json!(["secrets"]);
                let rules: Vec<&Value> = before["rules"].as_array().into_iter().flatten().collect();
                let rest: Vec<&Value> = rules.into_iter().filter(|rule| !is_of_secrets(rule)).collect();
                t.merge(Kind::ClusterRole, OPERATOR, json!({"rules": rest})).await;
                t.apply(Kind::Secret, name, json!({"stringData": {"key": "00"}})).await;
                t.issuer(name, json!({"plugin": in_memory_ca(), "authSecretName": name})).await;
                return Made { before: Some((Kind::ClusterRole, before)), ..made(Kind::WasmIssuer) };
            }
            Self::OtherKind => {
                let reference = json!({"group": "wasm-issuer.dev", "kind": "WasmIssuers", "name": name});
                self.asked(t, reference).await;
                return made(Kind::CertificateRequest);
            }
            Self::RequestDenied => {
                t.request(name, issuer_ref(name), &Csr::for_host("a.example"), json!({})).await;
                t.deny(name).await;
                return made(Kind::CertificateRequest);
            }
            Self::PluginPanics => {
                t.hostile_issuer(name, json!({"behaviour": "panic"})).await;
                self.asked(t, issuer_ref(name)).await;
                return made(Kind::CertificateRequest);
            }
        }
        made(Kind::WasmIssuer)
    }

    /// An approved request.
    async fn asked(self, t: &Test, issuer: Value) {
        t.approved_request(&self.name(), issuer, &Csr::for_host("a.example"), json!({})).await;
    }

    /// An Issuer that is ready, with its plugin in a ConfigMap.
    async fn served_from_config_map(self, t: &Test) {
        let name = &self.name();
        t.config_map(name, "plugin.wasm", &operator::plugin("in_memory_ca")).await;
        t.ready_issuer(name, json!({"plugin": {"configMap": {"name": name}}})).await;
    }

    /// An Issuer that asks this server and trusts its CA. What is in `config` goes into the plugin's.
    async fn trusting(self, t: &Test, server: &Server, config: Value) {
        let name = &self.name();
        t.apply(Kind::Secret, name, json!({"stringData": {"ca.crt": server.ca}})).await;
        let mut spec = cfssl(&server.url);
        for (field, value) in config.as_object().into_iter().flatten() {
            spec["config"][field] = value.clone();
        }
        spec["http"]["caBundleSecretName"] = name.as_str().into();
        spec["limits"] = json!({"timeout": "2s"});
        t.issuer(name, spec).await;
    }
}

impl Made {
    /// Put back what concerns all.
    pub async fn undo(self, t: &Test) {
        let Some((kind, Object(mut before))) = self.before else { return };
        let name = before["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if t.find(kind, &name).await.is_some() {
            t.merge(kind, &name, json!({"rules": before["rules"]})).await;
            return;
        }
        for field in ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"] {
            before["metadata"].as_object_mut().expect("an object").remove(field);
        }
        before.as_object_mut().expect("an object").remove("status");
        before["apiVersion"] = kind.api_version().into();
        before["kind"] = kind.name().into();
        let request = Request::new(kind.collection(&t.namespace))
            .create(&PostParams::default(), serde_json::to_vec(&before).expect("JSON"));
        let made = t.client.request::<Value>(request.expect("a request")).await;
        made.unwrap_or_else(|error| panic!("cannot put {kind:?} {name} back: {error}"));
        if kind == Kind::CustomResourceDefinition {
            let is_served = |crd: &Object| crd.says("Established").starts_with("True");
            t.wait((kind, &name), SOON, "established", is_served).await;
        }
    }
}

/// Delete an object of all, and wait until it is gone.
async fn take_away(t: &Test, kind: Kind, name: &str) -> (Kind, Object) {
    let before = t.get(kind, name).await;
    let request = Request::new(kind.collection("")).delete(name, &DeleteParams::default());
    let done = t.client.request::<Value>(request.expect("a request")).await;
    done.unwrap_or_else(|error| panic!("cannot delete {kind:?} {name}: {error}"));
    while t.find(kind, name).await.is_some() {
        sleep(POLL).await;
    }
    (kind, before)
}

fn in_memory_ca() -> Value {
    json!({"builtin": "in-memory-ca"})
}

/// The spec of an Issuer that asks a CFSSL there, without a token.
fn cfssl(url: &str) -> Value {
    json!({
        "plugin": {"builtin": "cfssl"},
        "config": {"url": url, "authMode": "sign"},
        "http": {"allowedHosts": [url]},
    })
}

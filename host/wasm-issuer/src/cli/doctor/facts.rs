//! What is known of a cluster: all that a diagnosis is made of. No client.

use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use wasm_issuer_core::issuance::condition::Condition;
use wasm_issuer_core::issuance::request::RequestView;
use wasm_issuer_runtime::describe::Description;

use super::finding::{ObjectRef, Unseen};
use super::needs::Need;
use crate::api::{IssuerKey, IssuerSpec};

/// What was found. What could not be looked at is none, and in `unseen`.
#[derive(Default)]
pub struct Facts {
    /// When it was looked.
    pub now: Timestamp,
    /// The definitions of our kinds that the cluster has.
    pub crds: Option<Vec<CustomResourceDefinition>>,
    /// Whether the cluster knows cert-manager's CertificateRequests.
    pub has_cert_manager: Option<bool>,
    /// The operator's Deployment.
    pub operator: Option<Operator>,
    /// The namespace and the ServiceAccount of the operator.
    pub service_account: (String, String),
    /// What the operator needs, and whether it may.
    pub rights: Vec<(Need, bool)>,
    /// The namespace and the ServiceAccount of who approves CertificateRequests.
    pub approver: (String, String),
    /// The signers that it is to approve for, and whether it may.
    pub approvals: Vec<(String, bool)>,
    /// The file that bounds what Issuers may grant.
    pub policy: Policy,
    /// The Issuers of both kinds; none where they could not be listed.
    pub issuers: Option<Vec<Issuer>>,
    /// Those of them to say something about; none: all of them.
    pub wanted: Option<Vec<IssuerKey>>,
    /// The requests that are not issued.
    pub requests: Vec<Request>,
    /// The Certificates that are not ready and ask one of our kinds, or seem to.
    pub certificates: Vec<Certificate>,
    /// Objects that were asked for by name and are not there.
    pub missing: Vec<ObjectRef>,
    /// What could not be looked at.
    pub unseen: Vec<Unseen>,
}

impl Facts {
    /// The Issuers to say something about.
    pub fn issuers_wanted(&self) -> impl Iterator<Item = &Issuer> {
        let is_wanted = |key: &IssuerKey| self.wanted.as_ref().is_none_or(|wanted| wanted.contains(key));
        self.issuers.iter().flatten().filter(move |issuer| is_wanted(&issuer.key))
    }
}

/// The operator's Deployment and its pods.
#[derive(Clone, Debug, Default)]
pub struct Operator {
    /// The Deployment.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// How many pods are wanted.
    pub wanted: i32,
    /// How many of them are available.
    pub available: i32,
    /// Why a pod does not run, by pod: `CrashLoopBackOff: ...`.
    pub troubles: Vec<(String, String)>,
    /// The namespaces that it serves; empty: all.
    pub watched: Vec<String>,
    /// Whether it signs Kubernetes' CertificateSigningRequests.
    pub signs_csrs: bool,
    /// Whether its replicas agree by Leases.
    pub elects: bool,
    /// Where the ConfigMaps and Secrets of WasmClusterIssuers are.
    pub cluster_resource_namespace: String,
}

/// Where the operator's policy is, and what is in it.
#[derive(Clone, Debug, Default)]
pub enum Policy {
    /// It could not be looked at.
    #[default]
    Unknown,
    /// The operator runs with the defaults.
    Defaults,
    /// It is a key of a ConfigMap.
    ConfigMap {
        /// The ConfigMap.
        object: ObjectRef,
        /// The key.
        key: String,
        /// What is there; else why there is nothing.
        text: Result<String, String>,
    },
}

/// An Issuer, and what it names.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Which one.
    pub key: IssuerKey,
    /// The namespace of what it names, if that is known.
    pub home: Option<String>,
    /// `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// `metadata.generation`.
    pub generation: i64,
    /// Its spec; else why it cannot be read.
    pub spec: Result<IssuerSpec, String>,
    /// Whether it can sign, as the operator says.
    pub ready: Option<Condition>,
    /// Whether it uses the plugin that its source holds.
    pub plugin_current: Option<Condition>,
    /// The SHA-256 digest of the plugin in use.
    pub used: Option<String>,
    /// The Secrets and ConfigMaps that it names.
    pub sources: Vec<Source>,
    /// The plugin in its ConfigMap, where it has one that is there.
    pub plugin: Option<Plugin>,
}

/// A Secret or a ConfigMap that an Issuer names.
#[derive(Clone, Debug)]
pub struct Source {
    /// `Secret` or `ConfigMap`.
    pub kind: &'static str,
    /// The field that names it.
    pub field: &'static str,
    /// Its name.
    pub name: String,
    /// Whether it is there, if that is known.
    pub is_there: Option<bool>,
    /// Whether the operator may read it, if that is known.
    pub is_granted: Option<bool>,
}

/// A plugin that a ConfigMap holds.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// Its SHA-256 digest; none where there are no bytes.
    pub sha256: Option<String>,
    /// Why it is of no use, if so.
    pub problem: Option<String>,
    /// What it says of itself, if it does.
    pub description: Option<Description>,
}

/// A request for one of our kinds that is not issued.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which one.
    pub object: ObjectRef,
    /// What the decisions see.
    pub view: RequestView,
    /// Why it is refused whatever else is decided, if so.
    pub refusal: Option<String>,
    /// Its Issuer; none where there can be none.
    pub issuer: Option<IssuerKey>,
    /// The Certificate that it is for.
    pub certificate: Option<String>,
    /// The last Warning about it, which a CertificateSigningRequest's status does not tell.
    pub warning: Option<String>,
}

/// A Certificate of cert-manager.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Which one.
    pub object: ObjectRef,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// `spec.issuerRef.group`, with cert-manager's default.
    pub group: String,
    /// `spec.issuerRef.kind`, with cert-manager's default.
    pub kind: String,
    /// `spec.issuerRef.name`.
    pub issuer: String,
    /// Its conditions.
    pub conditions: Vec<Condition>,
    /// The request of its newest revision, whichever state it is in.
    pub request: Option<Request>,
}

//! What is measured, and the labels and the words that they can be.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use wasm_issuer_core::issuance::request_kind::RequestKind;
use wasm_issuer_core::issuance::signer::FailureKind;
use wasm_issuer_runtime::Cache;

use crate::api::{IssuerKey, IssuerKind};
use crate::operator::apply::OUTCOMES;

/// What came of a call of `sign`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignOutcome {
    /// A certificate that could be published.
    Issued,
    /// A certificate that could not: it differs from the request.
    Refused,
    /// A failure that passes.
    Retry,
    /// A failure for good.
    Permanent,
    /// A failure by the Issuer's fault.
    Issuer,
    /// The CA is at it.
    Pending,
}

impl SignOutcome {
    /// Every one, each at its own number.
    pub const ALL: [Self; 6] =
        [Self::Issued, Self::Refused, Self::Retry, Self::Permanent, Self::Issuer, Self::Pending];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Refused => "refused",
            Self::Retry => "retry",
            Self::Permanent => "permanent",
            Self::Issuer => "issuer",
            Self::Pending => "pending",
        }
    }
}

impl From<&FailureKind> for SignOutcome {
    fn from(kind: &FailureKind) -> Self {
        match kind {
            FailureKind::Retry { .. } => Self::Retry,
            FailureKind::Permanent => Self::Permanent,
            FailureKind::Issuer => Self::Issuer,
            FailureKind::Pending { .. } => Self::Pending,
        }
    }
}

/// One call of `sign`, as far as it is measured.
pub struct SignCall<'a> {
    /// Whose plugin was called.
    pub issuer: Option<&'a IssuerKey>,
    /// From the call to its answer.
    pub took: Duration,
    /// Whether the plugin failed at this request before.
    pub is_retry: bool,
}

/// What an unfinished request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// For somebody to approve or deny it.
    Unapproved,
    /// For its Issuer to exist and to be ready.
    WaitingForIssuer,
    /// For its turn.
    Queued,
    /// For nothing: it is being worked on.
    InFlight,
    /// For the CA, which said that it takes longer.
    Pending,
    /// For its next try, after something failed.
    Retrying,
}

impl RequestState {
    pub const ALL: [Self; 6] = [
        Self::Unapproved,
        Self::WaitingForIssuer,
        Self::Queued,
        Self::InFlight,
        Self::Pending,
        Self::Retrying,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Unapproved => "unapproved",
            Self::WaitingForIssuer => "waiting_for_issuer",
            Self::Queued => "queued",
            Self::InFlight => "in_flight",
            Self::Pending => "pending",
            Self::Retrying => "retrying",
        }
    }
}

/// Where a plugin was found, if at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginLoad {
    /// Without compiling it.
    Found(Cache),
    /// It was compiled.
    Compiled,
    /// It could not be had.
    Failed,
}

impl PluginLoad {
    pub const ALL: [Self; 4] =
        [Self::Found(Cache::Memory), Self::Found(Cache::Folder), Self::Compiled, Self::Failed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Found(Cache::Memory) => "memory",
            Self::Found(Cache::Folder) => "cache_folder",
            Self::Compiled => "compiled",
            Self::Failed => "failed",
        }
    }
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchedResource {
    CertificateRequests,
    CertificateSigningRequests,
    WasmIssuers,
    WasmClusterIssuers,
    Secrets,
    ConfigMaps,
    Leases,
}

impl WatchedResource {
    pub const ALL: [Self; 7] = [
        Self::CertificateRequests,
        Self::CertificateSigningRequests,
        Self::WasmIssuers,
        Self::WasmClusterIssuers,
        Self::Secrets,
        Self::ConfigMaps,
        Self::Leases,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::CertificateRequests => "certificaterequests",
            Self::CertificateSigningRequests => "certificatesigningrequests",
            Self::WasmIssuers => "wasmissuers",
            Self::WasmClusterIssuers => "wasmclusterissuers",
            Self::Secrets => "secrets",
            Self::ConfigMaps => "configmaps",
            Self::Leases => "leases",
        }
    }
}

impl From<RequestKind> for WatchedResource {
    fn from(kind: RequestKind) -> Self {
        match kind {
            RequestKind::CertificateRequest => Self::CertificateRequests,
            RequestKind::CertificateSigningRequest => Self::CertificateSigningRequests,
        }
    }
}

impl From<IssuerKind> for WatchedResource {
    fn from(kind: IssuerKind) -> Self {
        match kind {
            IssuerKind::Namespaced => Self::WasmIssuers,
            IssuerKind::Cluster => Self::WasmClusterIssuers,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Outcome {
    pub outcome: &'static str,
}

impl Outcome {
    pub fn of(outcome: SignOutcome) -> Self {
        Self { outcome: outcome.as_str() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reason {
    pub reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EnforcedField {
    pub field: &'static str,
    pub enforced: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StateLabel {
    state: &'static str,
}

impl StateLabel {
    pub fn of(state: RequestState) -> Self {
        Self { state: state.as_str() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FoundIn {
    result: &'static str,
}

impl FoundIn {
    pub fn of(load: PluginLoad) -> Self {
        Self { result: load.as_str() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResourceLabel {
    resource: &'static str,
}

impl ResourceLabel {
    pub fn of(resource: WatchedResource) -> Self {
        Self { resource: resource.as_str() }
    }
}

/// The kind of what is written where it is no status.
pub const EVENT: &str = "Event";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WriteLabels {
    kind: &'static str,
    outcome: &'static str,
}

/// The kinds of what is written.
const KINDS: [&str; 5] =
    ["CertificateRequest", "CertificateSigningRequest", "WasmIssuer", "WasmClusterIssuer", EVENT];

impl WriteLabels {
    /// Every kind with everything that may come of a write.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.into_iter().flat_map(|kind| OUTCOMES.map(|outcome| Self { kind, outcome }))
    }

    /// `outcome` is one of few words.
    pub fn new(kind: Option<&str>, outcome: &'static str) -> Self {
        let kind = KINDS.into_iter().find(|known| Some(*known) == kind).unwrap_or("other");
        Self { kind, outcome }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct VersionLabel {
    pub version: &'static str,
}

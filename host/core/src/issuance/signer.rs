//! The vocabulary between the decisions and whatever signs: the WIT contract's types without wasmtime.

use std::time::Duration;

use crate::x509::Csr;

/// A request for a certificate, ready to hand to a plugin. Mirrors `certificate-request` in `wit/types.wit`.
#[derive(Clone, Debug)]
pub struct SignRequest {
    /// The namespace of the CertificateRequest; none for a CertificateSigningRequest.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// The parsed CSR; its signature holds.
    pub csr: Csr,
    /// The lifetime asked for, cert-manager's default applied.
    pub duration: Duration,
    /// Whether a CA certificate is asked for.
    pub is_ca: bool,
    /// Key usages by cert-manager's names, its defaults applied.
    pub usages: Vec<String>,
    /// `metadata.annotations`.
    pub annotations: Vec<(String, String)>,
    /// Who asks.
    pub requester: Requester,
    /// The token that the plugin returned with its last `pending`.
    pub resume: Option<String>,
}

/// The user that created a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requester {
    /// `spec.username`.
    pub username: String,
    /// `spec.uid`.
    pub uid: String,
    /// `spec.groups`.
    pub groups: Vec<String>,
    /// `spec.extra`.
    pub extra: Vec<(String, Vec<String>)>,
}

/// What a plugin's `sign` returned, not verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// PEM, leaf first.
    pub chain: String,
    /// PEM for `status.ca`.
    pub ca: Option<String>,
}

/// Why a plugin's call did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What to do about it.
    pub kind: FailureKind,
    /// For people; text from a plugin is data, cleaned by [`crate::issuance::text`].
    pub message: String,
    /// A condition to set on the request besides.
    pub condition: Option<FailureCondition>,
}

/// What to do about a failure: issuer-lib's error algebra.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Try again, no sooner than after so long.
    Retry {
        /// The CA's own wish, a Retry-After.
        after: Option<Duration>,
    },
    /// No later try can succeed.
    Permanent,
    /// The Issuer is at fault.
    Issuer,
    /// The CA works on it.
    Pending {
        /// The token to hand back; none keeps the last one.
        resume: Option<String>,
        /// When to ask again.
        poll_after: Option<Duration>,
    },
}

impl FailureKind {
    /// One of few words, for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Retry { .. } => "retry",
            Self::Permanent => "permanent",
            Self::Issuer => "issuer",
            Self::Pending { .. } => "pending",
        }
    }
}

/// A condition that a plugin wants on the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureCondition {
    /// The key under which it stands in `status.conditions`, such as `InvalidRequest`.
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
    /// CamelCase, for machines.
    pub reason: String,
}

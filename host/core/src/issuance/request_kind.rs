//! The two kinds of requests. All is decided over them alike; they differ in what their objects can say.

use std::fmt;

/// Which of the two kinds a request is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequestKind {
    /// cert-manager's, in a namespace. Its condition Ready tells what has become of it so far.
    CertificateRequest,
    /// Kubernetes' own, in none. `status.certificate` or the condition Failed tells what came of it in the end; until then
    /// its status tells nothing, and Events do.
    CertificateSigningRequest,
}

impl RequestKind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::CertificateRequest, Self::CertificateSigningRequest];

    /// The `kind` of its objects.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CertificateRequest => "CertificateRequest",
            Self::CertificateSigningRequest => "CertificateSigningRequest",
        }
    }
}

impl fmt::Display for RequestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! The two Issuer kinds by name, and the name of one Issuer.

use std::fmt;
use std::str::FromStr;

/// Which of the two kinds an Issuer is of: they differ in their scope only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IssuerKind {
    /// `WasmIssuer`: it and what it refers to are in one namespace, a tenant's.
    Namespaced,
    /// `WasmClusterIssuer`: what it refers to is in the operator's cluster resource namespace, an administrator's.
    Cluster,
}

/// Text that names neither kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kind of an Issuer is WasmIssuer or WasmClusterIssuer")]
pub struct UnknownKind;

impl IssuerKind {
    /// Both kinds, the narrower one first.
    pub const ALL: [Self; 2] = [Self::Namespaced, Self::Cluster];

    /// The `kind` of its objects.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Namespaced => "WasmIssuer",
            Self::Cluster => "WasmClusterIssuer",
        }
    }

    /// The name of its resource, as in URLs and RBAC rules.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Namespaced => "wasmissuers",
            Self::Cluster => "wasmclusterissuers",
        }
    }
}

impl fmt::Display for IssuerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for IssuerKind {
    type Err = UnknownKind;

    /// Reads a `kind`, exactly as [`Self::as_str`] writes it.
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownKind)
    }
}

/// What tells an Issuer from all others in the cluster. Displayed as `WasmIssuer team-a/my-ca`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IssuerKey {
    /// Which of the two it is.
    pub kind: IssuerKind,
    /// Its namespace; none for a WasmClusterIssuer.
    pub namespace: Option<String>,
    /// `metadata.name`
    pub name: String,
}

impl fmt::Display for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

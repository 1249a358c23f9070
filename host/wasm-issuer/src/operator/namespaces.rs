//! Which namespaces the operator serves: all of them, or those of a team that runs an operator of its own and has no
//! rights on the cluster.

use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use thiserror::Error;
use wasm_issuer_core::issuance::request_kind::RequestKind;

use crate::api::{IssuerKind, ObjectName};

/// How many namespaces may be named: each has watches of its own.
const MAX: usize = 64;
/// The longest name of a namespace, a DNS label.
const MAX_LENGTH: usize = 63;

/// Part of what is watched: one namespace, or, where that is none, everything.
pub type Part = Option<Arc<str>>;

/// The namespaces whose Issuers and requests the operator serves.
#[derive(Clone, Debug)]
pub enum Namespaces {
    /// Every one, and WasmClusterIssuers.
    All,
    /// These, each watched on its own. What only rights on the cluster let one read is left alone: WasmClusterIssuers and
    /// CertificateSigningRequests.
    Only(Arc<[Arc<str>]>),
}

/// Why a list of namespaces is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NamespacesError {
    /// No namespace can have this name.
    #[error("{0:?} is not the name of a namespace: at most {MAX_LENGTH} lower-case letters, digits and '-'")]
    Name(String),
    /// More than are watched one by one.
    #[error(
        "{0} namespaces are named; at most {MAX} are watched one by one. Leave the list out to serve all of them"
    )]
    TooMany(usize),
}

impl Namespaces {
    /// These, or all where none is named.
    pub fn of(names: &[String]) -> Result<Self, NamespacesError> {
        if names.is_empty() {
            return Ok(Self::All);
        }
        let invalid = |name: &&String| {
            name.len() > MAX_LENGTH || name.contains('.') || name.parse::<ObjectName>().is_err()
        };
        if let Some(name) = names.iter().find(invalid) {
            return Err(NamespacesError::Name(name.chars().take(MAX_LENGTH).collect()));
        }
        let mut only: Vec<Arc<str>> = names.iter().map(|name| name.as_str().into()).collect();
        only.sort_unstable();
        only.dedup();
        if only.len() > MAX {
            return Err(NamespacesError::TooMany(only.len()));
        }
        Ok(Self::Only(only.into()))
    }

    /// Whether Issuers of this kind, and requests for them, are served.
    pub fn serves(&self, kind: IssuerKind) -> bool {
        kind == IssuerKind::Namespaced || matches!(self, Self::All)
    }

    /// The parts in which what is in namespaces is watched.
    pub fn parts(&self) -> Vec<Part> {
        match self {
            Self::All => vec![None],
            Self::Only(names) => names.iter().cloned().map(Some).collect(),
        }
    }

    /// The parts in which requests of these kinds are watched; none of one that is not served.
    pub fn of_requests(&self, kinds: &[RequestKind]) -> Vec<(RequestKind, Part)> {
        let parts = |kind: RequestKind| {
            let parts = match (kind, self) {
                (RequestKind::CertificateRequest, _) => self.parts(),
                (RequestKind::CertificateSigningRequest, Self::All) => vec![None],
                (RequestKind::CertificateSigningRequest, Self::Only(_)) => vec![],
            };
            parts.into_iter().map(move |part| (kind, part))
        };
        kinds.iter().copied().flat_map(parts).collect()
    }

    /// Where the objects of a kind are, part by part.
    pub fn apis<K>(&self, client: &Client) -> Vec<(Part, Api<K>)>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let api = |part: Part| {
            let api = match &part {
                Some(namespace) => Api::namespaced(client.clone(), namespace),
                None => Api::all(client.clone()),
            };
            (part, api)
        };
        self.parts().into_iter().map(api).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Result<Vec<Part>, NamespacesError> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        Namespaces::of(&names).map(|namespaces| namespaces.parts())
    }

    #[test]
    fn each_namespace_is_watched_once() {
        assert_eq!(of(&[]), Ok(vec![None]));
        assert_eq!(of(&["b", "a", "b"]), Ok(vec![Some("a".into()), Some("b".into())]));
    }

    /// An empty list that a template left behind is not the whole cluster.
    #[test]
    fn what_no_namespace_can_be_called_is_refused() {
        for name in ["", "*", "A", "a.b", "../x", &"a".repeat(64)] {
            assert!(matches!(of(&["a", name]), Err(NamespacesError::Name(_))), "{name}");
        }
    }

    #[test]
    fn only_so_many_are_watched_one_by_one() {
        let names = |count: usize| -> Vec<String> { (0..count).map(|n| format!("team-{n}")).collect() };
        assert_eq!(Namespaces::of(&names(64)).map(|namespaces| namespaces.parts().len()), Ok(64));
        assert_eq!(Namespaces::of(&names(65)).map(|_| ()), Err(NamespacesError::TooMany(65)));
    }
}

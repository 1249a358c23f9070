//! What the operator's ServiceAccount needs, as deploy/ grants it (docs/rbac.md).

/// A right that the operator needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The API group; the core one has no name.
    pub group: &'static str,
    /// The resource, with its subresource: `wasmissuers/status`.
    pub resource: &'static str,
    /// The verb.
    pub verb: &'static str,
    /// Which objects; empty: all.
    pub name: &'static str,
    /// Where.
    pub scope: Scope,
}

/// Where a right is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// On what is in no namespace; not with `--watch-namespaces`.
    Cluster,
    /// The same, for Kubernetes' own requests alone.
    ClusterForCsrs,
    /// In the namespaces that are served: all of them, or those of `--watch-namespaces`.
    Served,
    /// In the namespace `default`; not with `--watch-namespaces`.
    Default,
    /// In the operator's own namespace, with `--leader-elect`.
    Home,
}

const READ: &[&str] = &["get", "list", "watch"];
const CERT_MANAGER: &str = "cert-manager.io";
const CSRS: &str = "certificates.k8s.io";
const OURS: &str = "wasm-issuer.dev";

/// Resources with the verbs on them. Secrets are not among them: where they are granted by name, the operator needs those that
/// Issuers name, and no more than `get`.
const TABLE: &[(&str, &str, &[&str], &str, Scope)] = &[
    (OURS, "wasmissuers", READ, "", Scope::Served),
    (OURS, "wasmissuers/status", &["patch"], "", Scope::Served),
    (OURS, "wasmclusterissuers", READ, "", Scope::Cluster),
    (OURS, "wasmclusterissuers/status", &["patch"], "", Scope::Cluster),
    (CERT_MANAGER, "certificaterequests", READ, "", Scope::Served),
    (CERT_MANAGER, "certificaterequests/status", &["patch"], "", Scope::Served),
    (CSRS, "certificatesigningrequests", READ, "", Scope::ClusterForCsrs),
    (CSRS, "certificatesigningrequests/status", &["patch"], "", Scope::ClusterForCsrs),
    (CSRS, "signers", &["sign"], "wasmissuers.wasm-issuer.dev/*", Scope::ClusterForCsrs),
    (CSRS, "signers", &["sign"], "wasmclusterissuers.wasm-issuer.dev/*", Scope::ClusterForCsrs),
    ("authorization.k8s.io", "subjectaccessreviews", &["create"], "", Scope::ClusterForCsrs),
    ("", "configmaps", READ, "", Scope::Served),
    ("events.k8s.io", "events", &["create", "patch"], "", Scope::Served),
    ("discovery.k8s.io", "endpointslices", &["list"], "", Scope::Default),
    ("coordination.k8s.io", "leases", &["get", "list", "watch", "create", "update"], "", Scope::Home),
];

/// All of them.
pub fn needs() -> impl Iterator<Item = Need> {
    TABLE.iter().flat_map(|&(group, resource, verbs, name, scope)| {
        verbs.iter().map(move |&verb| Need { group, resource, verb, name, scope })
    })
}

impl Need {
    /// The resource with its group, as RBAC and kubectl write it: `wasmissuers/status.wasm-issuer.dev`.
    pub fn resource_in_group(&self) -> String {
        let dot = if self.group.is_empty() { "" } else { "." };
        format!("{}{dot}{}", self.resource, self.group)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::operator::testing::Rights;

    #[test]
    fn what_is_needed_is_what_the_manifests_grant() {
        let granted = Rights::of(include_str!("../../../../../deploy/install.yaml"));
        let granted: BTreeSet<(String, String, String)> = granted
            .each()
            .iter()
            .filter(|right| right.resource != "secrets")
            .map(|right| (right.resource.clone(), right.verb.clone(), right.name.clone().unwrap_or_default()))
            .collect();
        let needed =
            needs().map(|need| (need.resource_in_group(), need.verb.to_owned(), need.name.to_owned()));
        assert_eq!(needed.collect::<BTreeSet<_>>(), granted);
    }
}

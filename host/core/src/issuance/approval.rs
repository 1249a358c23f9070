//! What an approver needs to approve the requests for an Issuer: of CertificateRequests, that is cert-manager's most often.
//!
//! Whoever approves a CertificateRequest must be allowed to `approve` `signers.cert-manager.io` by the name of its Issuer
//! as a signer, or by that of all Issuers of its kind; cert-manager's webhook asks for it, not for a namespace.

use super::GROUP;
use super::request_kind::RequestKind;

/// How long the signer's name may be for the manifest to fit into an Event's note with the words around it, in bytes.
const MAX_SIGNER: usize = 72;

/// How RBAC calls an Issuer as a signer: `wasmissuers.wasm-issuer.dev/team-a.my-ca`, without the namespace where its kind
/// has none. `plural` is its resource.
pub fn signer_name(plural: &str, namespace: Option<&str>, name: &str) -> String {
    let dot = if namespace.is_some() { "." } else { "" };
    format!("{plural}.{GROUP}/{}{dot}{name}", namespace.unwrap_or_default())
}

/// How to have requests of a kind approved for this signer, for people.
pub fn way_out(kind: RequestKind, signer: &str) -> String {
    match kind {
        RequestKind::CertificateRequest => by_cert_manager(signer),
        RequestKind::CertificateSigningRequest => by_people(signer),
    }
}

/// Kubernetes' own approve no requests but its own.
fn by_people(signer: &str) -> String {
    let all = signer.split_once('/').map_or(signer, |(domain, _)| domain);
    format!(
        "Whoever may \"approve\" signers.certificates.k8s.io named \"{all}/*\" and update \
         certificatesigningrequests/approval does so with `kubectl certificate approve`."
    )
}

fn by_cert_manager(signer: &str) -> String {
    if signer.len() > MAX_SIGNER {
        return format!(
            r#"cert-manager's approver does so where its ServiceAccount may "approve" signers.cert-manager.io named "{signer}"; deploy/install.yaml allows it for all Issuers. Otherwise run `cmctl approve`."#
        );
    }
    format!(
        "cert-manager's approver does so where it may: deploy/install.yaml allows it for all Issuers, this manifest \
         for this one: {} Otherwise run `cmctl approve`.",
        for_cert_manager(signer)
    )
}

/// What allows cert-manager's approver to approve for this signer.
fn for_cert_manager(signer: &str) -> String {
    manifest(&format!("approve-{}", signer.replace('/', "-")), &[signer], ("cert-manager", "cert-manager"))
}

/// A manifest in one line of YAML, for `kubectl apply -f -`, that allows a ServiceAccount, by its namespace and its name, to
/// approve for these signers. `name` is that of its objects. A signer's name has no character that means something to YAML.
pub fn manifest(name: &str, signers: &[&str], (namespace, account): (&str, &str)) -> String {
    let (rbac, signers) = ("rbac.authorization.k8s.io", signers.join(", "));
    format!(
        "{{apiVersion: v1, kind: List, items: [\
         {{apiVersion: {rbac}/v1, kind: ClusterRole, metadata: {{name: {name}}}, rules: [{{apiGroups: [cert-manager.io], \
         resources: [signers], verbs: [approve], resourceNames: [{signers}]}}]}}, \
         {{apiVersion: {rbac}/v1, kind: ClusterRoleBinding, metadata: {{name: {name}}}, roleRef: {{apiGroup: {rbac}, \
         kind: ClusterRole, name: {name}}}, subjects: [{{kind: ServiceAccount, name: {account}, \
         namespace: {namespace}}}]}}]}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::MAX_NOTE;

    /// What comes before it in the Event.
    const BEFORE: usize = 80;

    #[test]
    fn signers_are_called_as_cert_managers_webhook_calls_them() {
        let namespaced = signer_name("wasmissuers", Some("team-a"), "my.ca");
        assert_eq!(namespaced, "wasmissuers.wasm-issuer.dev/team-a.my.ca");
        let cluster = signer_name("wasmclusterissuers", None, "my.ca");
        assert_eq!(cluster, "wasmclusterissuers.wasm-issuer.dev/my.ca");
    }

    #[test]
    fn the_way_out_fits_into_an_event_whatever_the_names() {
        for length in 1..=253 {
            let signer = signer_name("wasmissuers", Some(&"n".repeat(63)), &"a".repeat(length));
            let short = signer_name("wasmissuers", Some("a"), &"a".repeat(length));
            for text in [by_cert_manager(&signer), by_cert_manager(&short)] {
                assert!(text.len() + BEFORE <= MAX_NOTE, "{length}: {}", text.len());
                assert!(text.ends_with("`cmctl approve`."), "{text}");
            }
        }
    }
}

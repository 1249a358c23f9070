//! What a plugin can do, judged by the functions that it imports, and the Issuer that would grant it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::api::IssuerKind;

/// The package of the contract.
pub const CONTRACT: &str = "wasm-issuer:plugin/";

/// The functions that a component imports, by the name of their interface.
pub type Functions = BTreeMap<String, Vec<String>>;

/// Something that a plugin can do, and which field of an Issuer decides over it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Capability {
    /// Its name: `secret`, `reveal`, `keys` or `network`.
    pub what: &'static str,
    /// Whether it can.
    pub possible: bool,
    /// In words.
    pub detail: &'static str,
}

/// What the imported functions let a plugin do.
pub fn capabilities(functions: &Functions) -> Vec<Capability> {
    let interfaces =
        |prefix: &str| functions.iter().filter(move |(name, _)| name.starts_with(prefix)).collect::<Vec<_>>();
    let calls = |interface: &str, function: &str| {
        let wanted = format!("{CONTRACT}{interface}@");
        interfaces(&wanted).iter().any(|(_, functions)| functions.iter().any(|name| name == function))
    };
    let capability =
        |what, possible, yes, no| Capability { what, possible, detail: if possible { yes } else { no } };
    let secret = ["hmac", "placeholder", "field", "signing-key", "encrypted-signing-key", "certificates"];
    let uses = secret.iter().any(|function| calls("secrets", &format!("[method]secret.{function}")));
    let reveals = calls("secrets", "[method]secret.reveal");
    let placeholder = calls("secrets", "[method]secret.placeholder");
    vec![
        capability(
            "secret",
            uses || reveals || calls("secrets", "names"),
            "uses keys of the Secret that spec.authSecretName names, through handles",
            "uses no Secret",
        ),
        capability(
            "reveal",
            reveals,
            "can read values, of the keys that spec.secrets.reveal names and no others",
            "cannot read any value of the Secret",
        ),
        capability(
            "keys",
            calls("keys", "ephemeral"),
            "makes private keys in the operator, which are lost when it restarts",
            "makes no private keys",
        ),
        capability(
            "network",
            !interfaces("wasi:http/").is_empty() || placeholder,
            "calls servers; spec.http.allowedHosts names those that it may reach",
            "cannot send any HTTP request",
        ),
    ]
}

/// An Issuer of the kind that the component needs, to be pasted: it pins the component, and what it may be granted stands
/// there as comments. The ConfigMap has the Issuer's name.
pub fn issuer(
    kind: IssuerKind,
    name: &str,
    namespace: &str,
    sha256: &str,
    capabilities: &[Capability],
) -> String {
    let can = |what| capabilities.iter().any(|capability| capability.what == what && capability.possible);
    let namespace = match kind {
        IssuerKind::Namespaced => format!("  namespace: {namespace:?}\n"),
        IssuerKind::Cluster => String::new(),
    };
    let mut yaml = format!(
        "apiVersion: wasm-issuer.dev/v1alpha1\nkind: {kind}\nmetadata:\n  name: {name:?}\n{namespace}spec:\n  plugin:\n    \
         configMap: {{name: {name:?}}}\n    sha256: {sha256:?}\n  config: {{}}  # the plugin's own\n"
    );
    if can("secret") {
        yaml.push_str(&format!("  # authSecretName: {name}-auth  # where it is to use a Secret\n"));
    }
    if can("reveal") {
        let bound = match kind {
            IssuerKind::Namespaced => "; the default policy allows none to a WasmIssuer",
            IssuerKind::Cluster => "",
        };
        yaml.push_str(&format!(
            "  # secrets: {{reveal: [KEY]}}  # the keys whose values it may read{bound}\n"
        ));
    }
    if can("network") {
        yaml.push_str(
            "  # http: {allowedHosts: [\"https://ca.example.com\"]}  # the servers that it may call\n",
        );
    }
    yaml
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{IssuerSpec, WasmClusterIssuer, WasmIssuer};
    use crate::policy::Policy;

    fn functions(interface: &str, names: &[&str]) -> Functions {
        [(interface.to_owned(), names.iter().map(|name| (*name).to_owned()).collect())].into()
    }

    #[test]
    fn grants_follow_from_the_imported_functions() {
        let possible = |functions: &Functions| {
            capabilities(functions)
                .into_iter()
                .filter(|capability| capability.possible)
                .map(|capability| capability.what)
                .collect::<Vec<_>>()
        };
        let secrets = "wasm-issuer:plugin/secrets@0.1.0";
        assert_eq!(possible(&BTreeMap::new()), [""; 0]);
        assert_eq!(possible(&functions(secrets, &["get", "[method]secret.signing-key"])), ["secret"]);
        assert_eq!(possible(&functions(secrets, &["[method]secret.reveal"])), ["secret", "reveal"]);
        assert_eq!(possible(&functions(secrets, &["[method]secret.placeholder"])), ["secret", "network"]);
        assert_eq!(possible(&functions("wasm-issuer:plugin/keys@0.1.0", &["ephemeral"])), ["keys"]);
        assert_eq!(possible(&functions("wasi:http/outgoing-handler@0.2.3", &["handle"])), ["network"]);
    }

    #[test]
    fn the_issuer_is_one_that_the_api_has_with_and_without_its_grants() {
        let secrets = ["[method]secret.reveal", "[method]secret.placeholder"];
        let capabilities = capabilities(&functions("wasm-issuer:plugin/secrets@0.1.0", &secrets));
        let yaml = |kind| issuer(kind, "my-ca", "team-a", &"4f".repeat(32), &capabilities);
        let granted = |yaml: &str| yaml.replace("\n  # ", "\n  ");
        let bare: WasmIssuer = serde_saphyr::from_str(&yaml(IssuerKind::Namespaced)).unwrap();
        assert_eq!(bare.spec.0.plugin.sha256.as_deref(), Some("4f".repeat(32).as_str()));
        let of_tenant: WasmIssuer = serde_saphyr::from_str(&granted(&yaml(IssuerKind::Namespaced))).unwrap();
        let of_admin: WasmClusterIssuer =
            serde_saphyr::from_str(&granted(&yaml(IssuerKind::Cluster))).unwrap();
        let refused =
            |kind, spec: &IssuerSpec| Policy::default().check(kind, spec).err().map(|it| it.to_string());
        assert_eq!(refused(IssuerKind::Cluster, &of_admin.spec.0), None);
        assert_eq!(of_admin.spec.0.secrets.reveal, ["KEY"]);
        let refused = refused(IssuerKind::Namespaced, &of_tenant.spec.0).unwrap();
        assert!(refused.contains("spec.secrets.reveal") && !refused.contains("allowedHosts"), "{refused}");
        assert!(!yaml(IssuerKind::Cluster).contains("namespace"));
    }
}

//! The signer names of Kubernetes' CertificateSigningRequests, in the form that cert-manager's own issuers have:
//! `wasmissuers.wasm-issuer.dev/<namespace>.<name>` and `wasmclusterissuers.wasm-issuer.dev/<name>`.

use wasm_issuer_core::issuance::GROUP;

use super::{IssuerKey, IssuerKind, ObjectName};

/// A signer name of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerName {
    /// The kind of Issuer that it names.
    pub kind: IssuerKind,
    /// What is behind the slash.
    pub path: String,
    /// The Issuer; none where no Issuer can have that name.
    pub issuer: Option<IssuerKey>,
}

impl SignerName {
    /// Reads `spec.signerName`; none if it names somebody else's signer.
    pub fn read(text: &str) -> Option<Self> {
        let (domain, path) = text.split_once('/')?;
        let plural = domain.strip_suffix(GROUP)?.strip_suffix('.')?;
        let kind = IssuerKind::ALL.into_iter().find(|kind| kind.plural() == plural)?;
        let (namespace, name) = match kind {
            // A namespace has no dots, and a name may have some.
            IssuerKind::Namespaced => path.split_once('.').map_or((None, ""), |(ns, name)| (Some(ns), name)),
            IssuerKind::Cluster => (None, path),
        };
        let is_name = |text: &str| text.parse::<ObjectName>().is_ok();
        let issuer = (is_name(name) && namespace.is_none_or(is_name)).then(|| IssuerKey {
            kind,
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        });
        Some(Self { kind, path: path.to_owned(), issuer })
    }

    /// Why no Issuer can have that name, if so.
    pub fn fault(&self) -> Option<String> {
        let form = match self.kind {
            IssuerKind::Namespaced => "<namespace>.<name>",
            IssuerKind::Cluster => "<name>",
        };
        let signer = format!("{}.{GROUP}/", self.kind.plural());
        self.issuer
            .is_none()
            .then(|| format!("spec.signerName: behind {signer:?} must be {form} of a {}", self.kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(text: &str) -> Option<String> {
        SignerName::read(text).unwrap().issuer.map(|key| key.to_string())
    }

    #[test]
    fn both_kinds_are_named_as_cert_managers_own_are() {
        for (text, key) in [
            ("wasmissuers.wasm-issuer.dev/team-a.ca", "WasmIssuer team-a/ca"),
            ("wasmissuers.wasm-issuer.dev/team-a.ca.v2", "WasmIssuer team-a/ca.v2"),
            ("wasmclusterissuers.wasm-issuer.dev/ca", "WasmClusterIssuer ca"),
            ("wasmclusterissuers.wasm-issuer.dev/team-a.ca", "WasmClusterIssuer team-a.ca"),
        ] {
            assert_eq!(issuer(text).as_deref(), Some(key), "{text}");
        }
    }

    #[test]
    fn other_signers_are_not_ours() {
        for text in [
            "",
            "kubernetes.io/kubelet-serving",
            "issuers.cert-manager.io/team-a.ca",
            "wasmissuers.wasm-issuer.dev",
            "step.wasm-issuer.dev/ca",
            "wasmissuers.step.wasm-issuer.dev/team-a.ca",
            "wasmissuerswasm-issuer.dev/team-a.ca",
            "WasmIssuers.wasm-issuer.dev/team-a.ca",
        ] {
            assert_eq!(SignerName::read(text), None, "{text}");
        }
    }

    #[test]
    fn a_name_that_no_issuer_can_have_is_told_so() {
        for text in ["ca", ".ca", "team-a.", "team-a.CA", "Team.ca", "team-a./secrets", "team-a.ca/x", ""] {
            let signer = SignerName::read(&format!("wasmissuers.wasm-issuer.dev/{text}")).unwrap();
            let fault = "spec.signerName: behind \"wasmissuers.wasm-issuer.dev/\" must be <namespace>.<name> of a WasmIssuer";
            assert_eq!((signer.issuer.as_ref(), signer.fault().as_deref()), (None, Some(fault)), "{text}");
        }
        let long =
            SignerName::read(&format!("wasmclusterissuers.wasm-issuer.dev/{}", "a".repeat(254))).unwrap();
        assert!(
            long.issuer.is_none() && long.fault().unwrap().ends_with("must be <name> of a WasmClusterIssuer")
        );
    }
}

//! What an Issuer and the component that it names are refused for before either is tried. No client: the tools of a plugin's
//! author refuse the same in the same words.

use thiserror::Error;
use wasm_issuer_core::issuance::issuer::CheckFailure;

use super::config::ObservedConfig;
use crate::api::{IssuerKind, IssuerSpec, PinMismatch, PluginSpec};
use crate::policy::{Policy, Violation};

/// Why a component may not run for an Issuer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Inadmissible {
    /// It is not the one that the spec pins.
    #[error(transparent)]
    Pin(#[from] PinMismatch),
    /// The policy lists others.
    #[error("{0}")]
    Policy(Violation),
}

/// Refuses a spec that asks for more than the policy allows to its kind, and a configuration that no plugin gets: all that is
/// wrong at once. `config` is the spec's own, wherever it is kept.
pub fn admit_spec(
    policy: &Policy,
    kind: IssuerKind,
    spec: &IssuerSpec,
    config: &ObservedConfig,
) -> Result<(), CheckFailure> {
    let refused = policy.check(kind, spec).map_err(CheckFailure::permanent).err();
    refused.into_iter().chain(config.check().err()).reduce(CheckFailure::and).map_or(Ok(()), Err)
}

/// Refuses a component by its digest, 64 lower-case hex digits. What may not run is not even looked into.
pub fn admit_component(
    policy: &Policy,
    kind: IssuerKind,
    plugin: &PluginSpec,
    sha256: &str,
) -> Result<(), Inadmissible> {
    plugin.check_pin(sha256)?;
    policy.check_digest(kind, sha256).map_err(Inadmissible::Policy)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn all_that_is_wrong_with_a_spec_is_told_at_once() {
        let mut spec = IssuerSpec::new(PluginSpec::builtin("a"));
        let small = ObservedConfig::of(spec.config.clone());
        let admit = |spec: &IssuerSpec, config: &ObservedConfig| {
            admit_spec(&Policy::default(), IssuerKind::Namespaced, spec, config)
        };
        assert_eq!(admit(&spec, &small), Ok(()));
        spec.secrets.reveal = vec!["token".to_owned()];
        let large = Map::from_iter([("a".to_owned(), json!("x".repeat(300 << 10)))]);
        let refused = admit(&spec, &ObservedConfig::of(large.into())).unwrap_err();
        let message = &refused.message;
        assert!(
            message.contains("spec.secrets.reveal") && message.contains("spec.config has 300 KiB"),
            "{message}"
        );
        assert_eq!(refused.kind, wasm_issuer_core::issuance::issuer::CheckFailureKind::Permanent);
    }

    #[test]
    fn a_component_is_the_pinned_one_and_one_that_the_policy_lists() {
        let policy = Policy::parse("wasmIssuers: {sha256: [ab]}").unwrap();
        let admit = |pin: Option<&str>, sha256: &str| {
            let plugin = PluginSpec { sha256: pin.map(str::to_owned), ..PluginSpec::default() };
            admit_component(&policy, IssuerKind::Namespaced, &plugin, sha256)
        };
        assert_eq!(admit(None, "ab"), Ok(()));
        assert!(matches!(admit(Some("cd"), "ab"), Err(Inadmissible::Pin(_))));
        let refused = admit(None, "cd").unwrap_err().to_string();
        assert!(refused.contains("the plugin with SHA-256 cd (it allows ab)"), "{refused}");
    }
}

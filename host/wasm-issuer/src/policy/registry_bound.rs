//! The registries that the policy lets Issuers name: an entry of `registries` in the policy.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use wasm_issuer_runtime::egress::{GrantEntry, Scheme};

use super::HostBound;

/// Registries by host and port. Written as a [`HostBound`] is, without the scheme where that is https.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryBound(HostBound);

/// Text that is no [`RegistryBound`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not host[:port], such as registry.example:5000 or *.example.com, or the same with http:// in front"
)]
pub struct RegistryBoundError(String);

const HTTPS: &str = "https://";

impl RegistryBound {
    /// Every registry, by https.
    pub fn any() -> Self {
        Self(HostBound::any(Scheme::Https))
    }

    /// Whether a registry, `host[:port]`, may be spoken to in this way.
    pub fn covers(&self, scheme: Scheme, registry: &str) -> bool {
        let entry: Result<GrantEntry, _> = format!("{}://{registry}", scheme.as_str()).parse();
        entry.is_ok_and(|entry| self.0.covers(&entry))
    }
}

impl FromStr for RegistryBound {
    type Err = RegistryBoundError;

    fn from_str(text: &str) -> Result<Self, RegistryBoundError> {
        let fail = || RegistryBoundError(text.to_owned());
        match text.split_once("://") {
            Some(("http", _)) => text.parse(),
            Some(_) => return Err(fail()),
            None => format!("{HTTPS}{text}").parse(),
        }
        .map(Self)
        .map_err(|_| fail())
    }
}

impl fmt::Display for RegistryBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.strip_prefix(HTTPS).unwrap_or(&text))
    }
}

impl Serialize for RegistryBound {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RegistryBound {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_covered_by_host_and_port_and_in_clear_text_where_that_is_said() {
        use Scheme::{Http, Https};
        for (bound, scheme, registry, covered) in [
            ("*", Https, "r.example", true),
            ("*", Https, "r.example:5000", true),
            ("*", Http, "r.example", false),
            ("*:443", Https, "r.example:5000", false),
            ("r.example", Https, "r.example:5000", true),
            ("r.example:5000", Https, "r.example:5000", true),
            ("r.example:5000", Https, "r.example", false),
            ("*.example", Https, "r.example", true),
            ("*.example", Https, "example", false),
            ("docker.io", Https, "docker.io", true),
            ("http://localhost:5000", Http, "localhost:5000", true),
            ("http://localhost:5000", Https, "localhost:5000", false),
            ("http://localhost:5000", Http, "localhost:5001", false),
        ] {
            let bound: RegistryBound = bound.parse().unwrap();
            assert_eq!(bound.covers(scheme, registry), covered, "{bound} {registry}");
            assert_eq!(bound.to_string().parse(), Ok(bound));
        }
        for text in ["https://r.example", "ftp://r.example", "r.example/team", "", "a b"] {
            assert!(text.parse::<RegistryBound>().is_err(), "{text}");
        }
    }
}

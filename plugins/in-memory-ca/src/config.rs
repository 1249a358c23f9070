//! `spec.config` of the Issuer.

use serde::Deserialize;
use wasm_issuer_sdk::schemars::{self, JsonSchema};

/// About the root that is made where the Issuer names no Secret.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The root's common name; the Issuer's name by default.
    pub common_name: Option<CommonName>,
    /// The kind of the root's key; P-256 by default.
    #[serde(default)]
    pub algorithm: RootAlgorithm,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(extend("minLength" = 1, "maxLength" = 64))]
pub struct CommonName(pub String);

impl TryFrom<String> for CommonName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let fits = (1..=64).contains(&name.chars().count());
        if fits { Ok(Self(name)) } else { Err("a common name has 1 to 64 characters") }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RootAlgorithm {
    #[default]
    P256,
    P384,
    P521,
    Ed25519,
}

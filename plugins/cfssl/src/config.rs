//! `spec.config` of the Issuer.

use std::num::NonZeroU16;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use wasm_issuer_sdk::schemars::{self, JsonSchema};

/// Where CFSSL is and what to ask of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// `https://ca.example.com:8888`. Several, as a list or separated by commas, are tried in this order.
    #[serde(deserialize_with = "urls")]
    #[schemars(with = "OneOrMany")]
    pub url: Vec<String>,
    /// Which of a multirootca's CAs signs; the server's default if empty.
    #[serde(default)]
    pub label: String,
    /// Which of the CA's profiles decides usages, lifetime and much else; the CA's default if empty.
    #[serde(default)]
    pub profile: String,
    /// Deliver the intermediates with the certificate, and the root as `ca.crt` where the server knows it.
    #[serde(default)]
    pub bundle: bool,
    /// The key of the Issuer's Secret that holds the profile's authentication key, hexadecimal.
    #[serde(default = "default_auth_key")]
    pub auth_key: String,
    /// Whether requests carry a token made with the authentication key.
    #[serde(default)]
    pub auth_mode: AuthMode,
    /// How long one server may take to connect, and then to begin its answer.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: NonZeroU16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// They do if the Issuer names a Secret.
    #[default]
    Auto,
    Authsign,
    Sign,
}

fn default_auth_key() -> String {
    "key".to_owned()
}

/// Two servers fit into the 10 seconds that the operator gives a plugin by default.
fn default_timeout() -> NonZeroU16 {
    const { NonZeroU16::new(4).unwrap() }
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a URL or a list of URLs")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// At least one, without a slash at the end.
fn urls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let given = match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(urls) => urls,
        OneOrMany::Many(urls) => urls.join(","),
    };
    let urls = given.split(',').map(|url| match url.trim() {
        url if url.starts_with("https://") || url.starts_with("http://") => {
            Ok(url.trim_end_matches('/').to_owned())
        }
        url => Err(D::Error::custom(format!("{url:?} does not begin with https:// or http://"))),
    });
    urls.collect()
}

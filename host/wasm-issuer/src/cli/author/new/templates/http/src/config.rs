//! `spec.config` of the Issuer. What does not fit makes the Issuer not ready, with a message that names the field.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use wasm_issuer_sdk::schemars::{self, JsonSchema};

use crate::api::is_name;

/// Where the CA is, and what to ask of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// `https://ca.example.com`; `spec.http.allowedHosts` must grant it.
    #[serde(deserialize_with = "url")]
    pub url: String,
    /// Which of the CA's profiles decides what its certificates are for.
    #[serde(deserialize_with = "profile")]
    pub profile: String,
    /// The key of the Issuer's Secret that holds the CA's token.
    #[serde(default = "default_token_key")]
    pub token_key: String,
}

fn default_token_key() -> String {
    "token".to_owned()
}

/// Without a slash at the end: paths begin with one.
fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let url = String::deserialize(deserializer)?;
    match url.starts_with("https://") || url.starts_with("http://") {
        true => Ok(url.trim_end_matches('/').to_owned()),
        false => Err(D::Error::custom(
            "it begins with neither https:// nor http://",
        )),
    }
}

fn profile<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let profile = String::deserialize(deserializer)?;
    match is_name(&profile) {
        true => Ok(profile),
        false => Err(D::Error::custom(
            "letters, digits, '-' and '_' are expected",
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_config_is_read() {
        let config = json!({"url": "https://ca.example.com/", "profile": "server"});
        let config: Config = serde_json::from_value(config).unwrap();
        assert_eq!(config.url, "https://ca.example.com");
        assert_eq!(config.token_key, "token");
    }

    #[test]
    fn a_config_that_does_not_fit_says_why() {
        for (config, why) in [
            (
                json!({"url": "ca.example.com", "profile": "server"}),
                "neither https://",
            ),
            (
                json!({"url": "https://ca", "profile": "a/b"}),
                "letters, digits",
            ),
            (json!({"url": "https://ca"}), "missing field `profile`"),
            (
                json!({"url": "https://ca", "profile": "a", "x": 1}),
                "unknown field `x`",
            ),
        ] {
            let error = serde_json::from_value::<Config>(config).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}

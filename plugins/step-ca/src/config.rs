//! `spec.config` of the Issuer.

use serde::Deserialize;
use serde_json::{Map, Value};
use wasm_issuer_sdk::schemars::{self, JsonSchema};

/// Where step-ca is, and as which of its provisioners it is asked.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// `https://ca.example.com:9000`. Its host must be one of the CA's `dnsNames`.
    pub url: String,
    /// The JWK provisioner that tokens are made for.
    pub provisioner: Provisioner,
    /// The SHA-256 of the CA's root, hexadecimal, as `step certificate fingerprint` prints it: another root is refused.
    pub root_sha256: Option<String>,
    /// What its template finds in `.Insecure.User`, besides the request's `keyUsage`, `extKeyUsage` and `isCA`.
    #[serde(default)]
    pub template_data: Map<String, Value>,
}

/// A JWK provisioner.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provisioner {
    /// Its name.
    pub name: String,
    /// The ID of its key; without it the first provisioner of that name is taken.
    pub kid: Option<String>,
    /// The key of the Issuer's Secret that holds its password. Where the Secret has none, its key `key` must hold the
    /// provisioner's private key, PEM.
    #[serde(default = "default_password_key")]
    pub password_key: String,
    /// The longest certificate that it gives, in seconds, where the CA's configuration says so and the provisioner does
    /// not. Without either it is step-ca's own default, a day.
    pub max_duration_seconds: Option<u64>,
}

fn default_password_key() -> String {
    "password".to_owned()
}

impl Config {
    /// The URL of one of the CA's resources.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url.trim_end_matches('/'))
    }
}

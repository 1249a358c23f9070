//! A cert-manager issuer that runs as a plugin of wasm-issuer: a CA with a key of its own.

use serde::Deserialize;
use wasm_issuer_sdk::schemars::{self, JsonSchema};
use wasm_issuer_sdk::{
    Algorithm, Authority, Certificate, Failure, Issuer, Needs, Plugin, Request, secrets,
};

/// `spec.config` of the Issuer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Config {
    /// The longest lifetime that is signed.
    #[serde(default = "ninety_days")]
    max_hours: u64,
}

fn ninety_days() -> u64 {
    90 * 24
}

struct OwnCa;

impl Plugin for OwnCa {
    type Config = Config;

    /// What an Issuer has to grant: `wasm-issuer plugin docs` shows it.
    fn needs() -> Needs {
        Needs::new()
            .optional_secret_key("tls.crt", "the CA's certificate, and those above it")
            .optional_secret_key("tls.key", "its private key")
            .optional_secret_key("ca.crt", "its root")
    }

    /// Could this Issuer sign? Try the configuration and the credentials here.
    fn check(issuer: &Issuer<Config>) -> Result<(), Failure> {
        authority(issuer)?.check()
    }

    /// Sign one request. The operator verifies what this returns against the request.
    fn sign(issuer: &Issuer<Config>, request: &Request) -> Result<Certificate, Failure> {
        if let Some(refusal) = refusal(&issuer.config, request.duration_seconds) {
            return Err(Failure::invalid_request(refusal));
        }
        authority(issuer)?.issue(request)
    }
}

/// Why a request for that lifetime is not signed, if it is not.
fn refusal(config: &Config, duration_seconds: u64) -> Option<String> {
    let hours = duration_seconds.div_ceil(3600);
    let max = config.max_hours;
    (hours > max).then(|| format!("{hours} h are more than the {max} h of spec.config.maxHours"))
}

/// The CA. Put your own in its place: `tls.crt`, `tls.key` and `ca.crt` of the Issuer's Secret if there is one,
/// otherwise a root that lasts until the operator restarts. The private key stays in the operator.
fn authority(issuer: &Issuer<Config>) -> Result<Authority, Failure> {
    if secrets::names().is_empty() {
        Authority::ephemeral("root", &issuer.name, Algorithm::EcdsaP256Sha256)
    } else {
        Authority::from_secret("tls.crt", "tls.key", "ca.crt")
    }
}

wasm_issuer_sdk::export!(OwnCa);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lifetimes_are_refused() {
        let config = Config { max_hours: 24 };
        assert_eq!(refusal(&config, 24 * 3600), None);
        assert!(refusal(&config, 24 * 3600 + 1).is_some());
    }
}

//! Certificates from [CFSSL](https://github.com/cloudflare/cfssl): `multirootca` and `cfssl serve`.
//!
//! The CA's profile decides usages and lifetime; the API has no words for what a request asks. The operator reports
//! where they differ.

mod api;
mod config;

use std::time::Duration;

use api::{Ca, World};
use config::{AuthMode, Config};
use serde_json::Value;
use wasm_issuer_sdk::http::{self, HttpError, Response};
use wasm_issuer_sdk::secrets::{self, Encoding};
use wasm_issuer_sdk::{Certificate, Failure, Issuer, Needs, Plugin, Request, cache};

struct Cfssl;

impl Plugin for Cfssl {
    type Config = Config;

    fn config_schema() -> String {
        include_str!("../config.schema.json").to_owned()
    }

    fn needs() -> Needs {
        Needs::new().server_at("/url", "CFSSL").secret_key_at(
            "/authKey",
            "the authentication key of the profile, hexadecimal; not where authMode is sign",
        )
    }

    fn check(issuer: &Issuer<Config>) -> Result<(), Failure> {
        ca(&issuer.config).check()
    }

    fn sign(issuer: &Issuer<Config>, request: &Request) -> Result<Certificate, Failure> {
        ca(&issuer.config).sign(&request.csr_pem())
    }
}

fn ca(config: &Config) -> Ca<'_, Operator<'_>> {
    let authenticate = match config.auth_mode {
        AuthMode::Auto => !secrets::names().is_empty(),
        AuthMode::Authsign => true,
        AuthMode::Sign => false,
    };
    Ca { config, authenticate, world: Operator(config) }
}

struct Operator<'a>(&'a Config);

impl World for Operator<'_> {
    fn post(&self, url: &str, body: &Value) -> Result<Response, HttpError> {
        let timeout = Duration::from_secs(self.0.timeout_seconds.get().into());
        http::post_json(url, body).connect_timeout(timeout).response_timeout(timeout).send()
    }

    fn hmac(&self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        Ok(secrets::get(&self.0.auth_key)?.hmac_sha256(Encoding::Hex, message)?)
    }

    fn is_down(&self, url: &str) -> bool {
        cache::get(url).is_some()
    }

    fn set_down(&self, url: &str) {
        // A URL too long for the cache costs time only.
        let _ = cache::set(url, &[], Some(30));
    }
}

wasm_issuer_sdk::export!(Cfssl);

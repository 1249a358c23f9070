//! A CA that asks a server before each call and goes on when that answers: the server counts who asks, when and for which
//! request, and decides how long it takes. With several replicas that is what matters.
//!
//! The certificate is then made here, by the CA in the Issuer's Secret (`tls.crt`, `tls.key`).

use serde::Deserialize;
use wasm_issuer_sdk::schemars::{self, JsonSchema};
use wasm_issuer_sdk::{Authority, Certificate, Failure, Issuer, Plugin, Request, http};

/// `spec.config`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Config {
    /// `http://host:port` of the server that counts.
    counter: String,
}

struct CountedCa;

wasm_issuer_sdk::export!(CountedCa);

impl Plugin for CountedCa {
    type Config = Config;

    fn check(issuer: &Issuer<Config>) -> Result<(), Failure> {
        ask(issuer, "check")?;
        authority()?.check()
    }

    fn sign(issuer: &Issuer<Config>, request: &Request) -> Result<Certificate, Failure> {
        ask(issuer, &format!("sign/{}", request.uid))?;
        authority()?.issue(request)
    }
}

fn ask(issuer: &Issuer<Config>, what: &str) -> Result<(), Failure> {
    http::get(format!("{}/{what}", issuer.config.counter)).send()?.success()?;
    Ok(())
}

fn authority() -> Result<Authority, Failure> {
    Authority::from_secret("tls.crt", "tls.key", "ca.crt")
}

//! A cert-manager issuer that runs as a plugin of wasm-issuer: certificates from a CA with an HTTP API.
//!
//! This is the way to the CA. What it is asked and what its answers mean is in `api.rs`.

mod api;
mod config;

use api::{Ca, Order};
use config::Config;
use wasm_issuer_sdk::http::{self, Response};
use wasm_issuer_sdk::secrets::{self, PlaceholderForm};
use wasm_issuer_sdk::{Certificate, Failure, Issuer, Needs, Plugin, Request};

struct HttpCa;

impl Plugin for HttpCa {
    type Config = Config;

    /// What an Issuer has to grant: `wasm-issuer plugin docs` shows it.
    fn needs() -> Needs {
        Needs::new()
            .server_at("/url", "the CA's API")
            .secret_key_at("/tokenKey", "the CA's token")
    }

    /// Could this Issuer sign? Called when the Issuer, its Secret or the plugin changes, and now and then.
    fn check(issuer: &Issuer<Config>) -> Result<(), Failure> {
        api::check(&Server(&issuer.config), &issuer.config.profile)
    }

    /// Sign one request. The operator verifies what this returns against the request.
    fn sign(issuer: &Issuer<Config>, request: &Request) -> Result<Certificate, Failure> {
        let order = Order {
            csr: request.csr_pem(),
            profile: &issuer.config.profile,
            duration_seconds: request.duration_seconds,
            request_id: &request.uid,
        };
        api::sign(&Server(&issuer.config), &order, request.resume.as_deref())
    }
}

/// The CA's server, through the operator.
struct Server<'a>(&'a Config);

impl Server<'_> {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0.url)
    }

    /// Sends a request with the CA's token. The token stays in the operator, which puts it where the placeholder is, and only
    /// on the way to a server that the Issuer grants.
    fn send(&self, request: http::Request) -> Result<Response, Failure> {
        let token = secrets::get(&self.0.token_key)?.placeholder(&PlaceholderForm::Plain)?;
        Ok(request
            .header("authorization", format!("Bearer {token}"))
            .send()?)
    }
}

impl Ca for Server<'_> {
    fn get(&self, path: &str) -> Result<Response, Failure> {
        self.send(http::get(self.url(path)))
    }

    fn post(&self, path: &str, order: &Order<'_>) -> Result<Response, Failure> {
        self.send(http::post_json(self.url(path), order))
    }
}

wasm_issuer_sdk::export!(HttpCa);

//! A CA without a service behind it. It signs exactly what a request asks for.
//!
//! With `authSecretName` it is the CA in that Secret (type `kubernetes.io/tls`, as cert-manager writes it). Without, it makes a root that lasts
//! until the operator restarts: for tests and demonstrations.

mod config;

use config::{Config, RootAlgorithm};
use wasm_issuer_sdk::{Algorithm, Authority, Certificate, Failure, Issuer, Needs, Plugin, Request, secrets};

impl From<RootAlgorithm> for Algorithm {
    fn from(algorithm: RootAlgorithm) -> Self {
        match algorithm {
            RootAlgorithm::P256 => Self::EcdsaP256Sha256,
            RootAlgorithm::P384 => Self::EcdsaP384Sha384,
            RootAlgorithm::P521 => Self::EcdsaP521Sha512,
            RootAlgorithm::Ed25519 => Self::Ed25519,
        }
    }
}

struct InMemoryCa;

impl Plugin for InMemoryCa {
    type Config = Config;

    fn config_schema() -> String {
        include_str!("../config.schema.json").to_owned()
    }

    fn needs() -> Needs {
        Needs::new()
            .optional_secret_key("tls.crt", "the CA's certificate, and those above it")
            .optional_secret_key("tls.key", "its private key")
            .optional_secret_key("ca.crt", "its root")
    }

    fn check(issuer: &Issuer<Config>) -> Result<(), Failure> {
        authority(issuer)?.check()
    }

    fn sign(issuer: &Issuer<Config>, request: &Request) -> Result<Certificate, Failure> {
        authority(issuer)?.issue(request)
    }
}

fn authority(issuer: &Issuer<Config>) -> Result<Authority, Failure> {
    if !secrets::names().is_empty() {
        return Authority::from_secret("tls.crt", "tls.key", "ca.crt");
    }
    // An Issuer's name can be longer than a common name may be.
    let name: String = issuer.name.chars().take(64).collect();
    let common_name = issuer.config.common_name.as_ref().map_or(&name, |given| &given.0);
    Authority::ephemeral("root", common_name, issuer.config.algorithm.into())
}

wasm_issuer_sdk::export!(InMemoryCa);

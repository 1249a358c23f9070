//! The request of a case. Its CSR is a file, or is made of names; a recording keeps the one that was made, because what is
//! sent to a CA must be the same each time.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail, ensure};
use clap::ValueEnum as _;
use wasm_issuer_core::issuance::signer::SignRequest;
use wasm_issuer_core::x509::Csr;

use super::super::super::csr::{self, Names};
use super::super::super::input::quoted;
use super::super::super::key::{self, KeyAlgorithm};
use super::super::super::request::{self, Details};
use super::written::WrittenRequest;
use crate::api::IssuerKey;

/// Where a CSR that was made is kept.
pub const KEPT: &str = "request.csr";

/// A request, and whether its CSR was made just now.
pub struct Request {
    pub sign: SignRequest,
    pub is_new: bool,
}

impl WrittenRequest {
    /// Read or make the CSR, and apply cert-manager's defaults, as the operator does.
    pub fn read(self, folder: &Path, namespace: &str, issuer: &IssuerKey) -> anyhow::Result<Request> {
        let given = self.given(folder)?;
        let duration = self.duration.map(|duration| duration.0);
        let spec = request::spec(given.as_ref(), duration, self.is_ca, &self.usages)?;
        let (csr, is_new) = match given {
            Some(csr) => {
                spec.check(&csr)?;
                (csr, false)
            }
            None => {
                let key = self.key_algorithm()?;
                let key = key::generate(key).context("cannot make a key")?;
                let der = csr::build(&self.names(), spec.is_ca, spec.parsed_usages(), &key);
                (Csr::from_pem_or_der(&der.context("cannot make a CSR: names are ASCII")?)?, true)
            }
        };
        let annotations = self.annotations.into_iter().collect();
        let details = Details { annotations, resume: self.resume };
        let sign = request::sign_request(csr, spec, details, namespace.to_owned(), &issuer.name);
        Ok(Request { sign, is_new })
    }

    /// The CSR that is a file.
    fn given(&self, folder: &Path) -> anyhow::Result<Option<Csr>> {
        let is_named = self.names() != Names::default();
        let path = match &self.csr {
            Some(_) if is_named => bail!("either `csr`, or names to make one"),
            Some(path) => folder.join(path),
            None if !is_named => {
                bail!("give the CSR as `csr: FILE`, or names for one with dns, ip, uri, email or commonName")
            }
            None => folder.join(KEPT),
        };
        ensure!(
            self.csr.as_deref().is_none_or(|path| path.is_relative()),
            "csr: {} is to be a file in the case's folder",
            quoted(&path)
        );
        if self.csr.is_none() && !path.exists() { Ok(None) } else { request::read_csr(&path).map(Some) }
    }

    fn names(&self) -> Names {
        Names {
            common_name: self.common_name.clone(),
            dns: self.dns.clone(),
            ip: self.ip.clone(),
            uri: self.uri.clone(),
            email: self.email.clone(),
        }
    }

    fn key_algorithm(&self) -> anyhow::Result<KeyAlgorithm> {
        let Some(name) = &self.key_algorithm else { return Ok(KeyAlgorithm::EcdsaP256) };
        KeyAlgorithm::from_str(name, false).map_err(|_unknown| {
            let known = KeyAlgorithm::value_variants().iter().filter_map(|key| key.to_possible_value());
            let known: Vec<_> = known.map(|value| value.get_name().to_owned()).collect();
            anyhow!("keyAlgorithm: there is no {name:?}; there are {}", known.join(", "))
        })
    }
}

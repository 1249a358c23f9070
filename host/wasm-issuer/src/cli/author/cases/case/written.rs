//! `case.yaml` as it is written.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::ensure;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::super::super::problem::Call;
use super::super::outcome::Outcome;
use crate::api::{GoDuration, ObjectName};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WrittenCase {
    /// The function that is called.
    pub call: Call,
    #[serde(default)]
    pub issuer: WrittenIssuer,
    /// The values of the Secret that `spec.authSecretName` names: made up ones, as they are for all to see.
    pub secret: Option<BTreeMap<String, String>>,
    /// Those of `spec.verification.caSecretName`.
    pub ca_secret: Option<BTreeMap<String, String>>,
    /// What the clock says, where nothing is recorded.
    pub at: Option<Timestamp>,
    pub request: Option<WrittenRequest>,
    /// What of requests is another one in each run.
    #[serde(default)]
    pub ignore: Ignored,
    /// JSON Pointers to strings in responses that are secret.
    #[serde(default)]
    pub hide: Vec<String>,
    pub expect: Option<Outcome>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WrittenIssuer {
    pub kind: Option<String>,
    pub namespace: Option<ObjectName>,
    pub name: Option<ObjectName>,
    pub spec: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WrittenRequest {
    /// A PKCS#10 request in the case's folder, PEM or DER.
    pub csr: Option<PathBuf>,
    #[serde(default)]
    pub dns: Vec<String>,
    #[serde(default)]
    pub ip: Vec<IpAddr>,
    #[serde(default)]
    pub uri: Vec<String>,
    #[serde(default)]
    pub email: Vec<String>,
    pub common_name: Option<String>,
    pub key_algorithm: Option<String>,
    pub duration: Option<GoDuration>,
    #[serde(default)]
    pub usages: Vec<String>,
    #[serde(default, rename = "isCA")]
    pub is_ca: bool,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    pub resume: Option<String>,
}

/// What of requests is not recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ignored {
    /// Names of header fields.
    #[serde(default)]
    pub headers: Vec<String>,
    /// JSON Pointers into the body.
    #[serde(default)]
    pub body: Vec<String>,
}

impl WrittenCase {
    /// Reads a case. Fields that there are not are errors.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let written: Self = serde_saphyr::from_str(text)?;
        let pointers = written.hide.iter().map(|it| ("hide", it));
        for (field, pointer) in pointers.chain(written.ignore.body.iter().map(|it| ("ignore.body", it))) {
            ensure!(pointer.starts_with('/'), "{field}: {pointer:?} is no JSON Pointer, such as /auth/token");
        }
        Ok(written)
    }
}

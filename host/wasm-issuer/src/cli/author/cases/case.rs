//! A case: a folder with what a plugin is asked, what servers answer, and what is to come of it.

mod request;
mod written;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;
pub use request::KEPT;
use wasm_issuer_core::issuance::signer::SignRequest;
use wasm_issuer_core::issuance::verify::TrustedCas;
use wasm_issuer_runtime::egress::{Grant, HttpGrant};
use wasm_issuer_runtime::{SecretData, SessionInit};
pub use written::Ignored;
use written::WrittenCase;
use zeroize::Zeroizing;

use super::super::input::{self, quoted};
use super::super::issuer;
use super::super::issuer_file;
use super::super::problem::Call;
use super::super::secret::SecretValues;
use super::outcome::Outcome;
use super::recording::{self, Recording};
use crate::api::{IssuerKey, IssuerKind, IssuerSpec, ObjectName, is_data_key};

/// The file that makes a folder a case.
pub const FILE: &str = "case.yaml";

/// A case, as its files say.
pub struct Case {
    /// The name of its folder.
    pub name: String,
    pub folder: PathBuf,
    pub asked: Asked,
    pub issuer: IssuerKey,
    pub spec: IssuerSpec,
    /// The namespace of requests.
    pub namespace: String,
    /// The servers that the plugin may call.
    pub allowed: Grant,
    /// The Secret's values, which are made up.
    pub secret: Option<SecretValues>,
    pub ca_secret: Option<SecretValues>,
    pub rules: Rules,
    /// What the clock says, where the case says that.
    pub at: Option<Timestamp>,
    pub recording: Option<Recording>,
    pub expect: Option<Outcome>,
}

/// What the plugin is asked.
pub enum Asked {
    /// Whether it could sign.
    Check,
    /// To sign this. If `is_new`, the CSR was made just now.
    Sign { request: Box<SignRequest>, is_new: bool },
}

/// What a recording leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// What of requests is another one in each run.
    pub ignore: Ignored,
    /// JSON Pointers to strings in responses that are secret.
    pub hide: Vec<String>,
}

impl Case {
    /// All cases below a folder whose names contain `filter`, sorted. `plugin` names their Issuers by default.
    pub fn all(folder: &Path, filter: &str, plugin: &Path) -> anyhow::Result<Vec<Self>> {
        let what = || format!("cannot read the cases in {}", quoted(folder));
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).with_context(what)? {
            let path = entry.with_context(what)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort();
        ensure!(!names.is_empty(), "{} holds no cases: each is a folder with a {FILE}", quoted(folder));
        let chosen: Vec<_> = names.iter().filter(|name| name.contains(filter)).collect();
        ensure!(!chosen.is_empty(), "no case has {filter:?} in its name; there are {}", names.join(", "));
        chosen.into_iter().map(|name| Self::read(&folder.join(name), name, plugin)).collect()
    }

    /// The same once more, with a new key where one is made.
    pub fn again(&self, plugin: &Path) -> anyhow::Result<Self> {
        Self::read(&self.folder, &self.name, plugin)
    }

    fn read(folder: &Path, name: &str, plugin: &Path) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        let bytes = input::read(&path, "the case", input::MAX_TEXT)?;
        let named = || format!("the case {}", quoted(&path));
        let text = String::from_utf8(bytes).with_context(named)?;
        let written = WrittenCase::parse(&text).with_context(named)?;
        let recording = Recording::read(folder)?;
        Self::of(written, recording, folder, name, plugin).with_context(named)
    }

    fn of(
        written: WrittenCase,
        recording: Option<Recording>,
        folder: &Path,
        name: &str,
        plugin: &Path,
    ) -> anyhow::Result<Self> {
        ensure!(
            written.at.is_none() || recording.as_ref().is_none_or(|recording| recording.at.is_none()),
            "at: the time is that of the recording, {}: remove one of them",
            recording::FILE
        );
        let kind = written
            .issuer
            .kind
            .as_deref()
            .map(str::parse::<IssuerKind>)
            .transpose()
            .context("issuer.kind")?;
        let kind = kind.unwrap_or(IssuerKind::Namespaced);
        let namespace =
            written.issuer.namespace.map_or_else(|| "default".to_owned(), |name| name.to_string());
        let issuer = IssuerKey {
            kind,
            namespace: (kind == IssuerKind::Namespaced).then(|| namespace.clone()),
            name: written.issuer.name.map_or_else(|| issuer::name_for(plugin), |name| name.to_string()),
        };
        let mut spec = written.issuer.spec.unwrap_or_else(|| serde_json::json!({}));
        // What is tested is the plugin that the command line names.
        if let Some(spec) = spec.as_object_mut() {
            spec.entry("plugin").or_insert_with(|| serde_json::json!({}));
        }
        let spec = issuer_file::parse_spec(spec).context("issuer")?;
        issuer::check_limits(&spec).context("issuer")?;
        let allowed = Grant::parse(&spec.http.allowed_hosts).context("issuer")?;
        let secret = values(written.secret, &spec.auth_secret_name, "spec.authSecretName", "secret")?;
        let cas = &spec.verification.ca_secret_name;
        let ca_secret = values(written.ca_secret, cas, "spec.verification.caSecretName", "caSecret")?;
        let asked = match (written.call, written.request) {
            (Call::Check, None) => Asked::Check,
            (Call::Check, Some(_)) => bail!("request: a check has none; `call: sign` asks to sign one"),
            (Call::Sign, request) => {
                let request =
                    request.unwrap_or_default().read(folder, &namespace, &issuer).context("request")?;
                Asked::Sign { request: Box::new(request.sign), is_new: request.is_new }
            }
        };
        let rules = Rules { ignore: written.ignore, hide: written.hide };
        Ok(Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            asked,
            issuer,
            spec,
            namespace,
            allowed,
            secret,
            ca_secret,
            rules,
            at: written.at,
            recording,
            expect: written.expect,
        })
    }

    /// What the plugin is lent, with these values of the Secret. Nobody is told of requests that do not get through: the
    /// plugin's own message says so, which the case expects or not.
    pub fn lent(&self, secret: Option<&SecretValues>, http: HttpGrant) -> SessionInit {
        let secret = secret.map(|values| SecretData {
            namespace: self.namespace.clone(),
            name: self.spec.auth_secret_name.as_ref().map(ToString::to_string).unwrap_or_default(),
            values: values.clone(),
        });
        issuer::lent(self.issuer.clone(), &self.spec, secret, http, Arc::new(()))
    }

    /// The CA certificates in the Issuer's Secrets.
    pub fn trusted(&self, secret: Option<&SecretValues>) -> TrustedCas {
        let values = secret.into_iter().chain(&self.ca_secret).flat_map(BTreeMap::values);
        TrustedCas::among(values.map(|value| value.as_slice()))
    }

    /// The function that is called.
    pub fn call(&self) -> Call {
        match self.asked {
            Asked::Check => Call::Check,
            Asked::Sign { .. } => Call::Sign,
        }
    }

    /// The text of its file.
    pub fn text(&self) -> anyhow::Result<String> {
        Ok(String::from_utf8(input::read(&self.folder.join(FILE), "the case", input::MAX_TEXT)?)?)
    }

    /// Puts what came of it into its file, in place of what was expected. Nothing else of the file changes.
    pub fn write_expectation(&self, outcome: &Outcome) -> anyhow::Result<()> {
        let text = with_expectation(&self.text()?, outcome)?;
        input::write(&self.folder.join(FILE), text.as_bytes())
    }
}

/// The values of a Secret that the spec names.
fn values(
    written: Option<BTreeMap<String, String>>,
    name: &Option<ObjectName>,
    named_by: &str,
    field: &str,
) -> anyhow::Result<Option<SecretValues>> {
    match (&written, name) {
        (Some(_), None) => bail!("{field}: the Issuer names no Secret: set issuer.{named_by}"),
        (None, Some(name)) => {
            bail!("the Issuer names the Secret \"{name}\" in {named_by}: give its keys in `{field}`")
        }
        _ => {}
    }
    let value = |(key, value): (String, String)| {
        ensure!(
            is_data_key(&key),
            "{field}: {key:?} is no key of a Secret: only letters, digits, '-', '_' and '.'"
        );
        Ok((key, Zeroizing::new(value.into_bytes())))
    };
    written.map(|written| written.into_iter().map(value).collect()).transpose()
}

/// The text of a case with another expectation: the lines from `expect:` to the next field are exchanged.
fn with_expectation(text: &str, outcome: &Outcome) -> anyhow::Result<String> {
    let mut expect = serde_json::Map::new();
    expect.insert("expect".to_owned(), outcome.json());
    let written = serde_saphyr::to_string(&expect)?;
    let mut lines = text.split_inclusive('\n');
    let mut before: String = lines.by_ref().take_while(|line| !line.starts_with("expect:")).collect();
    let after: String =
        lines.skip_while(|line| line.starts_with([' ', '\t']) || line.trim().is_empty()).collect();
    if !before.is_empty() && !before.ends_with('\n') {
        before.push('\n');
    }
    let text = format!("{before}{written}{after}");
    let is_read = WrittenCase::parse(&text).is_ok_and(|read| read.expect.as_ref() == Some(outcome));
    ensure!(
        is_read,
        "cannot put what came of it into {FILE}: write `expect:` there at the beginning of a line"
    );
    Ok(text)
}

#[cfg(test)]
mod tests;

//! The Issuer that a plugin is run for: made up from arguments, or read from a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{bail, ensure};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use wasm_issuer_core::issuance::verify::{Mode, TrustedCas, Verification};
use wasm_issuer_runtime::egress::{Grant, GrantError, HttpGrant, Observer};
use wasm_issuer_runtime::{
    Account, CallLimits, IssuerIdentity, IssuerMemory, Secret, SecretData, Session, SessionInit,
};

use super::http::HttpArgs;
use super::input::quoted;
use super::issuer_file::{self, IssuerFile};
use super::policy::{AppliedPolicy, PolicyArgs};
use super::problem::Problem;
use super::reporter::Reporter;
use super::secret::{self, SecretValues};
use crate::api::{GoDuration, IssuerKey, IssuerKind, IssuerSpec, ObjectName, PluginSpec, Quantity, ranges};
use crate::operator::account;

/// The Issuer that the plugin is run for. What is left out comes from --issuer, or from the defaults of the API.
#[derive(Args)]
#[command(next_help_heading = "The Issuer")]
pub struct IssuerArgs {
    /// spec.config of the Issuer: an object in YAML or JSON. `-` reads stdin.
    #[arg(long, value_name = "FILE", conflicts_with = "issuer")]
    config: Option<PathBuf>,
    /// A whole WasmIssuer or WasmClusterIssuer, as for `kubectl apply`: its names, config, limits, grants and
    /// verification are used.
    #[arg(long, value_name = "FILE")]
    issuer: Option<PathBuf>,
    /// What stands for the Secret that spec.authSecretName names: a folder in which each file is a key, or a Secret's YAML,
    /// as `kubectl get secret NAME -o yaml` prints it. `-` reads stdin.
    #[arg(long, value_name = "FOLDER|FILE")]
    secret: Option<PathBuf>,
    /// What stands for the Secret that spec.verification.caSecretName names, likewise.
    #[arg(long, value_name = "FOLDER|FILE")]
    ca_secret: Option<PathBuf>,
    /// A key of the Secret that the plugin may read (spec.secrets.reveal). Repeatable.
    #[arg(long, value_name = "KEY", requires = "secret")]
    reveal: Vec<String>,
    /// How long a call may take (spec.limits.timeout) [default: 10s]
    #[arg(long, value_name = "DURATION")]
    timeout: Option<GoDuration>,
    /// How much memory a call may use (spec.limits.memory) [default: 64Mi]
    #[arg(long, value_name = "QUANTITY")]
    memory: Option<Quantity>,
    /// The Issuer's name [default: the name of the plugin's file]
    #[arg(long)]
    name: Option<ObjectName>,
    /// The namespace of the Issuer and of its requests [default: the request's, else default]
    #[arg(long, short)]
    namespace: Option<ObjectName>,
    /// Where the request is, and so its Issuer where nothing else says.
    #[arg(skip)]
    pub namespace_of_request: Option<String>,
    /// The Issuer's kind [default: WasmIssuer]
    #[arg(long, value_parser = kinds())]
    kind: Option<IssuerKind>,
    #[command(flatten)]
    http: HttpArgs,
    #[command(flatten)]
    policy: PolicyArgs,
}

/// An Issuer whose spec the API would accept, with what its plugin is lent.
pub struct Issuer {
    /// Its kind, namespace and name.
    pub key: IssuerKey,
    /// The namespace of its requests, which a WasmClusterIssuer has too.
    pub request_namespace: String,
    /// The spec, with what the arguments say in it.
    pub spec: IssuerSpec,
    /// The CA certificates in its Secrets.
    pub trusted: TrustedCas,
    policy: AppliedPolicy,
    secret: Option<SecretData>,
    http: HttpGrant,
}

/// What the plugin of an Issuer is lent. It shares its memory and its keys with nobody.
pub fn lent(
    key: IssuerKey,
    spec: &IssuerSpec,
    secret: Option<SecretData>,
    http: HttpGrant,
    observer: Arc<dyn Observer>,
) -> SessionInit {
    let IssuerKey { kind, namespace, name } = key;
    SessionInit {
        issuer: IssuerIdentity { kind: kind.to_string(), namespace, name },
        config: spec.config.json().clone(),
        secret: secret.map(Secret::new),
        reveal: spec.secrets.reveal.iter().cloned().collect(),
        keys: Default::default(),
        limits: CallLimits {
            timeout: spec.limits.timeout.0,
            memory: spec.limits.memory.in_memory(),
            ..CallLimits::default()
        },
        http,
        observer,
        memory: IssuerMemory::unlimited().share(""),
    }
}

impl IssuerArgs {
    /// Read the files that the arguments name, and put everything together. `plugin` names the Issuer by default.
    pub fn validate(self, plugin: &Path) -> anyhow::Result<Issuer> {
        let file = self.issuer.as_deref().map(IssuerFile::read).transpose()?.unwrap_or_default();
        let mut spec = file.spec.unwrap_or_else(|| IssuerSpec::new(PluginSpec::default()));
        if let Some(path) = &self.config {
            spec.config = issuer_file::read_config(path)?;
        }
        if let Some(timeout) = self.timeout {
            spec.limits.timeout = timeout;
        }
        if let Some(memory) = self.memory {
            spec.limits.memory = memory;
        }
        spec.secrets.reveal.extend(self.reveal);
        check_limits(&spec)?;
        let policy = self.policy.read()?;
        let http = self.http.read(&mut spec.http)?;

        let kind = self.kind.or(file.kind).unwrap_or(IssuerKind::Namespaced);
        let name = self.name.map(|name| name.to_string()).or(file.name).unwrap_or_else(|| name_for(plugin));
        let namespace = self.namespace.map(|namespace| namespace.to_string()).or(file.namespace);
        let namespace = namespace.or(self.namespace_of_request).unwrap_or_else(|| "default".to_owned());
        let secret =
            lent_secret(self.secret.as_deref(), &spec.auth_secret_name, self.issuer.as_deref(), &namespace)?;
        let cas = trusted_cas(self.ca_secret.as_deref(), spec.verification.ca_secret_name.as_ref())?;
        let values = secret.iter().map(|secret| &secret.values).chain(&cas).flat_map(BTreeMap::values);
        let trusted = TrustedCas::among(values.map(|value| value.as_slice()));
        let own_namespace = (kind == IssuerKind::Namespaced).then(|| namespace.clone());
        let key = IssuerKey { kind, namespace: own_namespace, name };
        Ok(Issuer { key, request_namespace: namespace, spec, trusted, policy, secret, http })
    }
}

fn kinds() -> impl TypedValueParser<Value = IssuerKind> {
    PossibleValuesParser::new(IssuerKind::ALL.map(IssuerKind::as_str))
        .try_map(|kind| kind.parse::<IssuerKind>())
}

/// The Secret that is to hold CA certificates, read from `path`.
fn trusted_cas(path: Option<&Path>, name: Option<&ObjectName>) -> anyhow::Result<Option<SecretValues>> {
    match (path, name) {
        (None, Some(name)) => bail!(
            "the Issuer names the Secret \"{name}\" in spec.verification.caSecretName: give it with --ca-secret, as a \
             folder or as YAML"
        ),
        (path, _) => path.map(|path| Ok(secret::read(path)?.values)).transpose(),
    }
}

/// The Secret of that name, read from `path`; `issuer` is the file that names none.
fn lent_secret(
    path: Option<&Path>,
    name: &Option<ObjectName>,
    issuer: Option<&Path>,
    namespace: &str,
) -> anyhow::Result<Option<SecretData>> {
    match (path, name, issuer) {
        (Some(_), None, Some(issuer)) => bail!(
            "the Issuer in {} names no Secret, so its plugin would not get --secret: set spec.authSecretName",
            quoted(issuer)
        ),
        (None, Some(name), _) => bail!(
            "the Issuer names the Secret \"{name}\" in spec.authSecretName: give it with --secret, as a folder or as YAML"
        ),
        (None, None, _) => Ok(None),
        (Some(path), name, _) => {
            let read = secret::read(path)?;
            let name = name.as_ref().map(ToString::to_string);
            Ok(Some(SecretData {
                name: name.or(read.name).unwrap_or_else(|| file_name(path)),
                namespace: namespace.to_owned(),
                values: read.values,
            }))
        }
    }
}

impl Issuer {
    /// What the operator would refuse of it before it tries its plugin, whose digest is `sha256` where there is one.
    pub fn refusal(&self, sha256: Option<&str>) -> Option<Box<Problem>> {
        self.policy.refusal(self.key.kind, &self.spec, sha256)
    }

    /// How the certificates of its plugin are compared with their requests.
    pub fn verification(&self) -> Verification {
        self.policy.verification(self.key.kind, &self.spec)
    }

    /// On whose account its plugin is loaded, and within which budget.
    pub fn account(&self) -> Account {
        let namespace = self.key.namespace.as_deref().unwrap_or_default();
        account(self.key.kind, namespace, self.policy.max_component(self.key.kind))
    }

    /// A session of its plugin, with what the Issuer lends it, and what tells of its requests that did not get through.
    /// Fails where [`Issuer::refusal`] says so.
    pub fn session(self) -> Result<(Arc<Session>, Arc<Reporter>), GrantError> {
        let kind = self.key.kind;
        let allowed = Grant::parse(&self.spec.http.allowed_hosts)?;
        let addresses = self.policy.addresses(kind);
        let reporter = Arc::new(Reporter::new(self.policy, kind));
        let http = HttpGrant { allowed, addresses, ..self.http };
        let session = Session::new(lent(self.key, &self.spec, self.secret, http, reporter.clone()));
        Ok((session, reporter))
    }
}

/// What the API server would refuse.
pub fn check_limits(spec: &IssuerSpec) -> anyhow::Result<()> {
    let (timeout, memory) = (spec.limits.timeout, spec.limits.memory);
    let (shortest, longest) = ranges::TIMEOUT.into_inner();
    ensure!(
        ranges::TIMEOUT.contains(&timeout),
        "a timeout of {timeout} is not accepted by the API: from {shortest} to {longest} (--timeout, \
         spec.limits.timeout)"
    );
    let (least, most) = ranges::MEMORY.into_inner();
    ensure!(
        ranges::MEMORY.contains(&memory),
        "a memory limit of {memory} is not accepted by the API: from {least} to {most} (--memory, spec.limits.memory)"
    );
    ensure!(
        spec.verification.mode != Mode::Strict || spec.verification.allow.is_empty(),
        "spec.verification: mode Strict allows no difference: allow must be empty"
    );
    Ok(())
}

/// An object's name made from a file's: `in_memory_ca.wasm.gz` gives `in-memory-ca`.
pub fn name_for(file: &Path) -> String {
    let name: String = file_name(file)
        .split('.')
        .next()
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(63)
        .collect();
    match name.trim_matches('-') {
        "" => "plugin".to_owned(),
        name => name.to_owned(),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;

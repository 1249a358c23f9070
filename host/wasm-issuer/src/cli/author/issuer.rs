//! The Issuer that a plugin is run for: made up from arguments, or read from a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{bail, ensure};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use wasm_issuer_core::issuance::verify::{Mode, TrustedCas};
use wasm_issuer_runtime::egress::HttpGrant;
use wasm_issuer_runtime::{
    CallLimits, IssuerIdentity, IssuerMemory, Secret, SecretData, Session, SessionInit,
};

use super::http::{HttpArgs, Reporter};
use super::input::quoted;
use super::issuer_file::{self, IssuerFile};
use super::secret::{self, SecretValues};
use crate::api::{GoDuration, IssuerKey, IssuerKind, IssuerSpec, ObjectName, PluginSpec, Quantity, ranges};

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
    /// What stands for the Secret that spec.authSecretName names: each file in the folder is a key.
    #[arg(long, value_name = "FOLDER")]
    secret: Option<PathBuf>,
    /// What stands for the Secret that spec.verification.caSecretName names.
    #[arg(long, value_name = "FOLDER")]
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
    /// The namespace of the Issuer and of its requests [default: default]
    #[arg(long)]
    namespace: Option<ObjectName>,
    /// The Issuer's kind [default: WasmIssuer]
    #[arg(long, value_parser = kinds())]
    kind: Option<IssuerKind>,
    #[command(flatten)]
    http: HttpArgs,
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
    secret: Option<SecretData>,
    http: HttpGrant,
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
        let http = self.http.grant(&mut spec.http)?;

        let kind = self.kind.or(file.kind).unwrap_or(IssuerKind::Namespaced);
        let name = self.name.map(|name| name.to_string()).or(file.name).unwrap_or_else(|| name_for(plugin));
        let namespace = self.namespace.map(|namespace| namespace.to_string()).or(file.namespace);
        let namespace = namespace.unwrap_or_else(|| "default".to_owned());
        let secret =
            lent_secret(self.secret.as_deref(), &spec.auth_secret_name, self.issuer.as_deref(), &namespace)?;
        let cas = trusted_cas(self.ca_secret.as_deref(), spec.verification.ca_secret_name.as_ref())?;
        let values = secret.iter().map(|secret| &secret.values).chain(&cas).flat_map(BTreeMap::values);
        let trusted = TrustedCas::among(values.map(|value| value.as_slice()));
        let own_namespace = (kind == IssuerKind::Namespaced).then(|| namespace.clone());
        let key = IssuerKey { kind, namespace: own_namespace, name };
        Ok(Issuer { key, request_namespace: namespace, spec, trusted, secret, http })
    }
}

fn kinds() -> impl TypedValueParser<Value = IssuerKind> {
    PossibleValuesParser::new(IssuerKind::ALL.map(IssuerKind::as_str))
        .try_map(|kind| kind.parse::<IssuerKind>())
}

/// The Secret that is to hold CA certificates, made of `folder`.
fn trusted_cas(folder: Option<&Path>, name: Option<&ObjectName>) -> anyhow::Result<Option<SecretValues>> {
    match (folder, name) {
        (None, Some(name)) => bail!(
            "the Issuer names the Secret \"{name}\" in spec.verification.caSecretName: give its keys with \
             --ca-secret FOLDER"
        ),
        (folder, _) => folder.map(secret::read).transpose(),
    }
}

/// The Secret of that name, made of `folder`; `issuer` is the file that names none.
fn lent_secret(
    folder: Option<&Path>,
    name: &Option<ObjectName>,
    issuer: Option<&Path>,
    namespace: &str,
) -> anyhow::Result<Option<SecretData>> {
    match (folder, name, issuer) {
        (Some(_), None, Some(issuer)) => bail!(
            "the Issuer in {} names no Secret, so its plugin would not get --secret: set spec.authSecretName",
            quoted(issuer)
        ),
        (None, Some(name), _) => bail!(
            "the Issuer names the Secret \"{name}\" in spec.authSecretName: give its keys with --secret FOLDER"
        ),
        (None, None, _) => Ok(None),
        (Some(folder), name, _) => Ok(Some(SecretData {
            name: name.as_ref().map_or_else(|| file_name(folder), ToString::to_string),
            namespace: namespace.to_owned(),
            values: secret::read(folder)?,
        })),
    }
}

impl Issuer {
    /// A session of its plugin, with what the Issuer lends it.
    pub fn session(self) -> Arc<Session> {
        let IssuerKey { kind, namespace, name } = self.key;
        Session::new(SessionInit {
            issuer: IssuerIdentity { kind: kind.to_string(), namespace, name },
            config: self.spec.config.json().clone(),
            secret: self.secret.map(Secret::new),
            reveal: self.spec.secrets.reveal.into_iter().collect(),
            keys: Default::default(),
            limits: CallLimits {
                timeout: self.spec.limits.timeout.0,
                memory: self.spec.limits.memory.in_memory(),
                ..CallLimits::default()
            },
            http: self.http,
            observer: Arc::new(Reporter),
            memory: IssuerMemory::unlimited().share(""),
        })
    }
}

/// What the API server would refuse.
fn check_limits(spec: &IssuerSpec) -> anyhow::Result<()> {
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
mod tests {
    use clap::Parser;
    use wasm_issuer_core::issuance::verify::Difference;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        issuer: IssuerArgs,
    }

    /// Arguments in which `FILE` stands for a file with that content.
    fn issuer(content: &str, args: &[&str]) -> anyhow::Result<Issuer> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("issuer.yaml");
        std::fs::write(&file, content)?;
        std::fs::create_dir(folder.path().join("secret"))?;
        std::fs::write(folder.path().join("secret/token"), "x")?;
        let args = args.iter().map(|arg| match *arg {
            "FILE" => file.display().to_string(),
            "SECRET" => folder.path().join("secret").display().to_string(),
            arg => arg.to_owned(),
        });
        let line = Line::try_parse_from(["test".to_owned()].into_iter().chain(args))?;
        line.issuer.validate(Path::new("x/My_CA.wasm.gz"))
    }

    const WHOLE: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: team-a}
---
apiVersion: wasm-issuer.dev/v1alpha1
kind: WasmIssuer
metadata: {name: my-ca, namespace: team-a}
spec:
  plugin: {builtin: in-memory-ca}
  config: {anything: {nested: true}}
  limits: {timeout: 5s}
  verification: {allow: [Subject]}
";

    #[test]
    fn without_arguments_there_is_a_default_issuer() {
        let issuer = issuer("", &[]).unwrap();
        assert_eq!(issuer.key.to_string(), "WasmIssuer default/my-ca");
        assert_eq!(issuer.spec, IssuerSpec::new(PluginSpec::default()));
    }

    #[test]
    fn a_whole_issuer_is_used_and_arguments_come_first() {
        let read = issuer(WHOLE, &["--issuer", "FILE"]).unwrap();
        assert_eq!(read.key.to_string(), "WasmIssuer team-a/my-ca");
        assert_eq!(read.spec.limits.timeout, GoDuration::from_secs(5));
        assert_eq!(read.spec.verification.allow, [Difference::Subject]);
        let args = ["--issuer", "FILE", "--kind", "WasmClusterIssuer", "--name", "b", "--timeout", "1s"];
        let read = issuer(WHOLE, &args).unwrap();
        assert_eq!(
            (read.key.to_string().as_str(), read.spec.limits.timeout.0.as_secs()),
            ("WasmClusterIssuer b", 1)
        );
        assert_eq!(read.request_namespace, "team-a");
    }

    #[test]
    fn wrong_files_and_values_say_what_is_wrong() {
        let secret = WHOLE.replace("  limits", "  authSecretName: keys\n  limits");
        let cases: [(&str, &[&str], &str); 17] = [
            ("", &["--config", "FILE"], "is empty: `{}` is the empty config"),
            ("[1]", &["--config", "FILE"], "is to be an object"),
            ("a: [", &["--config", "FILE"], "is neither YAML nor JSON"),
            ("a: 1\n---\nb: 2", &["--config", "FILE"], "several YAML documents"),
            (WHOLE, &["--config", "FILE"], "several YAML documents"),
            ("apiVersion: x\nspec: {}", &["--config", "FILE"], "for an Issuer there is --issuer"),
            ("a: 1", &["--issuer", "FILE"], "exactly one WasmIssuer or WasmClusterIssuer"),
            (
                &WHOLE.replace("v1alpha1", "v2"),
                &["--issuer", "FILE"],
                "apiVersion is to be wasm-issuer.dev/v1alpha1",
            ),
            (
                &WHOLE.replace("timeout: 5s", "timeuot: 5s"),
                &["--issuer", "FILE"],
                "no field spec.limits.timeuot",
            ),
            (&WHOLE.replace("5s", "5x"), &["--issuer", "FILE"], "spec: not a duration"),
            (&WHOLE.replace("5s", "2m"), &["--issuer", "FILE"], "from 100ms to 1m"),
            (&WHOLE.replace("{allow", "{mode: Strict, allow"), &["--issuer", "FILE"], "allow must be empty"),
            (
                &WHOLE.replace("{allow", "{caSecretName: a, allow"),
                &["--issuer", "FILE"],
                "--ca-secret FOLDER",
            ),
            (WHOLE, &["--issuer", "FILE", "--secret", "SECRET"], "set spec.authSecretName"),
            (&secret, &["--issuer", "FILE"], "give its keys with --secret FOLDER"),
            ("", &["--memory", "2Gi"], "from 1Mi to 1Gi"),
            ("", &["--reveal", "token"], "--secret"),
        ];
        for (content, args, wanted) in cases {
            let error = format!("{:#}", issuer(content, args).err().unwrap());
            assert!(error.contains(wanted), "{args:?}: {error}");
        }
        assert!(issuer(&secret, &["--issuer", "FILE", "--secret", "SECRET", "--reveal", "token"]).is_ok());
    }

    #[test]
    fn every_file_name_makes_an_object_name() {
        for (file, name) in [("a/in_memory_ca.wasm", "in-memory-ca"), ("__.wasm", "plugin"), ("-", "plugin")]
        {
            assert_eq!(name_for(Path::new(file)), name);
            assert!(name.parse::<ObjectName>().is_ok());
        }
    }
}

//! The Issuer that a plugin is run for: made up from arguments, or read from a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::{Map, Value};
use wasm_issuer_core::issuance::GROUP;
use wasm_issuer_runtime::egress::HttpGrant;
use wasm_issuer_runtime::{AuthSecret, IssuerIdentity, Limits, Session, SessionInit};

use super::http::{HttpArgs, Reporter};
use super::input::{self, quoted};
use super::secret;
use crate::api::{self, GoDuration, IssuerSpec, ObjectName, PluginSpec, Quantity};

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
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    #[command(flatten)]
    http: HttpArgs,
}

/// The kinds of Issuers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    #[value(name = "WasmIssuer")]
    Namespaced,
    #[value(name = "WasmClusterIssuer")]
    Cluster,
}

/// An Issuer, valid.
pub struct Issuer {
    /// Who it is.
    pub identity: IssuerIdentity,
    /// Where its requests are.
    pub request_namespace: String,
    /// What it asks for.
    pub spec: IssuerSpec,
    secret: Option<AuthSecret>,
    http: HttpGrant,
}

impl IssuerArgs {
    /// Read the files that the arguments name, and put everything together. `plugin` names the Issuer by default.
    pub fn validate(self, plugin: &Path) -> anyhow::Result<Issuer> {
        let file = self.issuer.as_deref().map(read_issuer).transpose()?.unwrap_or_default();
        let mut spec = file.spec.unwrap_or_else(|| IssuerSpec::new(PluginSpec::default()));
        if let Some(path) = &self.config {
            spec.config = read_config(path)?;
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

        let kind = self.kind.or(file.kind).unwrap_or(Kind::Namespaced);
        let name = self.name.map(|name| name.to_string()).or(file.name).unwrap_or_else(|| name_for(plugin));
        let namespace = self.namespace.map(|namespace| namespace.to_string()).or(file.namespace);
        let namespace = namespace.unwrap_or_else(|| "default".to_owned());
        let secret = match (&self.secret, &spec.auth_secret_name, &self.issuer) {
            (Some(_), None, Some(issuer)) => bail!(
                "the Issuer in {} names no Secret, so its plugin would not get --secret: set spec.authSecretName",
                quoted(issuer)
            ),
            (None, Some(name), _) => {
                bail!(
                    "the Issuer names the Secret {name:?} in spec.authSecretName: give its keys with --secret FOLDER"
                )
            }
            (None, None, _) => None,
            (Some(folder), name, _) => Some(AuthSecret {
                name: name.as_ref().map_or_else(|| file_name(folder), ToString::to_string),
                namespace: namespace.clone(),
                data: secret::read(folder)?,
            }),
        };
        let own_namespace = (kind == Kind::Namespaced).then(|| namespace.clone());
        let kind = kind.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let identity = IssuerIdentity { kind, namespace: own_namespace, name };
        Ok(Issuer { identity, request_namespace: namespace, spec, secret, http })
    }
}

impl Issuer {
    /// `WasmIssuer default/my-ca`
    pub fn text(&self) -> String {
        let IssuerIdentity { kind, namespace, name } = &self.identity;
        match namespace {
            Some(namespace) => format!("{kind} {namespace}/{name}"),
            None => format!("{kind} {name}"),
        }
    }

    /// What the Issuer lends its plugin.
    pub fn session(self) -> Arc<Session> {
        Session::new(SessionInit {
            issuer: self.identity,
            config: Value::Object(self.spec.config).to_string(),
            secret: self.secret,
            reveal: self.spec.secrets.reveal.into_iter().collect(),
            keys: Default::default(),
            limits: Limits {
                timeout: self.spec.limits.timeout.0,
                memory: usize::try_from(self.spec.limits.memory.bytes).unwrap_or(usize::MAX),
                ..Limits::default()
            },
            http: self.http,
            observer: Arc::new(Reporter),
        })
    }
}

/// The bounds of the CRD.
fn check_limits(spec: &IssuerSpec) -> anyhow::Result<()> {
    let (timeout, memory) = (spec.limits.timeout, spec.limits.memory);
    ensure!(
        (Duration::from_millis(100)..=Duration::from_secs(60)).contains(&timeout.0),
        "a timeout of {timeout} is not accepted by the API: from 100ms to 1m (--timeout, spec.limits.timeout)"
    );
    ensure!(
        ((1 << 20)..=(1 << 30)).contains(&memory.bytes),
        "a memory limit of {memory} is not accepted by the API: from 1Mi to 1Gi (--memory, spec.limits.memory)"
    );
    Ok(())
}

fn read_config(path: &Path) -> anyhow::Result<Map<String, Value>> {
    let what = "the config";
    let mut documents = input::documents(path, what)?;
    match (documents.pop(), documents.is_empty()) {
        (Some(Value::Object(config)), true) => {
            ensure!(
                !(config.contains_key("apiVersion") && config.contains_key("spec")),
                "{what} {} is a whole object; for an Issuer there is --issuer",
                quoted(path)
            );
            Ok(config)
        }
        (None, _) => bail!("{what} {} is empty: `{{}}` is the empty config", quoted(path)),
        (Some(_), true) => bail!("{what} {} is to be an object, `key: value` lines", quoted(path)),
        (Some(_), false) => bail!("{what} {} holds several YAML documents; one is expected", quoted(path)),
    }
}

/// What a file says about an Issuer.
#[derive(Default)]
struct IssuerFile {
    kind: Option<Kind>,
    namespace: Option<String>,
    name: Option<String>,
    spec: Option<IssuerSpec>,
}

fn read_issuer(path: &Path) -> anyhow::Result<IssuerFile> {
    let what = "the Issuer";
    let kind_of = |document: &Value| match document.get("kind").and_then(Value::as_str) {
        Some("WasmIssuer") => Some(Kind::Namespaced),
        Some("WasmClusterIssuer") => Some(Kind::Cluster),
        _ => None,
    };
    let documents = input::documents(path, what)?;
    let mut issuers = documents.into_iter().filter_map(|document| Some((kind_of(&document)?, document)));
    let (Some((kind, mut document)), None) = (issuers.next(), issuers.next()) else {
        bail!("{what} {}: exactly one WasmIssuer or WasmClusterIssuer is expected in the file", quoted(path));
    };
    let version = format!("{GROUP}/{}", api::VERSION);
    ensure!(
        document.get("apiVersion").and_then(Value::as_str) == Some(&version),
        "{what} {}: apiVersion is to be {version}",
        quoted(path)
    );
    let metadata = |field: &str| {
        document.pointer(&format!("/metadata/{field}")).and_then(Value::as_str).map(str::to_owned)
    };
    let (name, namespace) = (metadata("name"), metadata("namespace"));
    let spec = document.get_mut("spec").map(Value::take).unwrap_or_default();
    let crd = api::crds::crds().into_iter().next();
    let schema = crd.and_then(|crd| {
        crd.spec.versions.into_iter().next()?.schema?.open_api_v3_schema?.properties?.remove("spec")
    });
    if let Some(field) = schema.and_then(|schema| unknown_field(&schema, &spec, "spec")) {
        bail!(
            "{what} {}: there is no field {field}; `kubectl explain wasmissuer.spec` lists the fields",
            quoted(path)
        );
    }
    let spec = serde_json::from_value(spec).with_context(|| format!("{what} {}: spec", quoted(path)))?;
    Ok(IssuerFile { kind: Some(kind), namespace, name, spec: Some(spec) })
}

/// The first field of a value that its schema does not have: the API server would drop it.
fn unknown_field(schema: &JSONSchemaProps, value: &Value, path: &str) -> Option<String> {
    let (Some(fields), Some(object)) = (&schema.properties, value.as_object()) else { return None };
    object.iter().find_map(|(name, value)| {
        let path = format!("{path}.{name}");
        match fields.get(name) {
            Some(schema) => unknown_field(schema, value, &path),
            None => Some(path),
        }
    })
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
  verification: Strict
";

    #[test]
    fn without_arguments_there_is_a_default_issuer() {
        let issuer = issuer("", &[]).unwrap();
        assert_eq!(issuer.text(), "WasmIssuer default/my-ca");
        assert_eq!(issuer.spec, IssuerSpec::new(PluginSpec::default()));
    }

    #[test]
    fn a_whole_issuer_is_used_and_arguments_come_first() {
        let read = issuer(WHOLE, &["--issuer", "FILE"]).unwrap();
        assert_eq!(read.text(), "WasmIssuer team-a/my-ca");
        assert_eq!(read.spec.limits.timeout, GoDuration::from_secs(5));
        assert_eq!(read.spec.verification, wasm_issuer_core::issuance::verify::Verification::Strict);
        let args = ["--issuer", "FILE", "--kind", "WasmClusterIssuer", "--name", "b", "--timeout", "1s"];
        let read = issuer(WHOLE, &args).unwrap();
        assert_eq!((read.text().as_str(), read.spec.limits.timeout.0.as_secs()), ("WasmClusterIssuer b", 1));
        assert_eq!(read.request_namespace, "team-a");
    }

    #[test]
    fn wrong_files_and_values_say_what_is_wrong() {
        let secret = WHOLE.replace("  limits", "  authSecretName: keys\n  limits");
        let cases: [(&str, &[&str], &str); 15] = [
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

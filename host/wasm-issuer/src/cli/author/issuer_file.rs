//! The files that describe an Issuer: a whole one, or the config of its plugin.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::Value;
use wasm_issuer_core::issuance::GROUP;

use super::input::{self, quoted};
use crate::api::{IssuerKind, IssuerSpec, PluginConfig, VERSION, crds};

const WHAT: &str = "the Issuer";

/// What a file says about an Issuer; nothing where there is none.
#[derive(Default)]
pub struct IssuerFile {
    pub kind: Option<IssuerKind>,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub spec: Option<IssuerSpec>,
}

impl IssuerFile {
    /// Reads the one Issuer among the YAML or JSON documents of a file. Fields that the API does not have are errors.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let kind_of = |document: &Value| document.get("kind")?.as_str()?.parse::<IssuerKind>().ok();
        let documents = input::documents(path, WHAT)?;
        let mut issuers = documents.into_iter().filter_map(|document| Some((kind_of(&document)?, document)));
        let (Some((kind, mut document)), None) = (issuers.next(), issuers.next()) else {
            bail!(
                "{WHAT} {}: exactly one WasmIssuer or WasmClusterIssuer is expected in the file",
                quoted(path)
            );
        };
        let version = format!("{GROUP}/{VERSION}");
        ensure!(
            document.get("apiVersion").and_then(Value::as_str) == Some(&version),
            "{WHAT} {}: apiVersion is to be {version}",
            quoted(path)
        );
        let metadata = |field: &str| {
            document.pointer(&format!("/metadata/{field}")).and_then(Value::as_str).map(str::to_owned)
        };
        let (name, namespace) = (metadata("name"), metadata("namespace"));
        let spec = document.get_mut("spec").map(Value::take).unwrap_or_default();
        let spec = parse_spec(spec).with_context(|| format!("{WHAT} {}", quoted(path)))?;
        Ok(Self { kind: Some(kind), namespace, name, spec: Some(spec) })
    }
}

/// Parses the spec of an Issuer. Fields that the API does not have are errors.
pub fn parse_spec(spec: Value) -> anyhow::Result<IssuerSpec> {
    let crd = crds::crds().into_iter().next();
    let schema = crd.and_then(|crd| {
        crd.spec.versions.into_iter().next()?.schema?.open_api_v3_schema?.properties?.remove("spec")
    });
    if let Some(field) = schema.and_then(|schema| unknown_field(&schema, &spec, "spec")) {
        bail!("there is no field {field}; `kubectl explain wasmissuer.spec` lists the fields");
    }
    serde_path_to_error::deserialize(spec).map_err(|error| {
        let field = match error.path().to_string() {
            whole if whole == "." => "spec".to_owned(),
            below => format!("spec.{below}"),
        };
        anyhow!("{field}: {}", error.inner())
    })
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

/// Reads `spec.config` from a file that holds nothing else.
pub fn read_config(path: &Path) -> anyhow::Result<PluginConfig> {
    let what = "the config";
    let mut documents = input::documents(path, what)?;
    match (documents.pop(), documents.is_empty()) {
        (Some(Value::Object(config)), true) => {
            ensure!(
                !(config.contains_key("apiVersion") && config.contains_key("spec")),
                "{what} {} is a whole object; for an Issuer there is --issuer",
                quoted(path)
            );
            Ok(config.into())
        }
        (None, _) => bail!("{what} {} is empty: `{{}}` is the empty config", quoted(path)),
        (Some(_), true) => bail!("{what} {} is to be an object, `key: value` lines", quoted(path)),
        (Some(_), false) => bail!("{what} {} holds several YAML documents; one is expected", quoted(path)),
    }
}

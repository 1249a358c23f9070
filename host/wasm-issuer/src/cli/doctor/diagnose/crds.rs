//! Whether the cluster has the kinds that this binary knows, in the same version.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion,
};
use serde_json::{Map, Value, json};
use wasm_issuer_core::issuance::GROUP;

use super::super::facts::Facts;
use super::super::finding::{Finding, ObjectRef};
use crate::api::{IssuerKind, VERSION, crds};

const APPLY: &str = "wasm-issuer crds | kubectl apply --server-side --force-conflicts -f -";
/// How many differences are named.
const SHOWN: usize = 3;

pub fn findings(facts: &Facts) -> Vec<Finding> {
    let ours =
        facts.crds.iter().flat_map(|found| crds::crds().into_iter().filter_map(|ours| compare(&ours, found)));
    let theirs = (facts.has_cert_manager == Some(false)).then(|| {
        let object = ObjectRef::new("CustomResourceDefinition", "", "certificaterequests.cert-manager.io");
        let mend = "install cert-manager: https://cert-manager.io/docs/installation/";
        Finding::new(object, "it is missing: cert-manager is not installed, and nobody makes requests", mend)
    });
    ours.chain(theirs).collect()
}

/// Whether the cluster is known to lack a kind.
pub fn is_missing(facts: &Facts, kind: IssuerKind) -> bool {
    let name = name(kind);
    facts.crds.as_ref().is_some_and(|crds| crds.iter().all(|crd| crd.metadata.name.as_ref() != Some(&name)))
}

/// That the cluster lacks a kind.
pub fn missing(kind: IssuerKind) -> Finding {
    missing_object(ObjectRef::new("CustomResourceDefinition", "", &name(kind)))
}

fn missing_object(object: ObjectRef) -> Finding {
    Finding::new(object, "it is missing: the cluster does not know this kind", APPLY)
}

fn name(kind: IssuerKind) -> String {
    format!("{}.{GROUP}", kind.plural())
}

fn compare(ours: &CustomResourceDefinition, found: &[CustomResourceDefinition]) -> Option<Finding> {
    let name = ours.metadata.name.as_deref().unwrap_or_default();
    let object = ObjectRef::new("CustomResourceDefinition", "", name);
    let Some(found) = found.iter().find(|crd| crd.metadata.name == ours.metadata.name) else {
        return Some(missing_object(object));
    };
    let version = |crd: &CustomResourceDefinition| {
        crd.spec.versions.iter().find(|v| v.name == VERSION && v.served).cloned()
    };
    let Some((ours, theirs)) = version(ours).zip(version(found)) else {
        let served: Vec<&str> =
            found.spec.versions.iter().filter(|v| v.served).map(|v| v.name.as_str()).collect();
        let cause = format!("it serves {}, and not {VERSION}", served.join(", "));
        return Some(Finding::new(object, cause, APPLY));
    };
    let conditions = found.status.iter().flat_map(|status| status.conditions.iter().flatten());
    if let Some(refused) = conditions.clone().find(|c| c.type_ == "Established" && c.status != "True") {
        let message = refused.message.as_deref().unwrap_or_default();
        let cause = format!("it is not established: {message}");
        return Some(Finding::new(object.clone(), cause, format!("kubectl describe {}", object.args())));
    }
    let (cause, mend) = difference(&ours, &theirs)?;
    Some(Finding::new(object, cause, mend))
}

/// What a version of ours and that of the cluster do not have in common.
#[derive(Default)]
struct Difference {
    lacking: BTreeSet<String>,
    surplus: BTreeSet<String>,
    other: BTreeSet<String>,
}

fn difference(
    ours: &CustomResourceDefinitionVersion,
    theirs: &CustomResourceDefinitionVersion,
) -> Option<(String, String)> {
    let mut difference = Difference::default();
    difference.walk(&mut vec![], &seen(ours), &seen(theirs));
    let this = concat!("this wasm-issuer ", env!("CARGO_PKG_VERSION"));
    let list = |paths: &BTreeSet<String>| {
        let more = paths.len().saturating_sub(SHOWN);
        let shown: Vec<&str> = paths.iter().take(SHOWN).map(String::as_str).collect();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", shown.join(", "))
    };
    let Difference { lacking, surplus, other } = &difference;
    if !lacking.is_empty() {
        return Some((format!("it is older than {this}: it lacks {}", list(lacking)), APPLY.to_owned()));
    }
    if !surplus.is_empty() {
        let cause = format!("it is newer than {this}, which does not know {}", list(surplus));
        return Some((cause, "run the wasm-issuer of the operator's version".to_owned()));
    }
    (!other.is_empty())
        .then(|| (format!("it is of another version than {this}: other {}", list(other)), APPLY.to_owned()))
}

/// What of a version its users notice.
fn seen(version: &CustomResourceDefinitionVersion) -> Value {
    let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
    json!({"": schema, "columns": version.additional_printer_columns, "subresources": version.subresources})
}

impl Difference {
    fn walk(&mut self, path: &mut Vec<String>, ours: &Value, theirs: &Value) {
        let (Value::Object(ours), Value::Object(theirs)) = (ours, theirs) else {
            if ours != theirs {
                self.other.insert(named(path));
            }
            return;
        };
        let keys: BTreeSet<&String> = Map::keys(ours).chain(Map::keys(theirs)).collect();
        for key in keys {
            path.push(key.clone());
            match (ours.get(key), theirs.get(key)) {
                (Some(ours), Some(theirs)) => self.walk(path, ours, theirs),
                (Some(_), None) => drop(self.lacking.insert(named(path))),
                (None, _) => drop(self.surplus.insert(named(path))),
            }
            path.pop();
        }
    }
}

/// A path of the schema as the field's users call it: `spec.http.allowedHosts`.
fn named(path: &[String]) -> String {
    let parts: Vec<&str> =
        path.iter().map(String::as_str).filter(|part| !["", "properties"].contains(part)).collect();
    parts.join(".")
}

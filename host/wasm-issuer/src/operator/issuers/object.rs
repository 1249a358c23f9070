//! From an Issuer to what the operator keeps of it, and from a status to what is written. No client.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition as MetaCondition, Time};
use serde_json::{Value, json};
use wasm_issuer_core::issuance::condition::Condition;
use wasm_issuer_core::issuance::issuer::{IssuerState, NewIssuerStatus, PluginFacts};

use crate::api::{self, IssuerKey, IssuerKind, IssuerSpec};

/// An Issuer of either kind as it was read.
#[derive(Clone, Debug)]
pub struct ObservedIssuer {
    pub key: IssuerKey,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`: a write lands on this version or not at all.
    pub resource_version: String,
    /// What its author asks for.
    pub spec: IssuerSpec,
    /// Its generation and status.
    pub state: IssuerState,
    /// What its Events refer to.
    pub reference: ObjectReference,
    /// The URL path of the objects of its kind (and namespace).
    pub collection: String,
}

impl ObservedIssuer {
    /// What is to be kept of an object; none of one without a name.
    pub fn of<K: api::IssuerObject>(object: &K, kind: IssuerKind) -> Option<Self> {
        let meta = object.meta();
        Some(Self {
            key: IssuerKey { kind, namespace: meta.namespace.clone(), name: meta.name.clone()? },
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
            spec: object.spec().clone(),
            state: state(meta.generation.unwrap_or_default(), object.status()),
            reference: object.object_ref(&()),
            collection: K::url_path(&(), meta.namespace.as_deref()),
        })
    }

    /// The body of a server-side apply of this status.
    pub fn apply_body(&self, status: &NewIssuerStatus) -> Value {
        json!({
            "apiVersion": self.reference.api_version,
            "kind": self.reference.kind,
            "metadata": {
                "name": self.key.name,
                "namespace": self.key.namespace,
                "resourceVersion": self.resource_version,
            },
            "status": written(status),
        })
    }
}

fn state(generation: i64, status: Option<&api::IssuerStatus>) -> IssuerState {
    let conditions = status.map(|s| s.conditions.as_slice()).unwrap_or_default();
    IssuerState {
        generation,
        conditions: conditions.iter().map(read_condition).collect(),
        plugin: status.and_then(|s| s.plugin.as_ref()).map(|p| PluginFacts {
            sha256: p.sha256.clone(),
            source: p.source.clone(),
            loaded_at: p.loaded_at.0,
        }),
    }
}

fn written(status: &NewIssuerStatus) -> api::IssuerStatus {
    api::IssuerStatus {
        conditions: status.conditions.iter().map(written_condition).collect(),
        plugin: status
            .plugin
            .as_ref()
            .map(|p| api::PluginStatus::new(p.sha256.clone(), p.source.clone(), Time(p.loaded_at))),
        observed_generation: Some(status.observed_generation),
    }
}

fn read_condition(condition: &MetaCondition) -> Condition {
    Condition {
        type_: condition.type_.clone(),
        status: condition.status.clone(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        last_transition: Some(condition.last_transition_time.0),
        observed_generation: condition.observed_generation,
    }
}

fn written_condition(condition: &Condition) -> MetaCondition {
    MetaCondition {
        type_: condition.type_.clone(),
        status: condition.status.clone(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        last_transition_time: Time(condition.last_transition.unwrap_or_default()),
        observed_generation: condition.observed_generation,
    }
}

//! From an Issuer to what the operator keeps of it, and from a status to what is written. No client.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition as MetaCondition, Time};
use tokio::sync::watch;
use wasm_issuer_core::issuance::condition::{self, Condition, READY};
use wasm_issuer_core::issuance::issuer::{self, IssuerState, NewIssuerStatus, PluginFacts};

use super::config::ObservedConfig;
use crate::api::{self, IssuerKey, IssuerKind, IssuerSpec};
use crate::operator::apply::Target;

/// An Issuer of either kind as it was read.
#[derive(Clone, Debug)]
pub struct ObservedIssuer {
    pub key: IssuerKey,
    /// Where its status is written.
    pub target: Target,
    /// What its author asks for, without the configuration.
    pub spec: Arc<IssuerSpec>,
    pub config: ObservedConfig,
    /// Its generation and status.
    pub state: IssuerState,
    /// Of `metadata.annotations`: to change one asks for a check.
    annotations_hash: u64,
}

impl ObservedIssuer {
    /// What is to be kept of an object; none of one without a name.
    pub fn of<K: api::IssuerObject>(object: &K, kind: IssuerKind) -> Option<Self> {
        let meta = object.meta();
        let mut spec = object.spec().clone();
        let config = ObservedConfig::of(std::mem::take(&mut spec.config));
        let mut annotations = DefaultHasher::new();
        meta.annotations.iter().flatten().for_each(|annotation| annotation.hash(&mut annotations));
        Some(Self {
            key: IssuerKey { kind, namespace: meta.namespace.clone(), name: meta.name.clone()? },
            target: Target::of(object),
            spec: Arc::new(spec),
            config,
            state: state(meta.generation.unwrap_or_default(), object.status()),
            annotations_hash: annotations.finish(),
        })
    }

    /// `metadata.uid`.
    pub fn uid(&self) -> &str {
        self.target.uid()
    }

    /// Use the spec of another version if it is the same: it stays in memory once.
    pub fn share_spec_of(&mut self, other: &Self) {
        if self.spec == other.spec {
            self.spec = other.spec.clone();
        }
        if self.config == other.config {
            self.config = other.config.clone();
        }
    }

    /// Whether it asks for something else than this in anything but the plugin.
    pub fn asks_otherwise(&self, spec: &IssuerSpec, config: &ObservedConfig) -> bool {
        self.config != *config || self.spec.asks_otherwise(spec)
    }

    /// Whether somebody wants a newer version of this Issuer looked at: a new spec, another annotation, a Ready condition
    /// that was taken away (issuer-lib's triggers).
    pub fn is_touched_by(&self, newer: &Self) -> bool {
        let has_ready = |o: &Self| condition::find(&o.state.conditions, READY).is_some();
        self.uid() != newer.uid()
            || self.state.generation != newer.state.generation
            || self.annotations_hash != newer.annotations_hash
            || (has_ready(self) && !has_ready(newer))
    }

    /// Whether what the watch has brought last has another spec than this.
    pub fn has_other_spec(&self, newest: &Self) -> bool {
        self.uid() != newest.uid()
            || (self.state.generation != newest.state.generation
                && !newest.target.is_older_than(&self.target))
    }

    /// Wait until the watch has brought another spec than this, or that the Issuer is gone.
    pub async fn other_spec(&self, watched: &mut watch::Receiver<Arc<Self>>) {
        // Closed: the Issuer is gone.
        let _ = watched.wait_for(|newest| self.has_other_spec(newest)).await;
    }
}

/// A status as it is written.
pub fn status(status: &NewIssuerStatus) -> api::IssuerStatus {
    api::IssuerStatus {
        conditions: status.conditions.iter().map(written_condition).collect(),
        summary: condition::find(&status.conditions, READY).map(issuer::summary),
        plugin: status
            .plugin
            .as_ref()
            .map(|p| api::PluginStatus::new(p.sha256.clone(), p.source.clone(), Time(p.loaded_at))),
        observed_generation: Some(status.observed_generation),
    }
}

fn state(generation: i64, observed: Option<&api::IssuerStatus>) -> IssuerState {
    let conditions = observed.map(|s| s.conditions.as_slice()).unwrap_or_default();
    let conditions: Vec<Condition> = conditions.iter().map(read_condition).collect();
    let plugin = observed.and_then(|s| s.plugin.as_ref()).map(|p| PluginFacts {
        sha256: p.sha256.clone(),
        source: p.source.clone(),
        loaded_at: p.loaded_at.0,
    });
    let known = NewIssuerStatus { conditions, plugin, observed_generation: generation };
    let shown = status(&known);
    let is_old = observed.is_some_and(|s| (&s.summary, &s.plugin) != (&shown.summary, &shown.plugin));
    IssuerState { generation, conditions: known.conditions, plugin: known.plugin, is_old }
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

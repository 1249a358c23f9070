//! The configuration of an Issuer's plugin, from the watch to the plugin.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use kube::Api;
use wasm_issuer_core::issuance::issuer::CheckFailure;

use super::api_server::ApiServer;
use super::place::Place;
use super::source_error::SourceError;
use super::sources::read;
use crate::api::{IssuerKey, IssuerKind, IssuerObject, PluginConfig, WasmClusterIssuer, WasmIssuer};

/// The longest that stays in memory with the object, which is on nobody's account. A longer one is read again where a plugin
/// is to have it, and then it is on the Issuer's.
const MAX_OBSERVED: usize = 4 << 10;
/// The schema cannot bound what is nested in `spec.config`. Every call copies it into the plugin.
const MAX: usize = 256 << 10;

/// `spec.config` as the watch has brought it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObservedConfig {
    Whole(PluginConfig),
    Long { bytes: usize, sha256: Vec<u8> },
}

impl ObservedConfig {
    /// What is to be kept of a configuration.
    pub fn of(config: PluginConfig) -> Self {
        let json = config.json();
        if json.len() <= MAX_OBSERVED {
            return Self::Whole(config);
        }
        let sha256 = digest(&SHA256, json.as_bytes()).as_ref().to_vec();
        Self::Long { bytes: json.len(), sha256 }
    }

    /// Refuse one that no plugin gets.
    pub fn check(&self) -> Result<(), CheckFailure> {
        match self {
            Self::Long { bytes, .. } if *bytes > MAX => Err(CheckFailure::permanent(format!(
                "spec.config has {} KiB as JSON; at most {} KiB are accepted",
                bytes >> 10,
                MAX >> 10
            ))),
            _ => Ok(()),
        }
    }

    /// All of it as JSON, read again where it is not there.
    pub async fn json(
        &self,
        api: &ApiServer,
        key: &IssuerKey,
        place: &Place<'_>,
    ) -> Result<Arc<str>, CheckFailure> {
        let config = match self {
            Self::Whole(config) => return Ok(config.json().clone()),
            Self::Long { .. } => read_again(api, key, place).await?,
        };
        if Self::of(config.clone()) != *self {
            // The watch is about to say so.
            return Err(CheckFailure::unknown("spec.config is another one by now"));
        }
        Ok(config.json().clone())
    }
}

async fn read_again(
    api: &ApiServer,
    key: &IssuerKey,
    place: &Place<'_>,
) -> Result<PluginConfig, SourceError> {
    let _turn = api.turn(&place.owner).await;
    let client = api.client.clone();
    match (key.kind, &key.namespace) {
        (IssuerKind::Namespaced, Some(namespace)) => {
            config_of(Api::<WasmIssuer>::namespaced(client, namespace), key).await
        }
        _ => config_of(Api::<WasmClusterIssuer>::all(client), key).await,
    }
}

async fn config_of<K: IssuerObject>(api: Api<K>, key: &IssuerKey) -> Result<PluginConfig, SourceError> {
    let issuer = read(Box::pin(api.get(&key.name)), key.to_string()).await?;
    Ok(issuer.spec().config.clone())
}

//! Writes a status by server-side apply, onto exactly the object that was read.

use std::time::Duration;

use kube::Client;
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use wasm_issuer_core::issuance::FIELD_MANAGER;
use wasm_issuer_core::issuance::write::WriteFailure;

/// A write may be retried by the client while the API server is overloaded; it does not wait for ever.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a status was not written.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The object is not the one that was read: changed, or deleted and made anew.
    #[error("the object has changed since it was read")]
    Conflict,
    /// There is no such object any more.
    #[error("the object is gone")]
    Gone,
    /// The API server did not answer in time.
    #[error("the API server did not answer within {} s", WRITE_TIMEOUT.as_secs())]
    TimedOut,
    /// The API server refused, or could not be reached.
    #[error(transparent)]
    Other(kube::Error),
}

impl ApplyError {
    /// One of few words, for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::TimedOut => "timed_out",
            Self::Other(_) => "error",
        }
    }
}

impl From<&ApplyError> for WriteFailure {
    fn from(error: &ApplyError) -> Self {
        match error {
            ApplyError::Conflict => Self::Conflict,
            ApplyError::Gone => Self::Gone,
            ApplyError::TimedOut | ApplyError::Other(_) => Self::Unanswered,
        }
    }
}

impl From<kube::Error> for ApplyError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.is_conflict() => Self::Conflict,
            kube::Error::Api(status) if status.is_not_found() => Self::Gone,
            other => Self::Other(other),
        }
    }
}

/// The part of the answer that matters: the rest, the whole object, is not even parsed into values.
#[derive(Deserialize)]
struct Written {
    metadata: WrittenMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenMeta {
    resource_version: String,
}

/// Apply a status. `collection` is the URL path of the objects of its kind (and namespace), `body` the object
/// with its `metadata.resourceVersion`: the API server compares it and answers with a conflict (for a custom
/// resource's status it would not compare a uid). Returns the new resource version.
pub async fn apply_status(
    client: &Client,
    collection: &str,
    name: &str,
    body: &impl Serialize,
) -> Result<String, ApplyError> {
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let request = Request::new(collection)
        .patch_subresource("status", name, &params, &Patch::Apply(body))
        .map_err(|e| ApplyError::Other(kube::Error::BuildRequest(e)))?;
    let written = tokio::time::timeout(WRITE_TIMEOUT, client.request::<Written>(request))
        .await
        .map_err(|_| ApplyError::TimedOut)??;
    Ok(written.metadata.resource_version)
}

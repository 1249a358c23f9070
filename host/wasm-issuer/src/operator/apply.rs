//! Writes a status by server-side apply, onto exactly the object that was read.

use std::borrow::Cow;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use kube::{Client, Resource};
use serde::{Deserialize, Serialize};
use serde_json::json;
use thiserror::Error;
use wasm_issuer_core::issuance::FIELD_MANAGER;
use wasm_issuer_core::issuance::write::WriteFailure;

use super::leadership::{Fence, Lost};
use super::read::words;

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
    /// It was not written, or given up.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The API server refused, or could not be reached.
    #[error("{}", words(.0))]
    Other(kube::Error),
}

/// What came of a write that landed, for metrics.
pub const WRITTEN: &str = "written";
/// What may come of a write, for metrics.
pub const OUTCOMES: [&str; 6] = [WRITTEN, "conflict", "gone", "timed_out", "not_leading", "error"];

impl ApplyError {
    /// One of [`OUTCOMES`].
    pub fn label(&self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::TimedOut => "timed_out",
            Self::Lost(_) => "not_leading",
            Self::Other(_) => "error",
        }
    }
}

impl From<&ApplyError> for WriteFailure {
    fn from(error: &ApplyError) -> Self {
        match error {
            ApplyError::Conflict => Self::Conflict,
            ApplyError::Gone => Self::Gone,
            ApplyError::Other(kube::Error::Api(status)) if (400..500).contains(&status.code) => Self::Refused,
            ApplyError::TimedOut | ApplyError::Lost(_) | ApplyError::Other(_) => Self::Unanswered,
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

/// An object as it was read: what its status is written onto.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its kind, namespace, name and uid; what its Events refer to.
    pub reference: ObjectReference,
    /// The URL path of the objects of its kind (and namespace).
    collection: String,
    /// `metadata.resourceVersion`: a write lands on this version or not at all.
    resource_version: String,
}

impl Target {
    /// This object.
    pub fn of<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        let meta = object.meta();
        Self {
            reference: object.object_ref(&()),
            collection: K::url_path(&(), meta.namespace.as_deref()),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
        }
    }

    /// `metadata.uid`.
    pub fn uid(&self) -> &str {
        self.reference.uid.as_deref().unwrap_or_default()
    }

    /// Whether this is an earlier version of the same object, by their resource versions: for one kind those are numbers
    /// that grow (Kubernetes 1.35 promises it, etcd always made it so). Others cannot be compared, so none is older.
    pub fn is_older_than(&self, other: &Self) -> bool {
        let version = |target: &Self| target.resource_version.parse::<u128>().ok();
        self.uid() == other.uid() && version(self).zip(version(other)).is_some_and(|(this, that)| this < that)
    }

    fn at(&self, resource_version: String) -> Self {
        Self { resource_version, ..self.clone() }
    }
}

/// An object's name as it stands in a URL, where clients do not escape it. The API server takes nearly any text for the name
/// of a CertificateSigningRequest: `x?` would lead to the object `x`.
pub fn path_segment(name: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if name.bytes().all(is_plain) {
        return name.into();
    }
    name.bytes()
        .fold(String::new(), |mut escaped, byte| {
            if is_plain(byte) {
                escaped.push(char::from(byte));
            } else {
                escaped.push_str(&format!("%{byte:02X}"));
            }
            escaped
        })
        .into()
}

/// Apply a status onto the version that was read, as long as the fence stands: the API server compares it and answers with a
/// conflict (for a custom resource's status it would not compare a uid). Returns the object at its new version.
pub async fn apply_status(
    client: &Client,
    fence: &Fence,
    target: &Target,
    status: &impl Serialize,
) -> Result<Target, ApplyError> {
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let reference = &target.reference;
    let body = json!({
        "apiVersion": reference.api_version,
        "kind": reference.kind,
        "metadata": {
            "name": reference.name,
            "namespace": reference.namespace,
            "resourceVersion": target.resource_version,
        },
        "status": status,
    });
    let name = path_segment(reference.name.as_deref().unwrap_or_default());
    let request = Request::new(&target.collection)
        .patch_subresource("status", &name, &params, &Patch::Apply(body))
        .map_err(|e| ApplyError::Other(kube::Error::BuildRequest(e)))?;
    let written = tokio::time::timeout(WRITE_TIMEOUT, client.request::<Written>(request));
    let written = fence.guard(written).await?.map_err(|_| ApplyError::TimedOut)??;
    Ok(target.at(written.metadata.resource_version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_its_own_object_and_no_other() {
        assert_eq!(path_segment("web-1.example"), "web-1.example");
        assert_eq!(path_segment("web?a=b#c d/%é"), "web%3Fa%3Db%23c%20d%2F%25%C3%A9");
    }
}

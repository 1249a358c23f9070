//! One Lease of the API server: what is read of it, and what is written.
//!
//! Every write is a create or a replace with the resource version that was read: it lands on that version or nowhere.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use thiserror::Error;
use tokio::time::timeout;
use wasm_issuer_core::lease::Terms;

/// The label of the Leases that belong together, by which they are watched.
pub const LABEL: &str = "wasm-issuer.dev/lease";

/// A Lease of which this process is a candidate.
pub struct LeaseClient {
    pub api: Api<Lease>,
    pub name: String,
    /// The label's value.
    pub group: String,
    /// Who this process is, and no other, unless the Lease is held together.
    pub me: String,
    /// Others hold it as this process does: it is not this one's to release.
    pub is_shared: bool,
    pub terms: Terms,
    /// The wall clock: what is written of it is for people.
    pub wall_clock: fn() -> Timestamp,
}

/// Why a Lease was not written, or not read.
#[derive(Debug, Error)]
pub enum LeaseError {
    /// It is not as it was read; somebody else writes it.
    #[error("it has changed since it was read")]
    Conflict,
    /// The API server did not answer in time.
    #[error("the API server did not answer in time")]
    TimedOut,
    /// The API server refused, or could not be reached.
    #[error(transparent)]
    Other(kube::Error),
}

impl From<kube::Error> for LeaseError {
    fn from(error: kube::Error) -> Self {
        match error {
            // 404: it was deleted, and 409 on a create: it was created.
            kube::Error::Api(status) if [404, 409].contains(&status.code) => Self::Conflict,
            other => Self::Other(other),
        }
    }
}

impl LeaseClient {
    /// Write that this process holds it, within that time.
    ///
    /// `before` is the version onto which it is written; none where there is no such Lease.
    pub async fn hold(&self, before: Option<&Lease>, within: Duration) -> Result<Lease, LeaseError> {
        self.write(before, Some(&self.me), within).await
    }

    /// Write that nobody does.
    pub async fn release(&self, before: &Lease) -> Result<Lease, LeaseError> {
        self.write(Some(before), None, self.terms.request()).await
    }

    /// Read it. None where there is none.
    pub async fn read(&self, within: Duration) -> Result<Option<Lease>, LeaseError> {
        Ok(timeout(within, self.api.get_opt(&self.name)).await.map_err(|_| LeaseError::TimedOut)??)
    }

    async fn write(
        &self,
        before: Option<&Lease>,
        holder: Option<&str>,
        within: Duration,
    ) -> Result<Lease, LeaseError> {
        let lease = self.lease(before, holder);
        let params = PostParams::default();
        let written = async {
            match before {
                Some(_) => self.api.replace(&self.name, &params, &lease).await,
                None => self.api.create(&params, &lease).await,
            }
        };
        Ok(timeout(within, written).await.map_err(|_| LeaseError::TimedOut)??)
    }

    fn lease(&self, before: Option<&Lease>, holder: Option<&str>) -> Lease {
        let mut metadata = before
            .map(|lease| lease.metadata.clone())
            .unwrap_or_else(|| ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() });
        metadata.labels.get_or_insert_default().insert(LABEL.to_owned(), self.group.clone());
        let old = before.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let now = after(old.renew_time.as_ref(), (self.wall_clock)());
        let is_new = holder.is_some() && old.holder_identity.as_deref() != holder;
        let spec = LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: i32::try_from(self.terms.lease().as_secs()).ok(),
            acquire_time: if is_new { Some(MicroTime(now)) } else { old.acquire_time },
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(old.lease_transitions.unwrap_or_default().saturating_add(is_new.into())),
            ..old
        };
        Lease { metadata, spec: Some(spec) }
    }
}

/// Now, but another time than the one written before: a write that changes nothing makes no new version, and others would
/// take the Lease for abandoned.
fn after(before: Option<&MicroTime>, now: Timestamp) -> Timestamp {
    let micros = |at: Timestamp| Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at);
    match before {
        Some(MicroTime(before)) if micros(*before) == micros(now) => {
            before.checked_add(SignedDuration::from_micros(1)).unwrap_or(now)
        }
        _ => micros(now),
    }
}

//! One Event on its way to the API server.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::{Client, Resource};
use serde::de::IgnoredAny;
use tokio::time::timeout;
use tracing::{debug, warn};
use wasm_issuer_core::issuance::FIELD_MANAGER;
use wasm_issuer_core::issuance::plan::Notice;

use crate::api::ObjectName;
use crate::operator::apply::{ApplyError, WRITTEN};

const SEND_TIMEOUT: Duration = Duration::from_secs(15);

/// The calls that publish an Event.
pub struct Publication {
    /// Counts it on the Event that it repeats, if it repeats one.
    count: Option<http::Request<Vec<u8>>>,
    /// Makes it: also where the one that it repeats is not there, because it was never sent, or did not arrive.
    create: http::Request<Vec<u8>>,
}

impl Publication {
    /// What publishes this about an object, under that name: the how many-th time, if it repeats the Event of that name.
    pub fn of(
        instance: &str,
        object: &ObjectReference,
        notice: &Notice,
        (name, count): (String, Option<i32>),
        now: Timestamp,
    ) -> Option<Self> {
        // The Events of cluster-scoped objects live in `default` (API conventions).
        let namespace = object.namespace.as_deref().unwrap_or("default");
        let requests = Request::new(Event::url_path(&(), Some(namespace)));
        let series = count.map(|count| EventSeries { count, last_observed_time: MicroTime(now) });
        let note = Some(notice.note.clone());
        let count = match &series {
            Some(_) => {
                let event = Event { series: series.clone(), note: note.clone(), ..Event::default() };
                Some(requests.patch(&name, &PatchParams::default(), &Patch::Merge(event)).ok()?)
            }
            None => None,
        };
        let event = Event {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(now)),
            type_: Some(if notice.warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(notice.reason.to_owned()),
            action: Some(notice.action.to_owned()),
            note,
            regarding: Some(object.clone()),
            reporting_controller: Some(FIELD_MANAGER.to_owned()),
            reporting_instance: Some(instance.to_owned()),
            series,
            ..Event::default()
        };
        let create = requests.create(&PostParams::default(), serde_json::to_vec(&event).ok()?).ok()?;
        Some(Self { count, create })
    }

    /// Publish it. Returns what came of it, for metrics.
    pub async fn send(self, client: Client, object: &ObjectReference) -> &'static str {
        let call = |request| timeout(SEND_TIMEOUT, client.request::<IgnoredAny>(request));
        let counted = match self.count {
            Some(count) => Some(call(count).await),
            None => None,
        };
        let sent = match counted {
            Some(Ok(Err(kube::Error::Api(status)))) if status.is_not_found() => call(self.create).await,
            Some(counted) => counted,
            None => call(self.create).await,
        };
        let ObjectReference { kind, namespace, name, .. } = object;
        if matches!(&sent, Ok(Err(kube::Error::Api(status))) if status.is_already_exists()) {
            debug!(kind, namespace, name, "an earlier process has told that");
            return WRITTEN;
        }
        let error = match sent.map(|sent| sent.map_err(ApplyError::from)) {
            Ok(Ok(_)) => return WRITTEN,
            Ok(Err(error)) => error,
            Err(_elapsed) => ApplyError::TimedOut,
        };
        match &error {
            ApplyError::Gone => debug!(kind, namespace, name, "the namespace is gone"),
            ApplyError::TimedOut => warn!(kind, namespace, name, "publishing an Event took too long"),
            _ => warn!(kind, namespace, name, %error, "could not publish an Event"),
        }
        error.label()
    }
}

/// The name of a new Event that says this about an object.
pub fn name(object: &ObjectReference, notice: &Notice, now: Timestamp) -> String {
    let regarded = object.name.as_deref().unwrap_or("issuer");
    match &object.uid {
        Some(uid) if notice.once => only_event_name(regarded, uid, notice.reason),
        _ => event_name(regarded, now),
    }
}

/// `<object>.<nanoseconds in hexadecimal>`, as client-go does it.
fn event_name(object: &str, now: Timestamp) -> String {
    name_of(object, &format!("{:x}", now.as_nanosecond()))
}

/// The name of the Event that an object has once: the API server keeps a second one of it from being made, for as long as
/// it keeps the first (an hour by default). That takes no read, and no call at all while the process runs.
fn only_event_name(object: &str, uid: &str, reason: &str) -> String {
    let digest = digest(&SHA256, format!("{uid} {reason}").as_bytes());
    name_of(object, &hex::encode(digest.as_ref().get(..8).unwrap_or_default()))
}

/// Within the 253 characters of a name.
fn name_of(object: &str, suffix: &str) -> String {
    let object = object.get(..220).unwrap_or(object).trim_end_matches(['.', '-']);
    // That of a CertificateSigningRequest may be nearly any text.
    let object = if object.parse::<ObjectName>().is_ok() { object } else { "request" };
    format!("{object}.{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        assert!(event_name(&"a".repeat(253), now).len() <= 253);
        assert_eq!(event_name("web-1", now), "web-1.17979cfe362a0000");
        let only = |uid, reason| only_event_name("web-1", uid, reason);
        assert_eq!(only("a", "WaitingApproval"), only("a", "WaitingApproval"));
        assert_ne!(only("a", "WaitingApproval"), only("b", "WaitingApproval"));
        assert_ne!(only("a", "WaitingApproval"), only("a", "Other"));
        assert_eq!(only("a", "WaitingApproval").len(), "web-1.".len() + 16);
        assert_eq!(event_name("Web 1?", now), "request.17979cfe362a0000");
    }
}

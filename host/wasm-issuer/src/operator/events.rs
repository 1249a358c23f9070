//! Publishes Events behind the work: a bounded queue, so that no certificate waits for one.
//!
//! kube's own `Recorder` is not used because it counts two Events with one reason and different notes as the same
//! and keeps only the first note, and because each publication walks all Events of the last minutes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::{Client, Resource};
use serde::de::IgnoredAny;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, warn};
use wasm_issuer_core::issuance::FIELD_MANAGER;
use wasm_issuer_core::issuance::plan::Notice;

use super::metrics::Metrics;

/// How many Events may wait. Beyond it they are dropped and counted: an Event is a courtesy, and memory is not.
const CAPACITY: usize = 8192;
/// How many are sent at a time, apart from the requests' own writes.
const IN_FLIGHT: usize = 4;
/// How long a warning that comes again is counted on its first Event instead of making another one.
const SERIES: Duration = Duration::from_secs(600);
const MAX_SERIES: usize = 4096;
const SEND_TIMEOUT: Duration = Duration::from_secs(15);

/// Where Events are handed in.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<(ObjectReference, Notice)>,
    allowances: Arc<Mutex<Allowances>>,
    metrics: Arc<Metrics>,
}

impl Events {
    /// Start the publisher; it ends when the last handle is dropped and the queue is empty. `instance` is the
    /// name of this process: its pod's.
    pub fn start(
        client: Client,
        instance: String,
        metrics: Arc<Metrics>,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(CAPACITY);
        let publisher = Publisher { client, instance, series: HashMap::new() };
        let task = tokio::spawn(publisher.run(waiting));
        (Self { queue, allowances: Arc::default(), metrics }, task)
    }

    /// Publish these about an object.
    pub fn publish(&self, object: &ObjectReference, notices: Vec<Notice>) {
        for notice in notices {
            // A plugin chooses the words of some Events, so that each may be a new one.
            let uid = object.uid.as_deref().unwrap_or_default();
            let mut allowances = self.allowances.lock().unwrap_or_else(PoisonError::into_inner);
            let allowed = allowances.take(uid, Instant::now());
            drop(allowances);
            if !allowed {
                self.metrics.events_dropped.inc();
                continue;
            }
            if self.queue.try_send((object.clone(), notice)).is_err() {
                let dropped = self.metrics.events_dropped.inc() + 1;
                if dropped.is_power_of_two() {
                    warn!(dropped, "Events are dropped: the API server takes them too slowly");
                }
            }
        }
    }
}

/// How many Events an object may have: some at once, then a few each minute (client-go has a filter like it).
#[derive(Default)]
struct Allowances(HashMap<String, Allowance>);

struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowances {
    const AT_ONCE: f64 = 25.0;
    const PER_SECOND: f64 = 0.1;
    const MAX: usize = 16_384;

    fn take(&mut self, uid: &str, now: Instant) -> bool {
        let refilled = |old: &Allowance| {
            let more = now.saturating_duration_since(old.at).as_secs_f64() * Self::PER_SECOND;
            (old.left + more).min(Self::AT_ONCE)
        };
        if self.0.len() >= Self::MAX {
            self.0.retain(|_, old| refilled(old) < Self::AT_ONCE);
        }
        let left = self.0.get(uid).map_or(Self::AT_ONCE, refilled);
        if left < 1.0 || (self.0.len() >= Self::MAX && !self.0.contains_key(uid)) {
            return false;
        }
        self.0.insert(uid.to_owned(), Allowance { left: left - 1.0, at: now });
        true
    }
}

/// A warning that was published and may come again.
struct Series {
    name: String,
    count: i32,
    last: Instant,
}

type SeriesKey = (Option<String>, &'static str, String);

struct Publisher {
    client: Client,
    instance: String,
    series: HashMap<SeriesKey, Series>,
}

impl Publisher {
    async fn run(mut self, mut waiting: mpsc::Receiver<(ObjectReference, Notice)>) {
        let mut sending = tokio::task::JoinSet::new();
        while let Some((object, notice)) = waiting.recv().await {
            while sending.len() >= IN_FLIGHT {
                sending.join_next().await;
            }
            let client = self.client.clone();
            let request = self.request(&object, &notice);
            sending.spawn(async move {
                let Some(request) = request else { return };
                let sent = tokio::time::timeout(SEND_TIMEOUT, client.request::<IgnoredAny>(request)).await;
                match sent {
                    Ok(Ok(_)) => {}
                    Ok(Err(kube::Error::Api(status))) if status.is_not_found() => {
                        debug!(object = ?object.name, "the namespace or the Event is gone");
                    }
                    Ok(Err(error)) => warn!(object = ?object.name, %error, "could not publish an Event"),
                    Err(_) => warn!(object = ?object.name, "publishing an Event took too long"),
                }
            });
        }
        while sending.join_next().await.is_some() {}
    }

    /// The call that publishes it: a new Event, or a count on the one before.
    fn request(&mut self, object: &ObjectReference, notice: &Notice) -> Option<http::Request<Vec<u8>>> {
        let now = Timestamp::now();
        // The Events of cluster-scoped objects live in `default` (API conventions).
        let namespace = object.namespace.as_deref().unwrap_or("default");
        let requests = Request::new(Event::url_path(&(), Some(namespace)));
        let name = event_name(object.name.as_deref().unwrap_or("issuer"), now);
        if notice.warning
            && let Some((name, count)) = self.repeat(object, notice, &name)
        {
            let event = Event {
                series: Some(EventSeries { count, last_observed_time: MicroTime(now) }),
                note: Some(notice.note.clone()),
                ..Event::default()
            };
            return requests.patch(&name, &PatchParams::default(), &Patch::Merge(event)).ok();
        }
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
            note: Some(notice.note.clone()),
            regarding: Some(object.clone()),
            reporting_controller: Some(FIELD_MANAGER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        };
        requests.create(&PostParams::default(), serde_json::to_vec(&event).ok()?).ok()
    }

    /// The name and the count of the Event that this one repeats; remembers it if there is none.
    fn repeat(&mut self, object: &ObjectReference, notice: &Notice, name: &str) -> Option<(String, i32)> {
        let now = Instant::now();
        let key = (object.uid.clone(), notice.reason, notice.note.clone());
        if let Some(series) = self.series.get_mut(&key).filter(|s| now - s.last < SERIES) {
            series.count = series.count.saturating_add(1);
            series.last = now;
            return Some((series.name.clone(), series.count));
        }
        if self.series.len() >= MAX_SERIES {
            self.series.retain(|_, s| now - s.last < SERIES);
        }
        if self.series.len() < MAX_SERIES {
            self.series.insert(key, Series { name: name.to_owned(), count: 1, last: now });
        }
        None
    }
}

/// `<object>.<nanoseconds in hexadecimal>`, as client-go does it, within the 253 characters of a name.
fn event_name(object: &str, now: Timestamp) -> String {
    let object = object.get(..220).unwrap_or(object);
    format!("{}.{:x}", object.trim_end_matches(['.', '-']), now.as_nanosecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_some_events_at_once_and_then_few() {
        let mut allowances = Allowances::default();
        let now = Instant::now();
        assert_eq!((0..100).filter(|_| allowances.take("a", now)).count(), 25);
        assert!(allowances.take("b", now), "each object has its own");
        assert!(!allowances.take("a", now + Duration::from_secs(9)));
        assert!(allowances.take("a", now + Duration::from_secs(20)));
    }

    #[test]
    fn names_fit() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        assert!(event_name(&"a".repeat(253), now).len() <= 253);
        assert_eq!(event_name("web-1", now), "web-1.17979cfe362a0000");
    }
}

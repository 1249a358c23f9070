//! Publishes Events behind the work, so that no certificate waits for one.
//!
//! What is scarce is shared between namespaces: the places of those that wait, and the turns of those that are sent. A
//! namespace that floods neither delays the Events of others nor has them dropped. Events of one object are sent one
//! after the other, in the order in which they were handed in.
//!
//! kube's own `Recorder` is not used because it counts two Events with one reason and different notes as the same
//! and keeps only the first note, and because each publication walks all Events of the last minutes.

mod allowance;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use allowance::Allowances;
use aws_lc_rs::digest::{SHA256, digest};
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesUnordered, StreamExt as _};
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
use wasm_issuer_core::issuance::reason::EventReason;
use wasm_issuer_runtime::{FairSlot, FairSlots, Owner};

use super::apply::{ApplyError, WRITTEN};
use super::leadership::Fence;
use super::metrics::Metrics;
use super::shared::SharedMap;
use crate::api::ObjectName;

/// How many Events may wait. Beyond it they are dropped and counted: an Event is a courtesy, and memory is not.
const WAITING: usize = 8192;
/// How many are sent at a time, apart from the requests' own writes; for one namespace half of them.
const IN_FLIGHT: usize = 8;
/// How long a warning that comes again is counted on its first Event instead of making another one.
const SERIES: Duration = Duration::from_secs(600);
const MAX_SERIES: usize = 4096;
const SEND_TIMEOUT: Duration = Duration::from_secs(15);

/// Where Events are handed in.
#[derive(Clone)]
pub struct Events {
    /// Unbounded as such: each takes a place.
    queue: mpsc::UnboundedSender<HandedIn>,
    places: Arc<FairSlots>,
    allowances: Arc<Mutex<Allowances>>,
    metrics: Arc<Metrics>,
}

/// An Event that waits.
struct HandedIn {
    /// The object's namespace and uid.
    owner: Owner,
    object: ObjectReference,
    notice: Notice,
    /// It is sent only by whom works for the object's Issuer.
    fence: Fence,
    place: FairSlot,
}

impl Events {
    /// Start the publisher; it ends when the last handle is dropped and all is sent. `instance` is the name of this
    /// process: its pod's.
    pub fn start(
        client: Client,
        instance: String,
        metrics: Arc<Metrics>,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, handed_in) = mpsc::unbounded_channel();
        let publisher = Publisher {
            client,
            metrics: metrics.clone(),
            instance,
            series: SharedMap::new(MAX_SERIES),
            turns: FairSlots::new(IN_FLIGHT),
            lanes: HashMap::new(),
            steps: FuturesUnordered::new(),
        };
        let task = tokio::spawn(publisher.run(handed_in));
        (Self { queue, places: FairSlots::new(WAITING), allowances: Arc::default(), metrics }, task)
    }

    /// Publish these about an object, on its namespace's account, as long as the fence stands.
    pub fn publish(&self, fence: &Fence, object: &ObjectReference, notices: Vec<Notice>) {
        self.publish_for(fence, object.namespace.as_deref().unwrap_or_default(), object, notices);
    }

    /// Publish these about an object on this namespace's account, as long as the fence stands.
    pub fn publish_for(
        &self,
        fence: &Fence,
        namespace: &str,
        object: &ObjectReference,
        notices: Vec<Notice>,
    ) {
        if notices.is_empty() {
            return;
        }
        let uid = object.uid.as_deref().unwrap_or_default();
        let owner = Owner::new(namespace, uid);
        for notice in notices {
            // A plugin chooses the words of some Events, so that each may be a new one.
            let mut allowances = self.allowances.lock().unwrap_or_else(PoisonError::into_inner);
            let allowed = allowances.take(&owner, notice.warning, Instant::now());
            drop(allowances);
            if !allowed {
                self.metrics.events_dropped.inc();
                continue;
            }
            let Some(place) = self.places.try_acquire(&owner) else {
                let dropped = self.metrics.events_dropped.inc() + 1;
                if dropped.is_power_of_two() {
                    warn!(dropped, "Events are dropped: the API server takes them too slowly");
                }
                continue;
            };
            let (owner, object, fence) = (owner.clone(), object.clone(), fence.clone());
            let event = HandedIn { owner, object, notice, fence, place };
            // No publisher: it ends after the last handle.
            let _ = self.queue.send(event);
        }
    }
}

/// A warning that was published and may come again.
struct Series {
    name: String,
    count: i32,
    last: Instant,
}

type SeriesKey = (Option<String>, EventReason, String);

struct Publisher {
    client: Client,
    metrics: Arc<Metrics>,
    instance: String,
    series: SharedMap<SeriesKey, Series>,
    turns: Arc<FairSlots>,
    /// What waits, by object. Each object here has one step under way.
    lanes: HashMap<Owner, VecDeque<HandedIn>>,
    steps: FuturesUnordered<BoxFuture<'static, Step>>,
}

enum Step {
    /// It is the object's turn.
    Turn(Owner, FairSlot),
    /// One of its Events was sent, or is given up.
    Sent(Owner),
}

impl Publisher {
    async fn run(mut self, mut handed_in: mpsc::UnboundedReceiver<HandedIn>) {
        loop {
            tokio::select! {
                Some(event) = handed_in.recv() => self.take_in(event),
                Some(step) = self.steps.next() => match step {
                    Step::Turn(owner, turn) => self.send(owner, turn),
                    Step::Sent(owner) => self.wait(owner),
                },
                else => return,
            }
        }
    }

    fn take_in(&mut self, event: HandedIn) {
        let owner = event.owner.clone();
        match self.lanes.entry(owner.clone()) {
            Entry::Occupied(lane) => lane.into_mut().push_back(event),
            Entry::Vacant(lane) => {
                lane.insert(VecDeque::from([event]));
                self.wait(owner);
            }
        }
    }

    /// Wait for the object's next turn; without anything that waits it has no lane.
    fn wait(&mut self, owner: Owner) {
        if self.lanes.get(&owner).is_none_or(VecDeque::is_empty) {
            self.lanes.remove(&owner);
            return;
        }
        let turns = self.turns.clone();
        let turn = async move {
            let turn = turns.acquire(&owner).await;
            Step::Turn(owner, turn)
        };
        self.steps.push(turn.boxed());
    }

    fn send(&mut self, owner: Owner, turn: FairSlot) {
        let next = self.lanes.get_mut(&owner).and_then(VecDeque::pop_front);
        let Some(HandedIn { object, notice, fence, place, .. }) = next else { return };
        let request = self.request(&owner, &object, &notice);
        let (client, metrics) = (self.client.clone(), self.metrics.clone());
        let sending = async move {
            let _held = (turn, place);
            if let Some(request) = request {
                let sent = fence.guard(send(client, request, &object)).await;
                metrics.wrote_event(sent.unwrap_or_else(|lost| ApplyError::from(lost).label()));
            }
            Step::Sent(owner)
        };
        self.steps.push(sending.boxed());
    }

    /// The call that publishes it: a new Event, or a count on the one before.
    fn request(
        &mut self,
        owner: &Owner,
        object: &ObjectReference,
        notice: &Notice,
    ) -> Option<http::Request<Vec<u8>>> {
        let now = Timestamp::now();
        // The Events of cluster-scoped objects live in `default` (API conventions).
        let namespace = object.namespace.as_deref().unwrap_or("default");
        let requests = Request::new(Event::url_path(&(), Some(namespace)));
        let regarded = object.name.as_deref().unwrap_or("issuer");
        let name = match &object.uid {
            Some(uid) if notice.once => only_event_name(regarded, uid, notice.reason.as_str()),
            _ => event_name(regarded, now),
        };
        if notice.warning
            && !notice.once
            && let Some((name, count)) = self.repeat(owner, object, notice, &name)
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
            reason: Some(notice.reason.to_string()),
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
    fn repeat(
        &mut self,
        owner: &Owner,
        object: &ObjectReference,
        notice: &Notice,
        name: &str,
    ) -> Option<(String, i32)> {
        let now = Instant::now();
        let is_over = |series: &Series| now - series.last >= SERIES;
        let key = (object.uid.clone(), notice.reason, notice.note.clone());
        let new = Series { name: name.to_owned(), count: 1, last: now };
        match self.series.get_mut(&key) {
            Some(series) if is_over(series) => *series = new,
            Some(series) => {
                series.count = series.count.saturating_add(1);
                series.last = now;
                return Some((series.name.clone(), series.count));
            }
            // Where there is no place for it, it makes another Event when it comes again.
            None => {
                self.series.insert(key, new, owner, is_over);
            }
        }
        None
    }
}

/// Returns what came of it, for metrics.
async fn send(client: Client, request: http::Request<Vec<u8>>, object: &ObjectReference) -> &'static str {
    let sending = tokio::time::timeout(SEND_TIMEOUT, client.request::<IgnoredAny>(request)).await;
    let ObjectReference { kind, namespace, name, .. } = object;
    if matches!(&sending, Ok(Err(kube::Error::Api(status))) if status.is_already_exists()) {
        debug!(kind, namespace, name, "an earlier process has told that");
        return WRITTEN;
    }
    let error = match sending.map(|sent| sent.map_err(ApplyError::from)) {
        Ok(Ok(_)) => return WRITTEN,
        Ok(Err(error)) => error,
        Err(_elapsed) => ApplyError::TimedOut,
    };
    match &error {
        ApplyError::Gone => debug!(kind, namespace, name, "the namespace or the Event is gone"),
        ApplyError::TimedOut => warn!(kind, namespace, name, "publishing an Event took too long"),
        _ => warn!(kind, namespace, name, %error, "could not publish an Event"),
    }
    error.label()
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

//! Publishes Events behind the work, so that no certificate waits for one.
//!
//! What is scarce is shared between namespaces: the places of those that wait, and the turns of those that are sent. A
//! namespace that floods neither delays the Events of others nor has them dropped. Events of one object are sent one
//! after the other, in the order in which they were handed in.
//!
//! kube's own `Recorder` is not used because it counts two Events with one reason and different notes as the same
//! and keeps only the first note, and because each publication walks all Events of the last minutes.

mod allowance;
mod publication;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use allowance::Allowances;
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesUnordered, StreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use publication::Publication;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::warn;
use wasm_issuer_core::issuance::plan::Notice;
use wasm_issuer_core::issuance::reason::EventReason;
use wasm_issuer_runtime::{FairSlot, FairSlots, Owner};

use super::api_turns::Pace;
use super::apply::ApplyError;
use super::leadership::Fence;
use super::metrics::Metrics;
use super::shared::SharedMap;

/// How many Events may wait. Beyond it they are dropped and counted: an Event is a courtesy, and memory is not.
const WAITING: usize = 8192;
/// How many are sent at a time, apart from the requests' own writes; for one namespace half of them. They
/// can wait, and what the API server does for them keeps others waiting.
const IN_FLIGHT: usize = 4;
/// How long a warning that comes again is counted on its first Event instead of making another one.
const SERIES: Duration = Duration::from_secs(600);
const MAX_SERIES: usize = 4096;

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
            pace: Arc::default(),
            lanes: HashMap::new(),
            steps: FuturesUnordered::new(),
            ending: watch::Sender::new(false),
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
    /// Of those that do not tell of a certificate.
    pace: Arc<Pace>,
    /// What waits, by object. Each object here has one step under way.
    lanes: HashMap<Owner, VecDeque<HandedIn>>,
    steps: FuturesUnordered<BoxFuture<'static, Step>>,
    /// The last handle was dropped: the process stops, and what is left is not held up.
    ending: watch::Sender<bool>,
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
                event = handed_in.recv(), if !*self.ending.borrow() => match event {
                    Some(event) => self.take_in(event),
                    None => drop(self.ending.send_replace(true)),
                },
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
        let Some(event) = self.lanes.get(&owner).and_then(VecDeque::front) else {
            self.lanes.remove(&owner);
            return;
        };
        let hurries = event.notice.reason == EventReason::Issued;
        let (turns, pace, mut ending) = (self.turns.clone(), self.pace.clone(), self.ending.subscribe());
        let turn = async move {
            if !hurries {
                tokio::select! {
                    () = pace.turn(&owner) => {}
                    Ok(_) = ending.wait_for(|ending| *ending) => {}
                }
            }
            let turn = turns.acquire(&owner).await;
            Step::Turn(owner, turn)
        };
        self.steps.push(turn.boxed());
    }

    fn send(&mut self, owner: Owner, turn: FairSlot) {
        let next = self.lanes.get_mut(&owner).and_then(VecDeque::pop_front);
        let Some(HandedIn { object, notice, fence, place, .. }) = next else { return };
        let publication = self.publication(&owner, &object, &notice);
        let (client, metrics) = (self.client.clone(), self.metrics.clone());
        let sending = async move {
            let _held = (turn, place);
            if let Some(publication) = publication {
                let sent = fence.guard(publication.send(client, &object)).await;
                metrics.wrote_event(sent.unwrap_or_else(|lost| ApplyError::from(lost).label()));
            }
            Step::Sent(owner)
        };
        self.steps.push(sending.boxed());
    }

    /// How it is published: as a new Event, or as a count on the one before.
    fn publication(
        &mut self,
        owner: &Owner,
        object: &ObjectReference,
        notice: &Notice,
    ) -> Option<Publication> {
        let now = Timestamp::now();
        let name = publication::name(object, notice, now);
        let counts = notice.warning && !notice.once;
        let repeat = if counts { self.repeat(owner, object, notice, &name) } else { None };
        let (name, count) = repeat.map_or((name, None), |(name, count)| (name, Some(count)));
        Publication::of(&self.instance, object, notice, (name, count), now)
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

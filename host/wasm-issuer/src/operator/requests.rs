//! The requests' side: watches requests of both kinds and hands them, fairly, to [`Signing`].

mod asked;
mod audited;
mod certificate_request;
mod handled;
mod objects;
mod observe;
mod parking;
mod queue;
mod reference;
mod sign;
mod signing_request;
mod tell;
mod unfinished;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use asked::Asked;
use futures::stream::select_all;
use futures::{FutureExt as _, StreamExt};
use handled::Handled;
use kube::Client;
use kube::runtime::watcher::Event;
pub use observe::RequestObject;
use observe::{Observed, RequestKey};
use parking::{InParking, Parking};
pub use queue::Limits;
use queue::{Lane, Queue};
pub use sign::Signing;
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{error, info, warn};
use unfinished::{Change, Entry, Finished, Unfinished};
use wasm_issuer_core::issuance::plan::{FIRST_STATUS_AFTER, Next};
use wasm_issuer_core::issuance::request::Tries;
use wasm_issuer_core::issuance::request_issuer::{IssuerNews, is_woken_by_issuer};
use wasm_issuer_core::issuance::request_kind::RequestKind;
use wasm_issuer_core::issuance::write;
use wasm_issuer_runtime::FairBytes;

use super::clock::now;
use super::health::Synced;
use super::namespaces::{Namespaces, Part};
use super::registry::IssuerChanges;
use super::watching;
use crate::api::{IssuerKey, IssuerKind};

/// How long requests in flight may take to finish when the operator is stopped. Kubernetes waits for 30 s.
const DRAIN: Duration = Duration::from_secs(25);
/// How long to wait between two requests that are told that they wait: a write each, which work must not lack.
const TELLING_PAUSE: Duration = Duration::from_millis(10);
/// Within which time the requests of an Issuer that was mended are tried again.
const WAKE_SPREAD: Duration = Duration::from_millis(250);
/// When to look again at a request whose handling panicked.
const AFTER_PANIC: Duration = Duration::from_secs(60);

/// The unfinished requests, and what happens to them.
pub struct Requests {
    kinds: &'static [RequestKind],
    signing: Arc<Signing>,
    synced: Synced,
    namespaces: Namespaces,
    unfinished: Unfinished,
    queue: Queue<RequestKey, Option<IssuerKey>>,
    running: JoinSet<Handled>,
    /// Which request a task handles, and which version of it.
    handles: HashMap<Id, (RequestKey, Arc<Observed>)>,
    parking: Parking,
    /// One that is being told that it waits, and no other meanwhile: who works comes first.
    telling: JoinSet<Option<Observed>>,
}

impl Requests {
    /// Those of these kinds, in these namespaces. `memory` is for what unfinished requests ask for.
    pub fn new(
        kinds: &'static [RequestKind],
        signing: Arc<Signing>,
        synced: Synced,
        limits: Limits,
        memory: Arc<FairBytes>,
        namespaces: Namespaces,
    ) -> Self {
        Self {
            kinds,
            signing,
            synced,
            unfinished: Unfinished::new(memory, namespaces.clone()),
            namespaces,
            queue: Queue::new(limits),
            running: JoinSet::new(),
            handles: HashMap::new(),
            parking: Parking::default(),
            telling: JoinSet::new(),
        }
    }

    /// Handle requests until `stop` says so; then let those in flight finish.
    pub async fn run(
        mut self,
        client: Client,
        mut issuer_changes: IssuerChanges,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut events =
            select_all(self.namespaces.of_requests(self.kinds).into_iter().map(|(kind, part)| {
                let (synced, client) = (self.synced.clone(), client.clone());
                let watch = async move {
                    synced.issuers(&part).await;
                    objects::watch(client, kind, part)
                };
                watch.flatten_stream().boxed()
            }));
        let mut leadership = self.signing.leadership.changes();
        let mut pulse = self.synced.pulse("requests");
        loop {
            self.dispatch();
            self.tell_waiting();
            let late = self.queue.oldest_arrival().filter(|_| self.telling.is_empty());
            let late = late.map(|at| at + FIRST_STATUS_AFTER);
            let wake = self.queue.next_wake().into_iter().chain(late).min();
            let timer = async {
                match wake {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            self.signing.metrics.in_flight.set(self.running.len() as i64);
            tokio::select! {
                Some((kind, part, event)) = events.next() => match event {
                    Ok(event) => self.observe(kind, &part, event),
                    Err(error) => {
                        self.signing.metrics.watch_broke(kind.into());
                        watching::tell_broken(&format!("{kind}s"), part.as_deref(), &error, objects::hint(kind));
                    }
                },
                Some(done) = self.running.join_next_with_id() => self.handled(done),
                Some(told) = self.telling.join_next() => {
                    if let Ok(Some(now)) = told {
                        self.unfinished.take_in(Arc::new(now));
                    }
                }
                Some((issuer, news)) = issuer_changes.recv() => self.issuer_changed(&issuer, news),
                Ok(()) = leadership.changed() => self.leadership_changed(),
                () = timer => {}
                () = pulse.beat() => self.measure(),
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        self.drain().await;
    }

    async fn drain(mut self) {
        let left = self.running.len();
        info!(in_flight = left, "stopping: requests in flight are finished first");
        let finish = async {
            self.write_parked();
            while let Some(done) = self.running.join_next_with_id().await {
                self.handled(done);
                self.write_parked();
            }
        };
        if timeout(DRAIN, finish).await.is_err() {
            warn!(
                in_flight = self.running.len(),
                "stopping without the rest; they are tried again after the start"
            );
        }
    }

    /// Write what could not be written yet, without waiting for a turn: what a CA has done is not to be lost.
    fn write_parked(&mut self) {
        for (key, entry) in self.unfinished.iter_mut() {
            let Some(parked) = entry.parked.take().map(InParking::leave) else { continue };
            let (signing, observed, tries) = (self.signing.clone(), entry.observed.clone(), entry.tries);
            let delay = entry.next.delay().filter(|_| parked.tried).unwrap_or_default();
            let handle = self.running.spawn(async move {
                sleep(delay).await;
                signing.handle(observed, tries, Some(parked)).await
            });
            self.handles.insert(handle.id(), (key.clone(), entry.observed.clone()));
        }
    }

    fn dispatch(&mut self) {
        let now = Instant::now();
        while let Some((key, waited)) = self.queue.pop(now) {
            self.signing.metrics.waited_for_turn(waited);
            let Some(entry) = self.unfinished.get_mut(&key) else {
                self.queue.done(&key);
                continue;
            };
            let (signing, observed, tries) = (self.signing.clone(), entry.observed.clone(), entry.tries);
            // What hurries it from now on is news.
            entry.tries.hurried = false;
            let parked = entry.parked.take().map(InParking::leave);
            let handle = self.running.spawn(async move { signing.handle(observed, tries, parked).await });
            self.handles.insert(handle.id(), (key, entry.observed.clone()));
        }
    }

    /// Tell one that waits for its turn for long that it does.
    fn tell_waiting(&mut self) {
        while self.telling.is_empty()
            && let Some(key) =
                Instant::now().checked_sub(FIRST_STATUS_AFTER).and_then(|since| self.queue.pop_late(since))
        {
            let Some(entry) = self.unfinished.get_mut(&key) else { continue };
            let (signing, observed) = (self.signing.clone(), entry.observed.clone());
            self.telling.spawn(async move {
                let now = signing.tell_waiting(&observed).await?;
                sleep(TELLING_PAUSE).await;
                Some(now)
            });
        }
    }

    fn observe(&mut self, kind: RequestKind, part: &Part, event: Event<Option<Observed>>) {
        audited::saw_event(&self.signing.audit, &event);
        let is_listed = matches!(event, Event::InitDone);
        for change in self.unfinished.observe(kind, part, event) {
            match change {
                Change::News(key) => {
                    if let Some(entry) = self.unfinished.get_mut(&key) {
                        entry.decide_anew();
                        let lane = lane(&entry.observed);
                        self.queue.push(key, lane);
                    }
                }
                Change::Gone(key) => self.queue.forget(&key),
                Change::Finished(finished) => {
                    let Finished { request, before, parked } = *finished;
                    self.queue.forget(&request.key);
                    self.signing.tell_landed(&request, parked.as_ref());
                    before.into_iter().for_each(|tries| self.signing.record_denial(&request, tries));
                }
            }
        }
        if is_listed {
            self.synced.mark(kind.as_str(), part);
        }
    }

    fn handled(&mut self, done: Result<(Id, Handled), tokio::task::JoinError>) {
        let (id, handled) = match done {
            Ok((id, handled)) => (id, Some(handled)),
            Err(error) => {
                let key = self.handles.get(&error.id()).map(|(key, _)| key);
                let kind = key.map(|key| key.kind.as_str());
                let namespace = key.and_then(|key| key.namespace.as_deref());
                let request = key.map(|key| key.name.as_str());
                error!(kind, namespace, request, %error, "handling a request failed in an unforeseen way");
                (error.id(), None)
            }
        };
        let Some((key, version)) = self.handles.remove(&id) else { return };
        let queued_again = self.queue.done(&key);
        let Some(entry) = self.unfinished.get_mut(&key) else { return };
        let lane = lane(&entry.observed);
        let Some(handled) = handled else {
            self.queue.push_at(key, lane, Instant::now() + AFTER_PANIC);
            return;
        };
        if entry.observed.uid() == version.uid() {
            // What hurried it before is answered by now, if the plugin was called; what has hurried it meanwhile is not.
            let hurried = entry.tries.hurried || handled.tries.hurried;
            entry.tries = Tries { hurried, ..handled.tries };
            if handled.finished {
                match handled.now {
                    // Kept until the watch has brought it: an older version that comes before is no news then.
                    Some(now) => self.unfinished.take_in(now),
                    None => self.forget(&key),
                }
                return;
            }
        }
        let mut next = handled.next;
        let parked = handled.parked.filter(|parked| !parked.is_overtaken(queued_again));
        if let Some(parked) = parked.filter(|_| entry.observed.uid() == version.uid()) {
            match self.parking.park(entry.observed.account(), parked) {
                Some(parked) => entry.parked = Some(parked),
                None => next = Next::After(write::NO_ROOM),
            }
        }
        // The watch may have brought another version meanwhile, and may be behind this process's own write.
        entry.next = next;
        if let Some(now) = handled.now {
            self.unfinished.take_in(now);
        }
        if let Some(delay) = next.delay()
            && !queued_again
        {
            self.queue.push_at(key, lane, Instant::now() + delay);
        }
    }

    fn issuer_changed(&mut self, issuer: &IssuerKey, news: IssuerNews) {
        for key in self.unfinished.of(issuer) {
            let Some(entry) = self.unfinished.get_mut(&key) else { continue };
            let is_running = self.queue.is_running(&key);
            if !is_woken_by_issuer(entry.next, is_running, news) {
                continue;
            }
            entry.decide_anew();
            entry.tries.hurried |= news == IssuerNews::Touched;
            let lane = lane(&entry.observed);
            if entry.next.delay().is_some() && !is_running {
                // Those that failed together do not come back together.
                let at = Instant::now() + WAKE_SPREAD.mul_f64(rand::random());
                self.queue.push_at(key, lane, at);
            } else {
                self.queue.push(key, lane);
            }
        }
    }

    /// Count what is unfinished.
    fn measure(&mut self) {
        let queue = &self.queue;
        let state = |(key, entry): (&RequestKey, &mut Entry)| {
            (entry.state(queue.place(key)), entry.observed.view.created)
        };
        let states: Vec<_> = self.unfinished.iter_mut().map(state).collect();
        self.signing.metrics.set_unfinished(&states, now());
    }

    /// What another process handled until now is this one's, maybe.
    fn leadership_changed(&mut self) {
        for (key, entry) in self.unfinished.iter_mut() {
            let waits = entry.next.delay().is_none() || self.queue.is_running(key);
            if waits && self.signing.fence_of(&entry.observed).is_some() {
                self.queue.push(key.clone(), lane(&entry.observed));
            }
        }
    }

    fn forget(&mut self, key: &RequestKey) {
        self.queue.forget(key);
        self.unfinished.remove(key);
    }
}

fn lane(observed: &Observed) -> Lane<Option<IssuerKey>> {
    let issuer = observed.issuer.clone();
    let is_shared = issuer.as_ref().is_some_and(|issuer| issuer.kind == IssuerKind::Cluster);
    Lane { issuer, namespace: observed.account().to_owned(), is_shared }
}

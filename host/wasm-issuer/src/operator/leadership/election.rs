//! All Leases that a process is a candidate for: one for each shard, and where there are several, those by which replicas
//! count each other and agree on how many shards there are.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::Event;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use wasm_issuer_core::lease::{Census, Terms};

use super::Leadership;
use super::candidate::{Candidate, Wish};
use super::fence::Fence;
use super::lease::{LABEL, LeaseClient};
use super::sight::Sight;
use crate::operator::clock::uptime;
use crate::operator::watching;

/// What to look at where Leases cannot be watched.
const HINT: &str = "may the ServiceAccount list them there (deploy/install.yaml)?";

/// How replicas agree on who works for which Issuers.
#[derive(Clone, Debug)]
pub struct ElectionConfig {
    /// Where the Leases are.
    pub namespace: String,
    /// Their name, or how the names of all begin.
    pub name: String,
    /// Who this process is; no other process is called so, not even the one before in the same pod.
    pub identity: String,
    /// By which times they are held.
    pub terms: Terms,
    /// Into how many shares the Issuers are divided, 1 or more: the same number for all replicas.
    pub shards: usize,
}

/// The Leases, and what is done about them.
pub struct Election {
    api: Api<Lease>,
    config: ElectionConfig,
    leadership: Leadership,
    wall_clock: fn() -> Timestamp,
}

/// One of the Leases.
struct Entry {
    sight: Sight,
    wish: watch::Sender<Wish>,
}

/// A list that is under way.
#[derive(Default)]
struct List {
    began: Duration,
    names: Vec<String>,
}

struct Leases {
    /// Held by all replicas together that have the same number of shards, so that those with another number wait for the last of
    /// them to end: their shards are others, and so are the Leases. The one shard of leader election has its name.
    layout: Option<String>,
    seats: Vec<String>,
    shards: Vec<String>,
    entries: HashMap<String, Entry>,
}

impl Election {
    /// Nothing is held before it runs.
    pub fn new(client: Client, config: ElectionConfig) -> Self {
        Self {
            api: Api::namespaced(client, &config.namespace),
            leadership: Leadership::none_of(config.shards),
            config,
            wall_clock: Timestamp::now,
        }
    }

    /// With another wall clock.
    #[cfg(test)]
    pub fn with_wall_clock(self, wall_clock: fn() -> Timestamp) -> Self {
        Self { wall_clock, ..self }
    }

    /// What this process works for.
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Take a fair share of the shards, and hold them. From `stop` on nothing more is taken; at `end` everything is let go, and
    /// then it returns. `watch_broke` is called when the watch of the Leases breaks, which then begins anew.
    pub async fn run(
        self,
        mut stop: watch::Receiver<bool>,
        mut end: watch::Receiver<bool>,
        watch_broke: impl Fn(),
    ) {
        let (leases, mut candidates) = self.candidates();
        let draw = rand::random_range(0..1 << 16);
        let config = watching::config().labels(&format!("{LABEL}={}", self.config.name));
        let mut events =
            kube::runtime::watcher(self.api.clone(), config).backoff(watching::Delays::default()).boxed();
        let mut list = List::default();
        loop {
            leases.wish(&self.config, draw, *stop.borrow());
            tokio::select! {
                Some(event) = events.next() => match event {
                    Ok(event) => leases.observe(event, &mut list),
                    Err(error) => {
                        watch_broke();
                        watching::tell_broken("Leases", Some(&self.config.namespace), &error, HINT);
                    }
                },
                Ok(()) = stop.changed() => {}
                // Leases run out although nothing is heard of them.
                () = sleep(self.config.terms.retry()) => {}
                // One ended before its time.
                Some(_) = candidates.join_next() => return,
                Ok(_) = end.wait_for(|end| *end) => break,
            }
        }
        for lease in leases.entries.values() {
            lease.wish.send_replace(Wish::End);
        }
        while candidates.join_next().await.is_some() {}
    }

    fn candidates(&self) -> (Leases, JoinSet<()>) {
        let mut candidates = JoinSet::new();
        let mut leases = Leases::named(&self.config);
        for (shard, name) in leases.shards.iter().enumerate() {
            let leadership = self.leadership.clone();
            let tell = move |fence| leadership.put(shard, fence);
            let lease = self.lease(name, self.config.identity.clone());
            leases.entries.insert(name.clone(), candidate(lease, tell, &mut candidates));
        }
        if let Some(name) = &leases.layout {
            let leadership = self.leadership.clone();
            let tell = move |fence| leadership.put_layout(fence);
            let us = format!("{name}-{}-shards", self.config.shards);
            let lease = LeaseClient { is_shared: true, ..self.lease(name, us) };
            leases.entries.insert(name.clone(), candidate(lease, tell, &mut candidates));
        }
        for name in &leases.seats {
            // What a seat says, others read.
            let lease = self.lease(name, self.config.identity.clone());
            leases.entries.insert(name.clone(), candidate(lease, drop, &mut candidates));
        }
        (leases, candidates)
    }

    fn lease(&self, name: &str, me: String) -> LeaseClient {
        LeaseClient {
            api: self.api.clone(),
            name: name.to_owned(),
            group: self.config.name.clone(),
            me,
            is_shared: false,
            terms: self.config.terms,
            wall_clock: self.wall_clock,
        }
    }
}

fn candidate(
    lease: LeaseClient,
    tell: impl FnMut(Option<Fence>) + Send + 'static,
    candidates: &mut JoinSet<()>,
) -> Entry {
    let (sight, wish) = (Sight::new(), watch::channel(Wish::Keep).0);
    candidates.spawn(Candidate::new(lease, sight.clone(), wish.subscribe(), tell).run());
    Entry { sight, wish }
}

impl Leases {
    fn named(config: &ElectionConfig) -> Self {
        let ElectionConfig { name, shards, .. } = config;
        let many = |what: &str| (0..*shards).map(|n| format!("{name}-{what}-{n}-of-{shards}")).collect();
        let (layout, seats, shards) = match *shards {
            1 => (None, vec![], vec![name.clone()]),
            _ => (Some(name.clone()), many("seat"), many("shard")),
        };
        Self { layout, seats, shards, entries: HashMap::new() }
    }

    /// Tell the candidates what is wished.
    fn wish(&self, config: &ElectionConfig, draw: usize, stop: bool) {
        let Some(census) = self.census(&config.terms) else { return };
        let wishes = census.wishes(&config.identity, draw);
        let names = self.seats.iter().chain(&self.shards).chain(&self.layout);
        for (name, wanted) in names.zip(wishes.seats.into_iter().chain(wishes.shards).chain([true])) {
            let wish = match wanted {
                _ if stop => Wish::Keep,
                true => Wish::Hold,
                false => Wish::Leave,
            };
            if let Some(lease) = self.entries.get(name) {
                lease.wish.send_if_modified(|before| std::mem::replace(before, wish) != wish);
            }
        }
    }

    /// Who holds what; none before the first list.
    fn census(&self, terms: &Terms) -> Option<Census> {
        let holder = |name: &String| Some(self.entries.get(name)?.sight.known()?.holder(terms));
        let holders = |names: &[String]| names.iter().map(holder).collect::<Option<Vec<_>>>();
        Some(Census { seats: holders(&self.seats)?, shards: holders(&self.shards)? })
    }

    /// Take in what the watch has brought.
    fn observe(&self, event: Event<Lease>, list: &mut List) {
        let name = |lease: &Lease| lease.metadata.name.clone().unwrap_or_default();
        match event {
            Event::Init => *list = List { began: uptime(), names: vec![] },
            Event::InitApply(lease) => {
                list.names.push(name(&lease));
                self.see(lease);
            }
            Event::InitDone => {
                let gone = self.entries.iter().filter(|(name, _)| !list.names.contains(name));
                gone.for_each(|(_, lease)| lease.sight.see_none(list.began));
            }
            Event::Apply(lease) => self.see(lease),
            Event::Delete(lease) => {
                self.entries.get(&name(&lease)).into_iter().for_each(|known| known.sight.see_deleted(&lease));
            }
        }
    }

    fn see(&self, lease: Lease) {
        if let Some(known) = lease.metadata.name.as_ref().and_then(|name| self.entries.get(name)) {
            known.sight.see(lease);
        }
    }
}

#[cfg(test)]
impl ElectionConfig {
    /// For a test's replica of that name.
    pub fn of(identity: &str, shards: usize) -> Self {
        Self {
            namespace: "operator".to_owned(),
            name: "wasm-issuer".to_owned(),
            identity: identity.to_owned(),
            terms: Terms::default(),
            shards,
        }
    }
}

//! Slots that namespaces, and within them Issuers, share: whatever is scarce in this process and whoever wants it all.
//!
//! Two rules. **Room is left**: an owner takes a slot only while it holds fewer than are free, so the first one gets at
//! most half, the next at most half of the rest, and a newcomer finds one free until many others hold all they may
//! (the dynamic thresholds of shared switch buffers). **Who had less goes first**: among the namespaces that wait, the
//! one that held slots for the shortest time since it began to compete (start-time fair queueing); within a namespace
//! its Issuers take turns. Slots are held for seconds and are not taken back, which is why the first rule is needed.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::lock::lock;

/// How many namespaces may be remembered that neither hold nor want a slot.
const MAX_IDLE: usize = 1024;

/// How many places of callers that have gone a namespace may have, beside one for each Issuer that waits.
const MAX_GIVEN_UP: usize = 64;

/// For whom a slot is held.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// The tenant: a namespace. What belongs to no namespace (a WasmClusterIssuer's own work) has the empty one.
    pub namespace: Arc<str>,
    /// The Issuer's name within it.
    pub issuer: Arc<str>,
}

impl Owner {
    /// The Issuer `issuer` in `namespace`, which is empty for what belongs to no namespace.
    pub fn new(namespace: &str, issuer: &str) -> Self {
        Self { namespace: namespace.into(), issuer: issuer.into() }
    }
}

/// A number of slots.
pub struct FairSlots {
    bounds: Bounds,
    state: Mutex<State>,
}

/// A slot that is held until it is dropped.
pub struct FairSlot {
    slots: Arc<FairSlots>,
    owner: Owner,
    since: Instant,
}

/// How many slots there are, and how many of them one namespace may hold at most.
#[derive(Clone, Copy)]
struct Bounds {
    total: usize,
    each: usize,
}

impl Bounds {
    /// How many are free when so many are held, as far as a namespace is concerned.
    fn free(self, held: usize) -> usize {
        self.total.saturating_sub(held).min(self.each)
    }
}

#[derive(Default)]
struct State {
    held: usize,
    namespaces: HashMap<Arc<str>, Namespace>,
    /// The namespaces that wait, by what they have used.
    waiting: BTreeSet<(Duration, Arc<str>)>,
    /// What the namespace that was served last had used: who comes anew starts from here, not from nothing.
    level: Duration,
}

#[derive(Default)]
struct Namespace {
    held: usize,
    /// Slot time, and never less than the level at which it last began to wait.
    used: Duration,
    issuers: HashMap<Arc<str>, Issuer>,
    /// The Issuers that wait, in the order of their turns.
    turns: VecDeque<Arc<str>>,
    /// How often somebody began to wait since those who had given up were forgotten.
    waits: usize,
}

#[derive(Default)]
struct Issuer {
    held: usize,
    waiting: VecDeque<oneshot::Sender<FairSlot>>,
}

impl FairSlots {
    /// So many slots, at least one.
    pub fn new(total: usize) -> Arc<Self> {
        Self::capped(total, total)
    }

    /// The same, where a namespace holds no more than `each`, at least one, however many are free.
    pub fn capped(total: usize, each: usize) -> Arc<Self> {
        let bounds = Bounds { total: total.max(1), each: each.max(1) };
        Arc::new(Self { bounds, state: Mutex::default() })
    }

    /// Wait for a slot. Dropping the future gives the place up.
    pub async fn acquire(self: &Arc<Self>, owner: &Owner) -> FairSlot {
        if lock(&self.state).take_at_once(owner, self.bounds) {
            return self.slot(owner.clone());
        }
        loop {
            let (sender, turn) = oneshot::channel();
            lock(&self.state).wait(owner, sender);
            self.hand_out();
            // A sender is dropped without a slot only where its owner's accounts went lost, which nothing does.
            if let Ok(slot) = turn.await {
                return slot;
            }
        }
    }

    /// A slot if the owner may take one now. A refusal leaves nothing behind.
    pub fn try_acquire(self: &Arc<Self>, owner: &Owner) -> Option<FairSlot> {
        let taken = lock(&self.state).take_now(owner, self.bounds);
        taken.then(|| self.slot(owner.clone()))
    }

    fn slot(self: &Arc<Self>, owner: Owner) -> FairSlot {
        FairSlot { slots: self.clone(), owner, since: Instant::now() }
    }

    /// Give free slots to those whose turn it is.
    fn hand_out(self: &Arc<Self>) {
        loop {
            let next = lock(&self.state).next(self.bounds);
            let Some((owner, turn)) = next else { return };
            // Who has gone meanwhile gives it back at once.
            drop(turn.send(self.slot(owner)));
        }
    }
}

impl Drop for FairSlot {
    fn drop(&mut self) {
        lock(&self.slots.state).give_back(&self.owner, self.since.elapsed());
        self.slots.hand_out();
    }
}

impl State {
    fn wait(&mut self, owner: &Owner, turn: oneshot::Sender<FairSlot>) {
        let namespace = self.namespaces.entry(owner.namespace.clone()).or_default();
        namespace.waits += 1;
        if namespace.waits > MAX_GIVEN_UP + namespace.turns.len() {
            namespace.forget_given_up();
            if namespace.turns.is_empty() {
                self.waiting.remove(&(namespace.used, owner.namespace.clone()));
            }
        }
        if namespace.turns.is_empty() {
            namespace.used = namespace.used.max(self.level);
            self.waiting.insert((namespace.used, owner.namespace.clone()));
        }
        let issuer = namespace.issuers.entry(owner.issuer.clone()).or_default();
        if issuer.waiting.is_empty() {
            namespace.turns.push_back(owner.issuer.clone());
        }
        issuer.waiting.push_back(turn);
    }

    /// Take a slot as whoever waits does, where nobody waits and it would be given at once.
    fn take_at_once(&mut self, owner: &Owner, bounds: Bounds) -> bool {
        if !self.waiting.is_empty() || !self.take_now(owner, bounds) {
            return false;
        }
        if let Some(namespace) = self.namespaces.get_mut(&owner.namespace) {
            namespace.used = namespace.used.max(self.level);
            self.level = namespace.used;
        }
        true
    }

    /// Take a slot without waiting, if this owner may.
    fn take_now(&mut self, owner: &Owner, bounds: Bounds) -> bool {
        let free = bounds.free(self.held);
        let namespace = self.namespaces.get(&owner.namespace);
        let of_namespace = namespace.map_or(0, |namespace| namespace.held);
        let of_issuer = namespace
            .and_then(|namespace| namespace.issuers.get(&owner.issuer))
            .map_or(0, |issuer| issuer.held);
        if of_namespace >= free || of_issuer >= share(free, of_namespace) {
            return false;
        }
        let namespace = self.namespaces.entry(owner.namespace.clone()).or_default();
        namespace.issuers.entry(owner.issuer.clone()).or_default().held += 1;
        namespace.held += 1;
        self.held += 1;
        true
    }

    /// Take a slot for the one whose turn it is.
    fn next(&mut self, bounds: Bounds) -> Option<(Owner, oneshot::Sender<FairSlot>)> {
        let free = bounds.free(self.held);
        if free == 0 {
            return None;
        }
        let mut done = Vec::new();
        let mut found = None;
        for place in &self.waiting {
            let (used, name) = place;
            let Some(namespace) = self.namespaces.get_mut(name) else { continue };
            let taken = namespace.next(free);
            if namespace.turns.is_empty() {
                done.push(place.clone());
            }
            if let Some((issuer, turn)) = taken {
                self.level = self.level.max(*used);
                self.held += 1;
                found = Some((Owner { namespace: name.clone(), issuer }, turn));
                break;
            }
        }
        for place in done {
            self.waiting.remove(&place);
        }
        found
    }

    fn give_back(&mut self, owner: &Owner, after: Duration) {
        self.held = self.held.saturating_sub(1);
        if self.held == 0 && self.waiting.is_empty() {
            // Nobody competes, so nobody is ahead: there are many of these, and most are at rest most of the time.
            *self = Self::default();
            return;
        }
        let Some(namespace) = self.namespaces.get_mut(&owner.namespace) else { return };
        let before = namespace.used;
        namespace.used += after;
        namespace.held = namespace.held.saturating_sub(1);
        namespace.give_back(&owner.issuer);
        if self.waiting.remove(&(before, owner.namespace.clone())) {
            self.waiting.insert((namespace.used, owner.namespace.clone()));
        }
        if self.namespaces.len() > MAX_IDLE {
            let level = self.level;
            self.namespaces.retain(|_, namespace| namespace.is_in_use() || namespace.used > level);
        }
    }
}

/// How many slots an Issuer may hold, of those that its namespace could still take: its Issuers share by the same rule.
fn share(free: usize, of_namespace: usize) -> usize {
    free.saturating_sub(of_namespace).max(1)
}

impl Namespace {
    /// Drop the places whose callers have gone. They would go with the namespace's next slot, which may be long in coming.
    fn forget_given_up(&mut self) {
        self.waits = 0;
        for issuer in self.issuers.values_mut() {
            issuer.waiting.retain(|turn| !turn.is_closed());
        }
        self.issuers.retain(|_, issuer| issuer.held > 0 || !issuer.waiting.is_empty());
        let issuers = &self.issuers;
        self.turns.retain(|name| issuers.get(name).is_some_and(|issuer| !issuer.waiting.is_empty()));
    }

    /// Take a slot for the Issuer whose turn it is, if any may take one.
    fn next(&mut self, free: usize) -> Option<(Arc<str>, oneshot::Sender<FairSlot>)> {
        if self.held >= free {
            return None;
        }
        let left = share(free, self.held);
        for _ in 0..self.turns.len() {
            let name = self.turns.pop_front()?;
            let issuer = self.issuers.get_mut(&name)?;
            while issuer.waiting.front().is_some_and(oneshot::Sender::is_closed) {
                issuer.waiting.pop_front();
            }
            let turn = if issuer.held < left { issuer.waiting.pop_front() } else { None };
            issuer.held += usize::from(turn.is_some());
            if !issuer.waiting.is_empty() {
                self.turns.push_back(name.clone());
            } else if issuer.held == 0 {
                self.issuers.remove(&name);
            }
            if let Some(turn) = turn {
                self.held += 1;
                return Some((name, turn));
            }
        }
        None
    }

    fn give_back(&mut self, name: &Arc<str>) {
        let Some(issuer) = self.issuers.get_mut(name) else { return };
        issuer.held = issuer.held.saturating_sub(1);
        if issuer.held == 0 && issuer.waiting.is_empty() {
            self.issuers.remove(name);
        }
    }

    fn is_in_use(&self) -> bool {
        self.held > 0 || !self.turns.is_empty()
    }
}

#[cfg(test)]
mod tests;

//! Which request is worked on next: a queue that is fair between Issuers and namespaces. Pure; the clock is an
//! argument.
//!
//! A lane is one Issuer's requests of one namespace. Lanes take turns, so a backlog in one does not delay another,
//! and no Issuer or namespace may hold more than its share of what is in flight, so slow ones leave room.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// How many requests may be handled at the same time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// In the whole process.
    pub total: usize,
    /// For one Issuer, from whichever namespaces.
    pub per_issuer: usize,
    /// In one namespace, for whichever Issuers.
    pub per_namespace: usize,
}

/// What a request's turn depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lane<I> {
    pub issuer: I,
    pub namespace: String,
    /// Whether the Issuer serves other namespaces too.
    pub is_shared: bool,
}

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It waits for its turn.
    Lane,
    /// It waits for a time.
    Delayed,
    /// It is being handled.
    Running,
    /// Nowhere: nothing is to be done about it.
    None,
}

/// Requests `K` that wait for their turn, wait for a time, or are being handled; `I` names Issuers.
pub struct Queue<K, I> {
    limits: Limits,
    waiting: HashMap<K, Waiting<I>>,
    delayed: BTreeSet<(Instant, u64)>,
    by_ticket: HashMap<u64, K>,
    lanes: HashMap<Lane<I>, VecDeque<(K, u64)>>,
    turns: VecDeque<Lane<I>>,
    /// When each that is in a lane began to wait, oldest first; some are there no more.
    arrivals: VecDeque<(Instant, K, u64)>,
    running: usize,
    running_by_issuer: HashMap<I, usize>,
    running_by_namespace: HashMap<String, usize>,
    running_by_lane: HashMap<Lane<I>, usize>,
    last_ticket: u64,
}

struct Waiting<I> {
    lane: Lane<I>,
    state: State,
}

enum State {
    /// In its lane, with the ticket that its place there carries, since then.
    Queued(u64, Instant),
    Delayed(Instant, u64),
    Running {
        again: bool,
    },
}

impl<K: Clone + Eq + Hash, I: Clone + Eq + Hash> Queue<K, I> {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            waiting: HashMap::new(),
            delayed: BTreeSet::new(),
            by_ticket: HashMap::new(),
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            arrivals: VecDeque::new(),
            running: 0,
            running_by_issuer: HashMap::new(),
            running_by_namespace: HashMap::new(),
            running_by_lane: HashMap::new(),
            last_ticket: 0,
        }
    }

    /// Work on it as soon as its turn comes. One that is running runs once more.
    pub fn push(&mut self, key: K, lane: Lane<I>) {
        match self.waiting.get_mut(&key).map(|e| &mut e.state) {
            Some(State::Queued(..)) => return,
            Some(State::Running { again }) => {
                *again = true;
                return;
            }
            Some(State::Delayed(at, ticket)) => {
                self.delayed.remove(&(*at, *ticket));
                self.by_ticket.remove(ticket);
            }
            None => {}
        }
        let ticket = self.ticket();
        let places = self.lanes.entry(lane.clone()).or_default();
        if places.is_empty() {
            self.turns.push_back(lane.clone());
        }
        places.push_back((key.clone(), ticket));
        let now = Instant::now();
        self.arrivals.push_back((now, key.clone(), ticket));
        self.waiting.insert(key, Waiting { lane, state: State::Queued(ticket, now) });
    }

    /// Work on it at that time, unless it is pushed before. No effect on one that is queued or running.
    pub fn push_at(&mut self, key: K, lane: Lane<I>, at: Instant) {
        match self.waiting.get(&key).map(|e| &e.state) {
            Some(State::Queued(..) | State::Running { .. }) => return,
            Some(State::Delayed(old, ticket)) => {
                self.delayed.remove(&(*old, *ticket));
                self.by_ticket.remove(ticket);
            }
            None => {}
        }
        let ticket = self.ticket();
        self.delayed.insert((at, ticket));
        self.by_ticket.insert(ticket, key.clone());
        self.waiting.insert(key, Waiting { lane, state: State::Delayed(at, ticket) });
    }

    /// The next one to work on, and how long it has waited for its turn; it counts as running until [`Queue::done`].
    pub fn pop(&mut self, now: Instant) -> Option<(K, Duration)> {
        self.wake(now);
        if self.running >= self.limits.total {
            return None;
        }
        for _ in 0..self.turns.len() {
            let lane = self.turns.pop_front()?;
            let blocked = self.is_full(&lane);
            let key = if blocked { None } else { self.take_from(&lane) };
            match self.lanes.get(&lane) {
                Some(places) if !places.is_empty() => self.turns.push_back(lane.clone()),
                _ => {
                    self.lanes.remove(&lane);
                }
            }
            if let Some(key) = key {
                self.running += 1;
                *self.running_by_issuer.entry(lane.issuer.clone()).or_default() += 1;
                *self.running_by_namespace.entry(lane.namespace.clone()).or_default() += 1;
                *self.running_by_lane.entry(lane.clone()).or_default() += 1;
                let running = Waiting { lane, state: State::Running { again: false } };
                let waited = match self.waiting.insert(key.clone(), running) {
                    Some(Waiting { state: State::Queued(_, since), .. }) => {
                        now.saturating_duration_since(since)
                    }
                    _ => Duration::ZERO,
                };
                return Some((key, waited));
            }
        }
        None
    }

    /// It is not running any more. True if it was pushed meanwhile, and then it is queued again.
    pub fn done(&mut self, key: &K) -> bool {
        let Some(Waiting { lane, state: State::Running { again } }) = self.waiting.remove(key) else {
            return false;
        };
        self.running -= 1;
        release(&mut self.running_by_issuer, &lane.issuer);
        release(&mut self.running_by_namespace, &lane.namespace);
        release(&mut self.running_by_lane, &lane);
        if again {
            self.push(key.clone(), lane);
        }
        again
    }

    /// Do not work on it; one that is running is let finish.
    pub fn forget(&mut self, key: &K) {
        match self.waiting.get_mut(key).map(|e| &mut e.state) {
            Some(State::Running { again }) => *again = false,
            Some(State::Delayed(at, ticket)) => {
                self.delayed.remove(&(*at, *ticket));
                self.by_ticket.remove(ticket);
                self.waiting.remove(key);
            }
            // Its place in the lane stays and is passed over: the ticket is not current any more.
            Some(State::Queued(..)) => {
                self.waiting.remove(key);
            }
            None => {}
        }
    }

    /// One that has been waiting for its turn since then or longer; each is returned once.
    pub fn pop_late(&mut self, since: Instant) -> Option<K> {
        while self.oldest_arrival()? <= since {
            let (_, key, ticket) = self.arrivals.pop_front()?;
            if self.is_queued(&key, ticket) {
                return Some(key);
            }
        }
        None
    }

    /// When the one that has been waiting longest for its turn began to.
    pub fn oldest_arrival(&self) -> Option<Instant> {
        self.arrivals.front().map(|(at, _, _)| *at)
    }

    /// Where it is.
    pub fn place(&self, key: &K) -> Place {
        match self.waiting.get(key).map(|e| &e.state) {
            Some(State::Queued(..)) => Place::Lane,
            Some(State::Delayed(..)) => Place::Delayed,
            Some(State::Running { .. }) => Place::Running,
            None => Place::None,
        }
    }

    /// Whether it is being worked on.
    pub fn is_running(&self, key: &K) -> bool {
        self.place(key) == Place::Running
    }

    /// When the next delayed one is due.
    pub fn next_wake(&self) -> Option<Instant> {
        self.delayed.first().map(|(at, _)| *at)
    }

    #[cfg(test)]
    fn running(&self) -> usize {
        self.running
    }

    fn wake(&mut self, now: Instant) {
        while let Some(&(at, ticket)) = self.delayed.first().filter(|(at, _)| *at <= now) {
            self.delayed.remove(&(at, ticket));
            let due = self.by_ticket.remove(&ticket).and_then(|key| self.waiting.remove_entry(&key));
            if let Some((key, entry)) = due {
                self.push(key, entry.lane);
            }
        }
    }

    fn take_from(&mut self, lane: &Lane<I>) -> Option<K> {
        while let Some((key, ticket)) = self.lanes.get_mut(lane)?.pop_front() {
            if self.is_queued(&key, ticket) {
                return Some(key);
            }
        }
        None
    }

    /// Whether it is in a lane, at the place with that ticket.
    fn is_queued(&self, key: &K, ticket: u64) -> bool {
        let state = self.waiting.get(key).map(|e| &e.state);
        matches!(state, Some(State::Queued(current, _)) if *current == ticket)
    }

    fn is_full(&self, lane: &Lane<I>) -> bool {
        let of_issuer = self.running_by_issuer.get(&lane.issuer).copied().unwrap_or(0);
        let of_namespace = self.running_by_namespace.get(&lane.namespace).copied().unwrap_or(0);
        // As the runtime shares its slots: a namespace leaves as many as it has, so that who comes late finds one free.
        let free = self.limits.total.saturating_sub(self.running);
        let free_of_issuer = self.limits.per_issuer.saturating_sub(of_issuer);
        let of_lane = self.running_by_lane.get(lane).copied().unwrap_or(0);
        free_of_issuer == 0
            || (lane.is_shared && of_lane >= free_of_issuer)
            || of_namespace >= self.limits.per_namespace.min(free)
    }

    fn ticket(&mut self) -> u64 {
        self.last_ticket += 1;
        self.last_ticket
    }
}

fn release<T: Eq + Hash>(counts: &mut HashMap<T, usize>, key: &T) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;

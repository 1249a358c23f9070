//! The audit: a line for each decision about a request, in a stream of its own (docs/audit.md).
//!
//! A line is written once it is known what became of the decision. Most often the answer to the write of the status says
//! so. Where that answer is lost, the request does, when it is read again or the watch brings it; until then the decision
//! stays among the open ones. What is decided anew, because it was not written and cost nothing, leaves no line; a
//! certificate always does.

mod output;
mod queue;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use output::Output;
use queue::Queue;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tracing::error;
use wasm_issuer_core::issuance::audit::{Decision, Record, Written};
use wasm_issuer_runtime::{FairBytes, Share};

use super::metrics::Metrics;

/// What all lines that wait, and all decisions of which nobody knows what became of them, may take: in bytes.
const ROOM: usize = 8 << 20;
/// How long what became of a decision may be unknown.
const UNKNOWN_FOR: Duration = Duration::from_secs(3600);
/// How long the last lines may take when the operator is stopped.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Where the audit goes.
pub struct AuditOutput(Box<dyn Output>);

impl AuditOutput {
    /// Open what `--audit` names: a file, which is made if there is none, or stdout by `-`.
    pub fn open(name: &Path) -> std::io::Result<Self> {
        output::open(name).map(Self)
    }

    /// Whatever takes lines.
    #[cfg(test)]
    pub fn new(output: impl Output + 'static) -> Self {
        Self(Box::new(output))
    }
}

/// The audit, or none. Clones are the same one.
#[derive(Clone)]
pub struct Audit(Option<Arc<Ledger>>);

/// What was decided and not written down yet.
struct Ledger {
    queue: Queue,
    room: Arc<FairBytes>,
    /// By the uid of the request.
    open: Mutex<HashMap<String, Vec<Arc<Entry>>>>,
}

/// A decision, and the status that says so.
struct Entry {
    mark: u64,
    state: Mutex<State>,
}

struct State {
    /// None once it is written down.
    record: Option<Box<Record>>,
    /// Whether a try to write the status is under way.
    under_way: bool,
    /// Whether one had no answer: the status may be written, without anybody having said so.
    unanswered: bool,
    /// What came of the last try to write it.
    why: String,
    /// Set once nobody tries to write it any more.
    left: Option<Left>,
}

impl State {
    /// Whether the status may be written, as far as this process knows.
    fn may_be_written(&self) -> bool {
        self.unanswered || self.under_way
    }
}

struct Left {
    since: Instant,
    _room: Share,
}

/// A decision whose status is to be written. Dropping it says that nobody will.
pub struct Ticket {
    ledger: Arc<Ledger>,
    uid: String,
    entry: Arc<Entry>,
}

impl Audit {
    /// None.
    pub fn off() -> Self {
        Self(None)
    }

    /// One that writes there.
    pub fn start(output: AuditOutput, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let room = FairBytes::new(ROOM);
        let queue = Queue::start(output.0, room.clone(), metrics)?;
        Ok(Self(Some(Arc::new(Ledger { queue, room, open: Mutex::default() }))))
    }

    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Something was decided, and is to be written. `mark` tells the status that says so from others.
    pub fn decided(&self, mark: u64, record: Box<Record>) -> Option<Ticket> {
        let ledger = self.0.clone()?;
        let why = "nobody has tried to write it".to_owned();
        let uid = record.object.uid.clone();
        let state = State { record: Some(record), under_way: false, unanswered: false, why, left: None };
        let entry = Arc::new(Entry { mark, state: Mutex::new(state) });
        lock(&ledger.open).entry(uid.clone()).or_default().push(entry.clone());
        Some(Ticket { ledger, uid, entry })
    }

    /// Whether something is open: only then requests need be looked at.
    pub fn is_waiting(&self) -> bool {
        self.0.as_ref().is_some_and(|ledger| !lock(&ledger.open).is_empty())
    }

    /// A request is finished, by a status of this mark.
    pub fn saw(&self, uid: &str, mark: u64) {
        self.settle(uid, |entry| {
            if entry.mark == mark {
                Some(Written::Yes)
            } else {
                lock(&entry.state).left.is_some().then_some(Written::No)
            }
        });
    }

    /// A request is gone.
    pub fn saw_deleted(&self, uid: &str) {
        self.settle(uid, |entry| lock(&entry.state).left.is_some().then_some(Written::No));
    }

    fn settle(&self, uid: &str, written: impl Fn(&Entry) -> Option<Written>) {
        let Some(ledger) = &self.0 else { return };
        let entries = lock(&ledger.open).get(uid).cloned().unwrap_or_default();
        for entry in entries {
            if let Some(written) = written(&entry) {
                ledger.close(uid, &entry, written);
            }
        }
    }

    /// Wait until all that is known is written.
    #[cfg(test)]
    pub fn flush(&self) -> bool {
        self.0.as_ref().is_none_or(|ledger| ledger.queue.flush(Duration::from_secs(60)))
    }

    /// Open the file again whenever this process gets SIGHUP.
    pub async fn follow_hangups(self) {
        let Some(ledger) = &self.0 else { return std::future::pending().await };
        match signal(SignalKind::hangup()) {
            Ok(mut hangups) => {
                while hangups.recv().await.is_some() {
                    ledger.queue.reopen();
                }
            }
            Err(error) => error!(%error, "--audit: SIGHUP is not listened to"),
        }
        std::future::pending().await
    }

    /// Write what is left, for as long as that may take. Of what is still open nobody knows what became of it.
    pub async fn finish(self) {
        let Some(ledger) = self.0 else { return };
        let written = tokio::task::spawn_blocking(move || {
            ledger.close_all();
            ledger.queue.stop();
            ledger.queue.flush(LAST_LINES)
        });
        if !written.await.unwrap_or_default() {
            error!("--audit: the last records are lost: what is written to takes no more");
        }
    }
}

impl Ticket {
    /// The API server has said that the status is written.
    pub fn written(self) {
        self.ledger.close(&self.uid, &self.entry, Written::Yes);
    }

    /// A try to write it begins.
    pub fn begin(&self) {
        let mut state = lock(&self.entry.state);
        state.under_way = true;
        "the operator was stopped".clone_into(&mut state.why);
    }

    /// A try to write it failed; `unanswered` if it may be written all the same.
    pub fn not_written(&self, why: &str, unanswered: bool) {
        let mut state = lock(&self.entry.state);
        state.under_way = false;
        state.unanswered |= unanswered;
        why.clone_into(&mut state.why);
    }

    /// The memory that it takes, in bytes, about.
    pub fn size(&self) -> usize {
        lock(&self.entry.state).record.as_ref().map_or(0, |record| record.size())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.ledger.leave(&self.uid, &self.entry);
    }
}

impl Ledger {
    /// Nobody tries any more to write what was decided. What may be written stays open for a while.
    fn leave(&self, uid: &str, entry: &Arc<Entry>) {
        let mut state = lock(&entry.state);
        let Some(record) = &state.record else { return };
        if !state.may_be_written() {
            drop(state);
            return self.close(uid, entry, Written::No);
        }
        let mut room = self.room.share(owner(record));
        if room.grow(record.size()).is_err() {
            drop(state);
            return self.close(uid, entry, Written::Unknown);
        }
        state.left = Some(Left { since: Instant::now(), _room: room });
        drop(state);
        self.close_left(|left| left.since.elapsed() > UNKNOWN_FOR);
    }

    /// What became of those that were left, and are like that, will not be known any more.
    fn close_left(&self, is: impl Fn(&Left) -> bool) {
        for (uid, entry) in self.all() {
            if lock(&entry.state).left.as_ref().is_some_and(&is) {
                self.close(&uid, &entry, Written::Unknown);
            }
        }
    }

    /// Nothing more will be known of any.
    fn close_all(&self) {
        for (uid, entry) in self.all() {
            let written = if lock(&entry.state).may_be_written() { Written::Unknown } else { Written::No };
            self.close(&uid, &entry, written);
        }
    }

    fn all(&self) -> Vec<(String, Arc<Entry>)> {
        let open = lock(&self.open);
        open.iter().flat_map(|(uid, of)| of.iter().map(|entry| (uid.clone(), entry.clone()))).collect()
    }

    /// It is known what became of a decision: write it down, if nobody has done so.
    fn close(&self, uid: &str, entry: &Arc<Entry>, written: Written) {
        let (record, why) = {
            let mut state = lock(&entry.state);
            state.left = None;
            (state.record.take(), std::mem::take(&mut state.why))
        };
        let mut open = lock(&self.open);
        if let Some(entries) = open.get_mut(uid) {
            entries.retain(|other| !Arc::ptr_eq(other, entry));
            if entries.is_empty() {
                open.remove(uid);
            }
        }
        drop(open);
        if let Some(record) = record {
            self.write(*record, written, &why);
        }
    }

    fn write(&self, record: Record, written: Written, why: &str) {
        // What cost nothing is decided anew.
        if written == Written::No && record.decision != Decision::Issued {
            return;
        }
        let record = if written == Written::Yes { record } else { record.unwritten(written, why) };
        match serde_json::to_string(&record) {
            Ok(line) => self.queue.push(owner(&record), line + "\n"),
            Err(error) => error!(%error, "--audit: a record is no JSON"),
        }
    }
}

/// On whose account a record is.
fn owner(record: &Record) -> &str {
    record.object.namespace.as_deref().unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is locked is changed by single steps that do not panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

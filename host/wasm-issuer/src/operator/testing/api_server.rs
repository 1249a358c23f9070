//! An API server in memory: objects with versions and managed fields, lists, watches, and faults on request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::objects::Object;
use super::rights::{Right, Rights};
use super::store::{Store, Target, version};

/// How long a test waits, on the paused clock, for what must come.
const PATIENCE: Duration = Duration::from_secs(1800);

/// The API server. Clones are the same one.
#[derive(Clone)]
pub struct ScriptedApi(Arc<Inner>);

struct Inner {
    store: Mutex<Store>,
    calls: Mutex<Calls>,
    /// What the client may do; everything, unless a test says otherwise.
    rights: Mutex<Option<Rights>>,
    /// The watches that are open, by what they are of.
    open: Mutex<Vec<String>>,
    /// Wakes the watches.
    changed: watch::Sender<u64>,
    /// How often all watches were broken off.
    breaks: AtomicU64,
}

/// What was called, and what will go wrong how often.
#[derive(Default)]
struct Calls {
    made: Vec<Call>,
    faults: Vec<(Call, usize, Fault)>,
}

/// A call of the API server, as far as tests tell calls apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// A single object is read.
    Get(Object),
    /// The objects of a kind (by plural) are listed, in all namespaces or those of one name.
    List(String),
    /// All objects of a kind (by plural) in a namespace are listed, or the next page of them.
    ListNamespace(String, String),
    /// The objects of a kind (by plural) are watched.
    Watch(String),
    /// The status of an object is applied.
    WriteStatus(Object),
    /// A Lease is created or replaced.
    WriteLease(Object),
    /// It is asked whether somebody may do something.
    Review,
    /// An Event is created, or counted once more.
    Event,
}

/// What goes wrong with a call.
#[derive(Clone)]
pub enum Fault {
    /// This code is answered, and nothing happens.
    Code(u16),
    /// Nothing happens and nothing is answered. A list and a watch end after 30 s, by the client's time-out.
    Hang,
    /// It happens after so long.
    Late(Duration),
    /// It happens, but the answer gets lost.
    AnswerLost,
    /// Somebody else does this just before.
    Overtaken(Arc<dyn Fn(&ScriptedApi) + Send + Sync>),
}

/// A watch that is open until this is dropped.
pub(super) struct OpenWatch {
    server: ScriptedApi,
    watch: String,
}

impl Drop for OpenWatch {
    fn drop(&mut self) {
        let mut open = self.server.0.open.lock().unwrap();
        let found = open.iter().position(|open| *open == self.watch);
        open.swap_remove(found.unwrap());
    }
}

impl Fault {
    /// Somebody else does this just before.
    pub fn overtaken(act: impl Fn(&ScriptedApi) + Send + Sync + 'static) -> Self {
        Self::Overtaken(Arc::new(act))
    }
}

impl ScriptedApi {
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            store: Mutex::default(),
            calls: Mutex::default(),
            rights: Mutex::default(),
            open: Mutex::default(),
            changed: watch::channel(0).0,
            breaks: AtomicU64::default(),
        }))
    }

    /// Somebody creates an object, or replaces it, but for its status where `value` has none.
    pub fn put(&self, object: &Object, mut value: Value) {
        let mut store = self.store();
        let old = store.objects.get(object).cloned();
        let kind = if old.is_some() { "MODIFIED" } else { "ADDED" };
        let old = old.unwrap_or_else(|| store.new_object(object));
        for (field, given) in old["metadata"].as_object().into_iter().flatten() {
            if value["metadata"].get(field).is_none() {
                value["metadata"][field] = given.clone();
            }
        }
        if value.get("status").is_none() && old.get("status").is_some() {
            value["status"] = old["status"].clone();
        }
        if value["spec"] != old["spec"] {
            let generation = old["metadata"]["generation"].as_u64().unwrap_or_default();
            value["metadata"]["generation"] = (generation + 1).into();
        }
        store.commit(object, value, kind);
        drop(store);
        self.tell();
    }

    pub fn edit(&self, object: &Object, change: impl FnOnce(&mut Value)) {
        let mut value = self.get(object).unwrap_or_else(|| panic!("there is no {object:?}"));
        change(&mut value);
        self.put(object, value);
    }

    pub fn delete(&self, object: &Object) {
        let mut store = self.store();
        if let Some(value) = store.objects.remove(object) {
            store.record(object, value, "DELETED");
        }
        drop(store);
        self.tell();
    }

    /// An object as it is now.
    pub fn get(&self, object: &Object) -> Option<Value> {
        self.store().objects.get(object).cloned()
    }

    /// A condition of an object, as `status reason: message`.
    pub fn condition(&self, object: &Object, type_: &str) -> Option<String> {
        let value = self.get(object)?;
        let conditions = value["status"]["conditions"].as_array()?;
        let condition = conditions.iter().find(|c| c["type"] == type_)?;
        let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
        Some(format!("{} {}: {}", text("status"), text("reason"), text("message")))
    }

    /// The reason and the note of every Event, oldest first.
    pub fn events(&self) -> Vec<String> {
        let store = self.store();
        let mut events: Vec<_> =
            store.objects.iter().filter(|(object, _)| object.plural == "events").collect();
        events.sort_by_key(|(_, event)| version(event));
        let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
        events.iter().map(|(_, e)| format!("{}: {}", text(e, "reason"), text(e, "note"))).collect()
    }

    /// How often an Event with that reason was told, on whichever object.
    pub fn told(&self, reason: &str) -> i64 {
        let store = self.store();
        let events = store.objects.iter().filter(|(object, _)| object.plural == "events");
        let same = events.filter(|(_, event)| event["reason"] == reason);
        same.map(|(_, event)| event["series"]["count"].as_i64().unwrap_or(1)).sum()
    }

    /// A user may refer to an Issuer of a namespace, `team-a/ca`; to all of them, `team-a/*`.
    pub fn allow_reference(&self, user: &str, issuer: &str) {
        self.store().references.insert(format!("{user} {issuer}"));
    }

    /// That right is taken back.
    pub fn forbid_reference(&self, user: &str, issuer: &str) {
        self.store().references.remove(&format!("{user} {issuer}"));
    }

    /// The specs of all SubjectAccessReviews that were asked for.
    pub fn reviews(&self) -> Vec<Value> {
        self.store().reviews.clone()
    }

    /// The next such call goes wrong.
    pub fn next(&self, call: Call, fault: Fault) {
        self.calls().faults.push((call, 1, fault));
    }

    /// Every such call goes wrong, until [`ScriptedApi::heal`].
    pub fn every(&self, call: Call, fault: Fault) {
        self.calls().faults.push((call, usize::MAX, fault));
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.calls().faults.clear();
    }

    /// The client may do this and nothing else.
    pub fn grant(&self, rights: Rights) {
        *self.0.rights.lock().unwrap() = Some(rights);
    }

    pub(super) fn allows(&self, asked: &Right) -> bool {
        self.0.rights.lock().unwrap().as_ref().is_none_or(|rights| rights.allow(asked))
    }

    /// Watches of a kind (by plural) deliver nothing that happens from now on, until they are told to.
    pub fn hold(&self, plural: &str) {
        let mut store = self.store();
        let version = store.version;
        store.held.insert(plural.to_owned(), version);
    }

    /// Watches of a kind that was held deliver the next thing that happened.
    pub fn deliver_next(&self, plural: &str) {
        let mut store = self.store();
        let held = store.held[plural];
        let next = store.history.iter().find(|(at, object, _)| *at > held && object.plural == plural);
        let at = next.map(|(at, ..)| *at).unwrap_or_else(|| panic!("nothing was held back of {plural}"));
        store.held.insert(plural.to_owned(), at);
        drop(store);
        self.tell();
    }

    /// Watches of a kind deliver everything again.
    pub fn release(&self, plural: &str) {
        self.store().held.remove(plural);
        self.tell();
    }

    /// All watches are broken off.
    pub fn break_watches(&self) {
        self.0.breaks.fetch_add(1, Ordering::Relaxed);
        self.tell();
    }

    /// How often that has happened.
    pub(super) fn breaks(&self) -> u64 {
        self.0.breaks.load(Ordering::Relaxed)
    }

    /// The connections of the watches of a kind (by plural) die: whoever watches already hears nothing more, not even that
    /// it is over.
    pub fn die(&self, plural: &str) {
        *self.store().deaths.entry(plural.to_owned()).or_default() += 1;
    }

    /// How many such calls there were.
    pub fn count(&self, call: &Call) -> usize {
        self.calls().made.iter().filter(|made| *made == call).count()
    }

    /// The watches of a kind (by plural) that are open, in alphabetical order: `team-a/auth`, or `team-a/*` for one of a
    /// whole namespace.
    pub fn watches(&self, plural: &str) -> Vec<String> {
        let open = self.0.open.lock().unwrap();
        let mut open: Vec<_> =
            open.iter().filter_map(|watch| watch.strip_prefix(plural)?.strip_prefix(' ')).collect();
        open.sort_unstable();
        open.into_iter().map(str::to_owned).collect()
    }

    /// A watch begins. It is open until what is returned is dropped.
    pub(super) fn open_watch(&self, target: &Target) -> OpenWatch {
        let watch = target.to_string();
        self.0.open.lock().unwrap().push(watch.clone());
        OpenWatch { server: self.clone(), watch }
    }

    /// Wait until something is true. Panics if it never is.
    pub async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let wait = async {
            while !done(self) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            panic!("never happened: {what}\n{:#?}\n{:#?}", self.calls().made, self.store().objects);
        }
    }

    /// Let the watches look for what is new.
    pub(super) fn tell(&self) {
        self.0.changed.send_modify(|count| *count += 1);
    }

    /// Resolves, again and again, when watches may have something to deliver.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.0.store.lock().unwrap()
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.calls.lock().unwrap()
    }

    /// A call begins. What goes wrong with it?
    pub(super) fn begin(&self, call: &Call) -> Option<Fault> {
        let mut calls = self.calls();
        calls.made.push(call.clone());
        let (_, left, fault) =
            calls.faults.iter_mut().find(|(wanted, left, _)| wanted == call && *left > 0)?;
        *left -= 1;
        Some(fault.clone())
    }

    /// The version and the line of the first event that a watch of these objects delivers after that version.
    pub(super) fn event_after(&self, target: &Target, since: u64) -> Option<(u64, String)> {
        let store = self.store();
        let limit = store.held.get(&target.plural).copied().unwrap_or(u64::MAX);
        let news = |at: u64| at > since && at <= limit;
        let news = store.history.iter().filter(|(at, object, _)| news(*at) && target.selects(object));
        news.into_iter().find_map(|(at, object, event)| {
            let earlier = store.history.iter().rev().find(|(then, other, _)| then < at && other == object);
            let event = target.delivers(event, earlier.map(|(.., event)| event))?;
            Some((*at, format!("{event}\n")))
        })
    }
}

//! An API server in memory: objects with versions and managed fields, lists, watches, and faults on request.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::stream;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::objects::Object;

/// How long a test waits, on the paused clock, for what must come.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The API server. Clones are the same one.
#[derive(Clone)]
pub struct ApiServer(Arc<Inner>);

struct Inner {
    store: Mutex<Store>,
    /// Wakes the watches.
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Store {
    version: u64,
    uids: u64,
    objects: BTreeMap<Object, Value>,
    /// What watches deliver: at which version, and the event.
    history: Vec<(u64, Object, Value)>,
    /// The kinds (by plural) whose watches are late, and up to which version they deliver.
    held: HashMap<String, u64>,
    faults: Vec<(Call, usize, Fault)>,
    calls: Vec<Call>,
}

/// A call of the API server, as far as tests tell calls apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// A single object is read.
    Get(Object),
    /// The objects of a kind (by plural) are listed.
    List(String),
    /// The objects of a kind (by plural) are watched.
    Watch(String),
    /// The status of an object is applied.
    WriteStatus(Object),
    /// An Event is created, or counted once more.
    Event,
}

/// What goes wrong with a call.
#[derive(Clone)]
pub enum Fault {
    /// This code is answered, and nothing happens.
    Code(u16),
    /// Nothing happens and nothing is answered.
    Hang,
    /// It happens, but the answer gets lost.
    AnswerLost,
    /// Somebody else is faster.
    After(Arc<dyn Fn(&ApiServer) + Send + Sync>),
}

impl Fault {
    /// Something that somebody else does before the call has its effect.
    pub fn after(act: impl Fn(&ApiServer) + Send + Sync + 'static) -> Self {
        Self::After(Arc::new(act))
    }
}

impl ApiServer {
    /// One without objects.
    pub fn new() -> Self {
        Self(Arc::new(Inner { store: Mutex::default(), changed: watch::channel(0).0 }))
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        let router: Router = Router::new().fallback(handle).with_state(self.clone());
        Client::new(router, "default")
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

    /// Somebody changes an object.
    pub fn edit(&self, object: &Object, change: impl FnOnce(&mut Value)) {
        let mut value = self.get(object).unwrap_or_else(|| panic!("there is no {object:?}"));
        change(&mut value);
        self.put(object, value);
    }

    /// Somebody deletes an object.
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

    /// The next such call goes wrong.
    pub fn next(&self, call: Call, fault: Fault) {
        self.store().faults.push((call, 1, fault));
    }

    /// Every such call goes wrong, until [`ApiServer::heal`].
    pub fn every(&self, call: Call, fault: Fault) {
        self.store().faults.push((call, usize::MAX, fault));
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.store().faults.clear();
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
        let (at, ..) = next.unwrap_or_else(|| panic!("nothing was held back of {plural}"));
        let at = *at;
        store.held.insert(plural.to_owned(), at);
        drop(store);
        self.tell();
    }

    /// Watches of a kind deliver everything again.
    pub fn release(&self, plural: &str) {
        self.store().held.remove(plural);
        self.tell();
    }

    /// How many such calls there were.
    pub fn count(&self, call: &Call) -> usize {
        self.store().calls.iter().filter(|made| *made == call).count()
    }

    /// Wait until something is true. Panics if it never is.
    pub async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let wait = async {
            while !done(self) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            let store = self.store();
            panic!("never happened: {what}\n{:#?}\n{:#?}", store.calls, store.objects);
        }
    }

    /// Let the watches look for what is new.
    fn tell(&self) {
        self.0.changed.send_modify(|count| *count += 1);
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.store.lock().unwrap()
    }

    fn begin(&self, call: &Call) -> Option<Fault> {
        let mut store = self.store();
        store.calls.push(call.clone());
        let position = store.faults.iter().position(|(wanted, left, _)| wanted == call && *left > 0)?;
        let (_, left, fault) = &mut store.faults[position];
        *left -= 1;
        Some(fault.clone())
    }

    fn watch(&self, target: Target, since: u64) -> Body {
        let changed = self.0.changed.subscribe();
        let events = stream::unfold((self.clone(), changed, since), move |(server, mut changed, since)| {
            let target = target.clone();
            async move {
                loop {
                    if let Some((at, line)) = server.event_after(&target, since) {
                        return Some((Ok::<_, Infallible>(line), (server, changed, at)));
                    }
                    changed.changed().await.ok()?;
                }
            }
        });
        Body::from_stream(events)
    }

    fn event_after(&self, target: &Target, since: u64) -> Option<(u64, String)> {
        let store = self.store();
        let limit = store.held.get(&target.plural).copied().unwrap_or(u64::MAX);
        let news = |at: u64| at > since && at <= limit;
        let (at, _, event) = store.history.iter().find(|(at, object, _)| news(*at) && target.selects(object))?;
        Some((*at, format!("{event}\n")))
    }
}

impl Store {
    /// The metadata that an object gets when it is created.
    fn new_object(&mut self, object: &Object) -> Value {
        self.uids += 1;
        json!({"metadata": {
            "name": object.name,
            "namespace": object.namespace,
            "uid": format!("uid-{}", self.uids),
            "generation": 0,
            "creationTimestamp": format!("{:.0}", jiff::Timestamp::now()),
        }})
    }

    /// Give an object a new version, and keep it.
    fn commit(&mut self, object: &Object, value: Value, kind: &str) {
        let value = self.record(object, value, kind);
        self.objects.insert(object.clone(), value);
    }

    /// Give an object a new version, and let the watches know.
    fn record(&mut self, object: &Object, mut value: Value, kind: &str) -> Value {
        self.version += 1;
        value["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.history.push((self.version, object.clone(), json!({"type": kind, "object": value})));
        value
    }

    /// A server-side apply of a status by the operator: what it applied before and leaves out now goes.
    fn apply_status(&mut self, object: &Object, body: &Value) -> Result<Value, u16> {
        let Some(old) = self.objects.get(object) else { return Err(404) };
        let wanted = &body["metadata"]["resourceVersion"];
        if !wanted.is_null() && *wanted != old["metadata"]["resourceVersion"] {
            return Err(409);
        }
        let mut new = old.clone();
        let owned = old["metadata"]["managedFields"][0]["fieldsV1"]["f:status"].clone();
        let mut conditions = new["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.retain(|c| owned["f:conditions"].get(condition_key(c)).is_none());
        for field in owned.as_object().into_iter().flat_map(|fields| fields.keys()) {
            if let Some(status) = new["status"].as_object_mut() {
                status.remove(field.trim_start_matches("f:"));
            }
        }
        let mut fields = json!({});
        for (field, value) in body["status"].as_object().into_iter().flatten() {
            if field == "conditions" {
                for applied in value.as_array().into_iter().flatten() {
                    conditions.retain(|c| c["type"] != applied["type"]);
                    conditions.push(applied.clone());
                    fields["f:conditions"][condition_key(applied)] = json!({".": {}});
                }
            } else {
                new["status"][field] = value.clone();
                fields[format!("f:{field}")] = json!({});
            }
        }
        new["status"]["conditions"] = conditions.into();
        new["metadata"]["managedFields"] = json!([{
            "manager": wasm_issuer_core::issuance::FIELD_MANAGER,
            "operation": "Apply",
            "subresource": "status",
            "fieldsV1": {"f:status": fields},
        }]);
        // An apply that changes nothing makes no new version.
        if new != *old {
            self.commit(object, new, "MODIFIED");
        }
        Ok(self.objects[object].clone())
    }
}

/// The key of a condition in managed fields.
fn condition_key(condition: &Value) -> String {
    format!("k:{}", json!({"type": condition["type"]}))
}

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok()).unwrap_or_default()
}

/// What a URL is about.
#[derive(Clone, Debug)]
struct Target {
    plural: String,
    namespace: Option<String>,
    /// From the path or the field selector.
    name: Option<String>,
}

impl Target {
    fn of(uri: &Uri) -> Self {
        let mut path: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
        path.drain(..if path[0] == "api" { 2 } else { 3 });
        let namespace = (path[0] == "namespaces").then(|| path[1].to_owned());
        if namespace.is_some() {
            path.drain(..2);
        }
        let selected =
            query(uri, "fieldSelector").and_then(|s| s.strip_prefix("metadata.name=").map(str::to_owned));
        let name = path.get(1).map(|&name| name.to_owned()).or(selected);
        Self { plural: path[0].to_owned(), namespace, name }
    }

    fn selects(&self, object: &Object) -> bool {
        self.plural == object.plural
            && self.namespace.as_ref().is_none_or(|n| Some(n) == object.namespace.as_ref())
            && self.name.as_ref().is_none_or(|n| *n == object.name)
    }

    fn object(&self) -> Object {
        let name = self.name.clone().unwrap_or_default();
        Object { plural: self.plural.clone(), namespace: self.namespace.clone(), name }
    }
}

/// A parameter of a URL. Only colons and equal signs are escaped in those that matter here.
fn query(uri: &Uri, name: &str) -> Option<String> {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()?;
    Some(value.replace("%3D", "=").replace("%3A", ":"))
}

async fn handle(State(server): State<ApiServer>, method: Method, uri: Uri, body: Bytes) -> Response {
    let target = Target::of(&uri);
    let is_watch = query(&uri, "watch").is_some();
    let is_single = uri.path().rsplit('/').next() != Some(target.plural.as_str());
    let call = match method {
        _ if target.plural == "events" => Call::Event,
        Method::PATCH => Call::WriteStatus(target.object()),
        _ if is_watch => Call::Watch(target.plural.clone()),
        _ if is_single => Call::Get(target.object()),
        _ => Call::List(target.plural.clone()),
    };
    let fault = server.begin(&call);
    match &fault {
        Some(Fault::Code(code)) => return failure(*code),
        Some(Fault::Hang) => std::future::pending::<()>().await,
        Some(Fault::After(act)) => act(&server),
        Some(Fault::AnswerLost) | None => {}
    }
    let answer = answer(&server, &call, target, &uri, &body);
    server.tell();
    if matches!(fault, Some(Fault::AnswerLost)) {
        std::future::pending::<()>().await;
    }
    answer
}

fn answer(server: &ApiServer, call: &Call, target: Target, uri: &Uri, body: &[u8]) -> Response {
    let mut store = server.store();
    match call {
        Call::Get(object) => match store.objects.get(object) {
            Some(value) => success(value),
            None => failure(404),
        },
        Call::List(plural) => {
            let items: Vec<&Value> =
                store.objects.iter().filter(|(object, _)| target.selects(object)).map(|(_, v)| v).collect();
            let version = store.version.to_string();
            success(&json!({
                "apiVersion": "v1", "kind": format!("{plural}List"),
                "metadata": {"resourceVersion": version}, "items": items,
            }))
        }
        Call::Watch(_) => {
            drop(store);
            let since = query(uri, "resourceVersion").and_then(|v| v.parse().ok()).unwrap_or_default();
            Response::new(server.watch(target, since))
        }
        Call::WriteStatus(object) => {
            let body: Value = serde_json::from_slice(body).unwrap();
            match store.apply_status(object, &body) {
                Ok(value) => success(&value),
                Err(code) => failure(code),
            }
        }
        Call::Event => {
            let event: Value = serde_json::from_slice(body).unwrap();
            let mut object = target.object();
            if let Some(name) = event["metadata"]["name"].as_str() {
                name.clone_into(&mut object.name);
            }
            let mut value = store.objects.get(&object).cloned().unwrap_or_else(|| json!({"metadata": {}}));
            for (field, given) in event.as_object().into_iter().flatten().filter(|(f, _)| *f != "metadata") {
                value[field] = given.clone();
            }
            store.commit(&object, value, "MODIFIED");
            success(&store.objects[&object])
        }
    }
}

fn success(value: &Value) -> Response {
    (StatusCode::OK, value.to_string()).into_response()
}

fn failure(code: u16) -> Response {
    let status = StatusCode::from_u16(code).unwrap();
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        403 => "Forbidden",
        _ => "InternalError",
    };
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": format!("scripted {code}"), "reason": reason, "code": code,
    });
    (status, body.to_string()).into_response()
}

//! What the API server in memory keeps: objects, and what happened to them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::objects::{Object, SIGNING_REQUESTS};

/// All objects. Writes by the operator are as the API server does them, by others as a test wants them.
#[derive(Default)]
pub struct Store {
    pub version: u64,
    pub uids: u64,
    pub objects: BTreeMap<Object, Value>,
    /// What watches deliver: at which version, and the event.
    pub history: Vec<(u64, Object, Value)>,
    /// The kinds (by plural) whose watches are late, and up to which version they deliver.
    pub held: HashMap<String, u64>,
    /// Which users may refer to which Issuers of which namespaces, `jane team-a/ca`.
    pub references: BTreeSet<String>,
    /// The reviews that were asked for.
    pub reviews: Vec<Value>,
    /// How often the connections of the watches of a kind (by plural) died.
    pub deaths: HashMap<String, u64>,
}

impl Store {
    /// The metadata that an object gets when it is created.
    pub fn new_object(&mut self, object: &Object) -> Value {
        self.uids += 1;
        json!({"metadata": {
            "name": object.name,
            "namespace": object.namespace,
            "uid": format!("uid-{}", self.uids),
            "generation": 0,
            "creationTimestamp": format!("{:.0}", jiff::Timestamp::now()),
        }})
    }

    /// How often the connections of the watches of a kind died.
    pub fn deaths_of(&self, plural: &str) -> u64 {
        self.deaths.get(plural).copied().unwrap_or_default()
    }

    /// Give an object a new version, and keep it.
    pub fn commit(&mut self, object: &Object, value: Value, kind: &str) {
        let value = self.record(object, value, kind);
        self.objects.insert(object.clone(), value);
    }

    /// Give an object a new version, and let the watches know.
    pub fn record(&mut self, object: &Object, mut value: Value, kind: &str) -> Value {
        self.version += 1;
        value["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.history.push((self.version, object.clone(), json!({"type": kind, "object": value})));
        value
    }

    /// A create, or a replace of the version that is named.
    pub fn write(&mut self, object: &Object, mut new: Value) -> Result<Value, u16> {
        let version = new["metadata"]["resourceVersion"].clone();
        let old = match self.objects.get(object).cloned() {
            Some(old) if old["metadata"]["resourceVersion"] == version => old,
            None if version.is_null() => {
                let fresh = self.new_object(object);
                for (field, given) in fresh["metadata"].as_object().into_iter().flatten() {
                    new["metadata"][field] = given.clone();
                }
                Value::Null
            }
            None => return Err(404),
            Some(_) => return Err(409),
        };
        // One that changes nothing makes no new version.
        if new != old {
            self.commit(object, new, "MODIFIED");
        }
        Ok(self.objects[object].clone())
    }

    /// A server-side apply of a status by the operator: what it applied before and leaves out now goes.
    pub fn apply_status(&mut self, object: &Object, body: &Value) -> Result<Value, u16> {
        let Some(old) = self.objects.get(object) else { return Err(404) };
        let wanted = &body["metadata"]["resourceVersion"];
        if !wanted.is_null() && *wanted != old["metadata"]["resourceVersion"] {
            return Err(409);
        }
        let mut new = old.clone();
        let owned = old["metadata"]["managedFields"][0]["fieldsV1"]["f:status"].clone();
        let mut conditions = new["status"]["conditions"].as_array().cloned().unwrap_or_default();
        // The API server does not keep who wrote the conditions of Kubernetes' own requests.
        let is_tracked = object.plural != SIGNING_REQUESTS;
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
                    if is_tracked {
                        fields["f:conditions"][condition_key(applied)] = json!({".": {}});
                    }
                }
            } else {
                new["status"][field] = value.clone();
                fields[format!("f:{field}")] = json!({});
            }
        }
        new["status"]["conditions"] = conditions.into();
        if object.plural == SIGNING_REQUESTS && !is_valid(&old["status"], &new["status"]) {
            return Err(422);
        }
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

/// Whether the API server takes this status of a CertificateSigningRequest after that one.
fn is_valid(old: &Value, new: &Value) -> bool {
    const FINAL: [&str; 3] = ["Approved", "Denied", "Failed"];
    let finals = |status: &Value| -> Vec<Value> {
        let all = status["conditions"].as_array().into_iter().flatten();
        all.filter(|c| FINAL.iter().any(|type_| c["type"] == *type_)).cloned().collect()
    };
    let is_pem = |certificate: &str| {
        let pem = BASE64_STANDARD.decode(certificate).unwrap();
        pem.starts_with(b"-----BEGIN CERTIFICATE-----\n")
    };
    let types = |status: &Value| finals(status).iter().map(|c| c["type"].clone()).collect::<Vec<_>>();
    finals(new).iter().all(|c| c["status"] == "True")
        && types(old).iter().all(|type_| types(new).contains(type_))
        && (old["certificate"].is_null() || old["certificate"] == new["certificate"])
        && new["certificate"].as_str().is_none_or(is_pem)
}

/// The key of a condition in managed fields.
fn condition_key(condition: &Value) -> String {
    format!("k:{}", json!({"type": condition["type"]}))
}

/// The version of an object.
pub fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok()).unwrap_or_default()
}

/// What a URL is about.
#[derive(Clone, Debug)]
pub struct Target {
    pub plural: String,
    pub namespace: Option<String>,
    /// From the path or the field selector.
    pub name: Option<String>,
    /// From the label selector, of which this server knows `name=value`, several with commas.
    pub labels: Vec<(String, String)>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "*".to_owned());
        write!(f, "{} {}/{}", self.plural, part(&self.namespace), part(&self.name))
    }
}

impl Target {
    /// Whether it is about this object.
    pub fn selects(&self, object: &Object) -> bool {
        self.plural == object.plural
            && self.namespace.as_ref().is_none_or(|n| Some(n) == object.namespace.as_ref())
            && self.name.as_ref().is_none_or(|n| *n == object.name)
    }

    /// Whether an object has the labels that it is about.
    pub fn selects_labels(&self, object: &Value) -> bool {
        self.labels.iter().all(|(name, value)| object["metadata"]["labels"][name] == value.as_str())
    }

    /// What a watch of it delivers of an event: one that takes an object out of what is selected is its deletion.
    pub fn delivers(&self, event: &Value, before: Option<&Value>) -> Option<Value> {
        let had = before
            .is_some_and(|before| before["type"] != "DELETED" && self.selects_labels(&before["object"]));
        let has = event["type"] != "DELETED" && self.selects_labels(&event["object"]);
        let mut event = event.clone();
        event["type"] = match (had, has) {
            (false, false) => return None,
            (false, true) => "ADDED".into(),
            (true, true) => "MODIFIED".into(),
            (true, false) => "DELETED".into(),
        };
        Some(event)
    }

    /// The object that it is about, if it is about one.
    pub fn object(&self) -> Object {
        let name = self.name.clone().unwrap_or_default();
        Object { plural: self.plural.clone(), namespace: self.namespace.clone(), name }
    }
}

//! Who led and when, by the Lease: what the processes themselves say of it does not matter.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use kube::api::ListParams;
use kube::core::Request;
use serde_json::Value;
use tokio::time::{sleep, timeout};

/// A term of a process, until the next one begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The process that held the Lease; none where it was released.
    pub pid: Option<u32>,
    /// From before it was taken.
    pub began: Timestamp,
}

/// The terms of one Lease, as they are found by looking again and again. Terms last for seconds, so that none is missed.
#[derive(Clone, Default)]
pub struct Terms(Arc<Mutex<Vec<Term>>>);

/// Where the operators of tests have their Leases.
pub const NAMESPACE: &str = "wasm-issuer";

impl Terms {
    /// Look at it until the executor ends.
    pub fn follow(client: Client, lease: &str) -> Self {
        let (terms, path) = (Self::default(), path(lease));
        let found = terms.clone();
        tokio::spawn(async move {
            loop {
                if let Some(term) = read(&client, &path).await {
                    let mut all = found.0.lock().expect("no panic");
                    if all.last().is_none_or(|last| last.pid != term.pid) {
                        all.push(term);
                    }
                }
                sleep(Duration::from_millis(100)).await;
            }
        });
        terms
    }

    /// All of them so far.
    pub fn all(&self) -> Vec<Term> {
        self.0.lock().expect("no panic").clone()
    }

    /// Who leads now.
    pub fn leader(&self) -> Option<u32> {
        self.0.lock().expect("no panic").last()?.pid
    }
}

fn path(lease: &str) -> String {
    format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{lease}")
}

/// A Lease; none where there is none, or no answer.
async fn read(client: &Client, path: &str) -> Option<Term> {
    let request = http::Request::get(path).body(vec![]).ok()?;
    term(&timeout(Duration::from_secs(2), client.request(request)).await.ok()?.ok()?)
}

/// What a Lease says.
fn term(lease: &Value) -> Option<Term> {
    let spec = &lease["spec"];
    // `wasm-issuer-<pid>_<a random number>`
    let holder = spec["holderIdentity"].as_str().unwrap_or_default();
    let pid = holder.rsplit('-').next().and_then(|rest| rest.split('_').next()?.parse().ok());
    let began = if pid.is_some() { &spec["acquireTime"] } else { &spec["renewTime"] };
    Some(Term { pid, began: began.as_str()?.parse().ok()? })
}

/// Who holds each of the Leases whose names begin so, by their names; none where nobody does.
pub async fn holders(client: &Client, prefix: &str) -> Vec<Option<u32>> {
    let request = Request::new(path("").trim_end_matches('/')).list(&ListParams::default());
    let list: Value = client.request(request.expect("a request")).await.expect("a list");
    let name = |lease: &Value| lease["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let mut leases: Vec<_> = list["items"].as_array().into_iter().flatten().collect();
    leases.retain(|lease| name(lease).starts_with(prefix));
    leases.sort_by_key(|lease| name(lease));
    leases.into_iter().map(|lease| term(lease)?.pid).collect()
}

//! CertificateRequests, as the API server tells of them.

use std::collections::HashSet;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc;
use kube::Client;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::Request as Call;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::{Instant, sleep};

/// What matters of a request here; nothing else is decoded.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the API's own names")]
pub struct Request {
    pub metadata: Metadata,
    pub spec: Spec,
    #[serde(default)]
    pub status: Status,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own names")]
pub struct Metadata {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub resource_version: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own names")]
pub struct Spec {
    pub issuer_ref: IssuerRef,
}

#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the API's own names")]
pub struct IssuerRef {
    #[serde(default)]
    pub group: String,
    #[serde(default)]
    pub kind: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[expect(missing_docs, reason = "the API's own names")]
pub struct Status {
    #[serde(default)]
    pub conditions: Vec<Condition>,
    pub certificate: Option<IgnoredAny>,
}

#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the API's own names")]
pub struct Condition {
    #[serde(rename = "type")]
    pub type_: String,
    pub status: String,
}

impl Request {
    /// Whether it may be signed.
    pub fn is_approved(&self) -> bool {
        self.is("Approved")
    }

    /// Whether it has its certificate.
    pub fn is_issued(&self) -> bool {
        self.status.certificate.is_some() && self.is("Ready")
    }

    /// Whether its issuer has written anything.
    pub fn is_written(&self) -> bool {
        self.status.conditions.iter().any(|condition| condition.type_ == "Ready")
    }

    fn is(&self, type_: &str) -> bool {
        self.status.conditions.iter().any(|c| c.type_ == type_ && c.status == "True")
    }
}

/// When the last of so many requests got its certificate.
pub async fn all_issued(changes: &mut mpsc::UnboundedReceiver<Change>, requests: usize) -> Instant {
    let mut issued = HashSet::new();
    loop {
        let (at, request) = changes.next().await.expect("the watch goes on");
        if request.is_issued() {
            issued.insert(request.metadata.name);
        }
        if issued.len() >= requests {
            return at;
        }
    }
}

/// A request as it is since a moment.
pub type Change = (Instant, Request);
type Sender = mpsc::UnboundedSender<Change>;

#[derive(Deserialize)]
struct List {
    metadata: ListMetadata,
    items: Vec<Request>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadata {
    resource_version: String,
}

/// The requests under a path of the API: those that are there, unless a version is given, and each that is created or changed
/// since, with the moment at which it was heard of; one may come twice. Ends when the receiver does.
pub fn watch(client: Client, path: String, version: Option<String>) -> mpsc::UnboundedReceiver<Change> {
    let (sender, receiver) = mpsc::unbounded();
    tokio::spawn(async move {
        let mut version = version;
        while !sender.is_closed() {
            let done = match version.take() {
                Some(from) => follow(&client, &path, from, &sender).await,
                None => list(&client, &path, &sender).await,
            };
            match done {
                Ok(next) => version = next,
                // An API server that is busy refuses watches for a while.
                Err(error) => {
                    eprintln!("{path}: {error}");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    });
    receiver
}

/// Tell of all that are there. The version that the next ones are after.
async fn list(client: &Client, path: &str, sender: &Sender) -> kube::Result<Option<String>> {
    let call = Call::new(path).list(&ListParams::default()).expect("a request");
    let list: List = client.request(call).await?;
    let now = Instant::now();
    list.items.into_iter().for_each(|request| drop(sender.unbounded_send((now, request))));
    Ok(Some(list.metadata.resource_version))
}

/// Tell of all changes after a version, until the API server ends the watch, as it does after some minutes or if it is not
/// read fast enough. The version to go on from, or none if it is too old.
async fn follow(
    client: &Client,
    path: &str,
    mut version: String,
    sender: &Sender,
) -> kube::Result<Option<String>> {
    let call = Call::new(path).watch(&WatchParams::default(), &version).expect("a request");
    let mut events = client.request_events::<Request>(call).await?.boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(WatchEvent::Added(request) | WatchEvent::Modified(request)) => {
                version.clone_from(&request.metadata.resource_version);
                if sender.unbounded_send((Instant::now(), request)).is_err() {
                    break;
                }
            }
            Ok(WatchEvent::Deleted(request)) => version = request.metadata.resource_version,
            Ok(WatchEvent::Bookmark(bookmark)) => version = bookmark.metadata.resource_version,
            Ok(WatchEvent::Error(_)) => return Ok(None),
            // The connection broke.
            Err(_) => break,
        }
    }
    Ok(Some(version))
}

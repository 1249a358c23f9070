//! A registry in memory that keeps what it is sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::manifest::{INDEX_TYPE, MANIFEST_TYPE};
use crate::{Access, Body, Digest, Http, HttpError, Registry, Scheme};

/// One repository, `r.example/team/ca`. Clones are the same one.
#[derive(Clone, Default)]
pub struct Shelf(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    /// By what follows the repository in the URL: `manifests/1`, `blobs/sha256:...`.
    files: BTreeMap<String, Bytes>,
    /// What it answers in place of what it has.
    broken: BTreeMap<String, u16>,
    /// The header fields `link` of what it has.
    links: BTreeMap<String, String>,
    /// Whether it lists referrers.
    lists: bool,
    asked: Vec<String>,
}

impl Shelf {
    /// One that lists what refers to a manifest.
    pub fn listing() -> Self {
        let shelf = Self::default();
        shelf.0.lock().unwrap().lists = true;
        shelf
    }

    pub fn put(&self, path: &str, bytes: impl Into<Bytes>) {
        self.0.lock().unwrap().files.insert(path.to_owned(), bytes.into());
    }

    /// Put bytes under their digest, and describe them.
    pub fn put_blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        self.put(&format!("blobs/{digest}"), bytes.to_vec());
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
    }

    /// Put a manifest under its digest, and describe it.
    pub fn put_manifest(&self, manifest: &Value) -> Value {
        let bytes = manifest.to_string();
        let digest = Digest::of(bytes.as_bytes());
        let size = bytes.len();
        self.put(&format!("manifests/{digest}"), bytes);
        json!({"mediaType": manifest["mediaType"], "digest": digest.to_string(), "size": size})
    }

    /// Answer with this status to what begins like this.
    pub fn breaks(&self, path: &str, status: u16) {
        self.0.lock().unwrap().broken.insert(path.to_owned(), status);
    }

    /// Put a page of a list, with where it says that the next one is.
    pub fn put_page(&self, path: &str, page: &Value, next: Option<&str>) {
        self.put(path, page.to_string());
        let link = next.map(|next| format!("<{next}>; rel=\"next\""));
        self.0.lock().unwrap().links.extend(link.map(|link| (path.to_owned(), link)));
    }

    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    pub fn registry(&self) -> Registry<Self> {
        let reference = "r.example/team/ca:1".parse().unwrap();
        Registry::new(self.clone(), &reference, Scheme::Https, None, Access::Push)
    }
}

impl Content {
    fn answer(&mut self, request: &Request<Bytes>) -> (StatusCode, Bytes) {
        let path = path_in(request);
        self.asked.push(format!("{} {path}", request.method()));
        let broken = self.broken.iter().find(|(start, _)| path.starts_with(start.as_str()));
        if let Some((_, status)) = broken {
            return (StatusCode::from_u16(*status).unwrap(), Bytes::new());
        }
        match (request.method(), path.split_once('/')) {
            (&Method::POST, _) => (StatusCode::ACCEPTED, Bytes::new()),
            (&Method::PUT, Some(("blobs", _))) => self.keep("blobs", request),
            (&Method::PUT, Some((_, name))) => {
                self.files.insert(format!("manifests/{name}"), request.body().clone());
                self.keep("manifests", request)
            }
            (_, Some(("referrers", digest))) if self.lists => (StatusCode::OK, self.referrers(digest)),
            _ => match self.files.get(&path) {
                Some(bytes) => (StatusCode::OK, bytes.clone()),
                None => (StatusCode::NOT_FOUND, Bytes::new()),
            },
        }
    }

    fn keep(&mut self, what: &str, request: &Request<Bytes>) -> (StatusCode, Bytes) {
        let bytes = request.body().clone();
        self.files.insert(format!("{what}/{}", Digest::of(&bytes)), bytes);
        (StatusCode::CREATED, Bytes::new())
    }

    fn referrers(&self, digest: &str) -> Bytes {
        let refers = |(path, bytes): (&String, &Bytes)| {
            let manifest: Value = serde_json::from_slice(bytes).ok()?;
            let name = path.strip_prefix("manifests/").filter(|name| name.starts_with("sha256:"))?;
            (manifest["subject"]["digest"] == digest).then(|| {
                let artifact_type = &manifest["artifactType"];
                json!({"mediaType": MANIFEST_TYPE, "digest": name, "size": bytes.len(), "artifactType": artifact_type})
            })
        };
        let manifests: Vec<Value> = self.files.iter().filter_map(refers).collect();
        json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests}).to_string().into()
    }
}

/// What follows the repository in the URL, with the query.
fn path_in(request: &Request<Bytes>) -> String {
    let path = request.uri().path_and_query().unwrap().as_str();
    path.trim_start_matches("/v2/team/ca/").to_owned()
}

#[async_trait]
impl Http for Shelf {
    async fn send(&mut self, request: Request<Bytes>) -> Result<Response<Body>, HttpError> {
        let mut content = self.0.lock().unwrap();
        let (status, body) = content.answer(&request);
        let link = content.links.get(&path_in(&request));
        let location = match status.as_u16() {
            202 => "/v2/team/ca/blobs/uploads/1",
            _ => "https://elsewhere.example/x",
        };
        let mut response = Response::builder().status(status).header("location", location);
        if let Some(link) = link {
            response = response.header("link", link);
        }
        Ok(response.body(stream::iter([Ok(body)]).boxed()).unwrap())
    }
}

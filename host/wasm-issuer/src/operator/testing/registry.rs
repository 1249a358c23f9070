//! An OCI registry in memory, and the network that leads to it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::StreamBody;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::time::sleep;
use wasm_issuer_core::keys::PrivateKey;
use wasm_issuer_oci::{COMPONENT_TYPE, Digest, MANIFEST_TYPE};
use wasm_issuer_runtime::Owner;
use wasm_issuer_runtime::egress::{Connector, EgressConfig, Resolver, Stream};

/// Where it is.
const ADDRESS: &str = "93.184.215.14";
/// Where no tenant's plugin, nor its registry, leads.
pub const INSIDE: &str = "10.0.0.7";

/// The registry `r.example`, in clear text. Clones are the same one. Its components are what [`super::ScriptedLoader`] takes
/// for such.
#[derive(Clone, Default)]
pub struct ScriptedRegistry(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    /// By the last part of their URLs: a tag or a digest.
    manifests: HashMap<String, Bytes>,
    blobs: HashMap<String, Bytes>,
    mood: Mood,
    asked: Vec<String>,
    dialed: Vec<SocketAddr>,
}

/// What it does with requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// It answers.
    #[default]
    Well,
    /// Nobody is there.
    Down,
    /// It wants this user and password, in base64.
    Guarded(&'static str),
    /// It has none of its components itself.
    Elsewhere(&'static str),
    /// It sends half of each component, and then nothing for so long.
    Stuck(Duration),
}

impl ScriptedRegistry {
    /// Put a component under a tag, in every repository. Returns the manifest's digest.
    pub fn put(&self, tag: &str, component: &str) -> Digest {
        let bytes = Bytes::copy_from_slice(component.as_bytes());
        self.put_layer(tag, component, bytes.len() as u64, bytes)
    }

    /// The same, where the manifest says that the component has so many bytes, and the registry has other bytes in its place.
    pub fn put_layer(&self, tag: &str, component: &str, size: u64, bytes: Bytes) -> Digest {
        let blob = Digest::of(component.as_bytes()).to_string();
        let layers = json!([{"mediaType": COMPONENT_TYPE, "digest": blob, "size": size}]);
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": layers}).to_string();
        let digest = Digest::of(manifest.as_bytes());
        let mut content = self.0.lock().unwrap();
        content.blobs.insert(blob, bytes);
        content.manifests.insert(tag.to_owned(), manifest.clone().into());
        content.manifests.insert(digest.to_string(), manifest.into());
        digest
    }

    /// Put a signature of a manifest beside it, as cosign does.
    pub fn sign(&self, digest: &Digest, key: &PrivateKey) {
        let image = json!({"docker-manifest-digest": digest.to_string()});
        let critical = json!({"image": image, "type": "cosign container image signature"});
        let payload = json!({"critical": critical}).to_string();
        let signature = BASE64_STANDARD.encode(key.sign(payload.as_bytes()).unwrap());
        let blob = Digest::of(payload.as_bytes()).to_string();
        let layers = json!([{
            "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json", "digest": blob, "size": payload.len(),
            "annotations": {"dev.cosignproject.cosign/signature": signature},
        }]);
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": layers}).to_string();
        let mut content = self.0.lock().unwrap();
        content.blobs.insert(blob, payload.into());
        content.manifests.insert(format!("sha256-{}.sig", digest.hex()), manifest.into());
    }

    pub fn is(&self, mood: Mood) {
        self.0.lock().unwrap().mood = mood;
    }

    /// How many requests it was sent whose method and path begin like this.
    pub fn count(&self, what: &str) -> usize {
        self.0.lock().unwrap().asked.iter().filter(|asked| asked.starts_with(what)).count()
    }

    /// The components that it was asked for.
    pub fn pulls(&self) -> usize {
        self.0.lock().unwrap().asked.iter().filter(|it| it.contains("/blobs/")).count()
    }

    /// Whether a connection was made to this address.
    pub fn dialed(&self, ip: &str) -> bool {
        self.0.lock().unwrap().dialed.iter().any(|address| address.ip().to_string() == ip)
    }

    /// The network.
    pub fn egress(&self) -> EgressConfig {
        let this = Arc::new(self.clone());
        EgressConfig { resolver: this.clone(), connector: this, ..EgressConfig::default() }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
        let mut content = self.0.lock().unwrap();
        let path = request.uri().path().to_owned();
        content.asked.push(format!("{} {path}", request.method()));
        let last = path.rsplit('/').next().unwrap_or_default().to_owned();
        let plain = |status: StatusCode, bytes: Bytes| {
            let frame = stream::iter([Ok(Frame::data(bytes))]);
            let mut response = Response::new(UnsyncBoxBody::new(StreamBody::new(frame)));
            *response.status_mut() = status;
            response
        };
        let header = |mut response: Response<_>, name: &'static str, value: String| {
            response.headers_mut().insert(name, value.parse().unwrap());
            response
        };
        let is_blob = path.contains("/blobs/");
        match content.mood.clone() {
            Mood::Guarded(user) => {
                let told = request.headers().get("authorization").and_then(|it| it.to_str().ok());
                if told != Some(&format!("Basic {user}")) {
                    let refused = plain(StatusCode::UNAUTHORIZED, Bytes::new());
                    return header(refused, "www-authenticate", r#"Basic realm="r""#.to_owned());
                }
            }
            Mood::Elsewhere(url) if is_blob => {
                let moved = plain(StatusCode::TEMPORARY_REDIRECT, Bytes::new());
                return header(moved, "location", url.to_owned());
            }
            Mood::Stuck(time) if is_blob => {
                let bytes = content.blobs[&last].clone();
                let (half, rest) = (bytes.slice(..bytes.len() / 2), bytes.slice(bytes.len() / 2..));
                let late = stream::once(async move {
                    sleep(time).await;
                    Ok(Frame::data(rest))
                });
                let frames = stream::iter([Ok(Frame::data(half))]).chain(late);
                return Response::new(UnsyncBoxBody::new(StreamBody::new(frames.boxed())));
            }
            _ => {}
        }
        let found = match path.split('/').rev().nth(1) {
            Some("blobs") => content.blobs.get(&last),
            Some("manifests") => content.manifests.get(&last),
            // It lists no referrers.
            _ => None,
        };
        match found {
            Some(bytes) => {
                let digest = Digest::of(bytes).to_string();
                let bytes = if request.method() == Method::HEAD { Bytes::new() } else { bytes.clone() };
                header(plain(StatusCode::OK, bytes), "docker-content-digest", digest)
            }
            None => plain(StatusCode::NOT_FOUND, Bytes::new()),
        }
    }
}

#[async_trait]
impl Resolver for ScriptedRegistry {
    async fn resolve(&self, _: &Owner, name: &str) -> io::Result<Vec<IpAddr>> {
        match name {
            "r.example" => Ok(vec![ADDRESS.parse().unwrap()]),
            "inside.example" => Ok(vec![INSIDE.parse().unwrap()]),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

#[async_trait]
impl Connector for ScriptedRegistry {
    async fn connect(&self, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        let is_down = {
            let mut content = self.0.lock().unwrap();
            content.dialed.push(address);
            content.mood == Mood::Down
        };
        if is_down {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (client, server) = tokio::io::duplex(64 << 10);
        let this = self.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let response = this.answer(&request);
            async move { Ok::<_, Infallible>(response) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), service));
        Ok(Box::new(client))
    }
}

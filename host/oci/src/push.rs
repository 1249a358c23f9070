//! Writes a component into a registry.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode, Uri};
use serde_json::json;

use crate::client::{self, Registry, failed, location};
use crate::digest::Digest;
use crate::error::Error;
use crate::manifest::{Descriptor, MANIFEST_TYPE, Written};
use crate::transport::Http;

/// A component and what a registry keeps beside it. The same component makes the same manifest.
pub struct Component {
    wasm: Bytes,
    config: Bytes,
    manifest: Bytes,
}

impl Component {
    /// `imports` and `exports` are the component's names, for who looks at the registry.
    pub fn new(wasm: Bytes, imports: &[String], exports: &[String]) -> Self {
        // As the CNCF's layout has it. Made when it was made, so that its digest says what it is and no more.
        let config = json!({
            "created": "1970-01-01T00:00:00Z",
            "architecture": "wasm",
            "os": "wasip2",
            "layerDigests": [Digest::of(&wasm).to_string()],
            "component": {"imports": imports, "exports": exports, "target": null},
        });
        let config = Bytes::from(config.to_string());
        // Structs of strings and numbers are always JSON.
        let manifest = serde_json::to_vec(&Written::of(&config, &wasm)).unwrap_or_default();
        Self { wasm, config, manifest: manifest.into() }
    }

    /// The digest of its manifest.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    /// How its manifest is referred to.
    pub(crate) fn descriptor(&self) -> Descriptor {
        Descriptor::of(MANIFEST_TYPE, &self.manifest)
    }
}

impl<H: Http> Registry<H> {
    /// Write a component under a tag. What is there already is not sent again.
    pub async fn push(&mut self, component: &Component, tag: &str) -> Result<Digest, Error> {
        for bytes in [&component.wasm, &component.config] {
            self.push_blob(bytes).await?;
        }
        let url = self.url(&format!("manifests/{tag}"))?;
        self.put(&url, &component.manifest, MANIFEST_TYPE).await?;
        Ok(component.digest())
    }

    pub(crate) async fn push_blob(&mut self, bytes: &Bytes) -> Result<(), Error> {
        let digest = Digest::of(bytes);
        let url = self.url(&format!("blobs/{digest}"))?;
        let there = self.send(client::request(&Method::HEAD, &url, Bytes::new())).await?;
        if there.status() == StatusCode::OK {
            return Ok(());
        }
        let url = self.url("blobs/uploads/")?;
        let begun = self.send(client::request(&Method::POST, &url, Bytes::new())).await?;
        if begun.status() != StatusCode::ACCEPTED {
            return Err(failed(&Method::POST, &url, begun).await);
        }
        let to = location(&url, begun.headers())?;
        let joint = if to.query().is_some() { '&' } else { '?' };
        let to = format!("{to}{joint}digest={digest}");
        let to: Uri = to.parse().map_err(|_| Error::Redirect("to what is no URL"))?;
        self.put(&to, bytes, "application/octet-stream").await
    }

    pub(crate) async fn put(
        &mut self,
        url: &Uri,
        bytes: &Bytes,
        media_type: &'static str,
    ) -> Result<(), Error> {
        let mut request = client::request(&Method::PUT, url, bytes.clone());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        let response = self.send(request).await?;
        match response.status() {
            StatusCode::CREATED | StatusCode::OK | StatusCode::NO_CONTENT => Ok(()),
            _ => Err(failed(&Method::PUT, url, response).await),
        }
    }
}

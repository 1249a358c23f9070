//! The way to OCI registries: the one that plugins have to servers, so that no registry and no redirect leads where egress
//! does not.

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use http::{Request, Response};
use wasm_issuer_oci::{Body, Http, HttpError};
use wasm_issuer_runtime::egress::{HostClient, HostError};

/// Sends what the protocol asks for.
pub struct RegistryHttp(pub HostClient);

#[async_trait]
impl Http for RegistryHttp {
    async fn send(&mut self, request: Request<Bytes>) -> Result<Response<Body>, HttpError> {
        let error = |HostError { message, is_prohibited }| HttpError { message, is_prohibited };
        let response = self.0.send(request).await.map_err(error)?;
        Ok(response.map(|body| body.map(move |chunk| chunk.map_err(error)).boxed()))
    }
}

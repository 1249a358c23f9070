//! What the crate needs of the network.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use http::{Request, Response};

/// A response's body, as it comes.
pub type Body = BoxStream<'static, Result<Bytes, HttpError>>;

/// Sends requests: the caller's way to the network, under the caller's rules.
#[async_trait]
pub trait Http: Send {
    /// Send one request to the server in its URI, and follow no redirect. What it takes is bounded: the time, the
    /// header fields, the body.
    async fn send(&mut self, request: Request<Bytes>) -> Result<Response<Body>, HttpError>;
}

/// Why there is no response, or no end of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HttpError {
    /// In words, with the server's name.
    pub message: String,
    /// Whether the caller's rules say so, and not the network.
    pub is_prohibited: bool,
}

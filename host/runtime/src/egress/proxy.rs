//! The operator's HTTP proxy: asked to carry bytes to an address that was vetted here.

use std::net::SocketAddr;

use http::HeaderValue;
use hyper_util::client::proxy::matcher::Intercept;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::error::ConnectError;
use super::net::Stream;
use super::origin::{Host, InvalidOrigin, Origin, Scheme};

/// How much a proxy may say before it lets the bytes through.
const MAX_ANSWER: usize = 8 << 10;

/// A proxy on the way to a server.
pub struct Hop {
    pub host: Host,
    pub port: u16,
    authorization: Option<HeaderValue>,
}

impl Hop {
    pub fn of(proxy: &Intercept) -> Result<Self, ConnectError> {
        let wrong = |why: String| ConnectError::Proxy(why);
        let origin = Origin::of(proxy.uri()).map_err(|error: InvalidOrigin| wrong(error.to_string()))?;
        if origin.scheme == Scheme::Https {
            return Err(wrong(
                "only proxies that are spoken to in plain HTTP (`http://`) are supported".into(),
            ));
        }
        let authorization = proxy.basic_auth().cloned();
        Ok(Self { host: origin.host, port: origin.port, authorization })
    }

    /// Have the proxy connect the stream to this address.
    ///
    /// hyper-util's `Tunnel` does nearly the same, but takes only 200 of the answers that mean success (RFC 9110 section
    /// 9.3.6: any 2xx), says of no other answer which status it was, and drops what the proxy sends right after one.
    pub async fn tunnel(
        &self,
        mut stream: Box<dyn Stream>,
        address: SocketAddr,
    ) -> Result<Box<dyn Stream>, ConnectError> {
        let mut request = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n").into_bytes();
        if let Some(authorization) = &self.authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(authorization.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        let broken = |error: std::io::Error| ConnectError::Proxy(error.to_string());
        stream.write_all(&request).await.map_err(broken)?;
        // Byte by byte, because what follows is no longer for us. It is short, and once per connection.
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() == MAX_ANSWER {
                return Err(ConnectError::Proxy("its answer to CONNECT is too long".into()));
            }
            answer.push(stream.read_u8().await.map_err(broken)?);
        }
        match status(&answer) {
            Some(200..=299) => Ok(stream),
            Some(status) => Err(ConnectError::Proxy(format!("it answered CONNECT {address} with {status}"))),
            None => Err(ConnectError::Proxy("its answer to CONNECT is not HTTP/1".into())),
        }
    }
}

fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.strip_prefix(b"HTTP/1.1 ").or_else(|| answer.strip_prefix(b"HTTP/1.0 "))?;
    std::str::from_utf8(line.get(..3)?).ok()?.parse().ok()
}

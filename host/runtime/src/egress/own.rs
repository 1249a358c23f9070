//! Requests of the host's own for an Issuer: for its plugin, from a registry. They pass what a plugin's requests pass, but
//! for the Issuer's grant: which servers are called the host says, request by request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::time::Instant;
use tracing::warn;
use wasmtime_wasi_http::{Error as Code, RequestOptions, WasiHttpHooks as _};

use super::call::HttpCall;
use super::grant::Grant;
use super::net::EgressConfig;
use super::observer::{Denial, HttpFailure, Observer};
use super::origin::Origin;
use super::session::{HttpGrant, HttpLimits, HttpSession};
use crate::fair::Owner;
use crate::lock::lock;

/// A response's body, as it comes.
pub type HostBody = BoxStream<'static, Result<Bytes, HostError>>;

/// Sends requests for one Issuer, one after the other. Its connections end with it.
pub struct HostClient {
    config: EgressConfig,
    owner: Owner,
    /// How it reaches servers; which ones is said with each request.
    grant: HttpGrant,
    limits: HttpLimits,
    deadline: Instant,
    silence: Duration,
    told: Arc<Told>,
    calls: HashMap<Origin, HttpCall>,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct HostTimes {
    /// All requests together, with their bodies.
    pub all: Duration,
    /// From one sign of life of a server to the next.
    pub silence: Duration,
}

/// Why there is no response, or no end of one. It may be shown to tenants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HostError {
    /// In words, with the server.
    pub message: String,
    /// Whether it was the operator's policy, and not the network.
    pub is_prohibited: bool,
}

impl HostClient {
    /// Nothing is connected yet. What `grant` says of servers is not looked at. The time begins to run.
    pub fn new(
        config: EgressConfig,
        owner: Owner,
        grant: HttpGrant,
        limits: HttpLimits,
        times: HostTimes,
    ) -> Self {
        let deadline = Instant::now() + times.all;
        let (told, calls) = (Arc::default(), HashMap::new());
        Self { config, owner, grant, limits, deadline, silence: times.silence, told, calls }
    }

    /// Send a request to the server in its URI. No redirect is followed. `limits.requests` are allowed for each server.
    pub async fn send(&mut self, request: Request<Bytes>) -> Result<Response<HostBody>, HostError> {
        let failed = |message: String| HostError { message, is_prohibited: false };
        let origin = Origin::of(request.uri()).map_err(|error| failed(error.to_string()))?;
        let call = self.calls.entry(origin.clone()).or_insert_with(|| {
            let grant = HttpGrant { allowed: Grant::of(&origin), ..self.grant.clone() };
            let session =
                HttpSession::new(self.config.clone(), self.owner.clone(), grant, self.limits.clone());
            HttpCall::new(session, self.told.clone(), self.deadline)
        });
        let request = request.map(|body| Full::new(body).map_err(|never| match never {}).boxed_unsync());
        let silence = Some(self.silence);
        let options = RequestOptions {
            connect_timeout: None,
            first_byte_timeout: silence,
            between_bytes_timeout: silence,
        };
        let sent = call.send_request(request, Some(options), Box::new(std::future::ready(Ok(()))));
        let words = move |code: Code| failed(format!("{origin}: {code}"));
        match Box::into_pin(sent).await {
            Ok((response, _)) => Ok(response
                .map(|body| body.into_data_stream().map(move |chunk| chunk.map_err(words.clone())).boxed())),
            Err(code) => Err(lock(&self.told.0).take().unwrap_or_else(|| words(code))),
        }
    }
}

/// Why the last request got no response.
#[derive(Default)]
struct Told(Mutex<Option<HostError>>);

impl Observer for Told {
    fn denied(&self, denial: &Denial) {
        warn!(denial = denial.in_full(), "a request of the operator's own was not let through");
        let message = format!("{}: {}", denial.message, denial.fix_line);
        *lock(&self.0) = Some(HostError { message, is_prohibited: true });
    }

    /// What is told of it names no address that a name led to: that is for the log.
    fn failed(&self, failure: &HttpFailure) {
        let HttpFailure { destination, message, hint } = failure;
        warn!(destination, error = message, "a request of the operator's own got no response");
        let Some(hint) = hint else { return };
        // A registry gets no client certificate.
        let hint = hint.split("; a client certificate is").next().unwrap_or(hint);
        let message = hint.replace("spec.http.caBundle", "spec.plugin.image.caBundle");
        *lock(&self.0) = Some(HostError { message, is_prohibited: false });
    }
}

//! The HTTP of one call: each request is judged, counted and timed, and ends with the call at the latest.

use std::future::Future;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error as Code, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks,
};

use super::body::{RequestBody, size};
use super::exchange::{Exchange, Times};
use super::observer::{Denial, Observer};
use super::origin::Origin;
use super::placeholder::Placeholders;
use super::session::HttpSession;
use super::traffic::Traffic;
use super::waits::Waits;

/// The longest path, its query included. Longer ones are refused by most servers.
pub const MAX_PATH: usize = 8 << 10;
/// The longest name of a method.
pub const MAX_METHOD: usize = 32;
/// What a plugin may write of a body at a time.
const BODY_CHUNK: usize = 16 << 10;

type Work = Box<dyn Future<Output = Result<(), Code>> + Send>;
type Sent = Result<(Response<WasiBody>, Work), Code>;

/// The HTTP of one call, as what `wasi:http` asks for each request.
///
/// Dropped in front of the handles that the plugin holds: it tells the bodies of unfinished requests that they are.
pub struct HttpCall {
    session: Arc<HttpSession>,
    observer: Arc<dyn Observer>,
    /// What tokens in header values stand for.
    pub placeholders: Placeholders,
    /// Where its requests go.
    pub traffic: Traffic,
    /// When the call ends at the latest.
    pub deadline: Instant,
    /// What it waits for.
    pub waits: Waits,
    requests: usize,
    slots: Arc<Semaphore>,
    ended: CancellationToken,
    _ends: DropGuard,
}

impl HttpCall {
    /// For one call, which has until `deadline`.
    pub fn new(session: Arc<HttpSession>, observer: Arc<dyn Observer>, deadline: Instant) -> Self {
        let ended = CancellationToken::new();
        let slots = Arc::new(Semaphore::new(session.limits.concurrent.min(Semaphore::MAX_PERMITS)));
        Self {
            session,
            observer,
            placeholders: Placeholders::default(),
            traffic: Traffic::default(),
            deadline,
            waits: Waits::default(),
            requests: 0,
            slots,
            _ends: ended.clone().drop_guard(),
            ended,
        }
    }

    /// Judge a request, and make the one that is sent in its place.
    fn judge(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<Exchange, Code> {
        let limits = &self.session.limits;
        // First of all, so that denials are bounded as well.
        self.requests += 1;
        if self.requests > limits.requests {
            return Err(Code::ConnectionLimitReached);
        }
        let slot = self.slots.clone().try_acquire_owned().map_err(|_| Code::ConnectionLimitReached)?;
        let (mut parts, body) = request.into_parts();
        // CONNECT would make a tunnel of the connection. TRACE has the server send back all header fields, among them
        // what placeholders stand for.
        let is_forbidden = parts.method == Method::CONNECT || parts.method == Method::TRACE;
        if is_forbidden || parts.method.as_str().len() > MAX_METHOD {
            return Err(Code::HttpRequestMethodInvalid);
        }
        let origin = Origin::of(&parts.uri).map_err(|_| Code::HttpRequestUriInvalid)?;
        if !self.session.grant.allowed.allows(&origin) {
            self.observer.denied(&Denial::not_granted(&origin));
            return Err(Code::HttpRequestDenied);
        }
        if parts.uri.path_and_query().is_some_and(|path| path.as_str().len() > MAX_PATH) {
            return Err(Code::HttpRequestUriTooLong);
        }
        parts.uri = origin.uri(parts.uri.path_and_query()).ok_or(Code::HttpRequestUriInvalid)?;
        let written = self.written(&parts.headers);
        parts.headers = self.outgoing(parts.headers)?;
        let announced = parts.headers.get(header::CONTENT_LENGTH).map(|value| value.to_str().map(str::parse));
        match announced {
            Some(Ok(Ok(length))) if length > limits.request_body => {
                return Err(Code::HttpRequestBodySize(u64::try_from(limits.request_body).ok()));
            }
            Some(Ok(Ok::<usize, _>(_))) | None => {}
            Some(_) => return Err(Code::HttpRequestBodySize(None)),
        }
        let ended = self.ended.clone();
        let body = RequestBody::new(body, limits.request_body, ended.clone());
        Ok(Exchange {
            session: self.session.clone(),
            observer: self.observer.clone(),
            traffic: self.traffic.clone(),
            waits: self.waits.clone(),
            origin,
            request: Request::from_parts(parts, body),
            written,
            placeholders: self.placeholders.of_bodies(),
            times: Times::new(options, limits.connect_timeout, self.deadline),
            ended,
            slot,
        })
    }

    /// The header fields as the plugin wrote them, with names in place of tokens; none where nobody wants to know.
    fn written(&self, fields: &HeaderMap) -> HeaderMap {
        if let Traffic::Network = self.traffic {
            return HeaderMap::new();
        }
        let named =
            |(name, value): (&HeaderName, &HeaderValue)| (name.clone(), self.placeholders.name_in(value));
        fields.iter().filter(|(name, _)| !is_forbidden(name)).map(named).collect()
    }

    /// The header fields as they are sent.
    fn outgoing(&self, fields: HeaderMap) -> Result<HeaderMap, Code> {
        let mut sent = HeaderMap::with_capacity(fields.len());
        for (name, value) in &fields {
            if !is_forbidden(name) {
                sent.append(name.clone(), self.placeholders.replace(value));
            }
        }
        let bytes = size(&sent);
        if bytes > self.session.limits.header_bytes {
            return Err(Code::HttpRequestHeaderSectionSize(u32::try_from(bytes).ok()));
        }
        Ok(sent)
    }
}

/// Header fields that say where a request goes or how it is framed. They are the host's.
pub fn is_forbidden(name: &HeaderName) -> bool {
    DEFAULT_FORBIDDEN_HEADERS.contains(name) || name.as_str().starts_with("proxy-")
}

impl WasiHttpHooks for HttpCall {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(is_forbidden)
    }

    /// The client sets it, from the URI that was made anew. The plugin's own spelling of the authority goes nowhere.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Work,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let exchange = self.judge(request, options);
        Box::new(async move {
            let response = exchange?.run().await?;
            Ok((response, Box::new(std::future::ready(Ok(()))) as Work))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK
    }
}

//! The HTTP of one call: each request is judged, counted and timed, and ends with the call at the latest.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Method, Request, Response, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::client::legacy::{Client, Error as ClientError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error as Code, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks,
};

use super::body::{Pace, RequestBody, ResponseBody, ResponseLimits, size, too_large};
use super::cause::find;
use super::dial::{Dialer, TlsFault};
use super::error::{ConnectError, RequestBodyError, code, words};
use super::observer::{Denial, HttpFailure, Observer};
use super::origin::Origin;
use super::placeholder::Placeholders;
use super::session::HttpSession;
use super::tls_fault;
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
            waits: self.waits.clone(),
            origin,
            request: Request::from_parts(parts, body),
            placeholders: self.placeholders.of_bodies(),
            times: Times::new(options, limits.connect_timeout, self.deadline),
            ended,
            slot,
        })
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

/// How long the parts of an exchange may take: as the plugin says, within what the host allows.
struct Times {
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
    deadline: Instant,
}

impl Times {
    fn new(options: Option<RequestOptions>, max_connect: Duration, deadline: Instant) -> Self {
        const LEAST: Duration = Duration::from_millis(1);
        let left = deadline.saturating_duration_since(Instant::now()).max(LEAST);
        let clamped = |wish: Option<Duration>| wish.map_or(left, |wish| wish.clamp(LEAST, left));
        let options = options.unwrap_or_default();
        Self {
            connect: clamped(options.connect_timeout).min(max_connect),
            first_byte: clamped(options.first_byte_timeout),
            between_bytes: clamped(options.between_bytes_timeout),
            deadline,
        }
    }
}

/// A granted request and its response.
struct Exchange {
    session: Arc<HttpSession>,
    observer: Arc<dyn Observer>,
    waits: Waits,
    origin: Origin,
    request: Request<RequestBody>,
    /// Those to replace in its body.
    placeholders: Option<Placeholders>,
    times: Times,
    ended: CancellationToken,
    slot: OwnedSemaphorePermit,
}

impl Exchange {
    async fn run(self) -> Result<Response<WasiBody>, Code> {
        let Self { session, observer, waits, origin, request, placeholders, times, ended, slot } = self;
        let client = session.client().map_err(|error| {
            let why = tls_fault::words(error);
            observer.failed(&HttpFailure::new(&origin, format!("TLS cannot be set up: {why}")));
            Code::ConfigurationError
        })?;
        let waiting = waits.begin(&origin);
        let exchange = async {
            let request = match &placeholders {
                None => request,
                Some(placeholders) => replaced(request, placeholders).await.map_err(Failed::Body)?,
            };
            exchange(client, request, &times).await
        };
        let exchange = timeout_at(times.deadline, exchange);
        let failed = match ended.run_until_cancelled(exchange).await {
            Some(Ok(Ok(response))) => {
                drop(waiting);
                let pace =
                    Pace { between_bytes: times.between_bytes, deadline: times.deadline, waits, origin };
                return accept(&session, response, pace, ended, slot);
            }
            Some(Ok(Err(failed))) => failed,
            Some(Err(_elapsed)) => {
                Failed::Late(Code::HttpResponseTimeout, "no answer until the call had to end")
            }
            None => return Err(Code::ConnectionTerminated),
        };
        match failed {
            Failed::Late(code, why) => {
                let wait = if Instant::now() >= times.deadline { waiting.is_late() } else { None };
                let hint = wait.map(|wait| wait.to_string());
                observer.failed(&HttpFailure::new(&origin, why.to_owned()).with_hint(hint));
                Err(code)
            }
            Failed::Body(error) => Err(code(&error)),
            Failed::Client(error) => {
                if let Some(ConnectError::Prohibited { address, prohibition }) = find(&error) {
                    observer.denied(&Denial::prohibited(&origin, *address, *prohibition, &*observer));
                    return Err(code(&error));
                }
                let fault = tls_error(&error);
                let hint = fault.as_ref().map(|fault| format!("TLS: {}", tls_fault::words(fault)));
                let message = hint.clone().unwrap_or_else(|| words(&error));
                observer.failed(&HttpFailure::new(&origin, message).with_hint(hint));
                Err(fault.as_ref().map_or_else(|| code(&error), |fault| code(fault)))
            }
        }
    }
}

/// What TLS says of a connection that did not come about, or broke.
fn tls_error(error: &ClientError) -> Option<rustls::Error> {
    if let Some(ConnectError::Tls(error)) = find(error) {
        return find::<rustls::Error>(error).cloned();
    }
    let mut extras = http::Extensions::new();
    error.connect_info()?.get_extras(&mut extras);
    let TlsFault(fault) = extras.get()?;
    fault.get().cloned()
}

enum Failed {
    /// With words for people.
    Late(Code, &'static str),
    /// What the plugin wrote cannot be sent.
    Body(RequestBodyError),
    Client(ClientError),
}

/// The request with the tokens in its body replaced, which makes it longer or shorter.
async fn replaced(
    request: Request<RequestBody>,
    placeholders: &Placeholders,
) -> Result<Request<RequestBody>, RequestBodyError> {
    let (mut parts, body) = request.into_parts();
    let body = body.replaced(placeholders).await?;
    if let header::Entry::Occupied(mut length) = parts.headers.entry(header::CONTENT_LENGTH) {
        length.insert(body.size_hint().lower().into());
    }
    Ok(Request::from_parts(parts, body))
}

async fn exchange(
    client: &Client<Dialer, RequestBody>,
    mut request: Request<RequestBody>,
    times: &Times,
) -> Result<Response<Incoming>, Failed> {
    let mut connection = capture_connection(&mut request);
    let connected = async { drop(connection.wait_for_connection_metadata().await) };
    let mut response = pin!(client.request(request));
    tokio::select! {
        biased;
        response = &mut response => return response.map_err(Failed::Client),
        () = connected => {}
        () = sleep(times.connect) => return Err(Failed::Late(Code::ConnectionTimeout, "no connection in time")),
    }
    match timeout(times.first_byte, response).await {
        Ok(response) => response.map_err(Failed::Client),
        Err(_elapsed) => Err(Failed::Late(Code::ConnectionReadTimeout, "no answer in time")),
    }
}

fn accept(
    session: &HttpSession,
    response: Response<Incoming>,
    pace: Pace,
    ended: CancellationToken,
    slot: OwnedSemaphorePermit,
) -> Result<Response<WasiBody>, Code> {
    let limits = ResponseLimits {
        body: session.limits.response_body,
        header_bytes: session.limits.header_bytes,
        headers: session.limits.headers,
    };
    if !limits.hold(response.headers()) {
        let bytes = u32::try_from(size(response.headers())).ok();
        return Err(Code::HttpResponseHeaderSectionSize(bytes));
    }
    // What the server announces, which a response to HEAD has no body of.
    let announced = response.body().size_hint().lower();
    if !response.body().is_end_stream()
        && usize::try_from(announced).map_or(true, |length| length > limits.body)
    {
        return Err(too_large(limits.body));
    }
    Ok(response.map(|incoming| ResponseBody::new(incoming, limits, pace, ended, slot).boxed_unsync()))
}

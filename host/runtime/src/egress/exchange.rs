//! A granted request and its response: over the network, or as a recording has it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::client::legacy::{Client, Error as ClientError};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use wasmtime_wasi_http::{Error as Code, RequestOptions, WasiBody};

use super::body::{Pace, RequestBody, ResponseBody, ResponseLimits};
use super::cause::find;
use super::dial::{Dialer, TlsFault};
use super::error::{ConnectError, RequestBodyError, code, words};
use super::observer::{Denial, HttpFailure, Observer};
use super::origin::Origin;
use super::placeholder::Placeholders;
use super::session::HttpSession;
use super::tls_fault;
use super::traffic::{Hinted, NoResponse, Traffic};
use super::waits::Waits;

/// How long the parts of an exchange may take: as the plugin says, within what the host allows.
pub struct Times {
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
    deadline: Instant,
}

impl Times {
    /// As a plugin says. `max_connect` and the time up to `deadline` are the host's limits.
    pub fn new(options: Option<RequestOptions>, max_connect: Duration, deadline: Instant) -> Self {
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
pub struct Exchange {
    pub session: Arc<HttpSession>,
    pub observer: Arc<dyn Observer>,
    pub traffic: Traffic,
    pub waits: Waits,
    pub origin: Origin,
    pub request: Request<RequestBody>,
    /// Its header fields as the plugin wrote them.
    pub written: HeaderMap,
    /// Those to replace in its body.
    pub placeholders: Option<Placeholders>,
    pub times: Times,
    pub ended: CancellationToken,
    pub slot: OwnedSemaphorePermit,
}

impl Exchange {
    /// Have the request answered.
    pub async fn run(mut self) -> Result<Response<WasiBody>, Code> {
        match std::mem::take(&mut self.traffic) {
            Traffic::Network => self.over_network().await,
            Traffic::Recorded(recorder) => {
                let (mut exchange, request) = self.whole().await?;
                let observer = Hinted::new(exchange.observer.clone());
                exchange.observer = observer.clone();
                let entry = recorder.begin(request);
                entry.answered(exchange.over_network().await, observer.hint())
            }
            Traffic::Replayed(replay) => {
                let (exchange, request) = self.whole().await?;
                exchange.replayed(replay.answer(&request))
            }
        }
    }

    /// The same, once the plugin has written all of the body, and what it has written.
    async fn whole(self) -> Result<(Self, Request<Bytes>), Code> {
        let (parts, body) = self.request.into_parts();
        let body = timeout_at(self.times.deadline, body.collect());
        let body = match self.ended.run_until_cancelled(body).await {
            Some(Ok(Ok(body))) => body.to_bytes(),
            Some(Ok(Err(error))) => return Err(code(&error)),
            Some(Err(_elapsed)) => return Err(Code::HttpResponseTimeout),
            None => return Err(Code::ConnectionTerminated),
        };
        let named = self.placeholders.as_ref().map_or_else(|| body.clone(), |them| them.name_in_body(&body));
        let mut written = Request::new(named);
        *written.method_mut() = parts.method.clone();
        *written.uri_mut() = parts.uri.clone();
        *written.headers_mut() = self.written.clone();
        let limit = self.session.limits.request_body;
        let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
        let request = Request::from_parts(parts, RequestBody::new(body, limit, self.ended.clone()));
        Ok((Self { request, ..self }, written))
    }

    fn replayed(self, answer: Result<Response<Bytes>, NoResponse>) -> Result<Response<WasiBody>, Code> {
        match answer {
            Ok(response) => {
                let response = response.map(Full::new);
                limits(&self.session).judge(&response)?;
                Ok(response.map(|body| body.map_err(|never| match never {}).boxed_unsync()))
            }
            Err(failed) => {
                let message = failed.code().to_owned();
                let failure = HttpFailure {
                    hint: failed.hint().map(str::to_owned),
                    ..HttpFailure::new(&self.origin, message)
                };
                self.observer.failed(&failure);
                Err(failed.to_code())
            }
        }
    }

    async fn over_network(self) -> Result<Response<WasiBody>, Code> {
        let Self { session, observer, waits, origin, request, placeholders, times, ended, slot, .. } = self;
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

fn limits(session: &HttpSession) -> ResponseLimits {
    ResponseLimits {
        body: session.limits.response_body,
        header_bytes: session.limits.header_bytes,
        headers: session.limits.headers,
    }
}

fn accept(
    session: &HttpSession,
    response: Response<Incoming>,
    pace: Pace,
    ended: CancellationToken,
    slot: OwnedSemaphorePermit,
) -> Result<Response<WasiBody>, Code> {
    let limits = limits(session);
    limits.judge(&response)?;
    Ok(response.map(|incoming| ResponseBody::new(incoming, limits, pace, ended, slot).boxed_unsync()))
}

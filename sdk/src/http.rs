//! A small blocking HTTP client over `wasi:http` (feature `http`).
//!
//! ```no_run
//! # use wasm_issuer_sdk::{Failure, http, secrets::{self, PlaceholderForm}};
//! # #[derive(serde::Serialize)] struct Order { csr: String }
//! # #[derive(serde::Deserialize)] struct Answer { chain: String }
//! fn order(url: &str, order: &Order) -> Result<String, Failure> {
//!     // The operator puts the value in on the way out.
//!     let token = secrets::get("token")?.placeholder(&PlaceholderForm::Plain)?;
//!     let response = http::post_json(url, order).header("authorization", format!("Bearer {token}")).send()?;
//!     let answer: Answer = response.success()?.json()?;
//!     Ok(answer.chain)
//! }
//! ```
//!
//! Only hosts that the Issuer's `spec.http.allowedHosts` grants can be reached; the operator does TLS, with
//! the CA and the client certificate that the spec names. Redirects are answers like any other.

use std::borrow::Cow;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;
use wasip2::http::outgoing_handler;
pub use wasip2::http::types::Method;
use wasip2::http::types::{
    Fields, IncomingBody, IncomingResponse, OutgoingBody, OutgoingRequest, RequestOptions, http_error_code,
};
use wasip2::io::streams::StreamError;

mod error;
mod url;

pub use error::{HttpError, HttpErrorKind};
use url::Url;

/// The largest body of an answer that is read, unless [`Request::limit`] says otherwise.
const DEFAULT_LIMIT: usize = 1024 * 1024;
/// The most that one write to a stream of WASI may have.
const WRITE_BYTES: usize = 4096;
const READ_BYTES: u64 = 64 * 1024;

/// A GET request. The URL is absolute: `http://` or `https://`.
pub fn get(url: impl Into<String>) -> Request {
    Request::new(Method::Get, url)
}

/// A POST request with a JSON body, to an absolute URL.
pub fn post_json(url: impl Into<String>, body: &(impl Serialize + ?Sized)) -> Request {
    Request::new(Method::Post, url).json(body)
}

/// A request that [`Request::send`] makes.
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Result<Vec<u8>, HttpError>,
    connect_timeout: Option<Duration>,
    response_timeout: Option<Duration>,
    limit: usize,
}

impl Request {
    /// A request without headers and body. The URL is absolute: `http://` or `https://`.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Ok(Vec::new()),
            connect_timeout: None,
            response_timeout: None,
            limit: DEFAULT_LIMIT,
        }
    }

    /// Adds a header. WASI leaves `Host` and those about the connection to the operator.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into().into_bytes()));
        self
    }

    /// Sets the body, and no `Content-Type`.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Ok(body.into());
        self
    }

    /// Sets the body, and the header `Content-Type` with it.
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        self.body = serde_json::to_vec(body)
            .map_err(|error| HttpError::new(HttpErrorKind::Invalid, format!("the request's JSON: {error}")));
        self.header("content-type", "application/json")
    }

    /// How long connecting may take. The operator has a limit of its own.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// How long the answer may take to begin, and to go on. The operator has a limit of its own.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = Some(timeout);
        self
    }

    /// The largest body of an answer that is read, in bytes; 1 MiB by default.
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Makes the request. An answer with any status is `Ok`. Errors name the server.
    pub fn send(mut self) -> Result<Response, HttpError> {
        let url = std::mem::take(&mut self.url);
        let url = Url::parse(&url)?;
        let (server, began) = (url.server(), Instant::now());
        let answer = self.exchange(url).map_err(|error| error.after(began.elapsed()).at(&server))?;
        Ok(Response { server, ..answer })
    }

    fn exchange(self, url: Url<'_>) -> Result<Response, HttpError> {
        let invalid = |what: &str| HttpError::new(HttpErrorKind::Invalid, what);
        let broken = || HttpError::new(HttpErrorKind::Other, "the host handed out a body twice");

        let body = self.body?;
        let mut headers = self.headers;
        if !body.is_empty() {
            headers.push(("content-length".to_owned(), body.len().to_string().into_bytes()));
        }
        let headers =
            Fields::from_list(&headers).map_err(|error| invalid(&format!("a header is refused: {error}")))?;
        let request = OutgoingRequest::new(headers);
        request
            .set_method(&self.method)
            .and_then(|()| request.set_scheme(Some(&url.scheme)))
            .and_then(|()| request.set_authority(Some(url.authority)))
            .and_then(|()| request.set_path_with_query(Some(&url.path_with_query)))
            .map_err(|()| invalid("the method or the URL is malformed"))?;

        let options = RequestOptions::new();
        let nanoseconds =
            |timeout: Option<Duration>| timeout.and_then(|it| u64::try_from(it.as_nanos()).ok());
        // A host without timeouts of its own refuses them; the operator ends the call in any case.
        let _ = options.set_connect_timeout(nanoseconds(self.connect_timeout));
        let _ = options.set_first_byte_timeout(nanoseconds(self.response_timeout));
        let _ = options.set_between_bytes_timeout(nanoseconds(self.response_timeout));

        let sink = request.body().map_err(|()| broken())?;
        let pending = outgoing_handler::handle(request, Some(options))?;
        write(sink, &body);
        pending.subscribe().block();
        match pending.get() {
            Some(Ok(response)) => read(response?, self.limit),
            _ => Err(broken()),
        }
    }
}

/// If the server takes no more, its answer or the error is on its way: `pending` has it.
fn write(sink: OutgoingBody, body: &[u8]) {
    let Ok(stream) = sink.write() else { return };
    let written = body.chunks(WRITE_BYTES).all(|chunk| stream.blocking_write_and_flush(chunk).is_ok());
    drop(stream);
    if written {
        let _ = OutgoingBody::finish(sink, None);
    }
}

fn read(response: IncomingResponse, limit: usize) -> Result<Response, HttpError> {
    let broken = || HttpError::new(HttpErrorKind::Other, "the host handed out a body twice");
    let (status, headers) = (response.status(), response.headers().entries());
    let incoming = response.consume().map_err(|()| broken())?;
    let body = read_body(&incoming, limit)?;
    Ok(Response { server: String::new(), status, headers, body })
}

fn read_body(incoming: &IncomingBody, limit: usize) -> Result<Vec<u8>, HttpError> {
    let stream = incoming
        .stream()
        .map_err(|()| HttpError::new(HttpErrorKind::Other, "the host handed out a body twice"))?;
    let mut body = Vec::new();
    loop {
        match stream.blocking_read(READ_BYTES) {
            Ok(chunk) if body.len() + chunk.len() > limit => {
                let message = format!("the answer has more than {limit} bytes");
                return Err(HttpError::new(HttpErrorKind::TooLarge, message));
            }
            Ok(chunk) => body.extend(chunk),
            Err(StreamError::Closed) => return Ok(body),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(http_error_code(&error).map_or_else(
                    || HttpError::new(HttpErrorKind::Protocol, "the answer broke off"),
                    HttpError::from,
                ));
            }
        }
    }
}

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The server that answered, `scheme://host:port`: what is wrong with the answer names it.
    pub server: String,
    /// The HTTP status code.
    pub status: u16,
    /// The headers in the server's order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body, of [`Request::limit`] bytes at most.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body, which must be JSON of this shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            HttpError::new(HttpErrorKind::Json, format!("the answer is not the JSON expected: {error}"))
                .at(&self.server)
        })
    }

    /// The header `Retry-After` in seconds from now, whether it holds seconds or a date.
    pub fn retry_after(&self) -> Option<u32> {
        let value = self.header("retry-after")?.trim();
        value.parse().ok().or_else(|| {
            let wait = httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now());
            u32::try_from(wait.unwrap_or_default().as_secs()).ok()
        })
    }

    /// The answer if its status is 2xx, an error that holds the status and the beginning of the body otherwise.
    pub fn success(self) -> Result<Self, HttpError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let kind = HttpErrorKind::Status { status: self.status, retry_after: self.retry_after() };
        let text: String = self.text().trim().chars().take(200).collect();
        let colon = if text.is_empty() { "" } else { ": " };
        let message = format!("the server answers {}{colon}{text}", self.status);
        Err(HttpError::new(kind, message).at(&self.server))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        let server = "https://ca:8888".to_owned();
        Response { server, status, headers: headers.collect(), body: body.into() }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let after = |value| response(503, &[("Retry-After", value)], "").retry_after();
        assert_eq!(after("120"), Some(120));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(0), "in the past");
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        assert!(matches!(after(&soon), Some(90..=100)));
        assert_eq!(after("soon"), None);
        assert_eq!(response(503, &[], "").retry_after(), None);
    }

    #[test]
    fn only_2xx_is_success() {
        assert!(response(204, &[], "").success().is_ok());
        let error = response(429, &[("retry-after", "7")], "slow down\n").success().unwrap_err();
        assert_eq!(error.kind, HttpErrorKind::Status { status: 429, retry_after: Some(7) });
        assert_eq!(error.message, "https://ca:8888: the server answers 429: slow down");
        let redirect = response(302, &[], "").success().unwrap_err();
        assert_eq!(redirect.message, "https://ca:8888: the server answers 302");
    }

    #[test]
    fn json_that_does_not_fit_is_an_error() {
        assert_eq!(response(200, &[], "[1, 2]").json(), Ok(vec![1, 2]));
        let error = response(200, &[], "<html>").json::<Vec<u8>>().unwrap_err();
        assert_eq!(error.kind, HttpErrorKind::Json);
        assert!(error.message.starts_with("https://ca:8888: the answer is not the JSON"), "{error}");
    }
}

//! A request, and its way to the server and back.

use std::time::{Duration, Instant};

use serde::Serialize;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions,
    http_error_code,
};
use wasip2::io::streams::StreamError;

use super::url::Url;
use super::{HttpError, HttpErrorKind, Response};

/// The largest body of an answer that is read, unless [`Request::limit`] says otherwise.
const DEFAULT_LIMIT: usize = 1024 * 1024;
/// The most that one write to a stream of WASI may have.
const WRITE_BYTES: usize = 4096;
const READ_BYTES: u64 = 64 * 1024;

/// A request that [`Request::send`] makes.
///
/// ```no_run
/// # use wasm_issuer_sdk::{Failure, http};
/// # fn f() -> Result<(), Failure> {
/// let answer = http::get("https://ca.example.com/profiles").header("accept", "application/json").send()?;
/// # Ok(()) }
/// ```
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
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, http};
    /// # fn f() -> Result<(), Failure> {
    /// let revoke = http::Request::new(http::Method::Delete, "https://ca.example.com/certificates/7");
    /// revoke.send()?.success()?;
    /// # Ok(()) }
    /// ```
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
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, http};
    /// # fn f() -> Result<(), Failure> {
    /// http::get("https://ca.example.com/profiles").header("accept", "application/json").send()?;
    /// # Ok(()) }
    /// ```
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into().into_bytes()));
        self
    }

    /// Sets the body, and no `Content-Type`.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, http};
    /// # fn f() -> Result<(), Failure> {
    /// let csr = "-----BEGIN CERTIFICATE REQUEST-----\n...";
    /// let order = http::Request::new(http::Method::Post, "https://ca.example.com/sign");
    /// order.header("content-type", "application/x-pem-file").body(csr).send()?.success()?;
    /// # Ok(()) }
    /// ```
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Ok(body.into());
        self
    }

    /// Sets the body, and the header `Content-Type` with it.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, http};
    /// # fn f() -> Result<(), Failure> {
    /// let order = http::Request::new(http::Method::Put, "https://ca.example.com/orders/7");
    /// order.json(&["web.example.com"]).send()?.success()?;
    /// # Ok(()) }
    /// ```
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        self.body = serde_json::to_vec(body)
            .map_err(|error| HttpError::new(HttpErrorKind::Invalid, format!("the request's JSON: {error}")));
        self.header("content-type", "application/json")
    }

    /// How long connecting may take. The operator has a limit of its own.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, http};
    /// # fn f() -> Result<(), Failure> {
    /// use std::time::Duration;
    ///
    /// http::get("https://ca.example.com").connect_timeout(Duration::from_secs(2)).send()?;
    /// # Ok(()) }
    /// ```
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// How long the answer may take to begin, and to go on. The operator has a limit of its own.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, http};
    /// # fn f() -> Result<(), Failure> {
    /// use std::time::Duration;
    ///
    /// http::get("https://ca.example.com").response_timeout(Duration::from_secs(5)).send()?;
    /// # Ok(()) }
    /// ```
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = Some(timeout);
        self
    }

    /// The largest body of an answer that is read, in bytes; 1 MiB by default.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, http};
    /// # fn f() -> Result<(), Failure> {
    /// http::get("https://ca.example.com/crl").limit(4 << 20).send()?;
    /// # Ok(()) }
    /// ```
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Makes the request. An answer with any status is `Ok`. Errors name the server.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, http};
    /// # fn f() -> Result<(), Failure> {
    /// let answer = http::get("https://ca.example.com/orders/7").send()?;
    /// if answer.status == 202 {
    ///     return Err(Failure::pending("the CA is not done").poll_after(30));
    /// }
    /// # Ok(()) }
    /// ```
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

//! Requests made of raw parts.

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::streams::StreamError;

/// A URL in three raw parts.
#[derive(Clone)]
pub struct Url {
    pub scheme: String,
    pub authority: String,
    pub path: String,
}

impl Url {
    pub fn new(text: &str) -> Self {
        let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
        let at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        Self { scheme: scheme.to_owned(), authority: authority.to_owned(), path: path.to_owned() }
    }
}

/// A request that is not sent yet. An error is the part that was refused.
pub fn request(method: Method, url: &Url, headers: Fields) -> Result<OutgoingRequest, String> {
    let request = OutgoingRequest::new(headers);
    request.set_method(&method).map_err(|()| "method refused".to_owned())?;
    let scheme = match url.scheme.as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    request.set_scheme(Some(&scheme)).map_err(|()| "scheme refused".to_owned())?;
    request.set_authority(Some(&url.authority)).map_err(|()| "authority refused".to_owned())?;
    request.set_path_with_query(Some(&url.path)).map_err(|()| "path refused".to_owned())?;
    Ok(request)
}

/// The name of a code, without what it carries.
pub fn name(code: &ErrorCode) -> String {
    let debug = format!("{code:?}");
    let name = debug.strip_prefix("ErrorCode::").unwrap_or(&debug);
    name.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

pub fn response(future: &FutureIncomingResponse) -> Result<IncomingResponse, String> {
    future.subscribe().block();
    match future.get() {
        Some(Ok(Ok(response))) => Ok(response),
        Some(Ok(Err(code))) => Err(name(&code)),
        _ => Err("no response".to_owned()),
    }
}

/// The body, and how it ended if not well.
pub fn body(response: &IncomingResponse) -> (Vec<u8>, Option<String>) {
    let Ok(body) = response.consume() else { return (Vec::new(), Some("no body".to_owned())) };
    let mut bytes = Vec::new();
    let mut end = None;
    if let Ok(stream) = body.stream() {
        loop {
            match stream.blocking_read(64 << 10) {
                Ok(more) => bytes.extend(more),
                Err(StreamError::Closed) => break,
                Err(StreamError::LastOperationFailed(error)) => {
                    let code = wasip2::http::types::http_error_code(&error);
                    end = Some(code.map_or_else(|| "an unnamed error".to_owned(), |code| name(&code)));
                    break;
                }
            }
        }
    }
    drop(IncomingBody::finish(body));
    (bytes, end)
}

/// Status and body, or the error.
pub fn told(result: Result<IncomingResponse, String>) -> String {
    let response = match result {
        Ok(response) => response,
        Err(error) => return error,
    };
    let (bytes, end) = body(&response);
    match end {
        Some(error) => format!("{} then {error}", response.status()),
        None => format!("{} {}", response.status(), String::from_utf8_lossy(&bytes)),
    }
}

pub fn send(
    request: OutgoingRequest,
    options: Option<RequestOptions>,
) -> Result<FutureIncomingResponse, String> {
    handle(request, options).map_err(|code| name(&code))
}

pub fn get(url: &Url) -> String {
    get_with(url, Fields::new())
}

pub fn get_with(url: &Url, headers: Fields) -> String {
    let sent = request(Method::Get, url, headers).and_then(|request| send(request, None));
    told(sent.and_then(|future| response(&future)))
}

/// Begin a POST: the response to come, and the body that is to be written.
pub fn post(url: &Url, headers: Fields) -> Result<(FutureIncomingResponse, OutgoingBody), String> {
    let request = request(Method::Post, url, headers)?;
    let body = request.body().map_err(|()| "no body".to_owned())?;
    Ok((send(request, None)?, body))
}

/// Write, as far as the host takes it.
pub fn write(body: &OutgoingBody, bytes: &[u8]) -> Result<(), String> {
    let stream = body.write().map_err(|()| "no stream".to_owned())?;
    for chunk in bytes.chunks(4096) {
        stream.blocking_write_and_flush(chunk).map_err(|_| "write refused".to_owned())?;
    }
    Ok(())
}

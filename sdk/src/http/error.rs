//! What can go wrong on the way to a server and back.

use std::fmt;
use std::time::Duration;

use wasip2::http::types::{DnsErrorPayload, ErrorCode};

use super::Meaning;
use crate::Failure;

/// Why there is no answer that can be used. It turns into the [`Failure`] that fits:
///
/// ```no_run
/// # use wasm_issuer_sdk::{Failure, http};
/// fn ca(url: &str) -> Result<String, Failure> {
///     Ok(http::get(url).send()?.success()?.text().into_owned())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpError {
    /// What kind of trouble it is.
    pub kind: HttpErrorKind,
    /// What happened, for people; begins with the server.
    pub message: String,
}

/// The kinds of trouble, each with what it means for the Issuer.
///
/// ```
/// use wasm_issuer_sdk::http::{HttpError, HttpErrorKind};
/// use wasm_issuer_sdk::{Failure, FailureKind};
///
/// /// One server of several: the next one is asked if this one is not there.
/// fn is_down(error: &HttpError) -> bool {
///     matches!(error.kind, HttpErrorKind::Connect | HttpErrorKind::Dns | HttpErrorKind::Timeout)
/// }
///
/// let error = HttpError::new(HttpErrorKind::Connect, "https://ca.example.com: the connection was refused");
/// assert!(is_down(&error));
/// assert_eq!(Failure::from(error).kind, FailureKind::Retry(None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpErrorKind {
    /// The request cannot be made: its URL, a header, its JSON, or what the Issuer says about TLS. The Issuer's fault.
    Invalid,
    /// The operator refuses: the Issuer's spec does not grant the host, or the address is forbidden. The Issuer's fault.
    Denied,
    /// The name does not resolve. Retried.
    Dns,
    /// No connection, or it broke. Retried.
    Connect,
    /// It took too long. Retried.
    Timeout,
    /// The server's certificate, or ours, is not accepted, or there is no common TLS. The Issuer's fault, since it
    /// concerns all its requests.
    Tls,
    /// Request or answer are larger than allowed. Retried.
    TooLarge,
    /// The answer is not HTTP, or incomplete. Retried.
    Protocol,
    /// The answer is not the JSON that was expected. Retried.
    Json,
    /// The server answers with this status, and it means this.
    Status {
        /// The HTTP status code, outside of 200 to 299.
        status: u16,
        /// The header `Retry-After` in seconds.
        retry_after: Option<u32>,
        /// What becomes of it.
        meaning: Meaning,
    },
    /// Anything else. Retried.
    Other,
}

impl HttpError {
    /// An error of this kind, for what a client of one's own finds wrong.
    ///
    /// ```
    /// use wasm_issuer_sdk::http::{HttpError, HttpErrorKind};
    ///
    /// let error = HttpError::new(HttpErrorKind::Protocol, "https://ca.example.com: the answer has no Content-Type");
    /// assert_eq!(error.to_string(), error.message);
    /// ```
    pub fn new(kind: HttpErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The same of an exchange that took so long, where that says something.
    pub(super) fn after(mut self, time: Duration) -> Self {
        if self.kind == HttpErrorKind::Timeout {
            // Rounded, so that the same trouble has the same words.
            let digits = usize::from(time < Duration::from_secs(1));
            self.message = format!("{} ({:.digits$} s)", self.message, time.as_secs_f64());
        }
        self
    }

    pub(super) fn at(mut self, server: &str) -> Self {
        self.message = format!("{server}: {}", self.message);
        self
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for HttpError {}

impl From<ErrorCode> for HttpError {
    fn from(code: ErrorCode) -> Self {
        use ErrorCode as E;
        use HttpErrorKind as K;
        let size = |what: &str, limit: Option<u64>| match limit {
            Some(limit) => format!("{what} has more than {limit} bytes"),
            None => format!("{what} is too large"),
        };
        let (kind, message) = match code {
            E::HttpRequestDenied => {
                (K::Denied, "the Issuer does not grant it; add it to spec.http.allowedHosts".to_owned())
            }
            E::DestinationIpProhibited => (
                K::Denied,
                "the operator's policy forbids its address; an Event of the Issuer says more".to_owned(),
            ),
            E::DnsTimeout => (K::Dns, "resolving the name took too long".to_owned()),
            E::DnsError(DnsErrorPayload { rcode: Some(rcode), .. }) => {
                (K::Dns, format!("the name does not resolve ({rcode})"))
            }
            E::DnsError(_) | E::DestinationNotFound => (K::Dns, "the name does not resolve".to_owned()),
            E::DestinationUnavailable => (K::Connect, "the server is unavailable".to_owned()),
            E::DestinationIpUnroutable => (K::Connect, "there is no route to the server".to_owned()),
            E::ConnectionRefused => (K::Connect, "the connection was refused".to_owned()),
            E::ConnectionTerminated => (K::Connect, "the connection broke".to_owned()),
            E::ConnectionLimitReached => (K::Connect, "too many connections".to_owned()),
            E::ConnectionTimeout => (K::Timeout, "connecting took too long".to_owned()),
            E::ConnectionReadTimeout | E::HttpResponseTimeout => {
                (K::Timeout, "the answer took too long".to_owned())
            }
            E::ConnectionWriteTimeout => (K::Timeout, "sending the request took too long".to_owned()),
            E::TlsProtocolError => (K::Tls, "the TLS handshake failed".to_owned()),
            E::TlsCertificateError => (K::Tls, "the server's certificate is not trusted".to_owned()),
            E::TlsAlertReceived(alert) => {
                let reason = alert.alert_message.or_else(|| alert.alert_id.map(|id| format!("alert {id}")));
                (K::Tls, format!("the server refused the TLS handshake: {}", reason.unwrap_or_default()))
            }
            E::HttpRequestMethodInvalid | E::HttpRequestUriInvalid | E::HttpRequestUriTooLong => {
                (K::Invalid, "the method or the URL is malformed".to_owned())
            }
            E::HttpRequestBodySize(limit) => (K::TooLarge, size("the request's body", limit)),
            E::HttpRequestHeaderSectionSize(limit) => {
                (K::TooLarge, size("the request's header section", limit.map(u64::from)))
            }
            E::HttpRequestHeaderSize(_) => (K::TooLarge, size("a header of the request", None)),
            E::HttpResponseBodySize(limit) => (K::TooLarge, size("the answer's body", limit)),
            E::HttpResponseHeaderSectionSize(limit) => {
                (K::TooLarge, size("the answer's header section", limit.map(u64::from)))
            }
            E::HttpResponseHeaderSize(_) => (K::TooLarge, size("a header of the answer", None)),
            E::HttpResponseIncomplete => (K::Protocol, "the answer is incomplete".to_owned()),
            E::HttpProtocolError => (K::Protocol, "the answer is not HTTP".to_owned()),
            E::ConfigurationError => {
                (K::Invalid, "the Issuer's CA bundle or client certificate cannot be used".to_owned())
            }
            E::InternalError(Some(message)) => (K::Other, message),
            E::InternalError(None) => (K::Other, "the operator failed to make the request".to_owned()),
            E::HttpRequestLengthRequired => (K::Invalid, "the request says no length".to_owned()),
            E::HttpRequestTrailerSectionSize(limit) => {
                (K::TooLarge, size("the request's trailer section", limit.map(u64::from)))
            }
            E::HttpRequestTrailerSize(_) => (K::TooLarge, size("a trailer of the request", None)),
            E::HttpResponseTrailerSectionSize(limit) => {
                (K::TooLarge, size("the answer's trailer section", limit.map(u64::from)))
            }
            E::HttpResponseTrailerSize(_) => (K::TooLarge, size("a trailer of the answer", None)),
            E::HttpResponseTransferCoding(_) | E::HttpResponseContentCoding(_) => {
                (K::Protocol, "the answer has a coding that is not known".to_owned())
            }
            E::HttpUpgradeFailed => (K::Protocol, "the connection could not be upgraded".to_owned()),
            E::LoopDetected => (K::Other, "the request goes in a circle".to_owned()),
        };
        Self { kind, message }
    }
}

/// What concerns every request of the Issuer is the Issuer's fault; what may pass, or may be the request's, is retried.
impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        match error.kind {
            HttpErrorKind::Invalid | HttpErrorKind::Denied | HttpErrorKind::Tls => {
                Self::issuer(error.message)
            }
            HttpErrorKind::Status { retry_after, meaning, .. } => meaning.failure(error.message, retry_after),
            _ => Self::retry(error.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use wasip2::http::types::TlsAlertReceivedPayload;

    use super::*;
    use crate::FailureKind;

    fn failure(code: ErrorCode) -> Failure {
        HttpError::from(code).at("https://ca:8888").into()
    }

    #[test]
    fn trouble_on_the_way_is_retried_and_names_the_server() {
        let cases = [
            (ErrorCode::ConnectionRefused, "https://ca:8888: the connection was refused"),
            (
                ErrorCode::DnsError(DnsErrorPayload { rcode: Some("NXDOMAIN".into()), info_code: None }),
                "https://ca:8888: the name does not resolve (NXDOMAIN)",
            ),
            (ErrorCode::ConnectionTimeout, "https://ca:8888: connecting took too long"),
            (
                ErrorCode::HttpResponseBodySize(Some(9)),
                "https://ca:8888: the answer's body has more than 9 bytes",
            ),
            (ErrorCode::InternalError(Some("why".into())), "https://ca:8888: why"),
            (ErrorCode::LoopDetected, "https://ca:8888: the request goes in a circle"),
        ];
        for (code, message) in cases {
            assert_eq!(failure(code), Failure::retry(message));
        }
    }

    #[test]
    fn what_took_too_long_says_how_long() {
        let of = |code| HttpError::from(code).after(Duration::from_millis(4_020)).message;
        assert_eq!(of(ErrorCode::ConnectionReadTimeout), "the answer took too long (4 s)");
        assert_eq!(of(ErrorCode::ConnectionRefused), "the connection was refused");
    }

    #[test]
    fn what_concerns_all_requests_is_the_issuers_fault() {
        let message = "https://ca:8888: the Issuer does not grant it; add it to spec.http.allowedHosts";
        assert_eq!(failure(ErrorCode::HttpRequestDenied), Failure::issuer(message));
        let alert = TlsAlertReceivedPayload { alert_id: Some(48), alert_message: None };
        for code in [
            ErrorCode::DestinationIpProhibited,
            ErrorCode::TlsCertificateError,
            ErrorCode::TlsProtocolError,
            ErrorCode::TlsAlertReceived(alert),
            ErrorCode::ConfigurationError,
        ] {
            assert_eq!(failure(code).kind, FailureKind::Issuer);
        }
    }
}

//! Why a request failed: for the plugin as a `wasi:http` error code, for people in words.

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;

use wasmtime_wasi_http::Error as Code;

use super::address::Prohibition;
use super::cause::find;
use super::tls_fault;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the name could not be resolved: {0}")]
    Resolve(io::Error),
    #[error("the name has no address")]
    NoAddress,
    #[error("{address} is {prohibition}")]
    Prohibited { address: SocketAddr, prohibition: Prohibition },
    #[error("no connection to {address}: {error}")]
    Tcp { address: SocketAddr, error: io::Error },
    #[error("no connection within {0} ms")]
    Timeout(u128),
    #[error("TLS: {}", tls_fault::words_of(.0).unwrap_or_else(|| .0.to_string()))]
    Tls(io::Error),
    #[error("the operator's proxy: {0}")]
    Proxy(String),
    #[error("{0} connections are open already")]
    Limit(usize),
    #[error("all plugins together have as many connections open as this Issuer's namespace leaves room for")]
    Full,
    #[error("not an address that can be called")]
    Uri,
}

/// Why the body of a request was not sent to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestBodyError {
    #[error("the request's body is larger than {0} bytes")]
    TooLarge(usize),
    /// The plugin dropped the body, or its call ended: what was sent must not look complete.
    #[error("the request's body was not finished")]
    Aborted,
}

/// What a plugin is told.
pub fn code(error: &(dyn StdError + 'static)) -> Code {
    if let Some(error) = find::<ConnectError>(error) {
        return connect_code(error);
    }
    match find(error) {
        Some(RequestBodyError::TooLarge(limit)) => {
            return Code::HttpRequestBodySize(u64::try_from(*limit).ok());
        }
        Some(RequestBodyError::Aborted) => return Code::HttpProtocolError,
        None => {}
    }
    if let Some(error) = find::<rustls::Error>(error) {
        return tls_code(error);
    }
    match find::<hyper::Error>(error) {
        Some(error) if error.is_parse_too_large() => Code::HttpResponseHeaderSectionSize(None),
        Some(error) if error.is_parse() => Code::HttpProtocolError,
        Some(error) if error.is_timeout() => Code::HttpResponseTimeout,
        Some(error) if error.is_incomplete_message() || error.is_closed() || error.is_canceled() => {
            Code::ConnectionTerminated
        }
        _ if find::<io::Error>(error).is_some() => Code::ConnectionTerminated,
        _ => Code::HttpProtocolError,
    }
}

fn connect_code(error: &ConnectError) -> Code {
    match error {
        ConnectError::Resolve(_) | ConnectError::NoAddress => Code::DnsError { rcode: None, info_code: None },
        ConnectError::Prohibited { .. } => Code::DestinationIpProhibited,
        ConnectError::Timeout(_) => Code::ConnectionTimeout,
        ConnectError::Tls(error) => match find(error) {
            Some(error) => tls_code(error),
            None => Code::TlsProtocolError,
        },
        ConnectError::Tcp { error, .. } => match error.kind() {
            io::ErrorKind::TimedOut => Code::ConnectionTimeout,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                Code::DestinationIpUnroutable
            }
            _ => Code::ConnectionRefused,
        },
        ConnectError::Proxy(_) => Code::DestinationUnavailable,
        ConnectError::Limit(_) | ConnectError::Full => Code::ConnectionLimitReached,
        ConnectError::Uri => Code::HttpRequestUriInvalid,
    }
}

fn tls_code(error: &rustls::Error) -> Code {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            Code::TlsCertificateError
        }
        rustls::Error::AlertReceived(alert) => Code::TlsAlertReceived {
            alert_id: Some(u8::from(*alert)),
            alert_message: alert.as_str().map(str::to_owned),
        },
        _ => Code::TlsProtocolError,
    }
}

/// In words, the causes included, each once.
pub fn words(error: &(dyn StdError + 'static)) -> String {
    if let Some(error) = find::<ConnectError>(error) {
        return error.to_string();
    }
    let mut words = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let part = error.to_string();
        if !words.contains(&part) {
            if !words.is_empty() {
                words.push_str(": ");
            }
            words.push_str(&part);
        }
        next = error.source();
    }
    words
}

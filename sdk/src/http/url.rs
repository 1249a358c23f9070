//! A URL in the parts that WASI wants of it.

use std::borrow::Cow;

use wasip2::http::types::Scheme;

use super::{HttpError, HttpErrorKind};

#[derive(Debug)]
pub struct Url<'a> {
    pub scheme: Scheme,
    pub authority: &'a str,
    pub path_with_query: Cow<'a, str>,
}

impl<'a> Url<'a> {
    /// The error does not repeat what is wrong: it might be a secret.
    pub fn parse(url: &'a str) -> Result<Self, HttpError> {
        let invalid =
            |why| HttpError::new(HttpErrorKind::Invalid, format!("not an http:// or https:// URL: {why}"));
        let (scheme, rest) = url.split_once("://").ok_or_else(|| invalid("it has no scheme"))?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(invalid("its scheme is another one")),
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.is_empty() {
            return Err(invalid("it has no host"));
        }
        if authority.contains('@') {
            return Err(invalid("credentials do not belong there"));
        }
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid("it has characters that must be percent-encoded"));
        }
        let path_with_query =
            if path.starts_with('/') { Cow::Borrowed(path) } else { Cow::Owned(format!("/{path}")) };
        Ok(Self { scheme, authority, path_with_query })
    }

    /// `scheme://host:port`, as `spec.http.allowedHosts` has it.
    pub fn server(&self) -> String {
        let scheme = if matches!(self.scheme, Scheme::Http) { "http" } else { "https" };
        format!("{scheme}://{}", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_comes_apart() {
        let cases = [
            ("https://ca:8888/api/v1?x=y#z", "https://ca:8888", "/api/v1?x=y"),
            ("HTTP://ca", "http://ca", "/"),
            ("http://[::1]:80?x", "http://[::1]:80", "/?x"),
        ];
        for (url, server, path) in cases {
            let parsed = Url::parse(url).unwrap();
            assert_eq!((parsed.server().as_str(), &*parsed.path_with_query), (server, path), "{url}");
        }
    }

    #[test]
    fn a_url_that_is_none_is_invalid_and_not_repeated() {
        for url in
            ["", "ca:8888", "ftp://ca", "https://", "https:///x", "https://user:hunter2@ca", "http://ca/a b"]
        {
            let error = Url::parse(url).unwrap_err();
            assert_eq!(error.kind, HttpErrorKind::Invalid, "{url}");
            assert!(!error.message.contains("hunter2"));
        }
    }
}

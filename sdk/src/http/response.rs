//! What a server answers.

use std::borrow::Cow;
use std::time::SystemTime;

use serde::de::DeserializeOwned;

use super::{HttpError, HttpErrorKind, Meaning};

/// How much of the body an error shows.
const SHOWN_CHARS: usize = 200;

/// An answer, whatever its status. The fields are public, so that a plugin's own tests can make one:
///
/// ```
/// use wasm_issuer_sdk::http::Response;
///
/// let busy = Response {
///     server: "https://ca.example.com".into(),
///     status: 503,
///     headers: vec![("Retry-After".into(), b"30".to_vec())],
///     body: Vec::new(),
/// };
/// assert_eq!(busy.retry_after(), Some(30));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The server that answered, `scheme://host:port`: what is wrong with the answer names it.
    pub server: String,
    /// The HTTP status code.
    pub status: u16,
    /// The headers in the server's order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body, of [`Request::limit`](super::Request::limit) bytes at most.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name, in whatever case, if it is text.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, http};
    /// # fn f() -> Result<(), Failure> {
    /// let response = http::get("https://ca.example.com/orders/7").send()?;
    /// let location = response.header("location");
    /// # Ok(()) }
    /// ```
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// The body as text; what is not UTF-8 is replaced.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, http};
    /// # fn f() -> Result<(), Failure> {
    /// let pem = http::get("https://ca.example.com/ca.pem").send()?.success()?.text().into_owned();
    /// # Ok(()) }
    /// ```
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body, which must be JSON of this shape. The error names the field.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, http};
    /// #[derive(serde::Deserialize)]
    /// struct Issued {
    ///     chain: String,
    /// }
    ///
    /// fn chain(response: http::Response) -> Result<String, Failure> {
    ///     let issued: Issued = response.success()?.json()?;
    ///     Ok(issued.chain)
    /// }
    /// ```
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        parse_json(&self.body).map_err(|error| {
            HttpError::new(HttpErrorKind::Json, format!("the answer is not the JSON expected: {error}"))
                .at(&self.server)
        })
    }

    /// The header `Retry-After` (RFC 9110, 10.2.3) in seconds from now, whether it holds seconds or a date. A date counts
    /// from the server's own time, where the header `Date` says it: the clocks may differ.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, http};
    /// fn is_ready(response: &http::Response) -> Result<(), Failure> {
    ///     match response.status {
    ///         202 => Err(Failure::pending("the CA is not done").poll_after(response.retry_after().unwrap_or(30))),
    ///         _ => Ok(()),
    ///     }
    /// }
    /// ```
    pub fn retry_after(&self) -> Option<u32> {
        let value = self.header("retry-after")?.trim();
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(value.parse().unwrap_or(u32::MAX));
        }
        let date = |text: &str| httpdate::parse_http_date(text.trim()).ok();
        let now = self.header("date").and_then(date).unwrap_or_else(SystemTime::now);
        let wait = date(value)?.duration_since(now).unwrap_or_default();
        Some(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX))
    }

    /// The answer if its status is 2xx. Otherwise an error that holds the status, `Retry-After` and the beginning of the
    /// body, and means what [the module's table](super#errors) says.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, http};
    /// # fn f() -> Result<(), Failure> {
    /// let answer = http::get("https://ca.example.com/profiles/server").send()?.success()?;
    /// # Ok(()) }
    /// ```
    pub fn success(self) -> Result<Self, HttpError> {
        self.success_with(&[])
    }

    /// As [`success`](Self::success), where the server's API means something else by a status than most do: the table
    /// says what, and what it does not name means what it always does.
    ///
    /// ```
    /// use wasm_issuer_sdk::http::{Meaning, Response};
    /// use wasm_issuer_sdk::{Failure, FailureKind};
    ///
    /// /// This CA answers 409 while another call orders the same certificate.
    /// const MEANINGS: [(u16, Meaning); 1] = [(409, Meaning::Retry)];
    ///
    /// # let server = "https://ca.example.com".to_owned();
    /// let answer = Response { server, status: 409, headers: Vec::new(), body: b"busy".to_vec() };
    /// let failure: Failure = answer.success_with(&MEANINGS).unwrap_err().into();
    /// assert_eq!(failure.kind, FailureKind::Retry(None));
    /// assert_eq!(failure.message, "https://ca.example.com: the server answers 409: busy");
    /// ```
    pub fn success_with(self, meanings: &[(u16, Meaning)]) -> Result<Self, HttpError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let kind = HttpErrorKind::Status {
            status: self.status,
            retry_after: self.retry_after(),
            meaning: Meaning::by(meanings, self.status),
        };
        let text: String = self.text().trim().chars().take(SHOWN_CHARS).collect();
        let colon = if text.is_empty() { "" } else { ": " };
        let message = format!("the server answers {}{colon}{text}", self.status);
        Err(HttpError::new(kind, message).at(&self.server))
    }
}

/// The error begins with the field, since serde's own text often does not name it.
fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value =
        serde_path_to_error::deserialize(&mut json).map_err(|error| match error.path().to_string() {
            path if path == "." => error.inner().to_string(),
            path => format!("{path}: {}", error.inner()),
        })?;
    json.end().map_err(|error| error.to_string())?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Failure;

    fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        let server = "https://ca:8888".to_owned();
        Response { server, status, headers: headers.collect(), body: body.into() }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let after = |value| response(503, &[("Retry-After", value)], "").retry_after();
        assert_eq!(after("120"), Some(120));
        assert_eq!(after("99999999999999999999"), Some(u32::MAX), "for ever");
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(0), "in the past");
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(10_000));
        assert!(matches!(after(&soon), Some(9_000..=10_000)));
        for none in ["soon", "", "-1", "1.5"] {
            assert_eq!(after(none), None, "{none}");
        }
        assert_eq!(response(503, &[], "").retry_after(), None);
    }

    #[test]
    fn a_date_counts_from_the_servers_clock() {
        let dates =
            [("Date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("Retry-After", "Sun, 06 Nov 1994 08:50:37 GMT")];
        assert_eq!(response(503, &dates, "").retry_after(), Some(60));
    }

    #[test]
    fn only_2xx_is_success() {
        assert!(response(204, &[], "").success().is_ok());
        let error = response(429, &[("retry-after", "7")], "slow down\n").success().unwrap_err();
        let meaning = Meaning::Retry;
        assert_eq!(error.kind, HttpErrorKind::Status { status: 429, retry_after: Some(7), meaning });
        assert_eq!(error.message, "https://ca:8888: the server answers 429: slow down");
        let redirect = response(302, &[], "").success().unwrap_err();
        assert_eq!(redirect.message, "https://ca:8888: the server answers 302");
    }

    #[test]
    fn an_answer_that_is_no_success_is_the_failure_that_it_means() {
        let of = |status, table: &[(u16, Meaning)]| -> Failure {
            let answer = response(status, &[("Retry-After", "5")], "why");
            answer.success_with(table).unwrap_err().into()
        };
        let message = |status| format!("https://ca:8888: the server answers {status}: why");
        assert_eq!(of(503, &[]), Failure::retry(message(503)).after(5));
        assert_eq!(of(422, &[]), Failure::invalid_request(message(422)));
        assert_eq!(of(404, &[]), Failure::issuer(message(404)));
        assert_eq!(of(404, &[(404, Meaning::Permanent)]), Failure::permanent(message(404)));
        assert_eq!(of(409, &[(409, Meaning::Retry)]), Failure::retry(message(409)).after(5));
    }

    #[test]
    fn json_that_does_not_fit_is_an_error_that_names_the_field() {
        #[derive(Debug, serde::Deserialize)]
        struct Answer {
            #[expect(dead_code, reason = "only parsed")]
            order: Order,
        }
        #[derive(Debug, serde::Deserialize)]
        struct Order {
            #[expect(dead_code, reason = "only parsed")]
            id: String,
        }
        assert_eq!(response(200, &[], "[1, 2]").json(), Ok(vec![1, 2]));
        for (body, why) in [
            ("<html>", "expected value"),
            (r#"{"order": {"id": 7}}"#, "order.id: invalid type: integer `7`, expected a string"),
            (r#"{"order": {"id": "7"}} x"#, "trailing characters"),
        ] {
            let error = response(200, &[], body).json::<Answer>().unwrap_err();
            assert_eq!(error.kind, HttpErrorKind::Json);
            assert!(error.message.starts_with("https://ca:8888: the answer is not the JSON"), "{error}");
            assert!(error.message.contains(why), "{error}");
        }
    }
}

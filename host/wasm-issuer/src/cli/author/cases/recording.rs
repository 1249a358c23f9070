//! A recording: what a case's requests said and what was answered, as the file `exchanges.yaml` of the case holds it.

mod fields;

use std::path::Path;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
pub use fields::{Body, FailureCode, Header, Seed, Status};
use http::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wasm_issuer_runtime::egress::NoResponse;

use super::super::input::{self, quoted};

/// The file in the folder of a case.
pub const FILE: &str = "exchanges.yaml";
/// What is read of such a file at most. A call may have 32 requests, and each a response of 4 MiB; those of CAs have KiB.
const MAX_BYTES: u64 = 16 << 20;
const HEAD: &str = "# Recorded by `wasm-issuer plugin test --record`: docs/testing-plugins.md says what may be changed by hand.\n";

/// The exchanges of one call, in the order of its requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// When it was recorded: what the plugin's clock says when it is replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// What the plugin's random numbers were made of.
    #[serde(default)]
    pub seed: Seed,
    pub exchanges: Vec<Exchange>,
}

/// A request, and the response or why there was none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenExchange", into = "WrittenExchange")]
pub struct Exchange {
    pub request: Sent,
    pub answer: Result<Received, Failure>,
}

/// A request as the plugin wrote it. In its texts `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    pub method: String,
    pub url: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    #[serde(default, skip_serializing_if = "Body::is_empty")]
    pub body: Body,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Received {
    pub status: Status,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    #[serde(default, skip_serializing_if = "Body::is_empty")]
    pub body: Body,
}

/// Why there was no response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    pub code: FailureCode,
    /// What the host adds to the plugin's message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenExchange {
    request: Sent,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response: Option<Received>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
}

impl TryFrom<WrittenExchange> for Exchange {
    type Error = &'static str;

    fn try_from(written: WrittenExchange) -> Result<Self, &'static str> {
        let answer = match (written.response, written.failure) {
            (Some(response), None) => Ok(response),
            (None, Some(failure)) => Err(failure),
            _ => return Err("an exchange has a request, and either a response or a failure"),
        };
        Ok(Self { request: written.request, answer })
    }
}

impl From<Exchange> for WrittenExchange {
    fn from(Exchange { request, answer }: Exchange) -> Self {
        let (response, failure) = match answer {
            Ok(response) => (Some(response), None),
            Err(failure) => (None, Some(failure)),
        };
        Self { request, response, failure }
    }
}

impl From<Failure> for NoResponse {
    fn from(Failure { code, hint }: Failure) -> Self {
        Self::from(code).with_hint(hint)
    }
}

impl From<NoResponse> for Failure {
    fn from(failed: NoResponse) -> Self {
        let hint = failed.hint().map(str::to_owned);
        Self { code: failed.into(), hint }
    }
}

impl From<Received> for Response<Bytes> {
    fn from(Received { status, headers, body }: Received) -> Self {
        let mut response = Response::new(body.0);
        *response.status_mut() = status.0;
        for Header { name, value } in headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

impl Recording {
    /// The recording in a case's folder, if there is one.
    pub fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = input::read(&path, "the recording", MAX_BYTES)?;
        let named = || format!("the recording {}", quoted(&path));
        let text = String::from_utf8(bytes).with_context(named)?;
        Self::parse(&text).map(Some).with_context(named)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        Ok(serde_saphyr::from_str(text)?)
    }

    /// As the file has it. What cannot be read back as the same is refused.
    pub fn yaml(&self) -> anyhow::Result<String> {
        // Long lines stay in one: folded ones are hard to compare.
        let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
        let yaml = serde_saphyr::to_string_with_options(self, options)?;
        ensure!(
            Self::parse(&yaml).is_ok_and(|read| read == *self),
            "a recording of this cannot be written as YAML"
        );
        Ok(format!("{HEAD}{yaml}"))
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, StatusCode};

    use super::*;

    fn recording(body: &[u8], value: &str) -> Recording {
        let headers = vec![Header { name: HeaderName::from_static("x-a"), value: value.parse().unwrap() }];
        let body = Body(Bytes::copy_from_slice(body));
        let request = Sent {
            method: "POST".into(),
            url: "https://ca.example/".into(),
            headers: headers.clone(),
            body: body.clone(),
        };
        let received = Received { status: Status(StatusCode::OK), headers, body };
        let failure = NoResponse::named("tls-protocol-error").unwrap().with_hint(Some("TLS: no".into()));
        let exchanges =
            [Ok(received), Err(failure.into())].map(|answer| Exchange { request: request.clone(), answer });
        let at = Some("2030-01-02T03:04:05.678Z".parse().unwrap());
        Recording { at, seed: Seed([7; 32]), exchanges: exchanges.into() }
    }

    #[test]
    fn whatever_is_said_is_read_back_as_it_was() {
        let texts = [
            "",
            " ",
            "a: b",
            "- a",
            "# a",
            "*",
            "&a",
            "null",
            "1",
            "true",
            "{}",
            "'",
            "\"",
            "a\n",
            "\na",
            "a\n\n\n",
            " a\n b",
            "a\r\nb",
            "\ttab",
            "a\u{0}b",
            "\u{85}",
            "\u{feff}",
            "é\n",
            "---\n",
            "...",
            "%a",
            "a\u{2028}b",
            "~",
            "0x1",
            "{\"a\": \"b\\n\"}",
            "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
            "a #b",
            "\\",
            "a \n b ",
        ];
        let long = "x y ".repeat(500);
        for text in texts.iter().copied().chain([long.as_str()]) {
            let recording = recording(text.as_bytes(), "1");
            let yaml = recording.yaml().unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert_eq!(Recording::parse(&yaml).unwrap(), recording, "{yaml}");
        }
        for (body, value) in [(&[0xff, 0][..], "a: b, c"), (&[0xe9], "\"#\""), (b"a", "W/\"1\"")] {
            let recording = recording(body, value);
            assert_eq!(Recording::parse(&recording.yaml().unwrap()).unwrap(), recording);
        }
    }

    #[test]
    fn what_is_wrong_in_a_recording_is_named() {
        let exchange = |request: &str, answer: &str| {
            format!("exchanges:\n- request: {{method: GET, url: 'https://a/'{request}}}\n  {answer}\n")
        };
        let response = "response: {status: 200}";
        assert!(Recording::parse(&exchange("", response)).is_ok());
        let cases = [
            (exchange("", "response: {status: 1}"), "1 is no status of HTTP"),
            (exchange("", "response: {other: 200}"), "other"),
            (
                exchange("", "failure: {code: broken}"),
                "there is no failure \"broken\"; there are configuration-error",
            ),
            (exchange("", "other: {}"), "other"),
            (
                format!("{}  failure: {{code: dns-error}}\n", exchange("", response)),
                "either a response or a failure",
            ),
            (exchange(", headers: [a]", response), "no line of a header"),
            (exchange(", headers: ['a b: c']", response), "no line of a header"),
            (exchange(", body: {base64: '?'}", response), "a body's base64"),
            ("seed: ab\nexchanges: []".to_owned(), "64 hexadecimal digits"),
        ];
        for (text, wanted) in cases {
            let error = format!("{:#}", Recording::parse(&text).unwrap_err());
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}

//! The values of a recording's fields, which cannot be wrong.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use wasm_issuer_runtime::egress::NoResponse;

/// A line `name: value`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Header {
    pub name: HeaderName,
    pub value: HeaderValue,
}

impl Header {
    /// The value as text, whatever bytes it has.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.value.as_bytes()).into_owned()
    }
}

impl TryFrom<String> for Header {
    type Error = String;

    fn try_from(line: String) -> Result<Self, String> {
        let wrong = || format!("{line:?} is no line of a header, `name: value`");
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name = name.trim().parse().map_err(|_invalid| wrong())?;
        let value = HeaderValue::from_bytes(value.trim().as_bytes()).map_err(|_invalid| wrong())?;
        Ok(Self { name, value })
    }
}

impl From<Header> for String {
    fn from(header: Header) -> Self {
        format!("{}: {}", header.name, header.text())
    }
}

/// A body: a text, or bytes that are written as `{base64: ...}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenBody", into = "WrittenBody")]
pub struct Body(pub Bytes);

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "a body is a text, or `base64: ...`")]
enum WrittenBody {
    Text(String),
    Bytes { base64: String },
}

impl Body {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<WrittenBody> for Body {
    type Error = String;

    fn try_from(written: WrittenBody) -> Result<Self, String> {
        Ok(Self(match written {
            WrittenBody::Text(text) => text.into(),
            WrittenBody::Bytes { base64 } => {
                BASE64.decode(&base64).map_err(|error| format!("a body's base64: {error}"))?.into()
            }
        }))
    }
}

impl From<Body> for WrittenBody {
    fn from(Body(bytes): Body) -> Self {
        match std::str::from_utf8(&bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes { base64: BASE64.encode(&bytes) },
        }
    }
}

/// The status of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Status(pub StatusCode);

impl TryFrom<u16> for Status {
    type Error = String;

    fn try_from(status: u16) -> Result<Self, String> {
        StatusCode::from_u16(status).map(Self).map_err(|_invalid| format!("{status} is no status of HTTP"))
    }
}

impl From<Status> for u16 {
    fn from(Status(status): Status) -> Self {
        status.as_u16()
    }
}

/// The name of an error code of `wasi:http`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FailureCode(NoResponse);

impl From<FailureCode> for NoResponse {
    fn from(FailureCode(failed): FailureCode) -> Self {
        failed
    }
}

impl From<NoResponse> for FailureCode {
    fn from(failed: NoResponse) -> Self {
        Self(failed.with_hint(None))
    }
}

impl TryFrom<String> for FailureCode {
    type Error = String;

    fn try_from(code: String) -> Result<Self, String> {
        let known = || NoResponse::codes().collect::<Vec<_>>().join(", ");
        NoResponse::named(&code)
            .map(Self)
            .ok_or_else(|| format!("there is no failure {code:?}; there are {}", known()))
    }
}

impl From<FailureCode> for String {
    fn from(FailureCode(failed): FailureCode) -> Self {
        failed.code().to_owned()
    }
}

/// What random numbers are made of: 64 hexadecimal digits. Zeros where nothing is recorded.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Seed(pub [u8; 32]);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl TryFrom<String> for Seed {
    type Error = &'static str;

    fn try_from(digits: String) -> Result<Self, &'static str> {
        let mut seed = [0; 32];
        match hex::decode_to_slice(digits, &mut seed) {
            Ok(()) => Ok(Self(seed)),
            Err(_) => Err("a seed has 64 hexadecimal digits"),
        }
    }
}

impl From<Seed> for String {
    fn from(Seed(seed): Seed) -> Self {
        hex::encode(seed)
    }
}

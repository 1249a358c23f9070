//! What takes a placeholder's place in a request, escaped for where it stands.

use base64::Engine as _;
use http::HeaderValue;
use zeroize::Zeroizing;

use super::{BASE64, InvalidValue, SecretValue};

/// What a placeholder may stand for, escaped: servers accept header lines of 8 KiB.
const MAX_PLACED: usize = 8 << 10;

type Placed = Result<Zeroizing<Vec<u8>>, InvalidValue>;

impl SecretValue {
    /// What a header may hold of it: the bytes without white space at the ends.
    pub fn header_value(&self) -> Placed {
        self.sendable(Zeroizing::new(self.bytes().trim_ascii().to_vec()))
    }

    /// The base64 of `user:value`: what follows `Basic ` in a header (RFC 7617).
    pub fn basic_auth(&self, user: &str) -> Placed {
        if user.contains(':') || user.chars().any(char::is_control) {
            return Err(InvalidValue("a user name holds neither `:` nor control characters".into()));
        }
        let pair = Zeroizing::new([user.as_bytes(), b":", self.bytes().trim_ascii()].concat());
        self.sendable(Zeroizing::new(BASE64.encode(&pair).into_bytes()))
    }

    /// The bytes without white space at the ends, percent-encoded as forms are (URL Standard).
    pub fn form_urlencoded(&self) -> Placed {
        let parts = form_urlencoded::byte_serialize(self.bytes().trim_ascii());
        self.bounded(parts.map(str::as_bytes))
    }

    /// The text without white space at the ends as it stands within a JSON string, without the quotes around it.
    pub fn json_string(&self) -> Placed {
        let Ok(text) = std::str::from_utf8(self.bytes().trim_ascii()) else {
            return Err(self.invalid("the value is not UTF-8, so no JSON string can hold it"));
        };
        let mut quoted = Zeroizing::new(Vec::with_capacity(text.len() + 2));
        serde_json::to_writer(&mut *quoted, text)
            .map_err(|_error| self.invalid("the value is no JSON string"))?;
        let within = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
        self.bounded([within].into_iter())
    }

    fn sendable(&self, value: Zeroizing<Vec<u8>>) -> Placed {
        if HeaderValue::from_bytes(&value).is_err() {
            return Err(self.invalid("the value holds control characters, which no header can"));
        }
        self.bounded([value.as_slice()].into_iter())
    }

    fn bounded<'a>(&self, parts: impl Iterator<Item = &'a [u8]>) -> Placed {
        let mut value = Zeroizing::new(Vec::new());
        for part in parts {
            if value.len() + part.len() > MAX_PLACED {
                return Err(self.invalid(format_args!(
                    "the value cannot be sent: as it would stand in the request it is longer than {MAX_PLACED} bytes"
                )));
            }
            value.extend_from_slice(part);
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::value;
    use super::*;

    fn text(placed: Placed) -> String {
        String::from_utf8(placed.unwrap().to_vec()).unwrap()
    }

    #[test]
    fn values_are_escaped_for_their_place() {
        let secret = value("  p&=+ \"q\"\\\n\u{1}\u{e4}\n".as_bytes());
        assert_eq!(text(secret.form_urlencoded()), "p%26%3D%2B+%22q%22%5C%0A%01%C3%A4");
        let json = text(secret.json_string());
        assert_eq!(json, "p&=+ \\\"q\\\"\\\\\\n\\u0001\u{e4}");
        let back: String = serde_json::from_str(&format!("\"{json}\"")).unwrap();
        assert_eq!(back, "p&=+ \"q\"\\\n\u{1}\u{e4}");
        assert!(value(b"\xff").json_string().is_err());
        assert_eq!(text(value(b"\xff").form_urlencoded()), "%FF");
    }

    /// As it stands in the request: a few bytes may be escaped to many.
    #[test]
    fn what_is_sent_is_bounded() {
        assert!(value(&[b'x'; 8 << 10]).form_urlencoded().is_ok());
        assert!(value(&[b'&'; 4 << 10]).form_urlencoded().is_err());
        assert!(value(&[1; 2 << 10]).json_string().is_err());
        assert!(value(&[b'x'; (8 << 10) + 1]).header_value().is_err());
        assert!(value(&[b'x'; 8 << 10]).basic_auth("me").is_err());
    }
}

//! Tokens that stand for a Secret's values. A plugin handles the token; the value takes its place on the way out.
//!
//! Only in the values of header fields, never in a path or a body, and only in requests that the grant lets through; so
//! over plain HTTP only where the Issuer grants an `http://` server. A server that was granted sees the value, and if it
//! repeats it in its response the plugin sees it too: granting a server means to trust it with the Secret's values.

use bytes::Bytes;
use http::HeaderValue;
use zeroize::Zeroizing;

/// The placeholders of one call.
#[derive(Default)]
pub struct Placeholders(Vec<(String, Zeroizing<Vec<u8>>)>);

impl Placeholders {
    /// Make a token for a value, which must be one that a header may hold.
    pub fn add(&mut self, value: Zeroizing<Vec<u8>>) -> String {
        let token = format!("placeholder-{:032x}", rand::random::<u128>());
        self.0.push((token.clone(), value));
        token
    }

    /// How many tokens were made.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no token was made.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A header's value with the tokens in it replaced.
    pub(super) fn replace(&self, value: &HeaderValue) -> HeaderValue {
        let mut replaced: Option<Zeroizing<Vec<u8>>> = None;
        for (token, secret) in &self.0 {
            let current = replaced.as_ref().map_or(value.as_bytes(), |bytes| bytes.as_slice());
            if let Some(next) = replace_all(current, token.as_bytes(), secret) {
                replaced = Some(next);
            }
        }
        let Some(replaced) = replaced else { return value.clone() };
        let Ok(mut value) = HeaderValue::from_maybe_shared(Bytes::copy_from_slice(&replaced)) else {
            return value.clone();
        };
        // Not shown in debug output, nor kept in HTTP/2's table of header fields.
        value.set_sensitive(true);
        value
    }
}

fn replace_all(text: &[u8], token: &[u8], secret: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut rest = text;
    let mut replaced = Zeroizing::new(Vec::new());
    let mut found = false;
    while let Some(at) = rest.windows(token.len()).position(|window| window == token) {
        found = true;
        let (before, after) = rest.split_at(at);
        replaced.extend_from_slice(before);
        replaced.extend_from_slice(secret);
        rest = after.get(token.len()..).unwrap_or_default();
    }
    replaced.extend_from_slice(rest);
    found.then_some(replaced)
}

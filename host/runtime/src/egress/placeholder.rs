//! Tokens that stand for a Secret's values. A plugin handles the token; the value takes its place on the way out.
//!
//! Only in the values of header fields or in bodies, as the token was made for, never in a path, and only in requests
//! that the grant lets through; so over plain HTTP only where the Issuer grants an `http://` server. A server that was
//! granted sees the value, and if it repeats it in its response the plugin sees it too: granting a server means to trust
//! it with the Secret's values.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use zeroize::Zeroizing;

/// The largest body that tokens are replaced in, before and after.
pub const MAX_BODY: usize = 64 << 10;

/// Where a token is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the values of header fields.
    Header,
    /// In a request's body.
    Body,
}

struct Placeholder {
    token: String,
    /// What stands for it where tests of plugins keep what was said.
    name: String,
    place: Place,
    value: Zeroizing<Vec<u8>>,
}

/// The placeholders of one call. The requests under way share them: values are memory that no limit of the plugin's counts.
#[derive(Default)]
pub struct Placeholders(Vec<Arc<Placeholder>>);

impl Placeholders {
    /// Make a token for a value, which must be one that its place may hold, escaped. `name` says which value it is, and in
    /// which form.
    pub fn add(&mut self, place: Place, name: &str, value: Zeroizing<Vec<u8>>) -> String {
        let token = format!("placeholder-{:032x}", rand::random::<u128>());
        let name = format!("{{secret:{name}}}");
        self.0.push(Arc::new(Placeholder { token: token.clone(), name, place, value }));
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

    /// Those that are replaced in bodies, if there are any.
    pub(super) fn of_bodies(&self) -> Option<Self> {
        let of_bodies: Vec<_> = self.at(Place::Body).cloned().collect();
        (!of_bodies.is_empty()).then_some(Self(of_bodies))
    }

    fn at(&self, place: Place) -> impl Iterator<Item = &Arc<Placeholder>> {
        self.0.iter().filter(move |placeholder| placeholder.place == place)
    }

    /// A header's value with the tokens in it replaced.
    pub(super) fn replace(&self, value: &HeaderValue) -> HeaderValue {
        // The limit for all header fields is looked at when all are replaced.
        let Ok(Some(replaced)) = self.replaced(Place::Header, value.as_bytes(), usize::MAX) else {
            return value.clone();
        };
        let Ok(mut value) = HeaderValue::from_maybe_shared(Bytes::copy_from_slice(&replaced)) else {
            return value.clone();
        };
        // Not shown in debug output, nor kept in HTTP/2's table of header fields.
        value.set_sensitive(true);
        value
    }

    /// A header's value with names in place of tokens.
    pub(super) fn name_in(&self, value: &HeaderValue) -> HeaderValue {
        let named = self.named(Place::Header, value.as_bytes());
        HeaderValue::from_maybe_shared(named).unwrap_or_else(|_| value.clone())
    }

    /// A body with names in place of tokens.
    pub(super) fn name_in_body(&self, body: &[u8]) -> Bytes {
        self.named(Place::Body, body)
    }

    fn named(&self, place: Place, text: &[u8]) -> Bytes {
        let mut text = Zeroizing::new(text.to_vec());
        for placeholder in self.at(place) {
            let (token, name) = (placeholder.token.as_bytes(), placeholder.name.as_bytes());
            if let Ok(Some(named)) = replace_all(&text, token, name, usize::MAX) {
                text = named;
            }
        }
        Bytes::copy_from_slice(&text)
    }

    /// A body with the tokens in it replaced, unless that makes it longer than [`MAX_BODY`].
    pub(super) fn replace_in_body(&self, body: &[u8]) -> Result<Option<Bytes>, TooLong> {
        let replaced = self.replaced(Place::Body, body, MAX_BODY)?;
        Ok(replaced.map(Bytes::from_owner))
    }

    fn replaced(
        &self,
        place: Place,
        text: &[u8],
        most: usize,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, TooLong> {
        let mut replaced: Option<Zeroizing<Vec<u8>>> = None;
        for placeholder in self.at(place) {
            let current = replaced.as_ref().map_or(text, |bytes| bytes.as_slice());
            if let Some(next) = replace_all(current, placeholder.token.as_bytes(), &placeholder.value, most)?
            {
                replaced = Some(next);
            }
        }
        Ok(replaced)
    }
}

/// What was to be replaced would have become too long.
#[derive(Debug)]
pub struct TooLong;

fn replace_all(
    text: &[u8],
    token: &[u8],
    secret: &[u8],
    most: usize,
) -> Result<Option<Zeroizing<Vec<u8>>>, TooLong> {
    let mut rest = text;
    let mut replaced = Zeroizing::new(Vec::new());
    let mut found = false;
    let mut add = |part: &[u8]| {
        if replaced.len() + part.len() > most {
            return Err(TooLong);
        }
        replaced.extend_from_slice(part);
        Ok(())
    };
    while let Some(at) = rest.windows(token.len()).position(|window| window == token) {
        found = true;
        let (before, after) = rest.split_at(at);
        add(before)?;
        add(secret)?;
        rest = after.get(token.len()..).unwrap_or_default();
    }
    add(rest)?;
    Ok(found.then_some(replaced))
}

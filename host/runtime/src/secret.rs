//! The values of the Secret that an Issuer lends its plugin, and what can be made of one without reading it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderValue;
use wasm_issuer_core::keys::{KeyError, PrivateKey};
use wasm_issuer_core::x509::pem;
use zeroize::Zeroizing;

const MAX_CERTIFICATES: usize = 64;
/// What a placeholder may stand for: servers accept header lines of 8 KiB.
const MAX_HEADER_VALUE: usize = 8 << 10;

/// Secret values by key, such as credentials or a CA bundle, with what messages call them.
pub struct SecretData {
    /// The namespace that messages give it.
    pub namespace: String,
    /// The name that messages give it.
    pub name: String,
    /// The values, decoded, by the key that each is found by.
    pub values: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

/// A session's Secret. Displayed as `namespace/name`.
pub struct Secret {
    namespace: String,
    name: String,
    values: BTreeMap<String, Arc<SecretValue>>,
}

/// One value of a Secret.
pub struct SecretValue {
    key: String,
    bytes: Zeroizing<Vec<u8>>,
    is_revealed: bool,
    /// The private key that the value holds, parsed at the first use.
    private_key: OnceLock<Result<Arc<PrivateKey>, KeyError>>,
}

/// Why a value does not have the form that an operation needs. Names the value's key and never quotes the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidValue(pub String);

impl Secret {
    /// The plugin may read the values whose keys are in `reveal`.
    pub fn new(data: SecretData, reveal: &BTreeSet<String>) -> Self {
        let value = |(key, bytes): (String, _)| {
            let is_revealed = reveal.contains(&key);
            let value = SecretValue { key: key.clone(), bytes, is_revealed, private_key: OnceLock::new() };
            (key, Arc::new(value))
        };
        Self {
            namespace: data.namespace,
            name: data.name,
            values: data.values.into_iter().map(value).collect(),
        }
    }

    /// The keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.values.keys()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Arc<SecretValue>> {
        self.values.get(key)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl SecretValue {
    /// The key that it is found by.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The bytes, for the host's own use.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, where the plugin may read them.
    pub fn revealed(&self) -> Option<&[u8]> {
        self.is_revealed.then_some(&self.bytes)
    }

    /// What its hexadecimal digits stand for; white space at the ends is ignored.
    pub fn decode_hex(&self) -> Result<Zeroizing<Vec<u8>>, InvalidValue> {
        self.decoded(hex::decode(self.bytes.trim_ascii()).ok(), "hexadecimal digits")
    }

    /// What its base64 stands for; white space at the ends is ignored.
    pub fn decode_base64(&self) -> Result<Zeroizing<Vec<u8>>, InvalidValue> {
        self.decoded(BASE64.decode(self.bytes.trim_ascii()).ok(), "base64")
    }

    /// The decoders' own words would quote what they stumbled over.
    fn decoded(&self, bytes: Option<Vec<u8>>, what: &str) -> Result<Zeroizing<Vec<u8>>, InvalidValue> {
        bytes.map(Zeroizing::new).ok_or_else(|| self.invalid(format_args!("the value is not {what}")))
    }

    /// The private key in its PEM text.
    pub fn private_key(&self) -> Result<Arc<PrivateKey>, InvalidValue> {
        self.private_key
            .get_or_init(|| PrivateKey::from_pem(&self.bytes).map(Arc::new))
            .clone()
            .map_err(|error| self.invalid(error))
    }

    /// The certificates in its PEM text, DER each; none in an empty one. A text that holds anything else is refused as
    /// a whole.
    pub fn certificates(&self) -> Result<Vec<Vec<u8>>, InvalidValue> {
        if self.bytes.trim_ascii().is_empty() {
            return Ok(Vec::new());
        }
        let (blocks, _) = pem::blocks(&self.bytes, MAX_CERTIFICATES).map_err(|error| self.invalid(error))?;
        let der = |block: &pem::Block<'_>| match block.label {
            "CERTIFICATE" => block.decode().map(|der| der.to_vec()).map_err(|error| self.invalid(error)),
            _ => Err(self.invalid(format_args!(
                "it holds a PEM block `{}`; only certificates are handed out",
                block.printable_label()
            ))),
        };
        blocks.iter().map(der).collect()
    }

    /// What a header may hold of it: the bytes without white space at the ends.
    pub fn header_value(&self) -> Result<Zeroizing<Vec<u8>>, InvalidValue> {
        self.sendable(Zeroizing::new(self.bytes.trim_ascii().to_vec()))
    }

    /// The base64 of `user:value`: what follows `Basic ` in a header (RFC 7617).
    pub fn basic_auth(&self, user: &str) -> Result<Zeroizing<Vec<u8>>, InvalidValue> {
        if user.contains(':') || user.chars().any(char::is_control) {
            return Err(InvalidValue("a user name holds neither `:` nor control characters".into()));
        }
        let pair = Zeroizing::new([user.as_bytes(), b":", self.bytes.trim_ascii()].concat());
        self.sendable(Zeroizing::new(BASE64.encode(&pair).into_bytes()))
    }

    fn sendable(&self, value: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, InvalidValue> {
        if value.len() > MAX_HEADER_VALUE || HeaderValue::from_bytes(&value).is_err() {
            return Err(self.invalid(format_args!(
                "the value cannot be sent in a header: it is longer than {MAX_HEADER_VALUE} bytes or holds control characters"
            )));
        }
        Ok(value)
    }

    fn invalid(&self, why: impl fmt::Display) -> InvalidValue {
        InvalidValue(format!("`{}` of the Secret: {why}", self.key))
    }
}

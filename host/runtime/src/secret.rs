//! The values of the Secret that an Issuer lends its plugin, and what can be made of one without reading it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD as BASE64};
use wasm_issuer_core::keys::{KeyError, PrivateKey};
use wasm_issuer_core::x509::pem;
use zeroize::Zeroizing;

use super::redact::Redactor;

mod encrypted;
mod field;
mod placed;

/// Base64url with and without padding: both are met.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const MAX_CERTIFICATES: usize = 64;
/// What a value takes besides its bytes: its place in the map, and what the allocator adds.
const ENTRY: usize = 256;
/// What every private key in PEM says.
const MARK: &[u8] = b"PRIVATE KEY-----";
/// What a private key takes when it is parsed, beside twice its text: its numbers, and what was computed of them.
const PARSED_KEY: usize = 1 << 10;

/// Secret values by key, such as credentials or a CA bundle, with what messages call them.
pub struct SecretData {
    /// The namespace that messages give it.
    pub namespace: String,
    /// The name that messages give it.
    pub name: String,
    /// The values, decoded, by the key that each is found by.
    pub values: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

/// A Secret in memory, once for all sessions that use it, with what they find out about it. Displayed as
/// `namespace/name`.
pub struct Secret {
    namespace: String,
    name: String,
    values: BTreeMap<String, Arc<Stored>>,
    redactor: Redactor,
}

struct Stored {
    bytes: Zeroizing<Vec<u8>>,
    /// The private key that the value holds, parsed at the first use.
    private_key: OnceLock<Result<Arc<PrivateKey>, KeyError>>,
    /// The last key that a value of this Secret has decrypted: one, whatever a plugin asks for.
    decrypted: Arc<Mutex<Option<Decrypted>>>,
}

impl Stored {
    fn new(bytes: Zeroizing<Vec<u8>>, decrypted: &Arc<Mutex<Option<Decrypted>>>) -> Arc<Self> {
        Arc::new(Self { bytes, private_key: OnceLock::new(), decrypted: decrypted.clone() })
    }
}

/// A key that a value has decrypted, and the SHA-256 of what it was decrypted from and with.
struct Decrypted {
    sha256: Vec<u8>,
    key: Arc<PrivateKey>,
}

/// A Secret as a session lends it.
pub struct LentSecret {
    /// All of it.
    pub secret: Arc<Secret>,
    /// The keys whose values the plugin may read.
    pub reveal: BTreeSet<String>,
}

/// One value of a Secret, or a string within one, as it is lent.
#[derive(Clone)]
pub struct SecretValue {
    key: String,
    /// Where in the value the string is: a JSON Pointer.
    pointer: Option<String>,
    is_revealed: bool,
    stored: Arc<Stored>,
}

/// Why a value does not have the form that an operation needs. Names the value's key and never quotes the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidValue(pub String);

impl Secret {
    /// For sessions.
    pub fn new(data: SecretData) -> Arc<Self> {
        let SecretData { namespace, name, values } = data;
        let redactor = Redactor::of(values.values().map(|value| value.as_slice()));
        let decrypted = Arc::default();
        let stored = |(key, bytes)| (key, Stored::new(bytes, &decrypted));
        let values = values.into_iter().map(stored).collect();
        Arc::new(Self { namespace, name, values, redactor })
    }

    /// The memory that it takes at most, in bytes: its values, what keeps them out of messages, and the keys in them.
    pub fn size(&self) -> usize {
        let of_value = |(key, stored): (&String, &Arc<Stored>)| {
            let has_key = stored.bytes.windows(MARK.len()).any(|bytes| bytes == MARK);
            let bytes = stored.bytes.capacity();
            key.capacity() + bytes + ENTRY + if has_key { PARSED_KEY + 2 * bytes } else { 0 }
        };
        self.values.iter().map(of_value).sum::<usize>() + self.redactor.size()
    }

    /// What keeps its values out of messages.
    pub(super) fn redactor(&self) -> &Redactor {
        &self.redactor
    }
}

impl LentSecret {
    /// The keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.secret.values.keys()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<SecretValue> {
        let stored = self.secret.values.get(key)?.clone();
        let is_revealed = self.reveal.contains(key);
        Some(SecretValue { key: key.to_owned(), pointer: None, is_revealed, stored })
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
        &self.stored.bytes
    }

    /// The bytes, where the plugin may read them.
    pub fn revealed(&self) -> Option<&[u8]> {
        self.is_revealed.then_some(self.bytes())
    }

    /// What its hexadecimal digits stand for; white space at the ends is ignored.
    pub fn decode_hex(&self) -> Result<Zeroizing<Vec<u8>>, InvalidValue> {
        self.decoded(hex::decode(self.bytes().trim_ascii()).ok(), "hexadecimal digits")
    }

    /// What its base64 stands for; white space at the ends is ignored.
    pub fn decode_base64(&self) -> Result<Zeroizing<Vec<u8>>, InvalidValue> {
        self.decoded(BASE64.decode(self.bytes().trim_ascii()).ok(), "base64")
    }

    /// What its base64url stands for, padded or not; white space at the ends is ignored.
    pub fn decode_base64url(&self) -> Result<Zeroizing<Vec<u8>>, InvalidValue> {
        self.decoded(BASE64URL.decode(self.bytes().trim_ascii()).ok(), "base64url")
    }

    /// The decoders' own words would quote what they stumbled over.
    fn decoded(&self, bytes: Option<Vec<u8>>, what: &str) -> Result<Zeroizing<Vec<u8>>, InvalidValue> {
        bytes.map(Zeroizing::new).ok_or_else(|| self.invalid(format_args!("the value is not {what}")))
    }

    /// The private key in its PEM text.
    pub fn private_key(&self) -> Result<Arc<PrivateKey>, InvalidValue> {
        self.stored
            .private_key
            .get_or_init(|| PrivateKey::from_pem(self.bytes()).map(Arc::new))
            .clone()
            .map_err(|error| self.invalid(error))
    }

    /// The certificates in its PEM text, DER each; none in an empty one. A text that holds anything else is refused as
    /// a whole.
    pub fn certificates(&self) -> Result<Vec<Vec<u8>>, InvalidValue> {
        if self.bytes().trim_ascii().is_empty() {
            return Ok(Vec::new());
        }
        let (blocks, _) = pem::blocks(self.bytes(), MAX_CERTIFICATES).map_err(|error| self.invalid(error))?;
        let der = |block: &pem::Block<'_>| match block.label {
            "CERTIFICATE" => block.decode().map(|der| der.to_vec()).map_err(|error| self.invalid(error)),
            _ => Err(self.invalid(format_args!(
                "it holds a PEM block `{}`; only certificates are handed out",
                block.printable_label()
            ))),
        };
        blocks.iter().map(der).collect()
    }

    fn invalid(&self, why: impl fmt::Display) -> InvalidValue {
        InvalidValue(match &self.pointer {
            None => format!("`{}` of the Secret: {why}", self.key),
            Some(pointer) => format!("`{pointer}` in `{}` of the Secret: {why}", self.key),
        })
    }
}

#[cfg(test)]
mod testing {
    use super::*;

    /// The value of the key `sa.json`.
    pub fn lent(value: &[u8], reveal: &[&str]) -> SecretValue {
        let values = BTreeMap::from([("sa.json".to_owned(), Zeroizing::new(value.to_vec()))]);
        let secret = Secret::new(SecretData { namespace: "pki".into(), name: "auth".into(), values });
        let reveal: BTreeSet<_> = reveal.iter().map(|key| (*key).to_owned()).collect();
        LentSecret { secret, reveal }.get("sa.json").unwrap()
    }

    /// One that the plugin may not read.
    pub fn value(value: &[u8]) -> SecretValue {
        lent(value, &[])
    }
}

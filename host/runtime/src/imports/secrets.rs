//! The `secrets` import: the Issuer's Secret behind handles. Only `reveal` gives a value away, and only where granted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderValue;
use wasm_issuer_core::keys::{KeyError, PrivateKey, hmac_sha256};
use wasm_issuer_core::text::clean;
use wasm_issuer_core::x509::pem;
use wasmtime::component::Resource;
use zeroize::Zeroizing;

use super::keys::KeyHandle;
use crate::bindings::wasm_issuer::plugin::secrets::{
    Encoding, Host, HostSecret, PlaceholderForm, SecretError,
};
use crate::session::AuthSecret;
use crate::state::CallState;

const MAX_CERTIFICATES: usize = 64;
const MAX_PLACEHOLDERS: usize = 64;
/// What a placeholder may stand for: servers accept header lines of 8 KiB.
const MAX_HEADER_VALUE: usize = 8 << 10;

/// A session's Secret.
pub struct Secret {
    name: String,
    namespace: String,
    entries: BTreeMap<String, Arc<Entry>>,
}

/// One key of the Secret.
pub struct Entry {
    name: String,
    value: Zeroizing<Vec<u8>>,
    is_revealed: bool,
    /// The private key that the value holds, parsed at the first use.
    key: OnceLock<Result<Arc<PrivateKey>, KeyError>>,
}

/// What is behind a plugin's `secret`.
pub type SecretHandle = Arc<Entry>;

impl Secret {
    pub fn new(secret: AuthSecret, reveal: &BTreeSet<String>) -> Self {
        let entry = |(name, value): (String, _)| {
            let is_revealed = reveal.contains(&name);
            (name.clone(), Arc::new(Entry { name, value, is_revealed, key: OnceLock::new() }))
        };
        Self {
            name: secret.name,
            namespace: secret.namespace,
            entries: secret.data.into_iter().map(entry).collect(),
        }
    }
}

impl Entry {
    fn invalid(&self, why: impl std::fmt::Display) -> SecretError {
        SecretError::Invalid(format!("`{}` of the Secret: {why}", self.name))
    }

    fn decode(&self, encoding: Encoding) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let decoded = match encoding {
            Encoding::Raw => Ok(self.value.to_vec()),
            // The decoders' own words would quote what they stumbled over.
            Encoding::Hex => hex::decode(self.value.trim_ascii()).map_err(|_| "hexadecimal digits"),
            Encoding::Base64 => BASE64.decode(self.value.trim_ascii()).map_err(|_| "base64"),
        };
        decoded.map(Zeroizing::new).map_err(|what| self.invalid(format_args!("the value is not {what}")))
    }

    fn signing_key(&self) -> Result<Arc<PrivateKey>, SecretError> {
        self.key
            .get_or_init(|| PrivateKey::from_pem(&self.value).map(Arc::new))
            .clone()
            .map_err(|error| self.invalid(error))
    }

    fn certificates(&self) -> Result<Vec<Vec<u8>>, SecretError> {
        let (blocks, _) = pem::blocks(&self.value, MAX_CERTIFICATES).map_err(|error| self.invalid(error))?;
        let der = |block: &pem::Block<'_>| match block.label {
            "CERTIFICATE" => block.decode().map(|der| der.to_vec()).map_err(|error| self.invalid(error)),
            _ => Err(self.invalid(format_args!(
                "it holds a PEM block `{}`; only certificates are handed out",
                block.printable_label()
            ))),
        };
        blocks.iter().map(der).collect()
    }

    fn header_value(&self, form: &PlaceholderForm) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let value = self.value.trim_ascii();
        let value = Zeroizing::new(match form {
            PlaceholderForm::Plain => value.to_vec(),
            PlaceholderForm::BasicAuth(user) if user.contains(':') || user.chars().any(char::is_control) => {
                return Err(SecretError::Invalid(
                    "a user name holds neither `:` nor control characters".into(),
                ));
            }
            PlaceholderForm::BasicAuth(user) => {
                let pair = Zeroizing::new([user.as_bytes(), b":", value].concat());
                BASE64.encode(&pair).into_bytes()
            }
        });
        if value.len() > MAX_HEADER_VALUE || HeaderValue::from_bytes(&value).is_err() {
            return Err(self.invalid(format_args!(
                "the value cannot be sent in a header: it is longer than {MAX_HEADER_VALUE} bytes or holds control characters"
            )));
        }
        Ok(value)
    }
}

impl Host for CallState {
    fn names(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.session.secret.iter().flat_map(|secret| secret.entries.keys().cloned()).collect())
    }

    fn get(&mut self, name: String) -> wasmtime::Result<Result<Resource<SecretHandle>, SecretError>> {
        let Some(secret) = &self.session.secret else {
            return Ok(Err(SecretError::NotFound(format!(
                "`{}` was looked up, but the Issuer names no Secret (spec.authSecretName)",
                clean(&name, 300)
            ))));
        };
        match secret.entries.get(&name) {
            Some(entry) => Ok(Ok(self.table.push(entry.clone())?)),
            None => Ok(Err(SecretError::NotFound(format!(
                "the Secret {}/{} has no key `{}`",
                secret.namespace,
                secret.name,
                clean(&name, 300)
            )))),
        }
    }
}

impl HostSecret for CallState {
    fn hmac_sha256(
        &mut self,
        secret: Resource<SecretHandle>,
        key_encoding: Encoding,
        message: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, SecretError>> {
        let secret = self.table.get(&secret)?;
        Ok(secret.decode(key_encoding).map(|key| hmac_sha256(&key, &message).to_vec()))
    }

    fn placeholder(
        &mut self,
        secret: Resource<SecretHandle>,
        form: PlaceholderForm,
    ) -> wasmtime::Result<Result<String, SecretError>> {
        let value = match self.table.get(&secret)?.header_value(&form) {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        };
        if self.http.placeholders.len() >= MAX_PLACEHOLDERS {
            let message = format!("{MAX_PLACEHOLDERS} placeholders were made in this call already");
            return Ok(Err(SecretError::Other(message)));
        }
        self.log.hide(&value);
        let token = self.http.placeholders.add(value);
        self.log.hide(token.as_bytes());
        Ok(Ok(token))
    }

    fn signing_key(
        &mut self,
        secret: Resource<SecretHandle>,
    ) -> wasmtime::Result<Result<Resource<KeyHandle>, SecretError>> {
        match self.table.get(&secret)?.signing_key() {
            Ok(key) => Ok(Ok(self.table.push(KeyHandle(key))?)),
            Err(error) => Ok(Err(error)),
        }
    }

    fn certificates(
        &mut self,
        secret: Resource<SecretHandle>,
    ) -> wasmtime::Result<Result<Vec<Vec<u8>>, SecretError>> {
        Ok(self.table.get(&secret)?.certificates())
    }

    fn reveal(&mut self, secret: Resource<SecretHandle>) -> wasmtime::Result<Result<Vec<u8>, SecretError>> {
        let entry = self.table.get(&secret)?;
        if entry.is_revealed {
            return Ok(Ok(entry.value.to_vec()));
        }
        Ok(Err(SecretError::NotGranted(format!(
            "the Issuer does not let its plugin read `{0}` of the Secret; to grant it, add to the Issuer's spec:\nsecrets:\n  reveal: [\"{0}\"]",
            entry.name
        ))))
    }

    fn drop(&mut self, secret: Resource<SecretHandle>) -> wasmtime::Result<()> {
        self.table.delete(secret)?;
        Ok(())
    }
}

//! The `secrets` import: the Issuer's Secret behind handles. Only `reveal` gives a value away, and only where granted.

use wasm_issuer_core::keys::hmac_sha256;
use wasm_issuer_core::text::clean;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use zeroize::Zeroizing;

use crate::bindings::wasm_issuer::plugin::secrets::{
    self as wit, Encoding, Host, HostSecret, PlaceholderForm, SecretError,
};
use crate::bindings::{KeyHandle, SecretHandle};
use crate::egress::Placeholders;
use crate::log::CallLog;
use crate::secret::{InvalidValue, LentSecret};

const MAX_PLACEHOLDERS: usize = 64;

/// What the functions need of a call.
pub struct SecretsView<'a> {
    pub secret: Option<&'a LentSecret>,
    pub placeholders: &'a mut Placeholders,
    pub log: &'a CallLog,
    pub table: &'a mut ResourceTable,
}

struct HasSecrets;

impl HasData for HasSecrets {
    type Data<'a> = SecretsView<'a>;
}

pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> SecretsView<'_>,
) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, HasSecrets>(linker, view)
}

impl Host for SecretsView<'_> {
    fn names(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.secret.iter().flat_map(|secret| secret.keys().cloned()).collect())
    }

    fn get(&mut self, name: String) -> wasmtime::Result<Result<Resource<SecretHandle>, SecretError>> {
        let shown = || clean(&name, 300);
        let Some(secret) = self.secret else {
            return Ok(Err(SecretError::NotFound(format!(
                "`{}` was looked up, but the Issuer names no Secret (spec.authSecretName)",
                shown()
            ))));
        };
        match secret.get(&name) {
            Some(value) => Ok(Ok(self.table.push(value)?)),
            None => Ok(Err(SecretError::NotFound(format!(
                "the Secret {} has no key `{}`",
                secret.secret,
                shown()
            )))),
        }
    }
}

impl HostSecret for SecretsView<'_> {
    fn hmac_sha256(
        &mut self,
        secret: Resource<SecretHandle>,
        key_encoding: Encoding,
        message: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, SecretError>> {
        let secret = self.table.get(&secret)?;
        let key = match key_encoding {
            Encoding::Raw => Ok(Zeroizing::new(secret.bytes().to_vec())),
            Encoding::Hex => secret.decode_hex(),
            Encoding::Base64 => secret.decode_base64(),
        };
        Ok(key.map(|key| hmac_sha256(&key, &message).to_vec()).map_err(Into::into))
    }

    fn placeholder(
        &mut self,
        secret: Resource<SecretHandle>,
        form: PlaceholderForm,
    ) -> wasmtime::Result<Result<String, SecretError>> {
        let secret = self.table.get(&secret)?;
        let value = match &form {
            PlaceholderForm::Plain => secret.header_value(),
            PlaceholderForm::BasicAuth(user) => secret.basic_auth(user),
        };
        let value = match value {
            Ok(value) => value,
            Err(error) => return Ok(Err(error.into())),
        };
        if self.placeholders.len() >= MAX_PLACEHOLDERS {
            let message = format!("{MAX_PLACEHOLDERS} placeholders were made in this call already");
            return Ok(Err(SecretError::Other(message)));
        }
        self.log.hide(&value);
        let token = self.placeholders.add(value);
        self.log.hide(token.as_bytes());
        Ok(Ok(token))
    }

    fn signing_key(
        &mut self,
        secret: Resource<SecretHandle>,
    ) -> wasmtime::Result<Result<Resource<KeyHandle>, SecretError>> {
        match self.table.get(&secret)?.private_key() {
            Ok(key) => Ok(Ok(self.table.push(key)?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn certificates(
        &mut self,
        secret: Resource<SecretHandle>,
    ) -> wasmtime::Result<Result<Vec<Vec<u8>>, SecretError>> {
        Ok(self.table.get(&secret)?.certificates().map_err(Into::into))
    }

    fn reveal(&mut self, secret: Resource<SecretHandle>) -> wasmtime::Result<Result<Vec<u8>, SecretError>> {
        let secret = self.table.get(&secret)?;
        Ok(secret.revealed().map(<[u8]>::to_vec).ok_or_else(|| {
            SecretError::NotGranted(format!(
                "the Issuer does not let its plugin read `{0}` of the Secret; to grant it, add to the Issuer's spec:\nsecrets:\n  reveal: [\"{0}\"]",
                secret.key()
            ))
        }))
    }

    fn drop(&mut self, secret: Resource<SecretHandle>) -> wasmtime::Result<()> {
        self.table.delete(secret)?;
        Ok(())
    }
}

impl From<InvalidValue> for SecretError {
    fn from(InvalidValue(message): InvalidValue) -> Self {
        Self::Invalid(message)
    }
}

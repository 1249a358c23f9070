//! The `secrets` import: the Issuer's Secret behind handles. Only `reveal` gives a value away, and only where granted.

use wasm_issuer_core::keys::{self as core, hmac_chain};
use wasm_issuer_core::text::clean;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use zeroize::Zeroizing;

use crate::bindings::wasm_issuer::plugin::secrets::{
    self as wit, Encoding, Hash, HmacKey, Host, HostSecret, PlaceholderForm, SecretError,
};
use crate::bindings::{KeyHandle, SecretHandle};
use crate::egress::{Place, Placeholders};
use crate::log::CallLog;
use crate::secret::{InvalidValue, LentSecret};
use crate::turns::CallTurns;

const MAX_PLACEHOLDERS: usize = 64;
/// Handles of strings within values: each holds a copy, which no limit of the plugin's memory counts.
const MAX_FIELDS: usize = 8;

/// What the functions need of a call.
pub struct SecretsView<'a> {
    pub secret: Option<&'a LentSecret>,
    pub placeholders: &'a mut Placeholders,
    /// How many fields the call has asked for.
    pub fields: &'a mut usize,
    pub log: &'a CallLog,
    pub turns: &'a CallTurns,
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
    fn hmac(
        &mut self,
        secret: Resource<SecretHandle>,
        hash: Hash,
        key: HmacKey,
        messages: Vec<Vec<u8>>,
    ) -> wasmtime::Result<Result<Vec<u8>, SecretError>> {
        let secret = self.table.get(&secret)?;
        let value = match key.encoding {
            Encoding::Raw => Ok(Zeroizing::new(secret.bytes().to_vec())),
            Encoding::Hex => secret.decode_hex(),
            Encoding::Base64 => secret.decode_base64(),
            Encoding::Base64url => secret.decode_base64url(),
        };
        let value = match value {
            Ok(value) => value,
            Err(error) => return Ok(Err(error.into())),
        };
        let pbm = key.pbm.map(|pbm| core::Pbm {
            hash: pbm.hash.into(),
            salt: pbm.salt,
            iterations: pbm.iterations,
        });
        let key = core::HmacKey { prefix: key.prefix, pbm };
        Ok(hmac_chain(hash.into(), &key, &value, &messages).map_err(SecretError::Other))
    }

    fn placeholder(
        &mut self,
        secret: Resource<SecretHandle>,
        form: PlaceholderForm,
    ) -> wasmtime::Result<Result<String, SecretError>> {
        let secret = self.table.get(&secret)?;
        let (place, value) = match &form {
            PlaceholderForm::Plain => (Place::Header, secret.header_value()),
            PlaceholderForm::BasicAuth(user) => (Place::Header, secret.basic_auth(user)),
            PlaceholderForm::FormUrlencoded => (Place::Body, secret.form_urlencoded()),
            PlaceholderForm::JsonString => (Place::Body, secret.json_string()),
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
        let name = placeholder_name(secret.key(), &form);
        let token = self.placeholders.add(place, &name, value);
        self.log.hide(token.as_bytes());
        Ok(Ok(token))
    }

    fn field(
        &mut self,
        secret: Resource<SecretHandle>,
        pointer: String,
    ) -> wasmtime::Result<Result<Resource<SecretHandle>, SecretError>> {
        let secret = self.table.get(&secret)?;
        if *self.fields >= MAX_FIELDS {
            let message = format!("{MAX_FIELDS} fields were asked for in this call already");
            return Ok(Err(SecretError::Other(message)));
        }
        *self.fields += 1;
        match secret.field(&pointer) {
            Ok(field) => {
                self.log.hide(field.bytes());
                Ok(Ok(self.table.push(field)?))
            }
            Err(error) => Ok(Err(error.into())),
        }
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

    async fn encrypted_signing_key(
        &mut self,
        secret: Resource<SecretHandle>,
        jwe: String,
    ) -> wasmtime::Result<Result<Resource<KeyHandle>, SecretError>> {
        let secret = self.table.get(&secret)?.clone();
        let key = match secret.kept_key(&jwe) {
            Some(key) => Ok(key),
            // A password takes long to try, on purpose.
            None => self.turns.compute(move || secret.encrypted_key(&jwe)).await,
        };
        match key {
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

/// What a token is called where tests of plugins keep what was said: the value's key, and the form that it was given.
fn placeholder_name(key: &str, form: &PlaceholderForm) -> String {
    match form {
        PlaceholderForm::Plain => key.to_owned(),
        PlaceholderForm::BasicAuth(user) => format!("{key} basic-auth {}", clean(user, 100)),
        PlaceholderForm::FormUrlencoded => format!("{key} form-urlencoded"),
        PlaceholderForm::JsonString => format!("{key} json-string"),
    }
}

impl From<InvalidValue> for SecretError {
    fn from(InvalidValue(message): InvalidValue) -> Self {
        Self::Invalid(message)
    }
}

impl From<Hash> for core::Hash {
    fn from(hash: Hash) -> Self {
        match hash {
            Hash::Sha1 => Self::Sha1,
            Hash::Sha256 => Self::Sha256,
            Hash::Sha384 => Self::Sha384,
            Hash::Sha512 => Self::Sha512,
        }
    }
}

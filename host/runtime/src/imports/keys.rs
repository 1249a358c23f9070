//! The `keys` import: private keys stay here, plugins hold handles.

use wasm_issuer_core::keys::{Algorithm, EphemeralKeys, JwsAlgorithm, KeyError, PrivateKey, VerifyError};
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

use crate::bindings::KeyHandle;
use crate::bindings::wasm_issuer::plugin::keys::{self as wit, Host, HostSigningKey};
use crate::turns::CallTurns;
use crate::verified::Verified;

/// What the functions need of a call.
pub struct KeysView<'a> {
    pub keys: &'a EphemeralKeys,
    pub verified: &'a Verified,
    pub turns: &'a CallTurns,
    pub table: &'a mut ResourceTable,
}

struct HasKeys;

impl HasData for HasKeys {
    type Data<'a> = KeysView<'a>;
}

pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> KeysView<'_>,
) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, HasKeys>(linker, view)
}

impl Host for KeysView<'_> {
    fn ephemeral(
        &mut self,
        name: String,
        algorithm: wit::Algorithm,
    ) -> wasmtime::Result<Result<Resource<KeyHandle>, wit::KeyError>> {
        match self.keys.get_or_make(&name, algorithm.into()) {
            Ok(key) => Ok(Ok(self.table.push(key)?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn verify(
        &mut self,
        public_key: Vec<u8>,
        algorithm: Vec<u8>,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> wasmtime::Result<Result<(), wit::VerifyError>> {
        Ok(self.verified.verify(&public_key, &algorithm, &message, &signature).map_err(Into::into))
    }
}

impl HostSigningKey for KeysView<'_> {
    fn algorithm(&mut self, key: Resource<KeyHandle>) -> wasmtime::Result<wit::Algorithm> {
        Ok(self.table.get(&key)?.algorithm().into())
    }

    fn public_key(&mut self, key: Resource<KeyHandle>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.get(&key)?.public_key_der().to_vec())
    }

    async fn sign(
        &mut self,
        key: Resource<KeyHandle>,
        message: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::KeyError>> {
        self.signed(&key, move |key| key.sign(&message)).await
    }

    async fn sign_jws(
        &mut self,
        key: Resource<KeyHandle>,
        algorithm: wit::JwsAlgorithm,
        message: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::KeyError>> {
        self.signed(&key, move |key| key.sign_jws(algorithm.into(), &message)).await
    }

    fn drop(&mut self, key: Resource<KeyHandle>) -> wasmtime::Result<()> {
        self.table.delete(key)?;
        Ok(())
    }
}

impl KeysView<'_> {
    async fn signed(
        &mut self,
        key: &Resource<KeyHandle>,
        sign: impl FnOnce(&PrivateKey) -> Result<Vec<u8>, KeyError> + Send + 'static,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::KeyError>> {
        let key = self.table.get(key)?.clone();
        let signed = if key.is_slow() { self.turns.compute(move || sign(&key)).await } else { sign(&key) };
        Ok(signed.map_err(Into::into))
    }
}

impl From<wit::JwsAlgorithm> for JwsAlgorithm {
    fn from(algorithm: wit::JwsAlgorithm) -> Self {
        match algorithm {
            wit::JwsAlgorithm::Es256 => Self::Es256,
            wit::JwsAlgorithm::Es384 => Self::Es384,
            wit::JwsAlgorithm::Es512 => Self::Es512,
            wit::JwsAlgorithm::Eddsa => Self::EdDsa,
            wit::JwsAlgorithm::Rs256 => Self::Rs256,
            wit::JwsAlgorithm::Ps256 => Self::Ps256,
        }
    }
}

impl From<wit::Algorithm> for Algorithm {
    fn from(algorithm: wit::Algorithm) -> Self {
        match algorithm {
            wit::Algorithm::EcdsaP256Sha256 => Self::EcdsaP256Sha256,
            wit::Algorithm::EcdsaP384Sha384 => Self::EcdsaP384Sha384,
            wit::Algorithm::EcdsaP521Sha512 => Self::EcdsaP521Sha512,
            wit::Algorithm::Ed25519 => Self::Ed25519,
            wit::Algorithm::RsaPkcs1Sha256 => Self::RsaPkcs1Sha256,
        }
    }
}

impl From<Algorithm> for wit::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::EcdsaP256Sha256 => Self::EcdsaP256Sha256,
            Algorithm::EcdsaP384Sha384 => Self::EcdsaP384Sha384,
            Algorithm::EcdsaP521Sha512 => Self::EcdsaP521Sha512,
            Algorithm::Ed25519 => Self::Ed25519,
            Algorithm::RsaPkcs1Sha256 => Self::RsaPkcs1Sha256,
        }
    }
}

impl From<KeyError> for wit::KeyError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Unsupported(algorithm) => Self::Unsupported(algorithm.into()),
            KeyError::WrongKey { .. } => Self::WrongKey(error.to_string()),
            KeyError::LimitExceeded(message) => Self::LimitExceeded(message),
            KeyError::Invalid(message) => Self::Other(message.to_owned()),
            KeyError::Failed => Self::Other(error.to_string()),
        }
    }
}

impl From<VerifyError> for wit::VerifyError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Key(message) => Self::Key(message),
            VerifyError::Algorithm(message) => Self::Algorithm(message),
            VerifyError::OtherKey => Self::OtherKey,
        }
    }
}

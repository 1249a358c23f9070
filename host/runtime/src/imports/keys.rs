//! The `keys` import: private keys stay here, plugins hold handles.

use std::sync::Arc;

use wasm_issuer_core::keys::{Algorithm, KeyError, PrivateKey};
use wasmtime::component::Resource;

use crate::bindings::wasm_issuer::plugin::keys::{self as wit, Host, HostSigningKey};
use crate::state::CallState;

/// What is behind a plugin's `signing-key`.
pub struct KeyHandle(pub Arc<PrivateKey>);

impl Host for CallState {
    fn ephemeral(
        &mut self,
        name: String,
        algorithm: wit::Algorithm,
    ) -> wasmtime::Result<Result<Resource<KeyHandle>, wit::KeyError>> {
        match self.session.keys.get_or_make(&name, algorithm.into()) {
            Ok(key) => Ok(Ok(self.table.push(KeyHandle(key))?)),
            Err(error) => Ok(Err(error.into())),
        }
    }
}

impl HostSigningKey for CallState {
    fn algorithm(&mut self, key: Resource<KeyHandle>) -> wasmtime::Result<wit::Algorithm> {
        Ok(self.table.get(&key)?.0.algorithm().into())
    }

    fn public_key(&mut self, key: Resource<KeyHandle>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.get(&key)?.0.public_key_der().to_vec())
    }

    fn sign(
        &mut self,
        key: Resource<KeyHandle>,
        message: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::KeyError>> {
        Ok(self.table.get(&key)?.0.sign(&message).map_err(Into::into))
    }

    fn drop(&mut self, key: Resource<KeyHandle>) -> wasmtime::Result<()> {
        self.table.delete(key)?;
        Ok(())
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
            KeyError::LimitExceeded(message) => Self::LimitExceeded(message),
            KeyError::Invalid(message) => Self::Other(message.to_owned()),
            KeyError::Failed => Self::Other(error.to_string()),
        }
    }
}

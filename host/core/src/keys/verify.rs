//! What plugins may ask of public keys: whether a signature will be accepted later, when the host judges their chain.

use der::Decode as _;
use spki::AlgorithmIdentifierRef;

use super::MAX_MESSAGE_BYTES;
use crate::x509::{PublicKey, SignatureError};

/// Why a signature is not accepted. Mirrors `verify-error` in `wit/keys.wit`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The key is malformed, or of a kind or size that is not accepted.
    #[error("{0}")]
    Key(String),
    /// A signature algorithm that is not accepted.
    #[error("{0}")]
    Algorithm(String),
    /// Not a signature of this message by this key.
    #[error("the signature is not by this key")]
    OtherKey,
}

impl From<SignatureError> for VerifyError {
    fn from(error: SignatureError) -> Self {
        match error {
            // A key does not sign with the algorithms of another kind.
            SignatureError::Invalid | SignatureError::OtherKind(..) => Self::OtherKey,
            SignatureError::UnsupportedAlgorithm(_) | SignatureError::Parameters(_) => {
                Self::Algorithm(error.to_string())
            }
            _ => Self::Key(error.to_string()),
        }
    }
}

/// Whether a signature over `message`, at most [`MAX_MESSAGE_BYTES`] long, is accepted. The key is a
/// SubjectPublicKeyInfo, `algorithm` an AlgorithmIdentifier, both DER.
pub fn verify(
    public_key: &[u8],
    algorithm: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), VerifyError> {
    if message.len() > MAX_MESSAGE_BYTES {
        let length = message.len();
        let why = format!("{length} bytes are signed; signatures of at most {MAX_MESSAGE_BYTES} are read");
        return Err(VerifyError::Algorithm(why));
    }
    let key = PublicKey::from_spki(public_key)?;
    let algorithm = AlgorithmIdentifierRef::from_der(algorithm)
        .map_err(|_error| VerifyError::Algorithm("the signature algorithm is malformed".into()))?;
    Ok(key.verify(&algorithm, message, signature)?)
}

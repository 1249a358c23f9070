//! Signatures that were found good. A plugin that has no memory of its own looks for its CA's chain with each certificate.

use std::collections::VecDeque;
use std::sync::Mutex;

use aws_lc_rs::digest::{Context, SHA256};
use wasm_issuer_core::keys::{self, VerifyError};

use super::lock::lock;

/// As many as the longest chain has, and some more.
const REMEMBERED: usize = 32;

/// What was verified for one Issuer last, as digests.
#[derive(Default)]
pub struct Verified(Mutex<VecDeque<[u8; 32]>>);

impl Verified {
    /// As [`keys::verify`], which is not done again for a signature that is remembered as good.
    pub fn verify(
        &self,
        public_key: &[u8],
        algorithm: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        let digest = digest([public_key, algorithm, message, signature]);
        if lock(&self.0).contains(&digest) {
            return Ok(());
        }
        keys::verify(public_key, algorithm, message, signature)?;
        let mut remembered = lock(&self.0);
        if remembered.len() == REMEMBERED {
            remembered.pop_front();
        }
        remembered.push_back(digest);
        Ok(())
    }
}

/// No other parts have the same digest: each is preceded by its length.
fn digest(parts: [&[u8]; 4]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECDSA_SHA256: [u8; 12] = [0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

    #[test]
    fn what_is_remembered_is_good_and_nothing_else_is() {
        let pair = rcgen::KeyPair::generate().unwrap();
        let key = rcgen::PublicKeyData::subject_public_key_info(&pair);
        let verified = Verified::default();
        let sign = |message: &[u8]| rcgen::SigningKey::sign(&pair, message).unwrap();
        let signature = sign(b"message");
        let verify = |key: &[u8], message: &[u8], signature: &[u8]| {
            verified.verify(key, &ECDSA_SHA256, message, signature)
        };
        for _ in 0..2 {
            assert_eq!(verify(&key, b"message", &signature), Ok(()));
            assert_eq!(verify(&key, b"messag", &signature), Err(VerifyError::OtherKey));
            // The same bytes, cut elsewhere.
            let (last, rest) = (&signature[..1], &signature[1..]);
            assert!(verify(&key, &[b"message", last].concat(), rest).is_err());
        }
        assert_eq!(lock(&verified.0).len(), 1);
        for n in 0..2 * REMEMBERED {
            let message = n.to_string();
            assert_eq!(verify(&key, message.as_bytes(), &sign(message.as_bytes())), Ok(()));
        }
        assert_eq!(lock(&verified.0).len(), REMEMBERED);
    }
}

//! HMACs keyed with secret values: a chain of them, and the key that CMP makes of a password.

use aws_lc_rs::digest;
use aws_lc_rs::hmac::{self, Algorithm};
use zeroize::Zeroizing;

/// The most messages of a chain. AWS Signature Version 4 takes five.
pub const MAX_HMAC_MESSAGES: usize = 16;
/// The most bytes that the messages of a chain have together.
pub const MAX_HMAC_BYTES: usize = 1 << 20;
/// The longest prefix of a key.
pub const MAX_HMAC_PREFIX: usize = 64;
/// The longest salt of a PBM.
pub const MAX_PBM_SALT: usize = 128;
/// The most iterations of a PBM: a few milliseconds.
pub const MAX_PBM_ITERATIONS: u32 = 10_000;

/// A hash function. Mirrors `hash` in `wit/secrets.wit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// For protocols that prescribe HMAC with it.
    Sha1,
    /// 32 bytes.
    Sha256,
    /// 48 bytes.
    Sha384,
    /// 64 bytes.
    Sha512,
}

/// What makes a key of a password: PBM of CMP (RFC 9810 section 5.1.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pbm {
    /// The one-way function.
    pub hash: Hash,
    /// What is hashed after the password; at most [`MAX_PBM_SALT`] bytes.
    pub salt: Vec<u8>,
    /// How many times in all the hash is taken; 1 to [`MAX_PBM_ITERATIONS`].
    pub iterations: u32,
}

/// What keys the first HMAC of a chain, beside the secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HmacKey {
    /// What stands in front of the secret; at most [`MAX_HMAC_PREFIX`] bytes.
    pub prefix: Vec<u8>,
    /// What makes the key of the two; without it they are the key.
    pub pbm: Option<Pbm>,
}

/// HMAC (RFC 2104) of each message, keyed with the one before: the first with the key that `key` makes of the secret.
/// The last is returned. The error says which bound is broken.
pub fn hmac_chain(
    hash: Hash,
    key: &HmacKey,
    secret: &[u8],
    messages: &[impl AsRef<[u8]>],
) -> Result<Vec<u8>, String> {
    within(key, messages)?;
    let mut key = key.made_of(secret);
    for message in messages {
        let tag = hmac::sign(&hmac::Key::new(hash.hmac(), &key), message.as_ref());
        key = Zeroizing::new(tag.as_ref().to_vec());
    }
    Ok(key.to_vec())
}

fn within(key: &HmacKey, messages: &[impl AsRef<[u8]>]) -> Result<(), String> {
    let count = messages.len();
    if !(1..=MAX_HMAC_MESSAGES).contains(&count) {
        return Err(format!("an HMAC takes 1 to {MAX_HMAC_MESSAGES} messages, not {count}"));
    }
    let bytes: usize = messages.iter().map(|message| message.as_ref().len()).sum();
    if bytes > MAX_HMAC_BYTES {
        return Err(format!("the messages have {bytes} bytes; {MAX_HMAC_BYTES} are authenticated at most"));
    }
    if key.prefix.len() > MAX_HMAC_PREFIX {
        return Err(format!("the key's prefix is longer than {MAX_HMAC_PREFIX} bytes"));
    }
    match &key.pbm {
        Some(pbm) if pbm.salt.len() > MAX_PBM_SALT => {
            Err(format!("the salt is longer than {MAX_PBM_SALT} bytes"))
        }
        Some(pbm) if !(1..=MAX_PBM_ITERATIONS).contains(&pbm.iterations) => {
            Err(format!("{} iterations; 1 to {MAX_PBM_ITERATIONS} are done", pbm.iterations))
        }
        _ => Ok(()),
    }
}

impl HmacKey {
    fn made_of(&self, secret: &[u8]) -> Zeroizing<Vec<u8>> {
        let key = Zeroizing::new([&self.prefix, secret].concat());
        self.pbm.as_ref().map(|pbm| pbm.key(&key)).unwrap_or(key)
    }
}

impl Pbm {
    fn key(&self, password: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut key = Zeroizing::new([password, &self.salt].concat());
        for _ in 0..self.iterations {
            key = Zeroizing::new(digest::digest(self.hash.digest(), &key).as_ref().to_vec());
        }
        key
    }
}

impl Hash {
    fn hmac(self) -> Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(hash: Hash, key: &[u8], message: &[u8]) -> String {
        hex::encode(hmac_chain(hash, &HmacKey::default(), key, &[message]).unwrap())
    }

    #[test]
    fn one_message_is_rfc_4231s_and_rfc_2202s() {
        let tag = |hash| plain(hash, b"Jefe", b"what do ya want for nothing?");
        assert_eq!(tag(Hash::Sha1), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(tag(Hash::Sha256), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(
            tag(Hash::Sha384),
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649"
        );
        assert!(
            tag(Hash::Sha512).starts_with("164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554")
        );
    }

    /// The signing key of the example in AWS's documentation of Signature Version 4 ("Deriving the signing key").
    #[test]
    fn a_chain_is_the_key_of_aws_signature_version_4() {
        let key = HmacKey { prefix: b"AWS4".to_vec(), pbm: None };
        let parts = ["20120215", "us-east-1", "iam", "aws4_request"];
        let tag = hmac_chain(Hash::Sha256, &key, b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", &parts);
        assert_eq!(
            hex::encode(tag.unwrap()),
            "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
        );
    }

    /// By Python's hashlib and hmac: SHA-256 of the password and the salt three times, then HMAC-SHA1.
    #[test]
    fn a_password_becomes_a_key_as_in_cmp() {
        let pbm = Pbm { hash: Hash::Sha256, salt: b"saltsalt".to_vec(), iterations: 3 };
        let key = HmacKey { prefix: Vec::new(), pbm: Some(pbm) };
        let tag = hmac_chain(Hash::Sha1, &key, b"insta", &["message"]).unwrap();
        assert_eq!(hex::encode(tag), "963e5af07700702b9c93134b16c272a0890daca9");
    }

    #[test]
    fn bounds_are_told() {
        let refused = |key: &HmacKey, messages: &[&[u8]]| {
            hmac_chain(Hash::Sha256, key, b"key", messages).err().unwrap_or_default()
        };
        let plain = HmacKey::default();
        assert_eq!(refused(&plain, &[]), "an HMAC takes 1 to 16 messages, not 0");
        assert_eq!(refused(&plain, &[b"".as_slice(); 17]), "an HMAC takes 1 to 16 messages, not 17");
        let large = vec![0; MAX_HMAC_BYTES + 1];
        assert_eq!(
            refused(&plain, &[&large]),
            "the messages have 1048577 bytes; 1048576 are authenticated at most"
        );
        let prefixed = HmacKey { prefix: vec![0; 65], pbm: None };
        assert_eq!(refused(&prefixed, &[b""]), "the key's prefix is longer than 64 bytes");
        let pbm = |salt, iterations| HmacKey {
            prefix: Vec::new(),
            pbm: Some(Pbm { hash: Hash::Sha1, salt: vec![0; salt], iterations }),
        };
        assert_eq!(refused(&pbm(129, 1), &[b""]), "the salt is longer than 128 bytes");
        assert_eq!(refused(&pbm(1, 0), &[b""]), "0 iterations; 1 to 10000 are done");
        assert_eq!(refused(&pbm(1, 10_001), &[b""]), "10001 iterations; 1 to 10000 are done");
        assert_eq!(refused(&pbm(128, 10_000), &[b""]), "");
    }
}

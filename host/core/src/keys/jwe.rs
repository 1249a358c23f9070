//! Private keys as JSON Web Keys that a password encrypts, as step-ca hands out with its provisioners.
//!
//! A JWE (RFC 7516) in compact serialization: the password makes a key (PBES2, RFC 7518 section 4.8), which unwraps
//! another one (RFC 3394), which decrypts the JWK. All of it comes from a server: bounded, then computed with.

use std::num::NonZeroU32;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm as Aead, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::key_wrap::{AES_128, AES_256, AesKek, KeyWrap};
use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512};
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Algorithm, KeyError, Pair, PrivateKey, ecdsa};

/// The longest JWE that is read. That of a P-256 key takes 700 bytes.
const MAX_JWE: usize = 4 << 10;
/// The most iterations with SHA-256: step-ca's have 600000, as OWASP advises, and had 100000 before. Whoever waits for a turn to
/// compute waits for the whole derivation, which cannot be broken off.
const MAX_SHA256: u32 = 600_000;
/// And with SHA-512, which take as long.
const MAX_SHA512: u32 = 200_000;

const MALFORMED: KeyError =
    KeyError::Invalid("the JWE is not one of five parts in base64url with a header of JSON");
const UNSUPPORTED: KeyError = KeyError::Invalid(
    "the JWE is of an unsupported kind; accepted are alg PBES2-HS256+A128KW and PBES2-HS512+A256KW, enc A128GCM and \
     A256GCM, and p2c from 1000 to 600000, or 200000 with HS512",
);
const PASSWORD: KeyError = KeyError::Invalid("the password does not decrypt the JWE");
const NO_KEY: KeyError = KeyError::Invalid(
    "the JWE holds no private key of an accepted kind: P-256, P-384, P-521 and Ed25519 as a JWK",
);

/// Its protected header, as far as it matters.
#[derive(Deserialize)]
struct Header {
    alg: String,
    enc: String,
    p2c: u32,
    p2s: String,
}

/// A JSON Web Key (RFC 7517, RFC 8037).
#[derive(Deserialize)]
struct Jwk<'a> {
    crv: &'a str,
    x: &'a str,
    #[serde(default)]
    y: &'a str,
    d: &'a str,
}

impl PrivateKey {
    /// The private key that is a JWK in a JWE, which this password encrypts. Takes as long as its iterations.
    pub fn from_jwe(jwe: &str, password: &[u8]) -> Result<Self, KeyError> {
        if jwe.len() > MAX_JWE {
            return Err(KeyError::LimitExceeded(format!("a JWE of {} bytes; {MAX_JWE} are read", jwe.len())));
        }
        let parts: Vec<_> = jwe.trim().split('.').collect();
        let &[protected, wrapped, iv, ciphertext, tag] = parts.as_slice() else { return Err(MALFORMED) };
        let header: Header = serde_json::from_slice(&decode(protected)?).map_err(|_error| MALFORMED)?;
        let content_key = header.content_key(&decode(wrapped)?, password)?;
        let nonce = Nonce::try_assume_unique_for_key(&decode(iv)?).map_err(|_error| MALFORMED)?;
        let mut sealed = Zeroizing::new([decode(ciphertext)?, decode(tag)?].concat());
        let opened = content_key.open_in_place(nonce, Aad::from(protected.as_bytes()), &mut sealed);
        let jwk: Jwk<'_> =
            serde_json::from_slice(opened.map_err(|_error| PASSWORD)?).map_err(|_error| NO_KEY)?;
        jwk.key()
    }
}

fn decode(part: &str) -> Result<Vec<u8>, KeyError> {
    BASE64URL.decode(part).map_err(|_error| MALFORMED)
}

impl Header {
    fn content_key(&self, wrapped: &[u8], password: &[u8]) -> Result<LessSafeKey, KeyError> {
        let enc: &'static Aead = match self.enc.as_str() {
            "A128GCM" => &AES_128_GCM,
            "A256GCM" => &AES_256_GCM,
            _ => return Err(UNSUPPORTED),
        };
        let (hash, most, cipher, length) = match self.alg.as_str() {
            "PBES2-HS256+A128KW" => (PBKDF2_HMAC_SHA256, MAX_SHA256, &AES_128, 16),
            "PBES2-HS512+A256KW" => (PBKDF2_HMAC_SHA512, MAX_SHA512, &AES_256, 32),
            _ => return Err(UNSUPPORTED),
        };
        let iterations = NonZeroU32::new(self.p2c).ok_or(UNSUPPORTED)?;
        if !(1000..=most).contains(&self.p2c) {
            return Err(UNSUPPORTED);
        }
        let salt = [self.alg.as_bytes(), &[0], &decode(&self.p2s)?].concat();
        let mut kek = Zeroizing::new(vec![0; length]);
        pbkdf2::derive(hash, iterations, &salt, password, &mut kek);
        let mut content_key = Zeroizing::new([0; 64]);
        let kek = AesKek::new(cipher, &kek)?;
        let content_key = kek.unwrap(wrapped, content_key.as_mut_slice()).map_err(|_error| PASSWORD)?;
        // Another length than the algorithm's.
        Ok(LessSafeKey::new(UnboundKey::new(enc, content_key).map_err(|_error| MALFORMED)?))
    }
}

impl Jwk<'_> {
    fn key(&self) -> Result<PrivateKey, KeyError> {
        let decoded = |part: &str| BASE64URL.decode(part).map_err(|_error| NO_KEY);
        let (d, x) = (Zeroizing::new(decoded(self.d)?), decoded(self.x)?);
        let algorithm = match self.crv {
            "Ed25519" => {
                let pair = Ed25519KeyPair::from_seed_and_public_key(&d, &x).map_err(|_error| NO_KEY)?;
                return PrivateKey::new(Pair::Ed25519(pair), Algorithm::Ed25519);
            }
            "P-256" => Algorithm::EcdsaP256Sha256,
            "P-384" => Algorithm::EcdsaP384Sha384,
            "P-521" => Algorithm::EcdsaP521Sha512,
            _ => return Err(NO_KEY),
        };
        let point = [vec![4], x, decoded(self.y)?].concat();
        let signing = ecdsa(algorithm).ok_or(NO_KEY)?;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(signing, &d, &point);
        PrivateKey::new(Pair::Ecdsa(pair.map_err(|_error| NO_KEY)?), algorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by Python's jwcrypto 1.6, with this password.
    const PASSWORD_OF_ALL: &str = "s3cr3t p\u{e4}ssword";
    const P256: &str = include_str!("testdata/jwe/p256");
    const P521: &str = include_str!("testdata/jwe/p521");
    const ED25519: &str = include_str!("testdata/jwe/ed25519");
    const RSA: &str = include_str!("testdata/jwe/rsa");
    /// Made by go.step.sm/crypto 0.77, as step-ca's provisioners have it.
    const STEP: &str = include_str!("testdata/jwe/step");

    fn read(jwe: &str) -> Result<PrivateKey, KeyError> {
        PrivateKey::from_jwe(jwe, PASSWORD_OF_ALL.as_bytes())
    }

    #[test]
    fn keys_that_others_have_encrypted_sign() {
        let cases = [
            (P256, Algorithm::EcdsaP256Sha256),
            (P521, Algorithm::EcdsaP521Sha512),
            (ED25519, Algorithm::Ed25519),
        ];
        for (jwe, algorithm) in cases {
            let key = read(jwe).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            assert!(key.sign(b"message").is_ok());
        }
    }

    #[test]
    fn a_key_that_step_has_encrypted_signs() {
        let key = PrivateKey::from_jwe(STEP, b"a password, made up").unwrap();
        assert_eq!(key.algorithm(), Algorithm::EcdsaP256Sha256);
        assert_eq!(PrivateKey::from_jwe(STEP, b"another").unwrap_err(), PASSWORD);
    }

    #[test]
    fn what_is_refused_is_told_without_a_word_of_it() {
        assert_eq!(PrivateKey::from_jwe(P256, b"wrong").unwrap_err(), PASSWORD);
        assert_eq!(read(RSA).unwrap_err(), NO_KEY);
        assert_eq!(read("a.b.c").unwrap_err(), MALFORMED);
        assert!(matches!(read(&"x".repeat(MAX_JWE + 1)), Err(KeyError::LimitExceeded(_))));
        // A bit of each part, the last of which is the tag.
        for at in 0..5 {
            let mut parts: Vec<_> = P256.trim().split('.').map(str::to_owned).collect();
            let changed = if parts[at].starts_with('A') { "B" } else { "A" };
            parts[at].replace_range(..1, changed);
            assert!(read(&parts.join(".")).is_err(), "part {at}");
        }
    }

    /// The header is not signed by anybody: it is the server that says how long this takes.
    #[test]
    fn iterations_are_bounded() {
        let with = |jwe: &str, iterations: u32| {
            let (header, rest) = jwe.trim().split_once('.').unwrap();
            let mut header: serde_json::Value = serde_json::from_slice(&decode(header).unwrap()).unwrap();
            header["p2c"] = iterations.into();
            format!("{}.{rest}", BASE64URL.encode(header.to_string()))
        };
        for (jwe, most) in [(P256, MAX_SHA256), (P521, MAX_SHA512)] {
            for iterations in [0, 999, most + 1, u32::MAX] {
                assert_eq!(read(&with(jwe, iterations)).unwrap_err(), UNSUPPORTED, "{iterations}");
            }
        }
        assert_eq!(read(&with(P256, 1000)).unwrap_err(), PASSWORD);
    }
}

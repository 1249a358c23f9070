//! Public keys and the signatures they verify, natively. One list of algorithms for CSRs and for CAs.

mod detached;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{self as lc, VerificationAlgorithm};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use const_oid::db::rfc8410::ID_ED_25519;
use der::asn1::{BitStringRef, UintRef};
use der::{Encode, Reader};
use spki::AlgorithmIdentifierRef;

use super::parse;
use crate::text;

/// What a person can do about a refused key.
const ACCEPTED_KEYS: &str = "accepted are RSA keys of 2048 to 8192 bits, P-256, P-384, P-521 and Ed25519";
/// What a person can do about a refused signature algorithm.
const ACCEPTED_SIGNATURES: &str = "accepted are RSA (PKCS #1 v1.5 or PSS) and ECDSA with SHA-256, SHA-384 or \
                                   SHA-512, and Ed25519";

/// Why a key or a signature is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The key does not parse.
    #[error("the public key is malformed ({0}); {ACCEPTED_KEYS}")]
    MalformedKey(&'static str),
    /// RSA, but of a size that is not accepted.
    #[error("the public key is RSA of {0} bits; {ACCEPTED_KEYS}")]
    RsaSize(usize),
    /// A kind of key that is not accepted, by its name or OID.
    #[error("the public key is of an unsupported kind, {0}; {ACCEPTED_KEYS}")]
    UnsupportedKey(String),
    /// A weak or unknown signature algorithm.
    #[error("the signature algorithm {0} is not accepted; {ACCEPTED_SIGNATURES}")]
    UnsupportedAlgorithm(String),
    /// An accepted signature algorithm with parameters that it does not have.
    #[error("the signature algorithm {0} has parameters; it takes none")]
    Parameters(String),
    /// An algorithm for another kind of key.
    #[error("the signature algorithm {0} does not go with a key of kind {1}")]
    OtherKind(String, KeyKind),
    /// The signature is not of this message by this key.
    #[error("the signature does not verify")]
    Invalid,
}

/// The kinds of keys that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA, 2048 to 8192 bits.
    Rsa,
    /// NIST P-256, which is secp256r1 (RFC 5480 section 2.1.1.1).
    P256,
    /// NIST P-384, which is secp384r1.
    P384,
    /// NIST P-521, which is secp521r1.
    P521,
    /// Ed25519 (RFC 8410).
    Ed25519,
}

impl std::fmt::Display for KeyKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Rsa => "RSA",
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Ed25519 => "Ed25519",
        })
    }
}

/// A public key of an accepted kind.
#[derive(Clone, Copy, Debug)]
pub struct PublicKey<'a> {
    kind: KeyKind,
    /// The content of subjectPublicKey: RSAPublicKey, an uncompressed point, or 32 bytes.
    key: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// Reads a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7, RFC 3279, RFC 5480, RFC 8410).
    pub fn from_spki(der: &'a [u8]) -> Result<Self, SignatureError> {
        let malformed = |_error: der::Error| SignatureError::MalformedKey("no SubjectPublicKeyInfo");
        let (algorithm, key) = parse::sequence(der, |reader| {
            let algorithm: AlgorithmIdentifierRef<'a> = reader.decode()?;
            Ok((algorithm, parse::whole_bytes(reader.decode::<BitStringRef<'a>>()?)?))
        })
        .map_err(malformed)?;
        let kind = kind(&algorithm)?;
        match kind {
            KeyKind::Rsa => check_rsa(key)?,
            KeyKind::P256 => check_point(key, 32)?,
            KeyKind::P384 => check_point(key, 48)?,
            KeyKind::P521 => check_point(key, 66)?,
            KeyKind::Ed25519 if key.len() == 32 => {}
            KeyKind::Ed25519 => return Err(SignatureError::MalformedKey("an Ed25519 key is 32 bytes")),
        }
        Ok(Self { kind, key })
    }

    /// The algorithm, with the curve where it has one.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The length of an RSA key's modulus in bits; none for a key of another kind.
    pub fn rsa_bits(&self) -> Option<usize> {
        match self.kind {
            KeyKind::Rsa => modulus_bits(self.key).ok(),
            _ => None,
        }
    }

    /// Verifies a signature over `message`, made with that algorithm by the private half of this key.
    pub fn verify(
        &self,
        algorithm: &AlgorithmIdentifierRef<'_>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        let verifier = verifier(self.kind, algorithm).ok_or_else(|| self.unverifiable(algorithm))?;
        verifier.verify_sig(self.key, message, signature).map_err(|_error| SignatureError::Invalid)
    }

    /// What is wrong with an algorithm that nothing here verifies with this key.
    fn unverifiable(&self, algorithm: &AlgorithmIdentifierRef<'_>) -> SignatureError {
        let known = |algorithm: &AlgorithmIdentifierRef<'_>| {
            [KeyKind::Rsa, KeyKind::P256, KeyKind::Ed25519]
                .iter()
                .any(|kind| verifier(*kind, algorithm).is_some())
        };
        let name = algorithm_name(&algorithm.oid);
        if known(algorithm) {
            SignatureError::OtherKind(name, self.kind)
        } else if known(&AlgorithmIdentifierRef { parameters: None, ..*algorithm }) {
            SignatureError::Parameters(name)
        } else {
            SignatureError::UnsupportedAlgorithm(name)
        }
    }
}

fn kind(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<KeyKind, SignatureError> {
    match algorithm.oid {
        // RFC 3279 section 2.3.1: the parameters MUST be NULL. Go refuses anything else too.
        rfc5912::RSA_ENCRYPTION if algorithm.parameters.is_some_and(|p| p.is_null()) => Ok(KeyKind::Rsa),
        rfc5912::RSA_ENCRYPTION => Err(SignatureError::MalformedKey("RSA parameters that are not NULL")),
        rfc5912::ID_EC_PUBLIC_KEY => match algorithm.parameters_oid() {
            Ok(rfc5912::SECP_256_R_1) => Ok(KeyKind::P256),
            Ok(rfc5912::SECP_384_R_1) => Ok(KeyKind::P384),
            Ok(rfc5912::SECP_521_R_1) => Ok(KeyKind::P521),
            Ok(curve) => {
                Err(SignatureError::UnsupportedKey(format!("elliptic curve {}", algorithm_name(&curve))))
            }
            Err(_) => Err(SignatureError::MalformedKey("an elliptic curve that is not named")),
        },
        // RFC 8410 section 3: the parameters MUST be absent.
        ID_ED_25519 if algorithm.parameters.is_none() => Ok(KeyKind::Ed25519),
        ID_ED_25519 => Err(SignatureError::MalformedKey("Ed25519 with parameters")),
        oid => Err(SignatureError::UnsupportedKey(algorithm_name(&oid))),
    }
}

/// Bounds the modulus before any arithmetic is done with it.
fn check_rsa(key: &[u8]) -> Result<(), SignatureError> {
    let bits = modulus_bits(key).map_err(|_error| SignatureError::MalformedKey("no RSAPublicKey"))?;
    if (2048..=8192).contains(&bits) { Ok(()) } else { Err(SignatureError::RsaSize(bits)) }
}

/// The length of the modulus of an RSAPublicKey (RFC 8017 appendix A.1.1).
fn modulus_bits(key: &[u8]) -> der::Result<usize> {
    parse::sequence(key, |reader| {
        let modulus: UintRef<'_> = reader.decode()?;
        let _exponent: UintRef<'_> = reader.decode()?;
        Ok(bit_len(modulus.as_bytes()))
    })
}

/// The length in bits of a big-endian number without leading zero bytes.
pub(crate) fn bit_len(bytes: &[u8]) -> usize {
    bytes.first().map_or(0, |first| bytes.len() * 8 - first.leading_zeros() as usize)
}

/// RFC 5480 section 2.2: uncompressed points, which is all that Go reads.
fn check_point(key: &[u8], coordinate: usize) -> Result<(), SignatureError> {
    if key.first() == Some(&4) && key.len() == 2 * coordinate + 1 {
        Ok(())
    } else {
        Err(SignatureError::MalformedKey("not an uncompressed point of its curve"))
    }
}

/// The SHA-2 functions that signatures may use.
#[derive(Clone, Copy)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

fn verifier(
    key: KeyKind,
    algorithm: &AlgorithmIdentifierRef<'_>,
) -> Option<&'static dyn VerificationAlgorithm> {
    use Hash::{Sha256, Sha384, Sha512};
    // RSA's are NULL, and readers take absent ones too (RFC 4055 section 5). ECDSA's are absent (RFC 5758 section 3.2),
    // and some write NULL: what is signed is the same, and Go and OpenSSL verify it.
    let plain = algorithm.parameters.is_none_or(|parameters| parameters.is_null());
    let ecdsa = |hash| ecdsa(key, hash).filter(|_| plain);
    let pkcs1 = |hash| pkcs1(hash).filter(|_| plain && key == KeyKind::Rsa);
    match algorithm.oid {
        rfc5912::ECDSA_WITH_SHA_256 => ecdsa(Sha256),
        rfc5912::ECDSA_WITH_SHA_384 => ecdsa(Sha384),
        rfc5912::ECDSA_WITH_SHA_512 => ecdsa(Sha512),
        rfc5912::SHA_256_WITH_RSA_ENCRYPTION => pkcs1(Sha256),
        rfc5912::SHA_384_WITH_RSA_ENCRYPTION => pkcs1(Sha384),
        rfc5912::SHA_512_WITH_RSA_ENCRYPTION => pkcs1(Sha512),
        rfc5912::ID_RSASSA_PSS if key == KeyKind::Rsa => pss(algorithm),
        ID_ED_25519 if key == KeyKind::Ed25519 && algorithm.parameters.is_none() => Some(&lc::ED25519),
        _ => None,
    }
}

fn ecdsa(key: KeyKind, hash: Hash) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (key, hash) {
        (KeyKind::P256, Hash::Sha256) => &lc::ECDSA_P256_SHA256_ASN1,
        (KeyKind::P256, Hash::Sha384) => &lc::ECDSA_P256_SHA384_ASN1,
        (KeyKind::P256, Hash::Sha512) => &lc::ECDSA_P256_SHA512_ASN1,
        (KeyKind::P384, Hash::Sha256) => &lc::ECDSA_P384_SHA256_ASN1,
        (KeyKind::P384, Hash::Sha384) => &lc::ECDSA_P384_SHA384_ASN1,
        (KeyKind::P384, Hash::Sha512) => &lc::ECDSA_P384_SHA512_ASN1,
        (KeyKind::P521, Hash::Sha256) => &lc::ECDSA_P521_SHA256_ASN1,
        (KeyKind::P521, Hash::Sha384) => &lc::ECDSA_P521_SHA384_ASN1,
        (KeyKind::P521, Hash::Sha512) => &lc::ECDSA_P521_SHA512_ASN1,
        (KeyKind::Rsa | KeyKind::Ed25519, _) => return None,
    })
}

fn pkcs1(hash: Hash) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match hash {
        Hash::Sha256 => &lc::RSA_PKCS1_2048_8192_SHA256,
        Hash::Sha384 => &lc::RSA_PKCS1_2048_8192_SHA384,
        Hash::Sha512 => &lc::RSA_PKCS1_2048_8192_SHA512,
    })
}

/// RSASSA-PSS in the three forms that TLS 1.3 has (RFC 8446 section 4.2.3): one hash throughout, a salt of its length.
/// The hashes have NULL as parameters or none (RFC 4055 section 2.1).
fn pss(algorithm: &AlgorithmIdentifierRef<'_>) -> Option<&'static dyn VerificationAlgorithm> {
    let parameters = algorithm.parameters?.to_der().ok()?;
    let is = |hash, salt| {
        [(true, true), (true, false), (false, true), (false, false)]
            .iter()
            .any(|nulls| parameters == pss_parameters(hash, salt, *nulls))
    };
    if is(1, 32) {
        Some(&lc::RSA_PSS_2048_8192_SHA256)
    } else if is(2, 48) {
        Some(&lc::RSA_PSS_2048_8192_SHA384)
    } else if is(3, 64) {
        Some(&lc::RSA_PSS_2048_8192_SHA512)
    } else {
        None
    }
}

/// The DER of RSASSA-PSS-params (RFC 4055 section 3.1), with or without the NULL of the message's hash and of MGF1's.
/// `hash` is the last arc of 2.16.840.1.101.3.4.2.
fn pss_parameters(hash: u8, salt: u8, nulls: (bool, bool)) -> Vec<u8> {
    let tlv = |tag: u8, content: &[u8]| [&[tag, content.len() as u8], content].concat();
    let digest = |null| {
        let oid = [6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, hash];
        tlv(0x30, &[&oid[..], if null { &[5, 0] } else { &[] }].concat())
    };
    let mgf1 = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8];
    let fields = [
        tlv(0xa0, &digest(nulls.0)),
        tlv(0xa1, &tlv(0x30, &[&mgf1[..], &digest(nulls.1)].concat())),
        tlv(0xa2, &[2, 1, salt]),
    ];
    tlv(0x30, &fields.concat())
}

/// The SHA-256 of a SubjectPublicKeyInfo, which tells keys apart in messages.
pub fn fingerprint(spki: &[u8]) -> String {
    format!("sha256:{}", hex::encode(digest::digest(&digest::SHA256, spki)))
}

/// An algorithm's name where one is known, and its OID.
fn algorithm_name(oid: &ObjectIdentifier) -> String {
    match const_oid::db::DB.by_oid(oid) {
        Some(name) => format!("{name} ({oid})"),
        None => text::printable(&oid.to_string(), 100),
    }
}

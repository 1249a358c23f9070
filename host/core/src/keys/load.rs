//! Private keys from PEM: which formats and kinds are accepted, and what is said of the others.

use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use const_oid::db::rfc8410::ID_ED_25519;
use der::asn1::{OctetStringRef, UintRef};
use der::{Decode, Reader, Tag, TagNumber};
use spki::AlgorithmIdentifierRef;

use super::{Algorithm, KeyError, Pair, PrivateKey, ecdsa};
use crate::x509::pem;
use crate::x509::signature::bit_len;

/// The largest text that is read. An RSA key of 8192 bits takes 6.4 KiB.
pub const MAX_KEY_PEM_BYTES: usize = 16 * 1024;

const MALFORMED: KeyError =
    KeyError::Invalid("the PEM block does not hold a private key of the kind that it names");
const UNSUPPORTED: KeyError = KeyError::Invalid(
    "the private key is of an unsupported kind; accepted are RSA of 2048 to 8192 bits, P-256, P-384, P-521 and Ed25519",
);

const ONE_KEY: &str = "exactly one PEM block with a private key is expected";

impl PrivateKey {
    /// Reads the one private key of a PEM text: PKCS#8, SEC 1 or PKCS#1.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        if pem.len() > MAX_KEY_PEM_BYTES {
            return Err(KeyError::LimitExceeded(format!(
                "{} bytes are more than a private key takes; at most {MAX_KEY_PEM_BYTES} are read",
                pem.len()
            )));
        }
        // A key, curve parameters, and one more to say what is wrong.
        let (blocks, _) = pem::blocks(pem, 3).map_err(|error| match error {
            pem::PemError::NoBlock | pem::PemError::NotText => {
                KeyError::Invalid("no PEM block; a private key is expected")
            }
            pem::PemError::TooMany(_) => KeyError::Invalid(ONE_KEY),
            _ => KeyError::Invalid("a PEM block is malformed"),
        })?;
        // `openssl ecparam -genkey` writes the curve in front; the key names it again.
        let mut keys = blocks.iter().filter(|block| block.label != "EC PARAMETERS");
        let (Some(block), None) = (keys.next(), keys.next()) else { return Err(KeyError::Invalid(ONE_KEY)) };
        if block.label == "ENCRYPTED PRIVATE KEY" || block.has_headers() {
            return Err(KeyError::Invalid("the private key is encrypted; only plain keys are read"));
        }
        let read = match block.label {
            "PRIVATE KEY" => pkcs8,
            "EC PRIVATE KEY" => sec1,
            "RSA PRIVATE KEY" => pkcs1,
            // The label may be anything, a password in the wrong place too: it is not repeated.
            _ => {
                return Err(KeyError::Invalid(
                    "the PEM block is no private key; accepted are PRIVATE KEY, EC PRIVATE KEY and RSA PRIVATE KEY",
                ));
            }
        };
        read(&block.decode().map_err(|_error| KeyError::Invalid("the PEM block is not valid base64"))?)
    }
}

/// PrivateKeyInfo (RFC 5208) and OneAsymmetricKey (RFC 5958). Only the algorithm and the size are read here: the
/// library reads the rest, and checks it.
fn pkcs8(der: &[u8]) -> Result<PrivateKey, KeyError> {
    let (algorithm, key) = first_fields(der, |reader| {
        let _version: u8 = reader.decode()?;
        Ok((reader.decode::<AlgorithmIdentifierRef<'_>>()?, reader.decode::<&OctetStringRef>()?))
    })?;
    match algorithm.oid {
        rfc5912::RSA_ENCRYPTION => {
            check_rsa_size(key.as_bytes())?;
            rsa(RsaKeyPair::from_pkcs8(der))
        }
        rfc5912::ID_EC_PUBLIC_KEY => ec(der, algorithm.parameters_oid().map_err(|_error| UNSUPPORTED)?),
        ID_ED_25519 => {
            let pair = Ed25519KeyPair::from_pkcs8(der).map_err(|_error| MALFORMED)?;
            PrivateKey::new(Pair::Ed25519(pair), Algorithm::Ed25519)
        }
        _ => Err(UNSUPPORTED),
    }
}

/// ECPrivateKey (RFC 5915), with its curve.
fn sec1(der: &[u8]) -> Result<PrivateKey, KeyError> {
    let curve = first_fields(der, |reader| {
        let _version: u8 = reader.decode()?;
        let _scalar: &OctetStringRef = reader.decode()?;
        let curve = reader.context_specific::<ObjectIdentifier>(TagNumber(0), der::TagMode::Explicit)?;
        curve.ok_or_else(|| Tag::Sequence.value_error().into())
    })?;
    ec(der, curve)
}

/// RSAPrivateKey (RFC 8017 appendix A.1.2).
fn pkcs1(der: &[u8]) -> Result<PrivateKey, KeyError> {
    check_rsa_size(der)?;
    rsa(RsaKeyPair::from_der(der))
}

fn ec(der: &[u8], curve: ObjectIdentifier) -> Result<PrivateKey, KeyError> {
    let algorithm = match curve {
        rfc5912::SECP_256_R_1 => Algorithm::EcdsaP256Sha256,
        rfc5912::SECP_384_R_1 => Algorithm::EcdsaP384Sha384,
        rfc5912::SECP_521_R_1 => Algorithm::EcdsaP521Sha512,
        _ => return Err(UNSUPPORTED),
    };
    let signing = ecdsa(algorithm).ok_or(UNSUPPORTED)?;
    let pair = EcdsaKeyPair::from_private_key_der(signing, der).map_err(|_error| MALFORMED)?;
    PrivateKey::new(Pair::Ecdsa(pair), algorithm)
}

fn rsa<E>(pair: Result<RsaKeyPair, E>) -> Result<PrivateKey, KeyError> {
    PrivateKey::new(Pair::Rsa(pair.map_err(|_error| MALFORMED)?), Algorithm::RsaPkcs1Sha256)
}

/// Bounds the modulus before the library does arithmetic with it.
fn check_rsa_size(der: &[u8]) -> Result<(), KeyError> {
    let bits = first_fields(der, |reader| {
        let _version: u8 = reader.decode()?;
        Ok(bit_len(reader.decode::<UintRef<'_>>()?.as_bytes()))
    })?;
    if (2048..=8192).contains(&bits) { Ok(()) } else { Err(UNSUPPORTED) }
}

/// Reads the first fields of a SEQUENCE that fills `der`, and skips the others.
fn first_fields<'a, T>(
    der: &'a [u8],
    read: impl FnOnce(&mut der::SliceReader<'a>) -> der::Result<T>,
) -> Result<T, KeyError> {
    let fields = || -> der::Result<T> {
        let any = der::asn1::AnyRef::from_der(der)?;
        der::Tagged::tag(&any).assert_eq(Tag::Sequence)?;
        read(&mut der::SliceReader::new(any.value())?)
    };
    fields().map_err(|_error| MALFORMED)
}

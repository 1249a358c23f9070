//! JSON Web Signatures (RFC 7515) by keys that stay in the operator: tokens of step-ca and OAuth, requests of ACME.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use der::asn1::UintRef;
use der::{Decode, Reader};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use spki::SubjectPublicKeyInfoRef;

use crate::{Algorithm, Failure, HostKey, JwsAlgorithm, Signer};

/// A JWS in compact serialization, as a JWT is. `alg` is added to the header's fields.
///
/// ```no_run
/// # use serde_json::json;
/// # use wasm_issuer_sdk::{Failure, HostKey, jws};
/// fn token(key: &HostKey, name: &str) -> Result<String, Failure> {
///     jws::compact(key, json!({ "typ": "JWT", "kid": "provisioner" }), &json!({ "sub": name }))
/// }
/// ```
pub fn compact(key: &HostKey, header: Value, payload: &impl Serialize) -> Result<String, Failure> {
    let Signed { protected, payload, signature } = sign(key, header, Some(&to_json(payload)?))?;
    Ok(format!("{protected}.{payload}.{signature}"))
}

/// A JWS in flattened JSON serialization, as ACME's requests are (RFC 8555 section 6.2). `alg` is added to the header's
/// fields. Without a payload it is the empty one of a POST-as-GET.
///
/// ```no_run
/// # use serde_json::{Value, json};
/// # use wasm_issuer_sdk::{Failure, HostKey, jws};
/// fn poll(key: &HostKey, account: &str, nonce: &str, url: &str) -> Result<Value, Failure> {
///     jws::flattened(key, json!({ "kid": account, "nonce": nonce, "url": url }), None)
/// }
/// ```
pub fn flattened(key: &HostKey, header: Value, payload: Option<&Value>) -> Result<Value, Failure> {
    let payload = payload.map(to_json).transpose()?;
    let Signed { protected, payload, signature } = sign(key, header, payload.as_deref())?;
    Ok(json!({ "protected": protected, "payload": payload, "signature": signature }))
}

struct Signed {
    protected: String,
    payload: String,
    signature: String,
}

fn sign(key: &HostKey, mut header: Value, payload: Option<&[u8]>) -> Result<Signed, Failure> {
    let (algorithm, name) = algorithm(key.algorithm());
    if let Some(header) = header.as_object_mut() {
        header.insert("alg".to_owned(), name.into());
    }
    let protected = encode(&to_json(&header)?);
    let payload = payload.map(encode).unwrap_or_default();
    let signature = key.sign_jws(algorithm, format!("{protected}.{payload}").as_bytes())?;
    Ok(Signed { protected, payload, signature: encode(&signature) })
}

/// Base64url without padding (RFC 4648 section 5).
///
/// ```
/// assert_eq!(wasm_issuer_sdk::jws::encode(&[0xfb, 0xff]), "-_8");
/// ```
pub fn encode(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

fn to_json(value: &(impl Serialize + ?Sized)) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(value).map_err(|error| Failure::permanent(format!("a JWS's JSON: {error}")))
}

fn algorithm(key: Algorithm) -> (JwsAlgorithm, &'static str) {
    match key {
        Algorithm::EcdsaP256Sha256 => (JwsAlgorithm::Es256, "ES256"),
        Algorithm::EcdsaP384Sha384 => (JwsAlgorithm::Es384, "ES384"),
        Algorithm::EcdsaP521Sha512 => (JwsAlgorithm::Es512, "ES512"),
        Algorithm::Ed25519 => (JwsAlgorithm::Eddsa, "EdDSA"),
        Algorithm::RsaPkcs1Sha256 => (JwsAlgorithm::Rs256, "RS256"),
    }
}

/// The public key as a JSON Web Key with the members that its thumbprint counts (RFC 7638 section 3.2, RFC 8037).
///
/// ```no_run
/// # use serde_json::{Value, json};
/// # use wasm_issuer_sdk::{Failure, HostKey, jws};
/// /// The header of a request for a new ACME account.
/// fn header(key: &HostKey, nonce: &str, url: &str) -> Result<Value, Failure> {
///     Ok(json!({ "jwk": jws::public_jwk(key)?, "nonce": nonce, "url": url }))
/// }
/// ```
pub fn public_jwk(key: &impl Signer) -> Result<Value, Failure> {
    jwk(key.algorithm(), key.public_key())
        .map_err(|error| Failure::permanent(format!("the operator's public key: {error}")))
}

/// The thumbprint of a JSON Web Key that [`public_jwk`] made (RFC 7638): SHA-256, base64url.
///
/// ```
/// # use serde_json::json;
/// # use wasm_issuer_sdk::jws;
/// let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
/// assert_eq!(jws::thumbprint(&jwk), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
/// ```
pub fn thumbprint(jwk: &Value) -> String {
    // Members of a map of serde_json are sorted by name, and it writes no white space: what RFC 7638 asks for.
    encode(&Sha256::digest(jwk.to_string()))
}

fn jwk(algorithm: Algorithm, spki: &[u8]) -> der::Result<Value> {
    let spki = SubjectPublicKeyInfoRef::from_der(spki)?;
    let bits = spki.subject_public_key.as_bytes().unwrap_or_default();
    let curve = match algorithm {
        Algorithm::EcdsaP256Sha256 => "P-256",
        Algorithm::EcdsaP384Sha384 => "P-384",
        Algorithm::EcdsaP521Sha512 => "P-521",
        Algorithm::Ed25519 => return Ok(json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(bits) })),
        Algorithm::RsaPkcs1Sha256 => {
            let any = der::asn1::AnyRef::from_der(bits)?;
            let mut fields = der::SliceReader::new(any.value())?;
            let (n, e) = (fields.decode::<UintRef<'_>>()?, fields.decode::<UintRef<'_>>()?);
            return Ok(json!({ "kty": "RSA", "n": encode(n.as_bytes()), "e": encode(e.as_bytes()) }));
        }
    };
    // An uncompressed point: 4, x and y (SEC 1 section 2.3.3).
    let point = bits.strip_prefix(&[4]).ok_or_else(|| der::Tag::BitString.value_error())?;
    let (x, y) = point.split_at(point.len() / 2);
    Ok(json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) }))
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PublicKeyData as _};

    use super::*;

    /// RFC 7638 section 3.1.
    #[test]
    fn a_thumbprint_is_that_of_the_rfc() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let jwk = json!({ "kty": "RSA", "n": n, "e": "AQAB" });
        assert_eq!(thumbprint(&jwk), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn public_keys_become_json_web_keys() {
        let ec = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let jwk_of = |key: &KeyPair, algorithm| jwk(algorithm, &key.subject_public_key_info()).unwrap();
        let point = ec.public_key_raw();
        let jwk = jwk_of(&ec, Algorithm::EcdsaP384Sha384);
        assert_eq!(
            jwk,
            json!({ "kty": "EC", "crv": "P-384", "x": encode(&point[1..49]), "y": encode(&point[49..]) })
        );
        let ed = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        assert_eq!(jwk_of(&ed, Algorithm::Ed25519)["x"], encode(ed.public_key_raw()));
        let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        let jwk = jwk_of(&rsa, Algorithm::RsaPkcs1Sha256);
        assert_eq!((jwk["e"].as_str(), jwk["n"].as_str().map(str::len)), (Some("AQAB"), Some(342)));
    }
}

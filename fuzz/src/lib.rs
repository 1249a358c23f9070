//! What the targets share: CSRs whose signature holds whatever is in them, so that what comes after it is reached.

use std::sync::LazyLock;

use wasm_issuer_core::keys::{Algorithm, PrivateKey};

static KEY: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::generate(Algorithm::EcdsaP256Sha256).expect("a key"));

/// One TLV.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let zeros = length.iter().take_while(|byte| **byte == 0).count();
    let octets = &length[zeros..];
    let header = match content.len() {
        short @ 0..0x80 => vec![tag, short as u8],
        _ => [&[tag, 0x80 | octets.len() as u8], octets].concat(),
    };
    [header.as_slice(), content].concat()
}

/// A CSR with this subject and these attributes, of which only the signature is sure to be right.
pub fn csr(subject: &[u8], attributes: &[u8]) -> Vec<u8> {
    let attributes = tlv(0xa0, attributes);
    let info = tlv(0x30, &[&[2, 1, 0], subject, KEY.public_key_der(), &attributes].concat());
    let signature = KEY.sign(&info).expect("a signature");
    let ecdsa_with_sha256 = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    tlv(0x30, &[info.as_slice(), &ecdsa_with_sha256, &tlv(3, &[&[0], signature.as_slice()].concat())].concat())
}

//! The certificates of a CA's Secret: those of the first one's key.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wasm_issuer_sdk::{Algorithm, Authority, Failure, ParsedCertificate, Signer, pem};

struct Key(Vec<u8>);

impl Signer for Key {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EcdsaP256Sha256
    }

    fn public_key(&self) -> &[u8] {
        &self.0
    }

    fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, Failure> {
        Ok(vec![0x30, 0])
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(certificates) = pem::decode_certificates(text) else { return };
    let Ok(first) = ParsedCertificate::from_der(&certificates[0]) else { return };
    let key = Key(first.public_key().to_vec());
    if let Ok(authority) = Authority::new(key, &certificates) {
        let _valid = authority.check();
        assert_eq!(authority.chain()[0].public_key(), authority.key().public_key());
        let published = authority.certificate(&certificates[0]);
        assert!(pem::decode_certificates(&published.chain).is_ok());
    }
});

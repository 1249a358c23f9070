//! The certificates of a CA's Secret: those of the first one's key.

#![no_main]

use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use wasm_issuer_core::issuance::signer::Signed;
use wasm_issuer_core::issuance::verify;
use wasm_issuer_core::keys;
use wasm_issuer_sdk::keys::VerifyError;
use wasm_issuer_sdk::{Algorithm, Authority, Certificate, Failure, ParsedCertificate, Signer, pem};

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

    // What the operator answers a plugin.
    fn verify(
        &self,
        key: &[u8],
        algorithm: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        keys::verify(key, algorithm, message, signature).map_err(|error| match error {
            keys::VerifyError::Key(why) => VerifyError::Key(why),
            keys::VerifyError::Algorithm(why) => VerifyError::Algorithm(why),
            keys::VerifyError::OtherKey => VerifyError::OtherKey,
        })
    }

    fn judge(&self, certificate: &Certificate) -> Result<(), String> {
        let signed = Signed { chain: certificate.chain.clone(), ca: certificate.ca.clone() };
        verify::judge(&signed, SystemTime::now()).map_err(|mismatch| mismatch.to_string())
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

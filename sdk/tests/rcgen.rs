//! rcgen signs with a key that it cannot see.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails panics")]
#![cfg(feature = "rcgen")]

mod support;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyUsagePurpose};
use support::{ALGORITHMS, TestKey, web_request};
use wasm_issuer_sdk::rcgen::RcgenKey;
use wasm_issuer_sdk::{Algorithm, Authority, Failure, Signer};

#[test]
fn a_root_made_by_rcgen_is_an_authority() {
    for algorithm in ALGORITHMS {
        let key = TestKey::new(algorithm);
        let signer = match RcgenKey::new(&key) {
            Ok(signer) => signer,
            Err(failure) => {
                assert_eq!(algorithm, Algorithm::EcdsaP521Sha512);
                assert_eq!(failure, Failure::issuer("rcgen does not sign with P-521 keys"));
                continue;
            }
        };
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root = params.self_signed(&signer).unwrap();
        assert!(rcgen::PublicKeyData::subject_public_key_info(&signer) == key.public_key(), "{algorithm:?}");

        let authority = Authority::new(key, &[root.der().to_vec()]).unwrap();
        authority.check().unwrap();
        authority.issue(&web_request()).unwrap();
    }
}

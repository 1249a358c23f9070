//! Secrets that people had, in `tests/cases`, each beside what its README expects. At a time at which they are valid.

use std::fs;

use wasm_issuer_core::keys;

use super::*;
use crate::support::host_verify;
use crate::{Algorithm, Failure, pem};

/// 2026-12-01.
const NOW: u64 = 1_796_083_200;

/// The operator's key, as it judges certificates.
struct CaseKey(keys::PrivateKey, Vec<u8>);

impl Signer for CaseKey {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EcdsaP256Sha256
    }

    fn public_key(&self) -> &[u8] {
        &self.1
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        self.0.sign(message).map_err(Failure::retry)
    }

    fn verify(
        &self,
        public_key: &[u8],
        algorithm: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        host_verify(public_key, algorithm, message, signature)
    }
}

/// What is found in a case's Secret at [`NOW`]: the subjects of the chain and whether it has a root.
fn found(case: &str) -> Result<(Vec<String>, bool), String> {
    let folder = format!("{}/tests/cases/{case}", env!("CARGO_MANIFEST_DIR"));
    let mut given = Vec::new();
    for (file, is_trusted) in [("tls.crt", false), ("ca.crt", true)] {
        let Ok(text) = fs::read_to_string(format!("{folder}/{file}")) else { continue };
        for (at, der) in pem::decode_certificates(&text).unwrap().iter().enumerate() {
            let certificate = ParsedCertificate::from_der(der).unwrap();
            given.push(Given {
                certificate,
                place: format!("certificate {} of `{file}`", at + 1),
                is_trusted,
            });
        }
    }
    let key = keys::PrivateKey::from_pem(&fs::read(format!("{folder}/tls.key")).unwrap()).unwrap();
    let public_key = key.public_key_der().to_vec();
    let path = find(&CaseKey(key, public_key), &given, NOW)?;
    Ok((path.chain.iter().map(ParsedCertificate::describe).collect(), path.has_root))
}

#[test]
fn secrets_that_sign() {
    let inter = |serial| format!("\"O=Corp, CN=Inter\" (serial {serial})");
    let root = |serial| format!("\"O=Corp, CN=Root\" (serial {serial})");
    let sha1_root = "\"O=Corp, CN=SHA-1 Root\" (serial 6cb48e7a93654e149b315f0ee84bffa42853893b)";
    let cases = [
        (
            "01-ca-crt-of-the-secret",
            vec![
                inter("5de71e10fc73992a2714e86e6cdb97c80500d27a"),
                root("7869ff6c2763b384cc285e451cbf2574c854170b"),
            ],
        ),
        ("03-ca-renewed-with-its-key", vec![root("7869ff6c2763b384cc285e451cbf2574c854170b")]),
        (
            "03b-root-renewed-above-intermediate",
            vec![
                inter("5de71e10fc73992a2714e86e6cdb97c80500d27a"),
                root("7869ff6c2763b384cc285e451cbf2574c854170b"),
            ],
        ),
        (
            "root-signed-with-sha1",
            vec![inter("729eb29a9d84d7120538c490148538c56cc9bdbc"), sha1_root.to_owned()],
        ),
        (
            "root-of-version-1",
            vec![
                inter("6f8a8250d0266af340f11772b835f763b2977a53"),
                "\"O=Corp, CN=V1 Root\" (serial 2cb454aca8ae5cb96c06930ea80d31b2d8f65f80)".to_owned(),
            ],
        ),
    ];
    for (case, chain) in cases {
        assert_eq!(found(case), Ok((chain, true)), "{case}");
    }
}

#[test]
fn a_chain_of_12_is_found_up_to_its_root() {
    let (chain, has_root) = found("chain-of-12").unwrap();
    assert!(has_root && chain.len() == 12, "{chain:?}");
    let is_in_order = |(at, ca): (usize, &String)| ca.starts_with(&format!("\"O=Corp, CN=CA {}\"", 12 - at));
    assert!(chain.iter().enumerate().all(is_in_order), "{chain:?}");
}

#[test]
fn secrets_whose_every_request_would_fail() {
    let cases = [
        (
            "root-key-of-an-unsupported-kind",
            [
                "\"O=Corp, CN=Secp256k1 Root\" (serial 0b5737495da42aff8ceffff9c86c3015075733a0), certificate 1 of `ca.crt`,",
                "elliptic curve",
            ],
        ),
        (
            "intermediate-signed-with-sha1",
            [
                "\"O=Corp, CN=Inter\" (serial 729eb29a9d84d7120538c490148538c56cc9bdbd), certificate 1 of `tls.crt`,",
                "the signature algorithm",
            ],
        ),
    ];
    for (case, parts) in cases {
        let message = found(case).unwrap_err();
        assert!(parts.iter().all(|part| message.contains(part)), "{case}: {message}");
    }
}

/// Ready if and only if the operator will accept the chain: its signatures are judged by the same function.
#[test]
fn a_root_of_8192_bits_is_taken() {
    let root = "\"O=Corp, CN=Big Root\" (serial 267049eae1aebc80191d357463d7c59bf934bd8b)";
    let (chain, has_root) = found("02-ready-issuer-fails-every-request").unwrap();
    assert!(has_root && chain.len() == 2 && chain[1] == root, "{chain:?}");
}

//! RSASSA-PSS.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PSS_SHA256, RsaKeyPair};

use super::*;

/// CSRs with SHA-256 and every form of the parameters.
pub fn all() -> Vec<Input> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let key = RsaKeyPair::from_pkcs8(pair.serialized_der()).unwrap();
    let spki = PrivateKey::from_pem(pair.serialize_pem().as_bytes()).unwrap();
    let info = tlv(SEQUENCE, &[&[2, 1, 0], &cn("a"), spki.public_key_der(), &tlv(0xa0, &[])]);
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), &info, &mut signature).unwrap();

    let null = |yes: bool| if yes { [5, 0].as_slice() } else { &[] };
    let digest = |id: &str, parameters: &[u8]| tlv(SEQUENCE, &[&oid(id), parameters]);
    let (sha256, sha384) = ("2.16.840.1.101.3.4.2.1", "2.16.840.1.101.3.4.2.2");
    let csr = |what: String, hash: Vec<u8>, mgf1_hash: Vec<u8>, rest: &[u8]| {
        let mgf1 = tlv(SEQUENCE, &[&oid("1.2.840.113549.1.1.8"), &mgf1_hash]);
        let parameters = tlv(SEQUENCE, &[&tlv(0xa0, &[&hash]), &tlv(0xa1, &[&mgf1]), rest]);
        let algorithm = tlv(SEQUENCE, &[&oid("1.2.840.113549.1.1.10"), &parameters]);
        Input::der(format!("PSS, {what}"), &tlv(SEQUENCE, &[&info, &algorithm, &tlv(3, &[&[0], &signature])]))
    };
    let salt = |length: u8| tlv(0xa2, &[&[2, 1, length]]);
    let mut all = Vec::new();
    for nulls in [(true, true), (true, false), (false, true), (false, false)] {
        let (hash, mgf1_hash) = (digest(sha256, null(nulls.0)), digest(sha256, null(nulls.1)));
        all.push(csr(format!("NULL {nulls:?}"), hash, mgf1_hash, &salt(32)));
    }
    let plain = || digest(sha256, &[5, 0]);
    all.push(csr("another salt".into(), plain(), plain(), &salt(20)));
    all.push(csr("another MGF1".into(), plain(), digest(sha384, &[5, 0]), &salt(32)));
    all.push(csr("a trailer".into(), plain(), plain(), &[salt(32), tlv(0xa3, &[&[2, 1, 1]])].concat()));
    all.push(csr("another trailer".into(), plain(), plain(), &[salt(32), tlv(0xa3, &[&[2, 1, 2]])].concat()));
    all
}

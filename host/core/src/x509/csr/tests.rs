mod cases;
mod names;
mod oracle;

use std::time::{Duration, Instant};

use super::*;
use crate::keys::{Algorithm, PrivateKey};
use crate::x509::fixtures::{self, *};
use crate::x509::usages;

const OPENSSL: &str = include_str!("../testdata/openssl-p384.pem");

fn read(bytes: &[u8]) -> Result<Csr, CsrError> {
    Csr::from_pem_or_der(bytes)
}

#[test]
fn an_openssl_request_keeps_its_exact_bytes() {
    let csr = read(OPENSSL.as_bytes()).unwrap();
    let subject = Name::parse(csr.subject_der()).unwrap();
    assert_eq!(subject.to_string(), "C=GB, O=Example, OU=first, OU=third+OU=second, CN=openssl.example");
    assert_eq!(csr.common_names(), ["openssl.example"]);
    let names: Vec<_> = csr.names().iter().map(|name| name.to_string()).collect();
    assert_eq!(
        names,
        [
            "DNS:openssl.example",
            "IP:192.0.2.1",
            "IP:2001:db8::1",
            "email:a@example.com",
            "URI:spiffe://example/a",
            "otherName:060a2b060104018237140203a0120c1075736572406578616d706c652e636f6d",
            "DirName:\"CN=in a directory\"",
        ]
    );
    assert_eq!(csr.is_ca(), Some(true));
    assert_eq!(csr.key_usage().unwrap().to_string(), "digital signature, cert sign");
    let purposes: Vec<_> = csr.ext_key_usage().unwrap().iter().map(usages::extended_name).collect();
    assert_eq!(purposes, ["server auth", "client auth"]);

    for part in [csr.subject_der(), csr.spki_der(), csr.san_extension_der().unwrap()] {
        assert!(csr.der().windows(part.len()).any(|window| window == part));
    }
    assert_eq!(read(csr.der()).unwrap().der(), csr.der(), "DER is read as PEM is");
}

#[test]
fn every_kind_of_key_is_accepted() {
    use Algorithm::*;
    for algorithm in [EcdsaP256Sha256, EcdsaP384Sha384, EcdsaP521Sha512, Ed25519] {
        let key = PrivateKey::generate(algorithm).unwrap();
        let csr = read(&csr(&key, &cn("a.example"), &[san(&[dns("a.example")])])).unwrap();
        assert_eq!(csr.spki_der(), key.public_key_der());
        assert_eq!(csr.subject_der(), cn("a.example"));
        assert_eq!(csr.san_extension_der().unwrap(), tlv(SEQUENCE, &[&dns("a.example")]));
    }
    for algorithm in [
        &rcgen::PKCS_RSA_SHA256,
        &rcgen::PKCS_RSA_SHA512,
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P521_SHA256,
        &rcgen::PKCS_ED25519,
    ] {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        let csr = read(params.serialize_request(&key).unwrap().pem().unwrap().as_bytes()).unwrap();
        assert_eq!(csr.names().iter().next().unwrap().to_string(), "DNS:a.example");
    }
    assert!(read(include_bytes!("../testdata/pss-sha384.pem")).is_ok());
}

#[test]
fn weak_and_odd_cryptography_is_refused_with_what_is_accepted() {
    let said = |pem: &str| read(pem.as_bytes()).unwrap_err().to_string();
    let message = said(include_str!("../testdata/rsa-1024.pem"));
    assert!(
        message.contains("RSA of 1024 bits; accepted are RSA keys of 2048 to 8192 bits, P-256"),
        "{message}"
    );
    let message = said(include_str!("../testdata/sha1.pem"));
    assert!(message.contains("sha1WithRSAEncryption (1.2.840.113549.1.1.5) is not accepted"), "{message}");
    let message = said(include_str!("../testdata/secp256k1.pem"));
    assert!(message.contains("elliptic curve") && message.contains("1.3.132.0.10"), "{message}");
    let message = said(include_str!("../testdata/pss-odd-salt.pem"));
    assert!(message.contains("RSASSA-PSS"), "{message}");
}

#[test]
fn a_signature_by_another_key_is_refused() {
    let info = tlv(SEQUENCE, &[&[2, 1, 0], &cn("a"), key().public_key_der(), &tlv(0xa0, &[])]);
    assert_eq!(read(&signed(&info, &key())).unwrap_err(), CsrError::Signature(SignatureError::Invalid));
}

#[test]
fn no_flipped_bit_and_no_truncation_survives() {
    let der = csr(&key(), &cn("a.example"), &[san(&[dns("a.example")]), ca_flag(), ca_usage()]);
    assert!(read(&der).is_ok());
    for at in 0..der.len() {
        assert!(read(&der[..at]).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut flipped = der.clone();
            flipped[at] ^= 1 << bit;
            assert!(read(&flipped).is_err(), "bit {bit} of byte {at}");
        }
    }
    assert!(read(&[der.as_slice(), &[0]].concat()).is_err(), "trailing byte");
}

#[test]
fn pem_may_look_as_go_accepts_it() {
    let der = csr(&key(), &cn("a.example"), &[]);
    let pem = pem::encode("CERTIFICATE REQUEST", &der);
    let one_line = format!(
        "-----BEGIN NEW CERTIFICATE REQUEST-----\n{}\n-----END NEW CERTIFICATE REQUEST-----",
        pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()
    );
    for text in [pem.clone(), pem.replace('\n', "\r\n"), format!("a comment\n{pem}\n \n"), one_line] {
        assert_eq!(read(text.as_bytes()).unwrap().der(), der, "{text}");
    }
    let refused = |text: &str| read(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(refused(""), "the CSR is not PEM: it holds no PEM block");
    assert_eq!(
        refused(&pem.replace("END CERT", "END DIRT")),
        "the CSR is not PEM: PEM block 1 has no matching END line"
    );
    assert_eq!(
        refused(&pem.replace("CERTIFICATE REQUEST", "\u{1b}[31mEVIL")),
        "the CSR is a PEM block \"\u{FFFD}[31mEVIL\"; accepted are \"CERTIFICATE REQUEST\" and \
         \"NEW CERTIFICATE REQUEST\""
    );
}

#[test]
fn garbage_and_bombs_are_refused_at_once() {
    let start = Instant::now();
    assert_eq!(read(&vec![b'A'; 1 << 20]).unwrap_err(), CsrError::TooLarge(1 << 20));
    assert!(read(&[0xff; 60_000]).is_err());
    assert!(read(&[0x30; 60_000]).is_err());
    assert!(read(&[0x30, 0x80].repeat(30_000)).is_err(), "indefinite lengths");
    assert!(read(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0]).is_err());
    assert!(read("-----BEGIN ".repeat(5_000).as_bytes()).is_err());

    // Structures nested as deep as they fit, where a parser might follow them.
    let deep = (0..3_000).fold(Vec::new(), |inner, _| tlv(SEQUENCE, &[&inner]));
    let key = key();
    let attribute = tlv(SEQUENCE, &[&oid("1.2.3"), &tlv(SET, &[&deep])]);
    assert!(
        read(&csr_with_attributes(&key, &cn("a"), &[attribute])).is_ok(),
        "unknown attributes are skipped"
    );
    let other_name = san(&[tlv(0xa0, &[&oid("1.2.3"), &tlv(0xa0, &[&deep])])]);
    assert!(
        read(&csr(&key, &cn("a"), &[other_name])).is_ok(),
        "the inside of a name is its owner's business"
    );
    assert!(read(&csr(&key, &deep, &[])).is_err());
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn thousands_of_names_are_read_in_linear_time() {
    let key = key();
    let names: Vec<_> = (0..6_000).map(|n| dns(&format!("n{n}"))).collect();
    let rdn: Vec<_> = (0..2_000)
        .rev()
        .map(|n| tlv(SEQUENCE, &[&oid(OU), &tlv(UTF8, &[n.to_string().as_bytes()])]))
        .collect();
    let subject = tlv(SEQUENCE, &[&tlv(SET, &[&rdn.concat()])]);
    let (many_names, one_rdn) = (csr(&key, &cn("a"), &[san(&names)]), csr(&key, &subject, &[]));
    let start = Instant::now();
    assert_eq!(read(&many_names).unwrap().names().keys().len(), 6_000);
    assert!(read(&one_rdn).is_ok());
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(format!("{:?}", read(&many_names).unwrap()).len() < 1_000, "and shown in few words");
}

#[test]
fn what_is_said_twice_is_refused() {
    let key = key();
    let one = extension_request(&[san(&[dns("a.example")])]);
    assert!(read(&csr_with_attributes(&key, &cn("a"), std::slice::from_ref(&one))).is_ok());
    assert!(read(&csr_with_attributes(&key, &cn("a"), &[one.clone(), one.clone()])).is_err());
    assert!(read(&csr(&key, &cn("a"), &[san(&[dns("a.example")]), san(&[dns("b.example")])])).is_err());
    let list = tlv(SEQUENCE, &[&san(&[dns("a.example")])]);
    let two_values = tlv(SEQUENCE, &[&oid("1.2.840.113549.1.9.14"), &tlv(SET, &[&list, &list])]);
    assert!(read(&csr_with_attributes(&key, &cn("a"), &[two_values])).is_err());
}

#[test]
fn malformed_parts_are_refused() {
    let key = key();
    let with = |extension: Vec<u8>| read(&csr(&key, &cn("a"), &[extension]));
    assert!(with(extension("1.2.3", b"anything")).is_ok());
    assert!(with(extension("2.5.29.17", b"anything")).is_err());
    assert!(with(san(&[tlv(0x89, &[b"no such kind"])])).is_err());
    assert!(with(san(&[tlv(0xa2, &[b"constructed"])])).is_err());
    assert!(with(extension("2.5.29.19", &[SEQUENCE, 3, 1, 1, 1])).is_err(), "DER's TRUE is 0xff");
    assert!(with(extension("2.5.29.15", &[3, 0])).is_err());
    let no_attributes = tlv(SEQUENCE, &[&[2, 1, 0], &cn("a"), key.public_key_der()]);
    assert!(read(&signed(&no_attributes, &key)).is_ok());
}

#[test]
fn contradictions_with_the_request_are_found() {
    let csr = read(OPENSSL.as_bytes()).unwrap();
    let usages =
        |names: &[&str]| Usages::parse(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
    let same = usages(&["signing", "cert sign", "server auth", "client auth"]);
    assert_eq!(csr.contradiction(true, &same), None);
    assert!(csr.contradiction(false, &same).unwrap().contains("isCA"));
    assert!(
        csr.contradiction(true, &usages(&["cert sign", "server auth", "client auth"]))
            .unwrap()
            .contains("key usages")
    );
    assert!(csr.contradiction(true, &usages(&["signing", "cert sign"])).unwrap().contains("extended"));
    let plain = read(&fixtures::csr(&key(), &cn("a"), &[])).unwrap();
    assert_eq!(plain.contradiction(true, &same), None, "a CSR that asks for nothing contradicts nothing");
}

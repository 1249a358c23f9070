//! CSRs as tools write them: what is in ../../testdata/cases, and the kinds that those are of.

use super::*;

macro_rules! case {
    ($name:literal) => {
        include_bytes!(concat!("../../testdata/cases/", $name, ".pem")).as_slice()
    };
}

fn usages(names: &[&str]) -> Usages {
    Usages::parse(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

fn said(csr: &[u8]) -> String {
    read(csr).unwrap_err().to_string()
}

#[test]
fn what_cert_manager_signs_is_accepted() {
    for (name, csr) in [
        ("rsa8192", case!("rsa8192")),
        ("pem-headers", case!("pem-headers")),
        ("pem-latin1-before", case!("pem-latin1-before")),
        ("pem-nul-after", case!("pem-nul-after")),
        ("pem-text-after", case!("pem-text-after")),
        ("pem-two", case!("pem-two")),
        ("ecdsa-null-params", case!("ecdsa-null-params")),
    ] {
        assert_eq!(read(csr).err(), None, "{name}");
    }
}

#[test]
fn purposes_that_cert_manager_does_not_know_are_not_compared() {
    let asked = usages(&["digital signature", "key encipherment", "server auth"]);
    for csr in [case!("eku-unknown"), case!("ossl-eku-ike")] {
        assert_eq!(read(csr).unwrap().contradiction(false, &asked), None);
    }
    let key = key();
    let purposes = |oids: &[Vec<u8>]| {
        let list = tlv(SEQUENCE, &[&oids.concat()]);
        read(&csr(&key, &cn("a"), &[extension("2.5.29.37", &list)])).unwrap()
    };
    let server_auth = oid("1.3.6.1.5.5.7.3.1");
    let too_long_for_an_object_identifier = tlv(6, &[&[0x2a], &[0x81, 0x01].repeat(30)]);
    for unknown in [oid("1.3.6.1.4.1.311.20.2.2"), oid("1.2.3.4294967"), too_long_for_an_object_identifier] {
        let csr = purposes(&[server_auth.clone(), unknown]);
        assert_eq!(csr.contradiction(false, &usages(&["server auth"])), None);
        assert!(csr.contradiction(false, &usages(&["client auth"])).unwrap().contains("extended"));
        // Where one kind of usage is in the CSR, the other counts as empty.
        assert!(csr.contradiction(false, &usages(&["signing", "server auth"])).is_some());
    }
    // cert-manager knows this one, and no request can ask for it.
    let kernel = purposes(&[server_auth, oid("1.3.6.1.4.1.311.61.1.1")]);
    assert!(kernel.contradiction(false, &usages(&["server auth"])).is_some());
}

#[test]
fn a_refusal_speaks_of_the_thing_itself() {
    assert!(
        said(case!("dns-ulabel")).ends_with("a dNSName is ASCII: an international name has its xn-- form")
    );
    assert!(said(case!("ip-badlen")).ends_with("an iPAddress has 4 or 16 octets"));
    assert!(said(case!("san-empty-seq")).ends_with("the list of subject alternative names is empty"));
    assert!(said(case!("empty-all")).ends_with("there is neither a subject nor a subject alternative name"));

    let key = key();
    let info = tlv(SEQUENCE, &[&[2, 1, 0], &cn("a"), key.public_key_der(), &tlv(0xa0, &[])]);
    let odd = tlv(SEQUENCE, &[&oid("1.2.840.10045.4.3.2"), &tlv(4, &[b"odd"])]);
    assert!(
        said(&signed_as(&info, &odd, &key))
            .ends_with("ecdsa-with-SHA256 (1.2.840.10045.4.3.2) has parameters; it takes none")
    );
    let p224 = tlv(SEQUENCE, &[&oid("1.2.840.10045.2.1"), &oid("1.3.132.0.33")]);
    let spki = tlv(SEQUENCE, &[&p224, &tlv(3, &[&[0, 4], &[1; 56]])]);
    let info = tlv(SEQUENCE, &[&[2, 1, 0], &cn("a"), &spki, &tlv(0xa0, &[])]);
    let message = said(&signed(&info, &key));
    assert!(message.contains("elliptic curve secp224r1 (1.3.132.0.33); accepted are"), "{message}");
}

#[test]
fn rsa_keys_are_read_from_2048_to_8192_bits() {
    let spki = |bits: usize| {
        let modulus = tlv(2, &[&[0], &vec![0xff; bits / 8]]);
        let key = tlv(SEQUENCE, &[&modulus, &[2, 3, 1, 0, 1]]);
        tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&oid("1.2.840.113549.1.1.1"), &[5, 0]]), &tlv(3, &[&[0], &key])])
    };
    for (bits, accepted) in
        [(1024, false), (2040, false), (2048, true), (8192, true), (8200, false), (16384, false)]
    {
        let key = spki(bits);
        match PublicKey::from_spki(&key) {
            Ok(key) => assert!(accepted && key.rsa_bits() == Some(bits), "{bits}"),
            Err(error) => assert!(!accepted && error == SignatureError::RsaSize(bits), "{bits}: {error}"),
        }
    }
}

#[test]
fn the_first_whole_block_is_read_whatever_is_around_it() {
    let (one, two) = (csr(&key(), &cn("a"), &[]), csr(&key(), &cn("b"), &[]));
    let [one_pem, two_pem] = [&one, &two].map(|der| pem::encode("CERTIFICATE REQUEST", der).into_bytes());
    let as_text = String::from_utf8(one_pem.clone()).unwrap();
    let text = |parts: &[&[u8]]| parts.concat();
    for (what, input) in [
        ("two", text(&[&one_pem, &two_pem])),
        ("text, NUL and Latin-1", text(&[b"caf\xe9 \0\n", &one_pem, b"\0caf\xe9"])),
        ("headers", as_text.replacen("-----\n", "-----\nA: b\nC: d\n\n", 1).into_bytes()),
        (
            "a block without an end in front",
            text(&[b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n", &one_pem]),
        ),
        ("another end in front", text(&[b"x\n-----END CERTIFICATE REQUEST-----\n", &one_pem])),
        ("a block of no base64 in front", text(&[b"-----BEGIN A-----\n!\n-----END A-----\n", &one_pem])),
        // An approver that is written in Go does not see the one that is indented.
        ("an indented one in front", text(&[b" ", &two_pem, &one_pem])),
        ("one behind a carriage return in front", text(&[b"x\r", &two_pem, &one_pem])),
    ] {
        assert_eq!(read(&input).unwrap().der(), one, "{what}");
    }
    let last = |with: &str| {
        let (front, _) = as_text.rsplit_once("-----\n").unwrap();
        read(format!("{front}{with}").as_bytes()).is_ok()
    };
    assert!(last("-----") && last("-----\n") && last("----- \t\r\n") && last("-----\r\nx"));
    assert!(!last("-----x\n") && !last("----\n") && !last("------\n"));
    assert_eq!(said(b"\xff\xfe"), "the CSR is not PEM: it is not text");
}

#[test]
fn attributes_are_read_as_go_reads_them() {
    let key = key();
    let with = |attributes: &[Vec<u8>]| read(&csr_with_attributes(&key, &cn("a"), attributes));
    let names = extension_request(&[san(&[dns("a.example")])]);
    let usage = extension_request(&[ca_usage()]);
    let empty = tlv(SEQUENCE, &[&oid("1.2.840.113549.1.9.14"), &tlv(SET, &[])]);
    let no_set = tlv(SEQUENCE, &[&oid("1.2.840.113549.1.9.7"), &tlv(PRINTABLE, &[b"secret"])]);
    let long = tlv(6, &[&[0x2a], &[0x81, 0x01].repeat(30)]);
    let long = tlv(SEQUENCE, &[&long, &tlv(SET, &[])]);

    let both = with(&[no_set, names.clone(), empty.clone(), long, usage.clone()]).unwrap();
    assert_eq!(both.names().iter().len(), 1);
    assert_eq!(both.key_usage().unwrap().to_string(), "cert sign, crl sign");
    assert!(with(&[empty]).is_ok());
    assert!(with(&[usage.clone(), names, usage]).is_err(), "one extension twice");
    let unknown = extension("1.2.3", b"");
    assert!(with(&[extension_request(&[unknown.clone(), unknown])]).is_err(), "also one that nobody knows");
}

#[test]
fn every_version_is_the_one_that_there_is() {
    let key = key();
    for version in [0, 1, 2] {
        let info = tlv(SEQUENCE, &[&[2, 1, version], &cn("a"), key.public_key_der(), &tlv(0xa0, &[])]);
        assert_eq!(read(&signed(&info, &key)).err(), None, "{version}");
    }
}

#[test]
fn ecdsa_takes_null_as_parameters_with_every_hash() {
    let key = key();
    let info = tlv(SEQUENCE, &[&[2, 1, 0], &cn("a"), key.public_key_der(), &tlv(0xa0, &[])]);
    let null = tlv(SEQUENCE, &[&oid("1.2.840.10045.4.3.2"), &[5, 0]]);
    assert_eq!(read(&signed_as(&info, &null, &key)).err(), None);
    // With another hash the signature does not verify, but the algorithm is one.
    for other in ["1.2.840.10045.4.3.3", "1.2.840.10045.4.3.4"] {
        let null = tlv(SEQUENCE, &[&oid(other), &[5, 0]]);
        let error = read(&signed_as(&info, &null, &key)).unwrap_err();
        assert_eq!(error, CsrError::Signature(SignatureError::Invalid));
    }
}

//! Malformed names: refused before anybody is asked to sign them.

use super::*;
use crate::x509::NameError;

/// Go and cert-manager read these.
pub const URIS: [&str; 7] = [
    "spiffe://td/ns/a/sa/b",
    "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
    "https://user:pw@host.example:8443/p%20q?a=b#c",
    "https://[2001:db8::1]:443/",
    "file:///etc/x",
    "mailto:a@b.example",
    "x+y-z.1:",
];

/// Go or cert-manager do not read these.
pub const NO_URIS: [&str; 16] = [
    "a.example/relative",
    "1ttp://a",
    ":a",
    "http://a.example./",
    "http://a..b/",
    "http://.a/",
    "http://a b/",
    "http://a/%zz",
    "http://a/%1",
    "http://%61/",
    "http://[::1/",
    "http://::1]/",
    "http://[1.2.3.4]/",
    "http://a:80x/",
    "http://u[@a/",
    "http://a/\"",
];

/// What is said of a CSR with this subjectAltName, or that it is accepted.
fn of_names(names: &[Vec<u8>]) -> String {
    of(&cn("a"), &[san(names)])
}

fn of(subject: &[u8], extensions: &[Vec<u8>]) -> String {
    match read(&csr(&key(), subject, extensions)) {
        Ok(_) => "accepted".to_owned(),
        Err(CsrError::Names(error)) => error.to_string(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn an_ip_address_has_4_or_16_octets() {
    for octets in 0..=32 {
        let said = of_names(&[dns("a.example"), tlv(0x87, &[&vec![1; octets]])]);
        let expected = if matches!(octets, 4 | 16) { "accepted" } else { "an iPAddress has 4 or 16 octets" };
        assert!(said.ends_with(expected), "{octets}: {said}");
    }
}

#[test]
fn dns_names_email_addresses_and_uris_are_plain_ascii() {
    for tag in [0x81, 0x82, 0x86] {
        let name = |text: &str| of_names(&[tlv(tag, &[text.as_bytes()])]);
        assert_eq!(name("spiffe://a.example/x"), "accepted", "{tag:x}");
        for malformed in
            ["", "spiffe://b\u{fc}cher", "spiffe://a.example/\0.b", "spiffe://a\n", "spiffe://a\u{7f}"]
        {
            assert!(name(malformed).starts_with("subject alternative name "), "{tag:x} {malformed:?}");
        }
    }
    assert_eq!(of_names(&[dns("*.xn--bcher-kva.example"), dns("under_score"), dns("dot.")]), "accepted");
}

#[test]
fn a_uri_is_one_that_go_reads() {
    let accepted = |uri: &str| of_names(&[tlv(0x86, &[uri.as_bytes()])]) == "accepted";
    URIS.iter().for_each(|uri| assert!(accepted(uri), "{uri}"));
    NO_URIS.iter().for_each(|uri| assert!(!accepted(uri), "{uri}"));
}

#[test]
fn structured_names_are_well_formed() {
    let upn = tlv(0xa0, &[&oid("1.3.6.1.4.1.311.20.2.3"), &tlv(0xa0, &[&tlv(UTF8, &[b"u@a"])])]);
    let registered = tlv(0x88, &[&oid("1.2.3")[2..]]);
    assert_eq!(of_names(&[upn, tlv(0xa4, &[&cn("in a directory")]), registered]), "accepted");
    for malformed in [
        tlv(0xa0, &[&oid("1.2.3")]),
        tlv(0xa0, &[&oid("1.2.3"), &tlv(0xa0, &[])]),
        tlv(0xa0, &[&oid("1.2.3"), &tlv(UTF8, &[b"not tagged"])]),
        tlv(0xa0, &[&oid("1.2.3"), &tlv(0xa0, &[&cn("a"), &cn("b")])]),
        tlv(0xa4, &[b"no name"]),
        tlv(0x88, &[]),
        tlv(0x88, &[&[0x2a, 0x80]]),
    ] {
        let said = of_names(std::slice::from_ref(&malformed));
        assert!(said.starts_with("subject alternative name "), "{malformed:x?}: {said}");
    }
}

#[test]
fn a_certificate_is_for_somebody() {
    let empty = tlv(SEQUENCE, &[]);
    assert_eq!(of(&empty, &[san(&[dns("a.example")])]), "accepted");
    assert_eq!(of(&cn("a"), &[]), "accepted");
    assert_eq!(of(&empty, &[]), NameError::None.to_string());
    assert_eq!(of(&empty, &[san(&[])]), NameError::EmptyList.to_string());
    assert_eq!(of(&cn("a"), &[san(&[])]), NameError::EmptyList.to_string());
    assert_eq!(of(&tlv(SEQUENCE, &[&tlv(SET, &[])]), &[]), NameError::EmptyRelative.to_string());
}

#[test]
fn the_subject_is_of_strings_that_are_read_everywhere() {
    let with = |tag: u8, value: &[u8]| {
        let attribute = tlv(SEQUENCE, &[&oid(O), &tlv(tag, &[value])]);
        of(&tlv(SEQUENCE, &[&tlv(SET, &[&attribute])]), &[])
    };
    for (tag, value) in [
        (UTF8, "Bücher & Söhne".as_bytes()),
        (PRINTABLE, b"A & B *'()+,-./:=?"),
        (0x16, b"a@b"),
        (0x12, b"12 34"),
        (0x14, b"caf\xe9"),
        (0x1e, &[0, b'a', 0x20, 0xac]),
    ] {
        assert_eq!(with(tag, value), "accepted", "{tag:x}");
    }
    for (tag, value) in [
        (UTF8, b"\xff".as_slice()),
        (PRINTABLE, b"a@b"),
        (PRINTABLE, b"a_b"),
        (0x16, b"\xe9"),
        (0x12, b"a"),
        (0x1e, b"abc"),
        (0x1e, &[0xd8, 0]),
        (0x1e, &[0xff, 0xff]),
        // VisibleString, INTEGER.
        (0x1a, b"a"),
        (2, &[1]),
    ] {
        assert!(with(tag, value).starts_with("subject attribute O="), "{tag:x}");
    }
}

//! Subjects and subject alternative names of every kind, well formed and not.

use super::*;
use crate::x509::csr::tests::names::{NO_URIS, URIS};

/// Subject alternative names, one in each CSR.
pub fn alternative() -> Vec<Input> {
    let key = key();
    let uri = |uri: &str| tlv(0x86, &[uri.as_bytes()]);
    let mut names = vec![
        dns("*.example"),
        dns("xn--bcher-kva.example"),
        dns("dot."),
        dns(".dot"),
        dns("a b"),
        dns("b\u{fc}cher"),
        dns(""),
        dns("a\0b"),
        tlv(0x81, &[b"a@b.example"]),
        tlv(0x81, "\u{fc}@b".as_bytes().chunks(99).collect::<Vec<_>>().as_slice()),
        tlv(0x81, &[]),
        tlv(0x88, &[&oid("1.2.3")[2..]]),
        tlv(0x88, &[&[0x80]]),
        tlv(0x89, &[b"no such kind"]),
        tlv(0xa2, &[b"constructed"]),
        tlv(0xa0, &[&oid("1.3.6.1.4.1.311.20.2.3"), &tlv(0xa0, &[&tlv(UTF8, &[b"u@a"])])]),
        tlv(0xa0, &[&oid("1.2.3")]),
        tlv(0xa4, &[&cn("in a directory")]),
        tlv(0xa4, &[b"no name"]),
        tlv(0xa5, &[b"ediPartyName"]),
    ];
    names.extend((0..=20).map(|octets| tlv(0x87, &[&vec![1; octets]])));
    names.extend(URIS.map(uri));
    names.extend(NO_URIS.map(uri));
    names.extend(
        [
            "x:",
            "",
            "/path",
            "http://a:/",
            "http://a/[b]",
            "http://[fe80::1%25e]/",
            "http://a@b@c/",
            "http://*.a/",
            "http://a_b/",
            "http://a/\u{fc}",
            "http://a,b/",
            "http://%fc/",
            "http://a?%",
            "http://a#%",
            "x:%",
            "x:a b",
            "http://u%zz@a/",
            "http://u%20@a/",
        ]
        .map(uri),
    );
    let one = |name: &Vec<u8>| {
        let der = csr(&key, &cn("a"), &[san(std::slice::from_ref(name))]);
        Input::der(format!("name {}", String::from_utf8_lossy(name)), &der)
    };
    names.iter().map(one).collect()
}

/// Subjects: string types, their contents, OIDs.
pub fn subjects() -> Vec<Input> {
    let key = key();
    let of = |what: String, subject: &[u8], extensions: &[Vec<u8>]| {
        Input::der(what, &csr(&key, subject, extensions))
    };
    let empty = tlv(SEQUENCE, &[]);
    let attribute = |type_: &[u8], tag: u8, value: &[u8]| {
        tlv(SEQUENCE, &[&tlv(SET, &[&tlv(SEQUENCE, &[type_, &tlv(tag, &[value])])])])
    };
    let mut all = vec![
        of("an empty subject".into(), &empty, &[san(&[dns("a")])]),
        of("no name at all".into(), &empty, &[]),
        of("an empty relative name".into(), &tlv(SEQUENCE, &[&tlv(SET, &[])]), &[]),
        of(
            "many attributes".into(),
            &name(&[&[(O, UTF8, "a"), (OU, PRINTABLE, "b")], &[(CN, UTF8, "c")]]),
            &[],
        ),
        of("a long OID".into(), &attribute(&tlv(6, &[&[0x2a], &[0x81, 1].repeat(30)]), UTF8, b"a"), &[]),
        of("a large arc".into(), &attribute(&tlv(6, &[&[0x2a, 0x88, 0x80, 0x80, 0x80, 0]]), UTF8, b"a"), &[]),
        of("a padded arc".into(), &attribute(&tlv(6, &[&[0x2a, 0x80, 1]]), UTF8, b"a"), &[]),
    ];
    let values: [&[u8]; 9] =
        [b"a", b"", b"1 2", b"a@b", b"a*&", b"\xe9", b"\0a", b"\xd8\0", "\u{fc}".as_bytes()];
    for tag in [0x0c, 0x13, 0x16, 0x12, 0x14, 0x1e, 0x1a, 0x1c, 2, 3, 4, 5, 1] {
        for value in values {
            all.push(of(format!("subject of {tag:x} {value:x?}"), &attribute(&oid(O), tag, value), &[]));
        }
    }
    all
}

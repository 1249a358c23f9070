use super::*;
use crate::x509::fixtures::{self, *};

fn email(address: &str) -> Vec<u8> {
    tlv(0x81, &[address.as_bytes()])
}

fn uri(uri: &str) -> Vec<u8> {
    tlv(0x86, &[uri.as_bytes()])
}

fn ip(octets: &[u8]) -> Vec<u8> {
    tlv(0x87, &[octets])
}

fn directory(rdns: &[&[(&str, u8, &str)]]) -> Vec<u8> {
    tlv(0xa4, &[&name(rdns)])
}

fn constraints(permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> Vec<u8> {
    let subtrees = |tag: u8, bases: &[Vec<u8>]| {
        let bases: Vec<_> = bases.iter().map(|base| tlv(SEQUENCE, &[base])).collect();
        if bases.is_empty() { vec![] } else { tlv(tag, &[&bases.concat()]) }
    };
    tlv(SEQUENCE, &[&subtrees(0xa0, permitted), &subtrees(0xa1, excluded)])
}

/// What a certificate with this subject and these names is refused for.
fn refused(constraints: &[u8], subject: Vec<u8>, names: &[Vec<u8>]) -> Option<String> {
    let key = fixtures::key();
    let mut template = Template::new(subject, key.public_key_der(), cn("CA"));
    template.extensions = if names.is_empty() { vec![] } else { vec![san(names)] };
    let der = template.sign(&key);
    let names = bound_names(&Certificate::parse(&der).unwrap());
    NameConstraints::parse(constraints).unwrap().refused_name(&names).map(str::to_owned)
}

#[test]
fn names_are_within_a_base_or_not() {
    let v6 = [[0x20, 1, 0xd, 0xb8].as_slice(), &[0; 12]].concat();
    let mask = [[0xff; 4].as_slice(), &[0; 12]].concat();
    for (name, base, is_within) in [
        (dns("example.com"), dns("example.com"), true),
        (dns("a.Example.com"), dns("eXample.com"), true),
        (dns("*.example.com"), dns("example.com"), true),
        (dns("aexample.com"), dns("example.com"), false),
        (dns("example.com"), dns("a.example.com"), false),
        (dns("example.com.evil"), dns("example.com"), false),
        (dns("a.example.com"), dns(".example.com"), true),
        (dns("example.com"), dns(".example.com"), false),
        (dns("whatever"), dns(""), true),
        (email("a@example.com"), email("a@example.com"), true),
        (email("a@EXAMPLE.com"), email("a@example.com"), true),
        (email("b@example.com"), email("a@example.com"), false),
        (email("A@example.com"), email("a@example.com"), false),
        (email("a@example.com"), email("example.com"), true),
        (email("a@b.example.com"), email("example.com"), false),
        (email("a@b.example.com"), email(".example.com"), true),
        (email("a@example.com"), email(".example.com"), false),
        (uri("https://example.com/path"), uri("example.com"), true),
        (uri("https://u:p@example.com:8443?q"), uri("example.com"), true),
        (uri("https://example.com@evil/"), uri("example.com"), false),
        (uri("https://b.example.com"), uri("example.com"), false),
        (uri("https://b.example.com"), uri(".example.com"), true),
        (ip(&[10, 1, 2, 3]), ip(&[10, 0, 0, 0, 255, 0, 0, 0]), true),
        (ip(&[11, 1, 2, 3]), ip(&[10, 0, 0, 0, 255, 0, 0, 0]), false),
        (ip(&v6), ip(&[v6.as_slice(), &mask].concat()), true),
        (ip(&[10, 1, 2, 3]), ip(&[v6.as_slice(), &mask].concat()), false),
        (directory(&[&[(O, UTF8, "A")], &[(CN, UTF8, "x")]]), directory(&[&[(O, PRINTABLE, "a")]]), true),
        (directory(&[&[(CN, UTF8, "x")], &[(O, UTF8, "A")]]), directory(&[&[(O, UTF8, "A")]]), false),
    ] {
        let judged = |constraints: Vec<u8>| {
            refused(&constraints, fixtures::name(&[]), std::slice::from_ref(&name)).is_none()
        };
        let found = (
            judged(constraints(std::slice::from_ref(&base), &[])),
            judged(constraints(&[], std::slice::from_ref(&base))),
        );
        assert_eq!(found, (is_within, !is_within), "{name:x?} {base:x?}");
    }
}

#[test]
fn what_cannot_be_judged_is_neither_permitted_nor_unlike_what_is_excluded() {
    let other = tlv(0xa0, &[&oid("1.2.3"), &tlv(0xa0, &[&tlv(UTF8, &[b"a"])])]);
    for (name, base) in [
        (other.clone(), other),
        (tlv(0x88, &[&[0x2a, 3]]), tlv(0x88, &[&[0x2a, 3]])),
        (uri("urn:a"), uri("example.com")),
        (uri("https://10.0.0.1/"), uri("example.com")),
        (email("nobody"), email("example.com")),
        (ip(&[10, 0, 0, 1, 255, 0, 0, 0]), ip(&[10, 0, 0, 0, 255, 0, 0, 0])),
    ] {
        for constraints in
            [constraints(std::slice::from_ref(&base), &[]), constraints(&[], std::slice::from_ref(&base))]
        {
            assert!(
                refused(&constraints, fixtures::name(&[]), std::slice::from_ref(&name)).is_some(),
                "{name:x?}"
            );
        }
    }
}

#[test]
fn every_kind_is_bound_by_its_own_bases_and_one_is_enough() {
    let some = constraints(&[dns("a"), dns("b"), ip(&[10, 0, 0, 0, 255, 0, 0, 0])], &[dns("x.b")]);
    let judge = |names: &[Vec<u8>]| refused(&some, cn("c"), names);
    assert_eq!(judge(&[dns("x.a"), dns("y.b"), email("a@b.c"), ip(&[10, 0, 0, 1])]), None);
    assert_eq!(judge(&[dns("x.a"), dns("x.c")]), Some("DNS:x.c".to_owned()));
    assert_eq!(judge(&[dns("y.x.b")]), Some("DNS:y.x.b".to_owned()));
    assert_eq!(judge(&[dns("*.b")]), Some("DNS:*.b".to_owned()), "which x.b is one of");
    assert_eq!(judge(&[dns("*.y.b")]), None);
}

#[test]
fn the_subject_is_bound_too() {
    const EMAIL: &str = "1.2.840.113549.1.9.1";
    let refuse = |base: Vec<u8>, subject: Vec<u8>, names: &[Vec<u8>]| {
        refused(&constraints(&[base], &[]), subject, names)
    };
    let web = || cn("web.example");
    assert_eq!(refuse(dns("corp"), web(), &[]), Some("CN=web.example".to_owned()));
    assert_eq!(refuse(dns("example"), web(), &[]), None);
    assert_eq!(refuse(dns("corp"), web(), &[dns("a.corp")]), None, "no client reads it as a host's");
    assert_eq!(refuse(dns("corp"), cn("Web Team"), &[]), None);
    let mail = fixtures::name(&[&[(EMAIL, 0x16, "a@evil.example")]]);
    assert!(refuse(email("good.example"), mail.clone(), &[]).is_some());
    assert_eq!(refuse(email("evil.example"), mail, &[]), None);
    assert_eq!(refuse(directory(&[&[(O, UTF8, "Team")]]), web(), &[]), Some("\"CN=web.example\"".to_owned()));
    assert_eq!(refuse(directory(&[&[(O, UTF8, "Team")]]), fixtures::name(&[]), &[dns("a")]), None);
}

#[test]
fn what_is_malformed_is_refused() {
    for bad in [vec![], vec![5, 0], tlv(SEQUENCE, &[&[5, 0]]), tlv(SEQUENCE, &[&tlv(0xa0, &[&[5, 0]])])] {
        assert!(NameConstraints::parse(&bad).is_err(), "{bad:x?}");
    }
    for empty in [tlv(SEQUENCE, &[]), constraints(&[], &[]), tlv(SEQUENCE, &[&[0xa0, 0, 0xa1, 0]])] {
        assert!(NameConstraints::parse(&empty).is_err(), "{empty:x?}");
    }
    // RFC 5280: minimum and maximum are not used.
    let subtree = tlv(SEQUENCE, &[&dns("a"), &tlv(0x81, &[&[1]])]);
    assert!(NameConstraints::parse(&tlv(SEQUENCE, &[&tlv(0xa0, &[&subtree])])).is_err());
}

/// Go reads no certificate with such bases.
#[test]
fn bases_have_the_form_of_their_kind() {
    let ipv6 = |prefix: &[u8]| ip(&[&[0; 16], prefix, &vec![0; 16 - prefix.len()]].concat());
    for (base, is_read) in [
        (dns("example.com"), true),
        (dns(".example.com"), true),
        (dns(""), true),
        (dns("under_score.example"), true),
        (dns("."), false),
        (dns("example.com."), false),
        (dns("a..b"), false),
        (dns("a b"), false),
        (dns("b\u{fc}cher.example"), false),
        (tlv(0x82, &[b"exampl\xfc"]), false),
        (email("example.com"), true),
        (email("a@example.com"), true),
        (email("@example.com"), false),
        (email("a@"), false),
        (email("a b@example.com"), false),
        (email("example\t.com"), false),
        (uri(".example.com"), true),
        (uri("10.0.0.1"), false),
        (uri("example com"), false),
        (ip(&[10, 0, 0, 0, 255, 0, 0, 0]), true),
        (ip(&[10, 0, 0, 0, 255, 0xf0, 0, 0]), true),
        (ip(&[0; 8]), true),
        (ip(&[10, 0, 0, 0, 255, 255, 255, 255]), true),
        (ip(&[10, 0, 0, 0, 255, 0x0f, 0, 0]), false),
        (ip(&[10, 0, 0, 0, 255, 0, 255, 0]), false),
        (ip(&[10, 0, 0, 0]), false),
        (ipv6(&[255, 255, 0xfe]), true),
        (ipv6(&[255, 0, 255]), false),
        (directory(&[&[(O, UTF8, "Team")]]), true),
        (tlv(0xa4, &[&[5, 0]]), false),
        (tlv(0x88, &[&[0x2a, 3]]), true),
    ] {
        let bases = std::slice::from_ref(&base);
        for constraints in [constraints(bases, &[]), constraints(&[], bases)] {
            assert_eq!(NameConstraints::parse(&constraints).is_ok(), is_read, "{base:x?}");
        }
    }
}

//! The rows of the table about what clients cannot read: extensions and names, in the leaf and in the CAs above.

use super::rules::Class::{Fine, Never};
use super::rules::{check_ca, check_leaf};
use super::*;

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, parts)
}

/// An extension's id, the values that are fine and those that are not.
type Forms = (&'static str, Vec<Vec<u8>>, Vec<Vec<u8>>);

fn forms() -> Vec<Forms> {
    let policy = |id: &str| sequence(&[&oid(id)]);
    let list = |items: &[&[u8]]| sequence(items);
    let address = tlv(0x86, &[b"http://a/"]);
    let point = |name: &[u8]| list(&[&sequence(&[&tlv(0xa0, &[name])])]);
    let access = |parts: &[&[u8]]| list(&[&sequence(parts)]);
    let uuid = tlv(6, &[&[0x69], &[0x83], &[0xff; 17], &[0x7f]]);
    vec![
        ("2.5.29.14", vec![tlv(4, &[b"key"])], vec![tlv(3, &[b"key"])]),
        ("2.5.29.35", vec![sequence(&[&tlv(0x80, &[b"key"])]), sequence(&[])], vec![tlv(4, &[b"key"])]),
        (
            "2.5.29.31",
            vec![
                point(&tlv(0xa0, &[&address])),
                list(&[&sequence(&[])]),
                list(&[&sequence(&[&tlv(0x81, &[&[0]])])]),
            ],
            // Relative to the CRL's issuer.
            vec![point(&tlv(0xa1, &[])), point(&[]), point(&tlv(0xa0, &[b"?"])), list(&[]), list(&[&[5, 0]])],
        ),
        ("2.5.29.46", vec![point(&tlv(0xa0, &[&address]))], vec![point(&[])]),
        (
            "2.5.29.32",
            vec![list(&[&policy("1.2.3"), &policy("1.2.4")]), list(&[&sequence(&[&uuid])])],
            vec![
                list(&[&policy("1.2.3"), &policy("1.2.3")]),
                list(&[&sequence(&[])]),
                list(&[&sequence(&[&[6, 0]])]),
            ],
        ),
        (
            "1.3.6.1.5.5.7.1.1",
            vec![access(&[&oid("1.3.6.1.5.5.7.48.1"), &address])],
            vec![access(&[&address]), access(&[&uuid, &address]), list(&[])],
        ),
    ]
}

/// Extensions that only a CA has.
fn forms_of_cas() -> Vec<Forms> {
    let mapping = |parts: &[&[u8]]| sequence(&[&sequence(parts)]);
    vec![
        (
            "2.5.29.33",
            vec![mapping(&[&oid("1.2.3"), &oid("1.2.4")])],
            vec![mapping(&[&oid("1.2.3")]), sequence(&[])],
        ),
        (
            "2.5.29.36",
            vec![
                sequence(&[&[0x80, 1, 0]]),
                sequence(&[&[0x81, 1, 5]]),
                sequence(&[&[0x80, 1, 0, 0x81, 1, 0]]),
            ],
            vec![
                sequence(&[&[0x80, 0]]),
                sequence(&[&[0x80, 2, 0, 1]]),
                sequence(&[&[0x81, 1, 0xff]]),
                vec![2, 1, 0],
            ],
        ),
        ("2.5.29.54", vec![vec![2, 1, 0]], vec![vec![2, 1, 0xff], vec![2, 0], sequence(&[])]),
        (
            "2.5.29.30",
            vec![excluding(&dns("example.com"))],
            vec![
                sequence(&[]),
                excluding(&tlv(0x82, &[b"exampl\xfc"])),
                excluding(&tlv(0x87, &[&[10, 0, 0, 0]])),
            ],
        ),
    ]
}

#[test]
fn extensions_have_the_form_that_clients_parse() {
    for (id, good, bad) in forms() {
        for value in &good {
            check_leaf(id, "extensions", Fine, |leaf| leaf.extensions.push(extension(id, value)));
        }
        for value in bad.iter().chain([&b"no DER".to_vec()]) {
            check_leaf(id, "chain", Never, |leaf| leaf.extensions.push(extension(id, value)));
        }
    }
    for (id, good, bad) in forms().into_iter().chain(forms_of_cas()) {
        for value in &good {
            check_ca(id, "chain", Fine, |ca| ca.extensions.push(extension(id, value)));
        }
        for value in bad.iter().chain([&b"no DER".to_vec()]) {
            check_ca(id, "chain", Never, |ca| ca.extensions.push(extension(id, value)));
        }
    }
}

#[test]
fn key_identifiers_and_access_addresses_are_not_critical() {
    for (id, good, _) in
        forms().into_iter().filter(|(id, ..)| ["2.5.29.14", "2.5.29.35", "1.3.6.1.5.5.7.1.1"].contains(id))
    {
        check_leaf(id, "chain", Never, |leaf| leaf.extensions.push(critical(id, &good[0])));
        check_ca(id, "chain", Never, |ca| ca.extensions.push(critical(id, &good[0])));
    }
}

#[test]
fn names_of_a_ca_are_names_too() {
    check_ca("a name", "subjectAltName", Fine, |ca| ca.extensions.push(san(&[dns("ca.example")])));
    for (what, name) in [
        ("8 octets", tlv(0x87, &[&[10, 0, 0, 1, 255, 0, 0, 0]])),
        ("a U-label", dns("b\u{fc}cher.example")),
        ("a URI without a scheme", tlv(0x86, &[b"example"])),
    ] {
        check_ca(what, "subjectAltName", Never, |ca| ca.extensions.push(san(std::slice::from_ref(&name))));
    }
}

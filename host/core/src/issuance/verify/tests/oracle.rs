//! The differential test: what clients in Go cannot read is not published. Run by `make test-oracle`.
//!
//! `ORACLE_SEED` makes the same mutations again, `ORACLE_MUTATIONS` says how many.

use std::collections::BTreeMap;

use oracle_fixture::{Oracle, Random};

use super::*;
use crate::x509::PublicKey;

/// What is refused here although Go reads it: part of what is said, and why.
const STRICTER: &[(&str, &str)] = &[
    ("malformed: ", "DER that others refuse: Go skips what follows the known fields"),
    ("a malformed extension", "DER that others refuse: Go skips what follows the known fields"),
    ("the public key is", "keys of few kinds are accepted"),
    ("a name that is none", "the names that a CSR may ask for, and for the same reasons"),
    ("an end, ", "it is never valid"),
    ("an empty name for its issuer", "Java cannot read it"),
    ("an empty subject", "Java cannot read it"),
];

/// What Go cannot read and is not refused by form alone: part of what it says, and why.
const ELSEWHERE: &[(&str, &str)] = &[(
    "point not on curve",
    "each key is the CSR's, which has signed it, or has verified a signature below it",
)];

/// Whether a certificate of this form is published. The key is the request's, or has verified a signature.
fn ours(der: &[u8]) -> Result<(), String> {
    let certificate = Certificate::parse(der).map_err(|error| format!("malformed: {error}"))?;
    form::check_readable(&certificate).map_err(|mismatch| mismatch.to_string())?;
    PublicKey::from_spki(certificate.spki_der()).map(|_| ()).map_err(|error| error.to_string())
}

/// Certificates with everything that is parsed in them.
fn sources(key: &PrivateKey) -> Vec<Template> {
    let list = tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&oid("1.2.3")])]);
    let mut leaf = Template::new(
        name(&[&[(O, UTF8, "a")], &[(CN, PRINTABLE, "b")]]),
        fixtures::key().public_key_der(),
        cn(INTERMEDIATE),
    );
    leaf.extensions = vec![
        san(&[
            dns("a.example"),
            tlv(0x81, &[b"a@b.example"]),
            tlv(0x86, &[b"https://u@h.example:1/p%20q"]),
            tlv(0x87, &[&[10, 0, 0, 1]]),
            tlv(0xa4, &[&cn("in a directory")]),
        ]),
        usage(),
        purposes(&["1.3.6.1.5.5.7.3.1", "1.2.3.4"]),
        extension("2.5.29.14", &tlv(4, &[b"key"])),
        extension("2.5.29.35", &tlv(SEQUENCE, &[&tlv(0x80, &[b"key"])])),
        extension(
            "2.5.29.31",
            &tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&tlv(0xa0, &[&tlv(0xa0, &[&tlv(0x86, &[b"http://a/"])])])])]),
        ),
        extension("2.5.29.32", &list),
        extension(
            "1.3.6.1.5.5.7.1.1",
            &tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&oid("1.3.6.1.5.5.7.48.1"), &tlv(0x86, &[b"http://a/"])])]),
        ),
    ];
    let mut ca = Template::ca("CA", key, ROOT);
    let subtree = |base: &[u8]| tlv(SEQUENCE, &[base]);
    let permitted = [
        subtree(&dns("example")),
        subtree(&tlv(0x81, &[b"b.example"])),
        subtree(&tlv(0x86, &[b".example"])),
        subtree(&tlv(0x87, &[&[10, 0, 0, 0, 255, 0, 0, 0]])),
    ];
    ca.extensions.push(critical("2.5.29.30", &tlv(SEQUENCE, &[&tlv(0xa0, &[&permitted.concat()])])));
    ca.extensions.push(extension("2.5.29.36", &tlv(SEQUENCE, &[&tlv(0x80, &[&[0]])])));
    ca.extensions
        .push(extension("2.5.29.33", &tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&oid("1.2.3"), &oid("1.2.4")])])));
    ca.extensions.push(extension("2.5.29.54", &[2, 1, 0]));
    vec![leaf, ca]
}

#[test]
#[ignore = "asks Go, whose program is built first where it is missing"]
fn go_and_this_crate_can_read_the_same_mutated_certificates() {
    let mut random = Random::from_env();
    let count = std::env::var("ORACLE_MUTATIONS").map_or(20_000, |count| count.parse().unwrap());
    let mut oracle = Oracle::start();
    let key = fixtures::key();
    let algorithm = tlv(SEQUENCE, &[&oid("1.2.840.10045.4.3.2")]);
    let tbs: Vec<Vec<u8>> =
        sources(&key).iter().map(|template| fields(&template.sign(&key))[0].to_vec()).collect();
    let mut seen = [[0; 2]; 2];
    let mut wrong: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for _ in 0..count {
        let source = &tbs[random.below(tbs.len())];
        let der = signed_as(&random.mutate_der(source), &algorithm, &key);
        let (ours, gos) = (ours(&der), oracle.certificate(&der));
        let is_known = |list: &[(&str, &str)], error: &str| list.iter().any(|(part, _)| error.contains(part));
        let known = match (&ours, &gos) {
            (Err(error), Ok(())) => is_known(STRICTER, error),
            (Ok(()), Err(error)) => is_known(ELSEWHERE, error),
            _ => true,
        };
        if known {
            seen[usize::from(ours.is_ok())][usize::from(gos.is_ok())] += 1;
        } else {
            let verdicts = format!("ours: {ours:?}\nGo's: {gos:?}");
            wrong.entry(verdicts).or_insert_with(|| (pem::encode("CERTIFICATE", &der), 0)).1 += 1;
        }
    }
    let seed = random.seed();
    let [[neither, stricter], [elsewhere, both]] = seen;
    eprintln!(
        "certificates: read by both {both}, by neither {neither}, by Go alone {stricter}, by us alone {elsewhere}"
    );
    let shown: Vec<_> = wrong
        .iter()
        .take(20)
        .map(|(verdicts, (first, count))| format!("{count} times\n{verdicts}\n{first}"))
        .collect();
    assert!(shown.is_empty(), "ORACLE_SEED={seed}: they differ\n{}", shown.join("\n"));
    assert!(both > 0 && neither > 0, "nothing was compared");
}

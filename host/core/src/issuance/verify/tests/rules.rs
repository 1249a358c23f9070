//! The table of the rules, row by row: what a lying plugin puts into an otherwise exact answer, and what comes of it
//! under every policy.

use jiff::{SignedDuration, ToSpan};

use super::*;

/// What comes of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Class {
    Never,
    Needs(Difference),
    Told,
    Fine,
}

use Class::*;
use Difference::*;

fn allowing(allow: &[Difference]) -> Verification {
    Verification { mode: Mode::Reported, allow: allow.to_vec() }
}

/// Has the rule about `field` judge a spoilt answer under every policy.
#[track_caller]
pub(super) fn check(what: &str, field: &str, class: Class, spoil: impl Fn(&mut World) -> Vec<Vec<u8>>) {
    let judged = |policy: Verification| {
        let mut world = World::new();
        world.policy = policy;
        let chain = spoil(&mut world);
        let result = world.verify(&chain, None);
        match result {
            Ok(verified) => verified.warnings.iter().any(|warning| warning.field == field),
            Err(_) => {
                refusal(result, field);
                return None;
            }
        }
        .into()
    };
    let others = Difference::ALL.into_iter().filter(|other| class != Needs(*other)).collect::<Vec<_>>();
    let found = [
        judged(Verification::strict()),
        judged(Verification { mode: Mode::Strict, allow: Difference::ALL.to_vec() }),
        judged(allowing(&[])),
        judged(allowing(&others)),
        judged(allowing(&Difference::ALL)),
    ];
    let (refused, told, fine) = (None, Some(true), Some(false));
    let expected = match class {
        Never => [refused; 5],
        Needs(_) => [refused, refused, refused, refused, told],
        Told => [refused, refused, told, told, told],
        Fine => [fine; 5],
    };
    assert_eq!(found, expected, "{what}: refused (none), told or fine; {class:?} was expected");
}

/// The same for a leaf that is spoilt.
#[track_caller]
pub(super) fn check_leaf(what: &str, field: &str, class: Class, spoil: impl Fn(&mut Template)) {
    check(what, field, class, |world| {
        spoil(&mut world.leaf);
        vec![world.leaf(), world.intermediate(), world.root()]
    });
}

/// The same for an intermediate that is spoilt. What is wrong with it whatever is asked for, the plugin's `check` is told.
#[track_caller]
pub(super) fn check_ca(what: &str, field: &str, class: Class, spoil: impl Fn(&mut Template)) {
    let chain = |world: &mut World| {
        let mut ca = Template::ca(INTERMEDIATE, &world.intermediate_key, ROOT);
        spoil(&mut ca);
        vec![world.leaf(), ca.sign(&world.root_key), world.root()]
    };
    check(what, field, class, chain);
    check_before_a_request(what, field, class, chain);
}

/// Has the rule about `field` judge an answer without its request.
#[track_caller]
pub(super) fn check_before_a_request(
    what: &str,
    field: &str,
    class: Class,
    chain: impl Fn(&mut World) -> Vec<Vec<u8>>,
) {
    let signed = Signed { chain: pems(&chain(&mut World::new())), ca: None };
    let judged = judge(&signed, now().into());
    let refused_as = judged.as_ref().err().map(|mismatch| mismatch.field);
    assert_eq!(refused_as, (class == Never).then_some(field), "{what}: {judged:?}");
}

fn names() -> Vec<u8> {
    san(&[dns("a.example"), dns("b.example")])
}

#[test]
fn an_exact_answer_is_fine_whatever_the_policy() {
    check_leaf("nothing", "subject", Fine, |_| {});
}

#[test]
fn keys_names_and_powers() {
    check_leaf("another key", "publicKey", Never, |leaf| {
        leaf.spki = fixtures::key().public_key_der().to_vec()
    });
    check_leaf("a name more", "subjectAltName", Never, |leaf| {
        leaf.extensions = vec![san(&[dns("a.example"), dns("b.example"), dns("c.example")]), usage()];
    });
    check_leaf("a name less", "subjectAltName", Never, |leaf| {
        leaf.extensions = vec![san(&[dns("a.example")]), usage()];
    });
    check_leaf("a CA", "basicConstraints", Never, |leaf| leaf.extensions.push(ca_flag()));
    check("no CA where one was asked for", "basicConstraints", Never, |world| {
        world.request.is_ca = true;
        vec![world.leaf(), world.intermediate(), world.root()]
    });
    check("a signature of its own", "chain", Never, |world| {
        world.leaf.issuer = world.leaf.subject.clone();
        vec![world.leaf.sign(&world.key)]
    });
    check_leaf("cert sign", "keyUsage", Never, |leaf| {
        leaf.extensions = vec![names(), extension("2.5.29.15", &[3, 2, 2, 0x84])];
    });
}

#[test]
fn subjects() {
    let subject = |rdns: &[&[(&str, u8, &str)]]| {
        let subject = name(rdns);
        move |leaf: &mut Template| leaf.subject = subject.clone()
    };
    let (own, masters) = ((CN, UTF8, "a.example"), (O, UTF8, "system:masters"));
    check_leaf("a group", "subject", Needs(Subject), subject(&[&[masters], &[own]]));
    check_leaf("a group in the same RDN", "subject", Needs(Subject), subject(&[&[masters, own]]));
    check_leaf("another CN", "subject", Needs(Subject), subject(&[&[(CN, UTF8, "bank.example")]]));
    check_leaf("a second CN", "subject", Needs(Subject), subject(&[&[own], &[(CN, UTF8, "bank.example")]]));
    check_leaf(
        "an O that is one of the names",
        "subject",
        Needs(Subject),
        subject(&[&[(O, UTF8, "b.example")], &[own]]),
    );
    check_leaf("one of the names", "subject", Told, subject(&[&[(CN, UTF8, "b.example")]]));
    check_leaf("another string type", "subject", Fine, subject(&[&[(CN, PRINTABLE, "a.example")]]));
    check_leaf("a NUL in a PrintableString", "subject", Never, subject(&[&[own], &[(O, PRINTABLE, "a\0")]]));
    check_leaf("a BIT STRING", "subject", Never, subject(&[&[own], &[(O, 3, "\0a")]]));
    check_leaf("an IA5String that is none", "subject", Never, subject(&[&[own], &[(O, 0x16, "\u{fc}")]]));
    check_leaf("no name", "subject", Never, |leaf| leaf.subject = tlv(SEQUENCE, &[b"no name"]));
    check_leaf("nothing, and the names are not critical", "subject", Never, |leaf| leaf.subject = name(&[]));
    check_leaf("nothing, and the names are critical", "subject", Told, |leaf| {
        leaf.subject = name(&[]);
        leaf.extensions = vec![critical_san(&[dns("a.example"), dns("b.example")]), usage()];
    });
}

#[test]
fn a_list_of_names_is_not_empty() {
    let mut world = World::asking(&cn("web"), &[]);
    world.issue().unwrap();
    world.leaf.extensions = vec![san(&[]), usage()];
    refusal(world.issue(), "subjectAltName");
}

#[test]
fn issuers_have_names() {
    let without_a_name = |world: &mut World| {
        world.leaf.issuer = name(&[]);
        let mut ca = Template::ca(INTERMEDIATE, &world.intermediate_key, ROOT);
        ca.subject = name(&[]);
        vec![world.leaf(), ca.sign(&world.root_key), world.root()]
    };
    check("an issuer without a name", "issuer", Never, without_a_name);
    check_before_a_request("an issuer without a name", "issuer", Never, without_a_name);
}

#[test]
fn usages() {
    for (what, ids, class) in [
        ("server auth", &["1.3.6.1.5.5.7.3.1"][..], Told),
        ("client auth", &["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"], Told),
        ("code signing", &["1.3.6.1.5.5.7.3.3"], Needs(ExtendedKeyUsages)),
        ("any", &["2.5.29.37.0"], Needs(ExtendedKeyUsages)),
        ("OCSP signing", &["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.9"], Needs(ExtendedKeyUsages)),
        ("one's own", &["1.2.3.4"], Needs(ExtendedKeyUsages)),
        ("an empty list", &[], Never),
    ] {
        check_leaf(what, "extendedKeyUsage", class, |leaf| leaf.extensions.push(purposes(ids)));
    }
    check_leaf("key encipherment", "keyUsage", Told, |leaf| {
        leaf.extensions = vec![names(), extension("2.5.29.15", &[3, 2, 5, 0xa0])];
    });
    check_leaf("no key usage", "keyUsage", Told, |leaf| leaf.extensions = vec![names()]);
}

#[test]
fn times() {
    check_leaf("shorter than asked for", "duration", Told, |leaf| leaf.not_after = now() + 24.hours());
    check_leaf("longer, and started before", "duration", Told, |leaf| leaf.not_before = now() - 24.hours());
    check_leaf("longer than its issuer", "validity", Needs(OutlivesIssuer), |leaf| {
        leaf.not_after += 1.second();
    });
    check("longer than the root alone", "validity", Told, |world| {
        let mut root = Template::ca(ROOT, &world.root_key, ROOT);
        root.not_after = now() + 24.hours();
        vec![world.leaf(), world.intermediate(), root.sign(&world.root_key)]
    });
    check_leaf("expired", "validity", Never, |leaf| {
        (leaf.not_before, leaf.not_after) = (now() - 48.hours(), now() - 1.second());
    });
    check_leaf("not yet valid", "validity", Never, |leaf| leaf.not_before = now() + 301.seconds());
    check_leaf("an end before its start", "validity", Never, |leaf| {
        (leaf.not_before, leaf.not_after) = (now() + 2.minutes(), now() + 1.minute());
    });
    check_ca("an issuer that has expired", "validity", Never, |ca| {
        (ca.not_before, ca.not_after) = (now() - 48.hours(), now() - 1.second());
    });
    check_ca("an issuer that lasts longer", "validity", Fine, |ca| {
        ca.not_after = now() + SignedDuration::from_hours(1_000_000);
    });
}

#[test]
fn serial_numbers() {
    let serial = |bytes: &[u8]| {
        let serial = tlv(2, &[bytes]);
        move |certificate: &mut Template| certificate.serial = serial.clone()
    };
    check_leaf("zero", "serialNumber", Never, serial(&[0]));
    check_leaf("none", "serialNumber", Never, serial(&[]));
    check_leaf("one with a zero too many", "serialNumber", Never, serial(&[0, 42]));
    check_leaf("one with the zero it needs", "serialNumber", Fine, serial(&[0, 0xff]));
    check_ca("one with a zero too many, of an intermediate", "serialNumber", Never, serial(&[0, 42]));
    check_leaf("negative", "serialNumber", Never, serial(&[0xff]));
    check_leaf("negative and long", "serialNumber", Never, serial(&[0x80, 0, 1]));
    check_leaf("21 octets", "serialNumber", Never, serial(&[0x7f; 21]));
    check_leaf("20 octets", "serialNumber", Fine, serial(&[0x7f; 20]));
    check_ca("a negative one of an intermediate", "serialNumber", Never, serial(&[0xff]));
    // Old CAs have such ones, and all clients read them.
    check_ca("zero of an intermediate", "serialNumber", Fine, serial(&[0]));
    check_ca("21 octets of an intermediate", "serialNumber", Fine, serial(&[0x7f; 21]));
    let negative_root = |world: &mut World| {
        let mut root = Template::ca(ROOT, &world.root_key, ROOT);
        root.serial = vec![2, 1, 0xff];
        vec![world.leaf(), world.intermediate(), root.sign(&world.root_key)]
    };
    check("a negative one of the root", "serialNumber", Never, negative_root);
    check_before_a_request("a negative one of the root", "serialNumber", Never, negative_root);
}

#[test]
fn further_extensions() {
    let with = |extension: Vec<u8>| move |it: &mut Template| it.extensions.push(extension.clone());
    let list = tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&oid("1.2.3")])]);
    check_leaf("unknown", "extensions", Needs(Extensions), with(extension("1.2.3", b"?")));
    check_leaf("must-staple", "extensions", Needs(Extensions), with(extension("1.3.6.1.5.5.7.1.24", &list)));
    check_leaf(
        "constraints of no CA",
        "extensions",
        Needs(Extensions),
        with(extension("2.5.29.30", &excluding(&dns("b")))),
    );
    check_leaf("unknown and critical", "extensions", Never, with(critical("1.2.3", b"?")));
    check_leaf("a precertificate", "extensions", Never, with(critical("1.3.6.1.4.1.11129.2.4.3", &[5, 0])));
    check_ca("unknown in a CA", "extensions", Fine, with(extension("1.2.3", b"?")));
    check_ca("unknown and critical in a CA", "extensions", Never, with(critical("1.2.3", b"?")));
    check_ca("critical policies", "extensions", Fine, with(critical("2.5.29.32", &list)));
    check_leaf("twice", "chain", Never, |leaf| {
        leaf.extensions.extend([extension("1.2.3", b"a"), extension("1.2.3", b"b")]);
    });
    // Trust in a root comes from elsewhere, with whatever it has, but not for all clients.
    check("unknown and critical in a root", "extensions", Told, |world| {
        let mut root = Template::ca(ROOT, &world.root_key, ROOT);
        root.extensions.push(critical("1.2.3", b"?"));
        vec![world.leaf(), world.intermediate(), root.sign(&world.root_key)]
    });
}

#[test]
fn a_ca_that_was_asked_for_may_be_narrowed() {
    let mut world = World::new();
    world.request.is_ca = true;
    world.leaf.extensions.extend([ca_flag(), critical("2.5.29.30", &excluding(&dns("b")))]);
    world.issue().unwrap();
}

#[test]
fn names_within_constraints() {
    let permitted = |base: &[u8]| tlv(SEQUENCE, &[&tlv(0xa0, &[&tlv(SEQUENCE, &[base])])]);
    for (what, constraints, class) in [
        ("within", permitted(&dns("example")), Fine),
        ("of another kind", permitted(&tlv(0x87, &[&[10, 0, 0, 0, 255, 0, 0, 0]])), Fine),
        ("one of two", permitted(&dns("a.example")), Never),
        ("outside", permitted(&dns("corp")), Never),
        ("excluded", excluding(&dns("b.example")), Never),
        ("a subject that is excluded", excluding(&tlv(0xa4, &[&cn("A.example")])), Never),
    ] {
        check(what, "nameConstraints", class, |world| {
            let mut ca = Template::ca(INTERMEDIATE, &world.intermediate_key, ROOT);
            ca.extensions.push(critical("2.5.29.30", &constraints));
            vec![world.leaf(), ca.sign(&world.root_key), world.root()]
        });
        // Also those of a root, and those that are not critical.
        check(what, "nameConstraints", class, |world| {
            let mut root = Template::ca(ROOT, &world.root_key, ROOT);
            root.extensions.push(extension("2.5.29.30", &constraints));
            vec![world.leaf(), world.intermediate(), root.sign(&world.root_key)]
        });
    }
    check_ca("malformed", "chain", Never, |ca| ca.extensions.push(critical("2.5.29.30", b"?")));
    // What a plugin signs for `check` has a name of its own; the name of a CA does not depend on the request.
    for (what, excluded_name, class) in [("a leaf", cn("a.example"), Fine), ("a CA", cn(INTERMEDIATE), Never)]
    {
        check_before_a_request(what, "nameConstraints", class, |world| {
            let mut root = Template::ca(ROOT, &world.root_key, ROOT);
            let base = tlv(0xa4, &[&excluded_name]);
            root.extensions.push(extension("2.5.29.30", &excluding(&base)));
            vec![world.leaf(), world.intermediate(), root.sign(&world.root_key)]
        });
    }
}

#[test]
fn chains() {
    check("a link that is missing", "chain", Never, |world| vec![world.leaf(), world.root()]);
    check("a signature of another key", "chain", Never, |world| {
        vec![world.leaf.sign(&fixtures::key()), world.intermediate(), world.root()]
    });
    check_ca("an issuer that is no CA", "chain", Never, |ca| ca.extensions = vec![ca_usage()]);
    let too_long = |world: &mut World| {
        let mut root = Template::ca(ROOT, &world.root_key, ROOT);
        root.extensions[0] = extension("2.5.29.19", &[SEQUENCE, 6, 1, 1, 0xff, 2, 1, 0]);
        vec![world.leaf(), world.intermediate(), root.sign(&world.root_key)]
    };
    check("a path that is too long", "chain", Never, too_long);
    check_before_a_request("a path that is too long", "chain", Never, too_long);
}

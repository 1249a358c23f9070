//! The leaf against the request.

use jiff::{SignedDuration, ToSpan};

use super::*;
use crate::x509::signature::fingerprint;

#[test]
fn an_exact_answer_is_published() {
    let world = World::new();
    let (leaf, intermediate, root) = (world.leaf(), world.intermediate(), world.root());
    let verified = world.verify(&[leaf.clone(), intermediate.clone(), root.clone()], None).unwrap();
    assert_eq!(verified.certificate, pems(&[leaf, intermediate]));
    assert_eq!(verified.ca, Some(pems(&[root])));
    assert_eq!(verified.warnings, []);
    assert_eq!(verified.serial, "2a");
    assert_eq!(
        (verified.not_before, verified.not_after),
        (now(), now() + SignedDuration::from_hours(90 * 24))
    );
}

#[test]
fn another_key_is_refused_with_both_fingerprints() {
    let mut world = World::new();
    world.leaf.spki = fixtures::key().public_key_der().to_vec();
    let (requested, found) = (fingerprint(world.key.public_key_der()), fingerprint(&world.leaf.spki));
    assert_eq!(
        refusal(world.issue(), "publicKey"),
        format!("publicKey: the request has {requested}; the certificate has {found}")
    );
}

#[test]
fn names_missing_or_beyond_are_refused() {
    let mut world = World::new();
    let mut issue = |names: &[Vec<u8>]| {
        world.leaf.extensions = vec![san(names), usage()];
        world.issue()
    };
    let (a, b) = (dns("a.example"), dns("b.example"));
    assert_eq!(
        refusal(issue(&[a.clone(), dns("evil.example")]), "subjectAltName"),
        "subjectAltName: the request has DNS:a.example, DNS:b.example; \
         the certificate has DNS:a.example, DNS:evil.example"
    );
    refusal(issue(std::slice::from_ref(&a)), "subjectAltName");
    refusal(issue(&[a.clone(), b.clone(), dns("evil.example")]), "subjectAltName");
    refusal(issue(&[a.clone(), b.clone(), tlv(0x87, &[&[192, 0, 2, 1]])]), "subjectAltName");
    refusal(issue(&[]), "subjectAltName");
    assert!(issue(&[dns("B.Example"), a.clone(), b, a.clone()]).is_ok(), "order, case and repetition differ");
    // The same text as another kind of name is another name.
    refusal(issue(&[a, tlv(0x86, &[b"b.example"])]), "subjectAltName");
}

#[test]
fn no_names_at_all_are_refused_where_some_were_requested() {
    let mut world = World::new();
    world.leaf.extensions = vec![usage()];
    let text = refusal(world.issue(), "subjectAltName");
    assert!(text.ends_with("the certificate has none"), "{text}");
}

#[test]
fn the_common_name_may_be_repeated_as_a_name() {
    let ipv6 = "2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets();
    for (common_name, repeated) in [
        ("A.example", dns("a.example")),
        ("192.0.2.1", tlv(0x87, &[&[192, 0, 2, 1]])),
        ("2001:db8::1", tlv(0x87, &[&ipv6])),
        ("a@example.com", tlv(0x81, &[b"a@example.com"])),
        ("*.a.example", dns("*.a.example")),
    ] {
        let mut world = World::asking(&cn(common_name), &[dns("b.example")]);
        world.leaf.extensions = vec![san(&[dns("b.example"), repeated.clone()]), usage()];
        world.issue().unwrap();
        // The leaf's own common name vouches for nothing.
        let mut world = World::asking(&cn("other.example"), &[dns("b.example")]);
        world.leaf.subject = cn(common_name);
        world.leaf.extensions = vec![san(&[dns("b.example"), repeated]), usage()];
        refusal(world.issue(), "subjectAltName");
    }
    // A text that is no name does not become one.
    for common_name in ["Team A", "a..example", "b\u{fc}cher.example", "a b@example.com@", "a,b"] {
        let mut world = World::asking(&cn(common_name), &[dns("b.example")]);
        world.leaf.extensions = vec![san(&[dns("b.example"), dns(common_name)]), usage()];
        refusal(world.issue(), "subjectAltName");
    }
}

#[test]
fn other_names_are_compared_as_bytes() {
    let upn = |user: &str| {
        tlv(0xa0, &[&oid("1.3.6.1.4.1.311.20.2.3"), &tlv(0xa0, &[&tlv(UTF8, &[user.as_bytes()])])])
    };
    let mut world = World::asking(&cn("a"), &[upn("user@example.com")]);
    world.issue().unwrap();
    for other in ["root@example.com", "USER@example.com"] {
        world.leaf.extensions = vec![san(&[upn(other)]), usage()];
        refusal(world.issue(), "subjectAltName");
    }
}

#[test]
fn a_long_list_of_names_shows_the_ones_that_differ() {
    let mut names: Vec<_> = (0..3_000).map(|n| dns(&format!("{n}.example"))).collect();
    let mut world = World::asking(&cn("a"), &names);
    names[2_000] = dns("evil\u{1b}[2J.example");
    world.leaf.extensions = vec![san(&names), usage()];
    let text = refusal(world.issue(), "subjectAltName");
    assert!(text.contains("the request has DNS:2000.example, "), "{text}");
    assert!(text.contains("the certificate has DNS:evil\u{FFFD}[2J.example, "), "{text}");
    assert!(text.contains("more"), "{text}");
}

#[test]
fn a_ca_flag_is_there_if_and_only_if_requested() {
    let mut world = World::new();
    world.leaf.extensions.push(ca_flag());
    assert_eq!(
        refusal(world.issue(), "basicConstraints"),
        "basicConstraints: the request has CA:FALSE; the certificate has CA:TRUE"
    );
    world.request.is_ca = true;
    world.issue().unwrap();
    world.leaf.extensions.pop();
    refusal(world.issue(), "basicConstraints");
    // An extension that says FALSE is no CA either.
    world.request.is_ca = false;
    world.leaf.extensions.push(extension("2.5.29.19", &[SEQUENCE, 0]));
    world.issue().unwrap();
}

#[test]
fn the_subject_is_reported_or_refused() {
    let subject =
        name(&[&[(O, UTF8, "Example")], &[(OU, UTF8, "a"), (OU, UTF8, "b")], &[(CN, UTF8, "a.example")]]);
    let mut world = World::asking(&subject, &[dns("a.example")]);
    world.issue().unwrap();
    // String types, and the order within a set, say nothing.
    world.leaf.subject = name(&[
        &[(O, PRINTABLE, "Example")],
        &[(OU, UTF8, "b"), (OU, UTF8, "a")],
        &[(CN, UTF8, "a.example")],
    ]);
    world.issue().unwrap();
    world.leaf.subject = name(&[&[(O, UTF8, "The CA, says")], &[(CN, UTF8, "a.example")]]);
    let expected = "subject: the request has O=Example, OU=a+OU=b, CN=a.example; \
                    the certificate has O=The CA\\, says, CN=a.example";
    assert_eq!(refusal(world.issue(), "subject"), expected);
    world.policy = Verification::default();
    let hint = " (spec.verification.allow does not have Subject)";
    assert_eq!(refusal(world.issue(), "subject"), expected.to_owned() + hint);
    world.policy.allow = vec![Difference::Subject];
    assert_eq!(world.issue().unwrap().warnings[0].to_string(), expected);
    // Less, or a name once more, is the CA's to decide.
    world.policy = Verification::default();
    for subject in [cn("a.example"), name(&[])] {
        world.leaf.subject = subject;
        world.leaf.extensions = vec![critical_san(&[dns("a.example")]), usage()];
        assert_eq!(world.issue().unwrap().warnings.len(), 1);
    }
}

#[test]
fn a_subject_without_names_beside_it_may_hold_nothing_more_than_requested() {
    let mut world = World::asking(&name(&[&[(CN, UTF8, "user")], &[(O, UTF8, "group")]]), &[]);
    world.policy = Verification::default();
    world.issue().unwrap();
    world.leaf.subject = name(&[&[(CN, PRINTABLE, "user")]]);
    assert_eq!(world.issue().unwrap().warnings.len(), 1, "less is the CA's to decide");
    world.leaf.subject =
        name(&[&[(CN, UTF8, "user")], &[(O, UTF8, "group")], &[(O, UTF8, "system:masters")]]);
    refusal(world.issue(), "subject");
    world.leaf.subject = cn("admin");
    refusal(world.issue(), "subject");
    world.policy.allow = Difference::ALL.to_vec();
    refusal(world.issue(), "subject");
}

#[test]
fn a_common_name_is_given_only_where_it_is_one_of_the_names() {
    let mut world = World::asking(&name(&[]), &[dns("a.example"), dns("b.example")]);
    world.policy = Verification::default();
    world.leaf.extensions = vec![critical_san(&[dns("a.example"), dns("b.example")]), usage()];
    world.leaf.subject = cn("B.example");
    assert_eq!(world.issue().unwrap().warnings[0].field, "subject");
    world.leaf.subject = cn("c.example");
    refusal(world.issue(), "subject");
}

#[test]
fn usages_are_reported_or_refused() {
    let mut world = World::new();
    world.request.usages.extend(["key encipherment".into(), "server auth".into()]);
    let key_usage = "keyUsage: the request has digital signature, key encipherment; \
                     the certificate has digital signature";
    let ext_key_usage = "extendedKeyUsage: the request has server auth; the certificate has none";
    assert_eq!(refusal(world.issue(), "keyUsage"), key_usage);
    world.policy = Verification::default();
    let warnings: Vec<_> = world.issue().unwrap().warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, [key_usage, ext_key_usage]);

    world.request.usages = vec!["digital signature".into(), "client auth".into()];
    let purposes = tlv(SEQUENCE, &[&oid("1.3.6.1.5.5.7.3.2"), &oid("1.2.3")]);
    world.leaf.extensions.push(extension("2.5.29.37", &purposes));
    let beyond = "extendedKeyUsage: the request has client auth; the certificate has 1.2.3, client auth";
    let hint = " (spec.verification.allow does not have ExtendedKeyUsages)";
    assert_eq!(refusal(world.issue(), "extendedKeyUsage"), beyond.to_owned() + hint);
    world.policy.allow = vec![Difference::ExtendedKeyUsages];
    let warnings: Vec<_> = world.issue().unwrap().warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, [beyond]);
    world.request.usages = vec!["tls".into()];
    assert_eq!(refusal(world.issue(), "keyUsage"), "keyUsage: unknown key usage \"tls\"");
}

#[test]
fn the_duration_is_reported_or_refused() {
    let mut world = World::new();
    world.leaf.not_before = now() - 30.seconds();
    world.issue().unwrap();
    world.leaf.not_before = now() - 31.seconds();
    assert_eq!(
        refusal(world.issue(), "duration"),
        "duration: the request has 2160h; the certificate has 2160h 31s"
    );
    world.leaf.not_after = now() + 1.hour();
    refusal(world.issue(), "duration");
    world.policy = Verification::default();
    assert_eq!(world.issue().unwrap().warnings[0].field, "duration");
    world.request.duration = Duration::MAX;
    world.issue().unwrap();
}

#[test]
fn malformed_leaves_are_refused() {
    let spoiled = |spoil: fn(&mut Template)| {
        let mut world = World::new();
        spoil(&mut world.leaf);
        refusal(world.issue(), "chain")
    };
    spoiled(|leaf| leaf.version = vec![]);
    spoiled(|leaf| leaf.version = vec![0xa0, 3, 2, 1, 1]);
    spoiled(|leaf| leaf.serial = vec![4, 1, 1]);
    spoiled(|leaf| leaf.extensions.push(usage()));
    spoiled(|leaf| leaf.extensions.push(vec![SEQUENCE, 0]));
    let text = spoiled(|leaf| leaf.extensions.push(extension("2.5.29.19", b"")));
    assert!(text.starts_with("chain: certificate 1 is malformed: "), "{text}");
    let mut world = World::new();
    world.leaf.subject = tlv(SEQUENCE, &[b"no name"]);
    refusal(world.issue(), "subject");
}

#[test]
fn no_truncation_and_no_flipped_bit_of_a_leaf_is_published() {
    let mut world = World::new();
    world.policy = Verification::default();
    let (leaf, intermediate) = (world.leaf(), world.intermediate());
    for at in 0..leaf.len() {
        assert!(world.verify(&[leaf[..at].to_vec(), intermediate.clone()], None).is_err(), "cut at {at}");
        let mut flipped = leaf.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(world.verify(&[flipped, intermediate.clone()], None).is_err(), "byte {at}");
    }
}

//! Which CA certificates are published.

use jiff::ToSpan;

use super::*;
use crate::x509::pem;

fn root(name: &str) -> Vec<u8> {
    let key = fixtures::key();
    Template::ca(name, &key, name).sign(&key)
}

#[test]
fn a_root_that_the_chain_does_not_lead_to_is_dropped() {
    let world = World::new();
    let (evil, own) = (root("Evil"), world.root());
    let chain = [world.leaf(), world.intermediate()];
    for given in [[evil.clone(), own.clone()], [own.clone(), evil.clone()]] {
        let verified = world.verify(&chain, Some(&given)).unwrap();
        assert_eq!(verified.ca, Some(pems(std::slice::from_ref(&own))));
        assert_eq!(verified.dropped, ["\"CN=Evil\" (serial 2a)"]);
    }
    // The same name with another key is another root.
    let verified = world.verify(&chain, Some(&[root(ROOT), own.clone()])).unwrap();
    assert_eq!((verified.ca, verified.dropped.len()), (Some(pems(&[own])), 1));
}

#[test]
fn what_is_in_the_issuers_secrets_is_published_beside_it() {
    let mut world = World::new();
    let (old, evil, own) = (root("Old"), root("Evil"), world.root());
    let value =
        format!("some text\n{}{}", pem::encode("PRIVATE KEY", b"secret"), pems(std::slice::from_ref(&old)));
    for values in [&[value.as_bytes(), b"token"][..], &[&old], &[b"\xff\xff", value.as_bytes()]] {
        world.trusted = TrustedCas::among(values.iter().copied());
        let given = [evil.clone(), own.clone(), old.clone()];
        let verified = world.verify(&[world.leaf(), world.intermediate()], Some(&given)).unwrap();
        assert_eq!(verified.ca, Some(pems(&[own.clone(), old.clone()])));
        assert_eq!(verified.dropped.len(), 1);
    }
    // From two Secrets, be it the same in both.
    world.trusted = TrustedCas::among([old.as_slice()]).and(&TrustedCas::among([value.as_bytes(), &own]));
    let given = [evil, own.clone(), old.clone()];
    let verified = world.verify(&[world.leaf(), world.intermediate()], Some(&given)).unwrap();
    assert_eq!(verified.ca, Some(pems(&[own, old.clone()])));
    // It is the very certificate, not one of that name.
    let again = [world.root(), root("Old")];
    assert_eq!(world.verify(&[world.leaf(), world.intermediate()], Some(&again)).unwrap().dropped.len(), 1);
    // And what is trusted vouches for no chain that it has not signed.
    refusal(world.verify(&[world.leaf(), world.intermediate()], Some(&[old])), "ca");
}

#[test]
fn the_way_from_an_intermediate_to_its_root_is_published() {
    let world = World::new();
    let given = [world.root(), world.intermediate()];
    for chain in [vec![world.leaf()], vec![world.leaf(), given[1].clone()]] {
        let verified = world.verify(&chain, Some(&given)).unwrap();
        assert_eq!((verified.ca, verified.dropped), (Some(pems(&given)), vec![]));
    }
}

#[test]
fn one_way_up_is_published_and_a_trusted_one_is_preferred() {
    let mut world = World::new();
    // The root, certified by another one, as a plugin could have it made without the root's consent.
    let evil_key = fixtures::key();
    let evil = Template::ca("Evil", &evil_key, "Evil").sign(&evil_key);
    let mut crossed = Template::ca(ROOT, &world.root_key, "Evil");
    crossed.not_after = now() + 1_000_000.hours();
    let given = [crossed.sign(&evil_key), evil, world.root()];
    let chain = [world.leaf(), world.intermediate()];
    let verified = world.verify(&chain, Some(&given)).unwrap();
    assert_eq!((verified.ca, verified.dropped.len()), (Some(pems(&given[2..])), 2));
    // Of two with the same name and key, the one in the Secret.
    let mut longer = Template::ca(ROOT, &world.root_key, ROOT);
    longer.not_after = now() + 1_000_000.hours();
    let given = [longer.sign(&world.root_key), world.root()];
    assert_eq!(world.verify(&chain, Some(&given)).unwrap().ca, Some(pems(&given[..1])));
    world.trusted = TrustedCas::among([given[1].as_slice()]);
    assert_eq!(world.verify(&chain, Some(&given)).unwrap().ca, Some(pems(&given[1..])));
}

#[test]
fn a_root_that_is_only_in_the_secret_binds_as_well() {
    let mut world = World::new();
    world.policy = Verification::default();
    let mut root = Template::ca(ROOT, &world.root_key, ROOT);
    root.extensions
        .push(extension("2.5.29.30", &tlv(SEQUENCE, &[&tlv(0xa1, &[&tlv(SEQUENCE, &[&dns("b.example")])])])));
    let chain = [world.leaf(), world.intermediate()];
    assert_eq!(world.verify(&chain, None).unwrap().ca, None);
    world.trusted = TrustedCas::among([root.sign(&world.root_key).as_slice()]);
    refusal(world.verify(&chain, None), "nameConstraints");
    refusal(world.verify(&chain, Some(&chain[1..])), "nameConstraints");
}

#[test]
fn a_ca_certificate_that_clients_cannot_read_is_not_published() {
    let world = World::new();
    let mut root = Template::ca(ROOT, &world.root_key, ROOT);
    root.serial = vec![2, 1, 0xff];
    let given = [root.sign(&world.root_key)];
    refusal(world.verify(&[world.leaf(), world.intermediate()], Some(&given)), "serialNumber");
}

//! How much work a plugin, or who makes an Issuer, can give the operator.

use super::*;

/// A root with the name of the right one and another key.
fn impostor() -> Vec<u8> {
    let key = fixtures::key();
    Template::ca(ROOT, &key, ROOT).sign(&key)
}

#[test]
fn few_signatures_are_verified_to_find_what_is_above_a_chain() {
    let mut world = World::new();
    let chain = [world.leaf(), world.intermediate()];
    let impostors: Vec<_> = (0..50).map(|_| impostor()).collect();
    let trusting = |ders: &[Vec<u8>]| TrustedCas::among(ders.iter().map(Vec::as_slice));
    let most = [&impostors[..49], &[world.root()]].concat();
    world.trusted = trusting(&most);
    world.verify(&chain, None).unwrap();
    world.trusted = trusting(&impostors);
    world.verify(&chain, None).unwrap();
    world.trusted = trusting(&[impostors.as_slice(), &[impostor()]].concat());
    let text = refusal(world.verify(&chain, None), "ca");
    assert_eq!(text, "ca: more than 50 signatures would have to be verified to find what is above the chain");
}

#[test]
fn a_bundle_of_all_roots_there_are_costs_nothing_and_one_of_one_name_is_refused() {
    let mut world = World::new();
    let chain = [world.leaf(), world.intermediate()];
    let key = fixtures::key();
    let named = |name: &str| Template::ca(name, &key, name).sign(&key);
    let many: Vec<_> = (0..200).map(|n| named(&format!("Root {n}"))).collect();
    world.trusted = TrustedCas::among(many.iter().map(Vec::as_slice));
    world.verify(&chain, Some(&[world.root()])).unwrap();
    let same: Vec<_> = (0..65).map(|_| impostor()).collect();
    world.trusted = TrustedCas::among(same.iter().map(Vec::as_slice));
    let text = refusal(world.verify(&chain, Some(&[world.root()])), "ca");
    assert_eq!(text, "ca: the Issuer's Secrets hold more than 64 that may be above it");
}

#[test]
fn a_path_of_cas_with_constraints_is_one_path() {
    let names: Vec<_> = (0..1_000).map(|n| dns(&format!("{n}.a"))).collect();
    let world = World::asking(&cn("0.a"), &names);
    let constrained = |mut ca: Template, bases: usize| {
        let bases: Vec<_> = (0..bases).map(|n| tlv(SEQUENCE, &[&dns(&format!("{n}.b"))])).collect();
        ca.extensions.push(extension("2.5.29.30", &tlv(SEQUENCE, &[&tlv(0xa1, &[&bases.concat()])])));
        ca.sign(&world.root_key)
    };
    let verify = |of_intermediate: usize, of_root: usize| {
        let intermediate = Template::ca(INTERMEDIATE, &world.intermediate_key, ROOT);
        let root = Template::ca(ROOT, &world.root_key, ROOT);
        let chain = [world.leaf(), constrained(intermediate, of_intermediate), constrained(root, of_root)];
        world.verify(&chain, None)
    };
    verify(125, 125).unwrap();
    let text = refusal(verify(125, 126), "nameConstraints");
    assert_eq!(
        text,
        "nameConstraints: more than 250000 names would have to be compared with the constraints of the CAs above them"
    );
}

#[test]
fn what_is_quick_is_told_by_its_size() {
    let text = |bytes: usize| Signed { chain: "x".repeat(bytes / 2), ca: Some("x".repeat(bytes / 2)) };
    let key = fixtures::key();
    let cas: Vec<_> = (0..17).map(|n| format!("Root {n}")).collect();
    let cas: Vec<_> = cas.iter().map(|name| Template::ca(name, &key, name).sign(&key)).collect();
    let trusting = |number: usize| TrustedCas::among(cas[..number].iter().map(Vec::as_slice));
    assert!(is_quick(&text(16 << 10), &trusting(16)));
    assert!(!is_quick(&text((16 << 10) + 2), &trusting(0)));
    assert!(!is_quick(&text(0), &trusting(17)));
}

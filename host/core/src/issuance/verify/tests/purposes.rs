//! Extended key usages of the CAs above, which clients take as a limit.

use super::*;

const SERVER: &str = "1.3.6.1.5.5.7.3.1";
const CLIENT: &str = "1.3.6.1.5.5.7.3.2";
const CODE: &str = "1.3.6.1.5.5.7.3.3";
const ANY: &str = "2.5.29.37.0";

/// A leaf with these purposes (none where there are none), which are the ones that are asked for, below an intermediate
/// and a root with those.
fn issue(of_leaf: &[&str], of_intermediate: &[&str], of_root: &[&str]) -> (World, Vec<Vec<u8>>) {
    let mut world = World::new();
    let with = |mut ca: Template, ids: &[&str]| {
        if !ids.is_empty() {
            ca.extensions.push(purposes(ids));
        }
        ca.sign(&world.root_key)
    };
    let intermediate = with(Template::ca(INTERMEDIATE, &world.intermediate_key, ROOT), of_intermediate);
    let root = with(Template::ca(ROOT, &world.root_key, ROOT), of_root);
    let names = [(SERVER, "server auth"), (CLIENT, "client auth"), (CODE, "code signing"), (ANY, "any")];
    let asked = names.iter().filter(|(id, _)| of_leaf.contains(id)).map(|(_, name)| (*name).to_owned());
    world.request.usages.extend(asked);
    if !of_leaf.is_empty() {
        world.leaf.extensions.push(purposes(of_leaf));
    }
    let chain = vec![world.leaf(), intermediate, root];
    (world, chain)
}

#[test]
fn nothing_is_published_of_which_a_ca_above_leaves_no_purpose() {
    for (leaf, intermediate) in [
        (&[SERVER][..], &[CLIENT][..]),
        (&[SERVER, CLIENT], &[CODE]),
        (&[SERVER], &["1.2.3.4"]),
        (&[SERVER], &[CLIENT, CODE]),
    ] {
        let (mut world, chain) = issue(leaf, intermediate, &[]);
        refusal(world.verify(&chain, None), "extendedKeyUsage");
        world.policy = Verification { mode: Mode::Reported, allow: Difference::ALL.to_vec() };
        refusal(world.verify(&chain, None), "extendedKeyUsage");
        // Also where it is the intermediate that clients trust.
        refusal(world.verify(&chain[..1], Some(&chain[1..2])), "extendedKeyUsage");
    }
    let (world, chain) = issue(&[SERVER], &[CLIENT, CODE], &[]);
    assert_eq!(
        refusal(world.verify(&chain, None), "extendedKeyUsage"),
        "extendedKeyUsage: the certificate is for server auth; \"CN=Intermediate\" (serial 2a), above it, allows \
         client auth, code signing: clients take it for nothing"
    );
}

#[test]
fn a_purpose_that_is_left_is_enough_and_the_others_are_told() {
    let (mut world, chain) = issue(&[SERVER, CLIENT], &[SERVER, CODE], &[]);
    refusal(world.verify(&chain, None), "extendedKeyUsage");
    world.policy = Verification::default();
    let told: Vec<_> = world.verify(&chain, None).unwrap().warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "extendedKeyUsage: the certificate is for server auth, client auth; \"CN=Intermediate\" (serial 2a), above it, \
          allows server auth, code signing: clients take it for server auth alone"
        ]
    );
}

/// Go and OpenSSL go by it, rustls and Java do not.
#[test]
fn what_a_root_allows_is_told() {
    let (mut world, chain) = issue(&[SERVER], &[SERVER], &[CLIENT]);
    refusal(world.verify(&chain, None), "extendedKeyUsage");
    world.policy = Verification::default();
    let told = world.verify(&chain, None).unwrap().warnings[0].to_string();
    assert!(told.contains("\"CN=Root\" (serial 2a), above it, allows client auth"), "{told}");
}

#[test]
fn what_limits_nothing_is_fine() {
    for (leaf, intermediate, root) in [
        (&[SERVER][..], &[SERVER][..], &[][..]),
        (&[SERVER], &[SERVER, CLIENT], &[SERVER]),
        (&[SERVER], &[ANY], &[]),
        (&[SERVER], &[CLIENT, ANY], &[]),
        (&[SERVER], &[], &[]),
        // Without purposes it is for all of them, and nobody has asked for one.
        (&[], &[CLIENT], &[]),
        (&[ANY], &[CLIENT], &[]),
    ] {
        let (world, chain) = issue(leaf, intermediate, root);
        world.verify(&chain, None).unwrap();
    }
}

/// What counts is what the request wants the certificate for.
#[test]
fn purposes_that_the_ca_adds_or_leaves_out_do_not_help() {
    let (mut world, chain) = issue(&[SERVER, CLIENT], &[CLIENT], &[]);
    world.policy = Verification::default();
    world.verify(&chain, None).unwrap();
    world.request.usages.retain(|usage| usage != "client auth");
    refusal(world.verify(&chain, None), "extendedKeyUsage");

    let (mut world, chain) = issue(&[], &[CLIENT], &[]);
    world.policy = Verification::default();
    world.request.usages.push("server auth".into());
    refusal(world.verify(&chain, None), "extendedKeyUsage");
}

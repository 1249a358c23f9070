//! CAs as people have them in their Secrets: more certificates than one chain, in any order.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails panics")]

mod support;

use std::slice::from_ref;

use support::TestKey;
use support::ca::{Ca, accepted, refused};
use wasm_issuer_sdk::{Authority, pem};

fn keys<const N: usize>() -> [TestKey; N] {
    std::array::from_fn(|_| TestKey::p256())
}

/// All orders of so many things.
fn orders(n: usize) -> Vec<Vec<usize>> {
    let Some(last) = n.checked_sub(1) else { return vec![vec![]] };
    let insert = |order: Vec<usize>| {
        (0..n).map(move |at| {
            let mut order = order.clone();
            order.insert(at, last);
            order
        })
    };
    orders(last).into_iter().flat_map(insert).collect()
}

#[test]
fn the_order_does_not_matter() {
    let [root, first, second, own] = keys();
    let chain = [
        Ca::below(("Second", &second), "Own", &own).der(),
        Ca::below(("First", &first), "Second", &second).der(),
        Ca::below(("Root", &root), "First", &first).der(),
        Ca::root("Root", &root).der(),
    ];
    for order in orders(4) {
        let given: Vec<&Vec<u8>> = order.iter().map(|at| &chain[*at]).collect();
        assert_eq!(accepted(&own, &given, &[]), chain, "{order:?}");
        let (trusted, given) = given.split_first().unwrap();
        assert_eq!(accepted(&own, given, &[trusted]), chain, "{order:?}");
    }
}

#[test]
fn the_root_of_ca_crt_is_the_ca() {
    let [root, own] = keys();
    let (inter, root) = (Ca::below(("Root", &root), "Inter", &own).der(), Ca::root("Root", &root).der());
    assert_eq!(accepted(&own, &[&inter], &[&root]), [inter.clone(), root.clone()]);
    let answer = Authority::with_trusted(own.clone(), &[&inter], &[&root]).unwrap().certificate(&inter);
    assert_eq!(answer.chain, pem::encode_certificates([&inter, &inter]), "without the root");
    assert_eq!(answer.ca, Some(pem::encode_certificates([&root])));
    // One that signs itself is its own root, as cert-manager writes it.
    let own_root = Ca::root("Own", &own).der();
    assert_eq!(accepted(&own, &[&own_root], &[&own_root]), from_ref(&own_root));
}

#[test]
fn of_certificates_with_one_key_the_longest_lasting_is_taken() {
    let [root, own] = keys();
    let inter = Ca::below(("Root", &root), "Inter", &own).der();
    let old = Ca::root("Root", &root).years(2010, 2060).der();
    let new = Ca::root("Root", &root).years(2020, 2090).der();
    for pair in [[&old, &new], [&new, &old]] {
        assert_eq!(accepted(&root, &pair, &[]), from_ref(&new));
        assert_eq!(accepted(&own, &[&inter, pair[0], pair[1]], &[]), [inter.clone(), new.clone()]);
        assert_eq!(accepted(&own, &[&inter], &pair), [inter.clone(), new.clone()]);
    }
}

#[test]
fn an_expired_root_beside_another_does_not_matter_and_alone_is_left_out() {
    let [root, own] = keys();
    let inter = Ca::below(("Root", &root), "Inter", &own).der();
    let old = Ca::root("Root", &root).years(2010, 2020).der();
    let new = Ca::root("Root", &root).years(2020, 2050).der();
    let next = Ca::root("Root", &root).years(2200, 2250).der();
    assert_eq!(accepted(&root, &[&old, &next, &new], &[]), from_ref(&new));
    assert_eq!(accepted(&own, &[&inter, &old, &new], &[]), [inter.clone(), new.clone()]);
    assert_eq!(accepted(&own, &[&inter, &old], &[]), from_ref(&inter));
    assert_eq!(accepted(&own, &[&inter], &[&old]), from_ref(&inter));
    assert_eq!(accepted(&own, &[&inter], &[&next]), from_ref(&inter));
}

#[test]
fn cross_signed_certificates_lead_to_the_root_that_fits_best() {
    let [a, b, own] = keys();
    let by_a = Ca::below(("A", &a), "Inter", &own).years(2020, 2060).der();
    let by_b = Ca::below(("B", &b), "Inter", &own).years(2020, 2050).der();
    let (root_a, root_b) = (Ca::root("A", &a).der(), Ca::root("B", &b).der());
    assert_eq!(accepted(&own, &[&by_b, &by_a, &root_a, &root_b], &[]), [by_a.clone(), root_a.clone()]);
    assert_eq!(accepted(&own, &[&by_a, &by_b], &[&root_b]), [by_b.clone(), root_b.clone()]);
    assert_eq!(accepted(&own, &[&by_a, &by_b, &root_a], &[&root_b]), [by_b.clone(), root_b.clone()]);
    // It stands in tls.crt too.
    let given = [&by_a, &by_b, &root_a, &root_b];
    assert_eq!(accepted(&own, &given, &[&root_b]), [by_b.clone(), root_b.clone()]);
    let expired = Ca::root("A", &a).years(2010, 2020).der();
    assert_eq!(accepted(&own, &[&by_a, &by_b, &expired, &root_b], &[]), [by_b.clone(), root_b.clone()]);

    // The new root below the old one that clients have.
    let cross = Ca::below(("A", &a), "B", &b).der();
    let all = [by_b.clone(), cross.clone(), root_a.clone()];
    assert_eq!(accepted(&own, &[&by_b, &cross], &[&root_a]), all);
    assert_eq!(accepted(&own, &[&by_b, &cross, &root_a, &root_b], &[]), [by_b.clone(), root_b.clone()]);
    assert_eq!(accepted(&own, &[&by_b, &cross, &root_b], &[&root_a]), all);
}

#[test]
fn a_new_key_of_the_same_name_signed_with_the_old_one_is_an_intermediate() {
    let [old, new, own] = keys();
    let inter = Ca::below(("Root", &new), "Inter", &own).der();
    let new_with_old = Ca::below(("Root", &old), "Root", &new).der();
    let root = Ca::root("Root", &old).der();
    assert_eq!(
        accepted(&own, &[&inter, &new_with_old], &[&root]),
        [inter, new_with_old.clone(), root.clone()]
    );
    assert_eq!(accepted(&new, &[&new_with_old], &[]), from_ref(&new_with_old));
    assert_eq!(accepted(&new, &[&root, &new_with_old], &[]), [new_with_old, root]);
}

#[test]
fn what_is_not_of_the_chain_does_not_matter() {
    let [root, other, own, expired] = keys();
    let (inter, root) = (Ca::below(("Root", &root), "Inter", &own).der(), Ca::root("Root", &root).der());
    let namesake = Ca::root("Root", &other).der();
    let unrelated = Ca::root("Other", &other).der();
    let leaf = Ca::below(("Root", &other), "web", &other).kind(rcgen::IsCa::NoCa).der();
    let expired = Ca::root("Expired", &expired).years(2010, 2020).der();
    let chain = [inter.clone(), root.clone()];
    assert_eq!(accepted(&own, &[&namesake, &inter, &unrelated, &root, &leaf, &inter, &expired], &[]), chain);
    assert_eq!(accepted(&own, &[&inter, &unrelated, &inter], &[&expired, &namesake, &root, &root]), chain);
    assert_eq!(accepted(&own, &[&inter, &root], &[&unrelated]), chain);
}

/// Ten certificates more are refused: at some length it is a mistake.
#[test]
fn a_chain_may_be_long() {
    let keys: Vec<TestKey> = (0..22).map(|_| TestKey::p256()).collect();
    let names: Vec<String> = (0..keys.len()).map(|n| format!("CA {n}")).collect();
    let below = |at: usize| {
        let above = at.saturating_sub(1);
        Ca::below((&names[above], &keys[above]), &names[at], &keys[at]).der()
    };
    let all: Vec<Vec<u8>> = (0..keys.len()).map(below).collect();
    for length in [12, 20] {
        let given: Vec<&Vec<u8>> = all[..length].iter().collect();
        let chain: Vec<Vec<u8>> = all[..length].iter().rev().cloned().collect();
        assert_eq!(accepted(&keys[length - 1], &given, &[]), chain);
    }
    for length in [21, 22] {
        let message = refused(&keys[length - 1], &all[..length].iter().collect::<Vec<_>>(), &[]);
        assert!(message.starts_with("the chain is longer than 20 certificates, up to \"CN=CA "), "{message}");
    }
}

/// No root, and a way that never ends.
#[test]
fn authorities_that_have_signed_each_other_are_passed_once() {
    let [a, b, own] = keys();
    let inter = Ca::below(("A", &a), "Inter", &own).der();
    let a_by_b = Ca::below(("B", &b), "A", &a).der();
    let b_by_a = Ca::below(("A", &a), "B", &b).der();
    assert_eq!(accepted(&own, &[&b_by_a, &inter, &a_by_b], &[]), [inter, a_by_b, b_by_a]);
}

/// Twelve authorities that all have signed each other: far more paths than anybody looks at.
#[test]
fn a_mesh_of_cross_signatures_comes_to_an_end() {
    let keys: [TestKey; 12] = keys();
    let names: Vec<String> = (0..keys.len()).map(|n| format!("CA {n}")).collect();
    let mut mesh = vec![Ca::root(&names[11], &keys[11]).der()];
    for (name, key) in names.iter().zip(&keys) {
        for (issuer, issuer_key) in names.iter().zip(&keys).filter(|(issuer, _)| *issuer != name) {
            mesh.push(Ca::below((issuer, issuer_key), name, key).der());
        }
    }
    let chain = accepted(&keys[0], &mesh.iter().collect::<Vec<_>>(), &[]);
    assert_eq!(chain.last(), mesh.first());
}

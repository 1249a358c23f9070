//! The chain and the CA certificates.

use jiff::ToSpan;

use super::*;

#[test]
fn every_kind_of_ca_key_verifies() {
    use Algorithm::*;
    for algorithm in [EcdsaP256Sha256, EcdsaP384Sha384, EcdsaP521Sha512, Ed25519] {
        let mut world = World::new();
        world.intermediate_key = PrivateKey::generate(algorithm).unwrap();
        world.root_key = PrivateKey::generate(algorithm).unwrap();
        world.issue().unwrap();
    }
    for algorithm in [&rcgen::PKCS_RSA_SHA256, &rcgen::PKCS_RSA_SHA512] {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let mut world = World::new();
        world.root_key = PrivateKey::from_pem(key.serialize_pem().as_bytes()).unwrap();
        world.issue().unwrap();
    }
}

#[test]
fn a_chain_made_by_rcgen_is_published() {
    let root_key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let root = rcgen::CertifiedIssuer::self_signed(params, root_key).unwrap();

    let key = rcgen::KeyPair::generate().unwrap();
    let mut params =
        rcgen::CertificateParams::new(vec!["a.example".to_owned(), "192.0.2.1".to_owned()]).unwrap();
    let csr = params.serialize_request(&key).unwrap();
    params.not_before = rcgen::date_time_ymd(2030, 1, 1);
    params.not_after = rcgen::date_time_ymd(2030, 4, 1);
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    let leaf = params.signed_by(&key, &root).unwrap();

    let mut world = World::new();
    world.request.csr = Csr::from_pem_or_der(csr.der()).unwrap();
    let signed = Signed { chain: leaf.pem(), ca: Some(root.pem()) };
    let verified = world.verify_text(&signed).unwrap();
    assert_eq!(verified.certificate, leaf.pem().replace("\r\n", "\n"));
}

#[test]
fn a_leaf_alone_is_published_with_its_ca_and_without() {
    let world = World::new();
    let (leaf, ca) = ([world.leaf()], [world.intermediate()]);
    let verified = world.verify(&leaf, None).unwrap();
    assert_eq!((verified.certificate, verified.ca), (pems(&leaf), None));
    let verified = world.verify(&leaf, Some(&ca)).unwrap();
    assert_eq!((verified.certificate, verified.ca), (pems(&leaf), Some(pems(&ca))));
}

#[test]
fn an_intermediate_may_be_its_own_ca_and_a_leaf_may_not() {
    let world = World::new();
    let (leaf, intermediate) = (world.leaf(), world.intermediate());
    let chain = [leaf.clone(), intermediate.clone()];
    let verified = world.verify(&chain, Some(std::slice::from_ref(&intermediate))).unwrap();
    assert_eq!((verified.certificate, verified.ca), (pems(&chain), Some(pems(&[intermediate]))));
    refusal(world.verify(std::slice::from_ref(&leaf), Some(std::slice::from_ref(&leaf))), "ca");
}

#[test]
fn the_root_leaves_the_chain_and_becomes_the_ca_only_where_none_is_given() {
    let world = World::new();
    let (leaf, intermediate, root) = (world.leaf(), world.intermediate(), world.root());
    let chain = [leaf.clone(), intermediate.clone(), root.clone()];
    let short = pems(&[leaf.clone(), intermediate.clone()]);
    let bundle = [Template::ca("Old root", &world.key, "Old root").sign(&world.key), root.clone()];
    let verified = world.verify(&chain, Some(&bundle)).unwrap();
    assert_eq!((verified.certificate, verified.ca), (short.clone(), Some(pems(&bundle[1..]))));
    let verified = world.verify(&[leaf, intermediate, root.clone(), root.clone()], None).unwrap();
    assert_eq!((verified.certificate, verified.ca), (short, Some(pems(&[root]))));
}

#[test]
fn an_old_root_with_a_sha1_signature_is_a_root_but_vouches_for_no_such_intermediate() {
    let world = World::new();
    let sha1 = tlv(SEQUENCE, &[&oid("1.2.840.10045.4.1")]);
    let root = Template::ca(ROOT, &world.root_key, ROOT).sign_as(&sha1, &world.root_key);
    let chain = [world.leaf(), world.intermediate(), root.clone()];
    let verified = world.verify(&chain, None).unwrap();
    assert_eq!((verified.certificate, verified.ca), (pems(&chain[..2]), Some(pems(&chain[2..]))));
    let weak = Template::ca(INTERMEDIATE, &world.intermediate_key, ROOT).sign_as(&sha1, &world.root_key);
    let text = refusal(world.verify(&[world.leaf(), weak, root], None), "chain");
    assert!(text.contains("algorithm 1.2.840.10045.4.1 is not accepted"), "{text}");
}

#[test]
fn a_self_issued_intermediate_is_no_root() {
    // A CA's new key, vouched for by its old one (RFC 4210 section 4.4).
    let world = World::new();
    for algorithm in [Algorithm::EcdsaP256Sha256, Algorithm::Ed25519] {
        let new_key = PrivateKey::generate(algorithm).unwrap();
        let new_with_old = Template::ca(INTERMEDIATE, &new_key, INTERMEDIATE).sign(&world.intermediate_key);
        let chain = [world.leaf.sign(&new_key), new_with_old, world.intermediate()];
        let verified = world.verify(&chain, Some(&[world.root()])).unwrap();
        assert_eq!(verified.certificate, pems(&chain));
        assert_eq!(world.verify(&chain[..2], None).unwrap().certificate, pems(&chain[..2]));
    }
}

#[test]
fn chains_out_of_order_are_refused() {
    let world = World::new();
    let (leaf, intermediate, root) = (world.leaf(), world.intermediate(), world.root());
    let text = refusal(world.verify(&[leaf.clone(), root.clone(), intermediate.clone()], None), "chain");
    assert!(
        text.starts_with(
            "chain: certificate 1, \"CN=a.example\" (serial 2a), does not belong under the next, \
             \"CN=Root\" (serial 2a): its issuer is \"CN=Intermediate\""
        ),
        "{text}"
    );
    refusal(world.verify(&[leaf.clone(), root.clone()], None), "chain");
    refusal(world.verify(&[leaf.clone(), intermediate.clone(), intermediate.clone()], None), "chain");
    refusal(world.verify(&[leaf.clone(), leaf.clone(), intermediate.clone()], None), "chain");
    refusal(world.verify(&[intermediate, leaf, root], None), "publicKey");
}

#[test]
fn the_right_name_with_the_wrong_key_is_refused() {
    let world = World::new();
    let impostor = Template::ca(INTERMEDIATE, &fixtures::key(), ROOT).sign(&world.root_key);
    let text = refusal(world.verify(&[world.leaf(), impostor.clone()], None), "chain");
    assert!(text.ends_with("the signature does not verify"), "{text}");
    refusal(world.verify(&[world.leaf()], Some(&[impostor])), "ca");
}

#[test]
fn only_ca_certificates_sign() {
    let world = World::new();
    let with = |extensions: &[Vec<u8>]| {
        let mut ca = Template::ca(INTERMEDIATE, &world.intermediate_key, ROOT);
        ca.extensions = extensions.to_vec();
        world.verify(&[world.leaf(), ca.sign(&world.root_key)], None)
    };
    with(&[ca_flag()]).unwrap();
    refusal(with(&[]), "chain");
    refusal(with(&[ca_usage()]), "chain");
    refusal(with(&[ca_flag(), usage()]), "chain");
    refusal(with(&[extension("2.5.29.19", &[SEQUENCE, 0]), ca_usage()]), "chain");
}

#[test]
fn a_root_of_version_1_signs_but_no_such_intermediate() {
    let world = World::new();
    let version_1 = |subject: &str, key: &PrivateKey, issuer: &str| {
        let mut template = Template::ca(subject, key, issuer);
        (template.version, template.extensions) = (vec![], vec![]);
        template
    };
    let root = version_1(ROOT, &world.root_key, ROOT).sign(&world.root_key);
    world.verify(&[world.leaf(), world.intermediate(), root.clone()], None).unwrap();
    world.verify(&[world.leaf(), world.intermediate()], Some(&[root])).unwrap();
    let intermediate = version_1(INTERMEDIATE, &world.intermediate_key, ROOT).sign(&world.root_key);
    refusal(world.verify(&[world.leaf(), intermediate], None), "chain");
}

#[test]
fn path_lengths_are_kept() {
    let world = World::new();
    let root = |path_len: u8| {
        let mut root = Template::ca(ROOT, &world.root_key, ROOT);
        root.extensions[0] = extension("2.5.29.19", &[SEQUENCE, 6, 1, 1, 0xff, 2, 1, path_len]);
        root.sign(&world.root_key)
    };
    let chain = [world.leaf(), world.intermediate()];
    world.verify(&chain, Some(&[root(1)])).unwrap();
    let text = refusal(world.verify(&chain, Some(&[root(0)])), "ca");
    assert!(text.contains("1 intermediates are more than the latter's pathLenConstraint allows"), "{text}");
    world.verify(&[chain.as_slice(), &[root(1)]].concat(), None).unwrap();
    refusal(world.verify(&[chain.as_slice(), &[root(0)]].concat(), None), "chain");
}

#[test]
fn an_unrelated_ca_is_refused_naming_both() {
    let world = World::new();
    let other = fixtures::key();
    let unrelated = Template::ca("Somebody else", &other, "Somebody else").sign(&other);
    let chain = [world.leaf(), world.intermediate()];
    let text = refusal(world.verify(&chain, Some(&[unrelated.clone(), unrelated])), "ca");
    assert_eq!(
        text,
        "ca: it holds \"CN=Somebody else\", \"CN=Somebody else\", of which none vouches for the chain's last \
         certificate, \"CN=Intermediate\" (serial 2a): its issuer is \"CN=Root\""
    );
}

#[test]
fn self_signed_leaves_are_refused() {
    let mut world = World::new();
    world.leaf.issuer = world.leaf.subject.clone();
    let text = refusal(world.verify(&[world.leaf.sign(&world.key)], None), "chain");
    assert!(text.contains("self-signed"), "{text}");
    // A CA that has the name of the leaf is odd, but not that.
    world.verify(&[world.leaf()], None).unwrap();
}

#[test]
fn everything_is_valid_now() {
    let mut world = World::new();
    world.policy = Verification::default();
    world.leaf.not_after = now();
    let text = refusal(world.issue(), "validity");
    assert!(text.ends_with("expired at 2030-01-02T03:04:05Z; now is 2030-01-02T03:04:05Z"), "{text}");
    world.leaf.not_after = now() + 1.second();
    world.issue().unwrap();
    world.leaf.not_after = now() + 2.hours();
    world.leaf.not_before = now() + 5.minutes();
    world.issue().unwrap();
    world.leaf.not_before = now() + 301.seconds();
    let text = refusal(world.issue(), "validity");
    assert!(text.contains("is not valid before 2030-01-02T03:09:06Z"), "{text}");

    let world = World::new();
    let mut expired = Template::ca(INTERMEDIATE, &world.intermediate_key, ROOT);
    (expired.not_before, expired.not_after) = (now() - 48.hours(), now() - 24.hours());
    let expired = expired.sign(&world.root_key);
    refusal(world.verify(&[world.leaf(), expired.clone()], None), "validity");
    let text = refusal(world.verify(&[world.leaf()], Some(std::slice::from_ref(&expired))), "ca");
    assert!(text.contains("expired at"), "{text}");
    world.verify(&[world.leaf()], Some(&[expired, world.intermediate()])).unwrap();
}

#[test]
fn a_certificate_without_an_end_is_published() {
    let mut world = World::new();
    world.policy = Verification::default();
    world.policy.allow = vec![Difference::OutlivesIssuer];
    world.leaf.not_after = Timestamp::MAX;
    let verified = world.issue().unwrap();
    assert_eq!(verified.not_after.as_second(), Timestamp::MAX.as_second());
    assert_eq!(chain::timestamp(Duration::from_secs(253_402_300_799)), Timestamp::MAX, "99991231235959Z");
}

#[test]
fn sizes_are_bounded() {
    let world = World::new();
    let root = world.root();
    let most = [vec![world.leaf(), world.intermediate()], vec![root.clone(); 19]].concat();
    world.verify(&most, None).unwrap();
    let text = refusal(world.verify(&[most.clone(), vec![root.clone()]].concat(), None), "chain");
    assert_eq!(text, "chain: it is not PEM: it holds more PEM blocks than 21");
    refusal(world.verify(&[world.leaf(), world.intermediate()], Some(&vec![root; 22])), "ca");
    let text = |chain: &str, ca: Option<&str>| {
        world.verify_text(&Signed { chain: chain.to_owned(), ca: ca.map(str::to_owned) })
    };
    refusal(text(&"A".repeat(1 << 20), None), "chain");
    refusal(text(&"-----BEGIN ".repeat(20_000), None), "chain");
    refusal(text(&pems(&[vec![0x30; 70_000]]), None), "chain");
    refusal(text(&pems(&[tlv(SEQUENCE, &[&[0; 65_535]])]), None), "chain");
    refusal(text(&pems(&[world.leaf()]), Some(&"A".repeat(1 << 20))), "ca");
}

#[test]
fn only_certificates_are_read() {
    let world = World::new();
    let (leaf, root) = (pems(&[world.leaf()]), world.root());
    let text = |chain: &str, ca: Option<&str>| {
        world.verify_text(&Signed { chain: chain.to_owned(), ca: ca.map(str::to_owned) })
    };
    refusal(text("", None), "chain");
    refusal(text(&leaf, Some("")), "ca");
    refusal(text(&leaf, Some("no PEM")), "ca");
    let with_key = format!("{leaf}{}", pem::encode("PRIVATE KEY", b"secret"));
    assert_eq!(
        refusal(text(&with_key, None), "chain"),
        "chain: it holds a PEM block \"PRIVATE KEY\" among the certificates"
    );
    refusal(text(&pem::encode("CERTIFICATE", world.request.csr.der()), None), "chain");
    refusal(text(&pems(&[[world.leaf(), vec![0]].concat()]), None), "chain");
    // Text around the blocks, other line ends: as CAs send them. What is published is clean.
    let intermediate = pems(&[world.intermediate()]);
    let decorated =
        format!("subject=a.example\n{leaf}\n\nissuer: somebody\n{intermediate}\nend").replace('\n', "\r\n");
    let verified = text(&decorated, Some(&pems(&[root]))).unwrap();
    assert_eq!(verified.certificate, leaf + &intermediate);
}

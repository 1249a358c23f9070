//! Extensions that the CSR itself asks for.

use super::*;

const MUST_STAPLE: &str = "1.3.6.1.5.5.7.1.24";

/// The answer to a CSR that asks for one extension beyond its names, with another one in it.
fn issue(asked: &[u8], given: &[u8]) -> Result<Verified, Mismatch> {
    let mut world = World::new();
    let extensions = [san(&[dns("a.example"), dns("b.example")]), asked.to_vec()];
    world.request.csr = Csr::from_pem_or_der(&csr(&world.key, &cn("a.example"), &extensions)).unwrap();
    world.leaf.extensions.push(given.to_vec());
    world.issue()
}

#[test]
fn a_purpose_that_is_asked_for_by_oid_may_be_there() {
    issue(&purposes(&["1.2.3.4"]), &purposes(&["1.2.3.4"])).unwrap();
    refusal(issue(&purposes(&["1.2.3.4"]), &purposes(&["1.2.3.5"])), "extendedKeyUsage");
}

#[test]
fn must_staple_that_is_asked_for_may_be_there() {
    let must_staple = extension(MUST_STAPLE, &[SEQUENCE, 3, 2, 1, 5]);
    issue(&must_staple, &must_staple).unwrap();
    issue(&critical(MUST_STAPLE, &[SEQUENCE, 3, 2, 1, 5]), &must_staple).unwrap();
    let another = extension(MUST_STAPLE, &[SEQUENCE, 3, 2, 1, 17]);
    refusal(issue(&must_staple, &another), "extensions");
    refusal(issue(&extension("1.2.3", &[SEQUENCE, 3, 2, 1, 5]), &must_staple), "extensions");
    // Clients refuse what is critical and they do not know.
    refusal(issue(&must_staple, &critical(MUST_STAPLE, &[SEQUENCE, 3, 2, 1, 5])), "extensions");
}

#[test]
fn what_may_mean_a_power_is_not_given_for_the_asking() {
    for (what, id) in [
        ("a user's SID, by which Active Directory knows a holder", "1.3.6.1.4.1.311.25.2"),
        ("Microsoft's application policies", "1.3.6.1.4.1.311.21.10"),
        ("Netscape's type, which OpenSSL honours", "2.16.840.1.113730.1.1"),
        ("a delegation of TLS credentials", "1.3.6.1.4.1.44363.44"),
        ("no revocation", "1.3.6.1.5.5.7.48.1.5"),
        ("what narrows a CA, for no CA", "2.5.29.36"),
        ("anything", "1.2.3"),
    ] {
        let extension = extension(id, &[SEQUENCE, 0]);
        let text = refusal(issue(&extension, &extension), "extensions");
        assert!(text.ends_with(&format!("the certificate has {id}")), "{what}: {text}");
    }
    refusal(issue(&ca_flag(), &ca_flag()), "basicConstraints");
}

//! What the in-memory CA publishes, for CA Secrets and CSRs of every kind, is believed by the clients that trust its CA: by
//! Go, OpenSSL and Java, each verifying a chain in its own way. And what this operator says of CA Secrets is what
//! cert-manager's CA issuer says. Run by `make test-oracle`; a client that is not there is skipped, which the summary of
//! `make test` counts.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the other tests use more of it")]
mod support;

mod authorities;
mod clients;
mod publish;
mod requests;
mod secrets;

use clients::{Client, Go, Java, OpenSsl};
use publish::{Published, published};

/// A pair of verdicts that is meant to differ.
struct Difference {
    client: &'static str,
    /// Part of the CA's or the request's name.
    what: &'static str,
    /// Part of what the client says, or, where it believes what is refused here, of what we say.
    said: &'static str,
    why: &'static str,
}

const fn difference(
    client: &'static str,
    what: &'static str,
    said: &'static str,
    why: &'static str,
) -> Difference {
    Difference { client, what, said, why }
}

const DIFFERENCES: &[Difference] = &[
    difference(
        "go",
        "principal name without a subject",
        "unhandled critical extension",
        "Go knows no other names, and RFC 5280 section 4.2.1.6 wants the names critical where there is no subject",
    ),
    difference(
        "go",
        "root for clients",
        "incompatible key usage",
        "rustls and Java read no usages of a root; it is reported",
    ),
    difference(
        "openssl",
        "root for clients",
        "unsuitable certificate purpose",
        "rustls and Java read no usages of a root; it is reported",
    ),
    difference(
        "go",
        "critical extension of the root",
        "unhandled critical extension",
        "rustls and Java let a root have them; it is reported",
    ),
    difference(
        "openssl",
        "critical extension of the root",
        "unhandled critical extension",
        "rustls and Java let a root have them; it is reported",
    ),
    difference(
        "openssl",
        "for anything",
        "unsuitable certificate purpose",
        "RFC 5280 section 4.2.1.12 has anyExtendedKeyUsage, and Go reads it",
    ),
    difference(
        "java",
        "cipher only",
        "incorrect KeyUsage extension bits",
        "RFC 5280 section 4.2.1.3 leaves it undefined without key agreement, and it was asked for",
    ),
    difference(
        "java",
        "excluded names of the root",
        "do not allow DNS:a.example",
        "Java reads no constraints of a root",
    ),
    difference(
        "java",
        "for clients",
        "clients take it for nothing",
        "Java's PKIX validation knows no purposes",
    ),
];

impl Difference {
    fn is_about(&self, one: &Published, said: &str) -> bool {
        one.what.contains(self.what) && said.contains(self.said)
    }
}

/// What is published is believed, and what is refused is not; else it is one of the differences, each of which is seen.
async fn compare(client: &mut dyn Client) {
    if let Some(missing) = client.is_missing() {
        eprintln!("test {}_believes_what_is_published is skipped: {missing}", client.name());
        return;
    }
    let all = published().await;
    let mut counts = [[0; 2]; 2];
    let name = client.name();
    let differences = || DIFFERENCES.iter().filter(|it| it.client == name);
    let mut seen = vec![0; differences().count()];
    let mut wrong = Vec::new();
    let verdicts = client.verify(all);
    assert_eq!(verdicts.len(), all.len());
    for (one, verdict) in all.iter().zip(&verdicts) {
        counts[usize::from(one.refused.is_none())][usize::from(verdict.is_ok())] += 1;
        let said = match (&one.refused, verdict) {
            (None, Err(said)) | (Some(said), Ok(())) => said,
            _ => continue,
        };
        match differences().position(|it| it.is_about(one, said)) {
            Some(at) => seen[at] += 1,
            None => wrong
                .push(format!("{}\nours: {:?}\n{name}: {verdict:?}\n{}", one.what, one.refused, one.chain)),
        }
    }
    let [[neither, stricter], [laxer, both]] = counts;
    eprintln!(
        "{name}: believed by both {both}, by neither {neither}, by it alone {stricter}, by us alone {laxer}; meant: {seen:?}"
    );
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong[..wrong.len().min(10)].join("\n"));
    assert!(both > 150, "{both} are few");
    for (difference, seen) in differences().zip(seen) {
        assert!(seen > 0, "nothing differs because {} ({:?})", difference.why, difference.said);
    }
}

#[tokio::test]
#[ignore = "needs Go"]
async fn go_believes_what_is_published() {
    compare(&mut Go::start()).await;
}

#[tokio::test]
#[ignore = "needs OpenSSL"]
async fn openssl_believes_what_is_published() {
    compare(&mut OpenSsl).await;
}

#[tokio::test]
#[ignore = "needs Java"]
async fn java_believes_what_is_published() {
    compare(&mut Java).await;
}

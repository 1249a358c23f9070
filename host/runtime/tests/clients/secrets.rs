//! What `check` says of CA Secrets and what cert-manager's CA issuer, which signs with them, says: the same, or one of the
//! differences that are meant. The Secrets are those of the other tests, and what becomes of them when people mend them.
//!
//! `ORACLE_SEED` makes the same ones again, `ORACLE_SECRETS` says how many.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use oracle_fixture::{Oracle, Random};
use wasm_issuer_core::issuance::verify::chain::check_validity;
use wasm_issuer_core::x509::{Certificate, pem};

use crate::authorities::{self, Ca};
use crate::publish::{plugin, session};
use crate::requests::server;

type Secret = Vec<(&'static str, Vec<u8>)>;
/// The CA that is published, PEM, or why none is.
type Verdict = Result<Vec<u8>, String>;

/// A difference that is meant: part of what we say and of what cert-manager says, empty where it is accepted.
struct Difference {
    ours: &'static str,
    theirs: &'static str,
    why: &'static str,
}

const fn accepted(theirs: &'static str, why: &'static str) -> Difference {
    Difference { ours: "", theirs, why }
}

const fn refused(ours: &'static str, why: &'static str) -> Difference {
    Difference { ours, theirs: "", why }
}

const DIFFERENCES: &[Difference] = &[
    accepted("doesn't match parent's PublicKey", "certificates may stand in any order"),
    accepted(
        "certificate chain is malformed or broken",
        "there may be others than one chain's, and several ways up",
    ),
    accepted("error parsing X.509 certificate", "what is not of the chain does not matter"),
    accepted("no valid certificates found", "the CA's certificate may stand in ca.crt alone"),
    refused("PEM block", "a block that is damaged is told: cert-manager skips it"),
    refused("expired at", "nobody believes what it signs"),
    refused("is not valid before", "nobody believes what it signs yet"),
    refused("(pathLenConstraint)", "nobody believes what it signs"),
    refused("malformed ASN.1 DER value for UTCTime", "the SDK's parser has no time before 1970"),
];

impl Difference {
    fn is(&self, ours: &Verdict, theirs: &Verdict) -> bool {
        let fits = |part: &str, said: &Verdict| match said {
            Ok(_) => part.is_empty(),
            Err(error) => !part.is_empty() && error.contains(part),
        };
        fits(self.ours, ours) && fits(self.theirs, theirs)
    }
}

/// What somebody does to a Secret.
fn changed(secret: &Secret, others: &[Secret], random: &mut Random) -> Secret {
    let mut values: BTreeMap<&'static str, Vec<u8>> = secret.iter().cloned().collect();
    for _ in 0..=random.below(2) {
        let mut certificates = blocks(&values["tls.crt"]);
        let at = random.below(certificates.len().max(1));
        let other = &others[random.below(others.len())];
        let foreign = || blocks(value(other, "tls.crt").unwrap());
        match random.below(9) {
            0 if !certificates.is_empty() => _ = certificates.remove(at),
            1 => certificates.reverse(),
            2 => certificates.extend(certificates.get(at).cloned()),
            3 => certificates.extend(foreign()),
            4 => _ = values.insert("ca.crt", foreign().concat()),
            5 => _ = values.remove("ca.crt"),
            6 => values.extend(certificates.pop().map(|top| ("ca.crt", top))),
            7 => values.extend(other.iter().filter(|(key, _)| *key == "tls.key").cloned()),
            _ => {
                if let Some(one) = certificates.get_mut(at) {
                    *one = random.mutate(one);
                }
            }
        }
        values.insert("tls.crt", certificates.concat());
    }
    values.into_iter().collect()
}

fn value<'s>(secret: &'s Secret, wanted: &str) -> Option<&'s [u8]> {
    secret.iter().find(|(key, _)| *key == wanted).map(|(_, value)| value.as_slice())
}

/// The PEM blocks of a text that holds nothing else.
fn blocks(text: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(text);
    let end = "-----END CERTIFICATE-----\n";
    text.split_inclusive(end).map(|block| block.as_bytes().to_vec()).collect()
}

/// Such as no issuer is to work with.
fn unfit() -> Vec<(String, Secret)> {
    let (root, own) = (Ca::new("Root"), Ca::new("Own"));
    let mut leaf = Ca::new("Leaf");
    leaf.params.is_ca = rcgen::IsCa::ExplicitNoCa;
    let mut no_usage = Ca::new("Own");
    no_usage.params.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    let years = |from, to| {
        let mut ca = Ca::new("Own");
        (ca.params.not_before, ca.params.not_after) =
            (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(to, 1, 1));
        ca.secret(&[&ca.root()], &[])
    };
    let mut childless = Ca::new("Root");
    childless.params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    let middle = Ca::new("Middle");
    let text = |text: &str| text.as_bytes().to_vec();
    let (inter, top) = (own.below(&root), root.root());
    let with = |key: &'static str, value: &str| {
        let mut secret = own.secret(&[&inter], &[&top]);
        secret.retain(|(name, _)| *name != key);
        secret.push((key, text(value)));
        secret
    };
    let without = |key: &str| {
        let secret = own.secret(&[&inter], &[&top]);
        secret.into_iter().filter(|(name, _)| *name != key).collect::<Vec<_>>()
    };
    [
        ("no CA", leaf.secret(&[&leaf.root()], &[])),
        ("no cert sign", no_usage.secret(&[&no_usage.root()], &[])),
        ("expired", years(2010, 2020)),
        ("not yet valid", years(2090, 2099)),
        ("valid since before 1970", years(1960, 2049)),
        (
            "a path that is too long",
            own.secret(&[&own.below(&middle), &middle.below(&childless)], &[&childless.root()]),
        ),
        (
            "an unrelated one without a key",
            own.secret(&[&inter, &top, &without_a_key(&Ca::new("Other").root())], &[]),
        ),
        (
            "a damaged block",
            own.secret(&[&inter, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"], &[&top]),
        ),
        ("all in ca.crt", own.secret(&[""], &[&own.root()])),
        ("another key", with("tls.key", &root.key.serialize_pem())),
        ("a key that is none", with("tls.key", "hunter2")),
        (
            "a certificate that is none",
            with("tls.crt", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"),
        ),
        ("text for a certificate", with("tls.crt", "hunter2")),
        ("text for ca.crt", with("ca.crt", "hunter2")),
        ("an unrelated ca.crt", with("ca.crt", &Ca::new("Other").root())),
        ("no key", without("tls.key")),
        ("no certificate", without("tls.crt")),
    ]
    .map(|(name, secret)| (name.to_owned(), secret))
    .into()
}

/// The certificate with a public key that is no point of its curve.
fn without_a_key(certificate: &str) -> String {
    let (blocks, _) = pem::blocks(certificate.as_bytes(), 1).unwrap();
    let mut der = blocks[0].decode().unwrap().to_vec();
    let key = Certificate::parse(&der).unwrap().spki_der().to_vec();
    let at = der.windows(key.len()).position(|window| window == key).unwrap() + key.len();
    der[at - 16..at].fill(0);
    pem::encode("CERTIFICATE", &der)
}

fn inputs(random: &mut Random) -> Vec<(String, Secret)> {
    let mut all: Vec<_> = authorities::all().into_iter().map(|it| (it.name, it.secret)).collect();
    let folders = authorities::case_folders();
    all.extend(folders.iter().map(|folder| (folder.display().to_string(), authorities::case(folder))));
    all.extend(unfit());
    let sources: Vec<Secret> =
        all.iter().map(|(_, secret)| secret.clone()).filter(|it| value(it, "tls.crt").is_some()).collect();
    let count = std::env::var("ORACLE_SECRETS").map_or(1000, |count| count.parse().unwrap());
    for number in 0..count {
        let source = &sources[random.below(sources.len())];
        all.push((format!("changed {number}"), changed(source, &sources, random)));
    }
    all
}

/// Both sign: whether clients get to trust the same CA. We leave out one that is not valid now; where a CA has several
/// certificates, and so there are several ways up, we take one that leads to a root, lasts longest and is shortest, whatever
/// cert-manager takes; and we read all of ca.crt, of which cert-manager reads the first.
fn is_same_ca(secret: &Secret, ours: &[u8], theirs: &[u8]) -> bool {
    let ders = |text: &[u8]| {
        // There is none in an empty one.
        let blocks = pem::blocks(text, usize::MAX).map(|(blocks, _)| blocks).unwrap_or_default();
        blocks.iter().map(|block| block.decode().unwrap().to_vec()).collect::<Vec<_>>()
    };
    let (ours, theirs) = (ders(ours), ders(theirs));
    let ca = Certificate::parse(&theirs[0]).unwrap();
    let is_valid = check_validity(std::slice::from_ref(&ca), SystemTime::now().try_into().unwrap()).is_ok();
    let of = |key: &str| ders(value(secret, key).unwrap_or_default());
    let given: BTreeSet<_> = [of("tls.crt"), of("ca.crt")].concat().into_iter().collect();
    let given: Vec<_> = given.iter().filter_map(|der| Certificate::parse(der).ok()).collect();
    let names: BTreeSet<_> = given.iter().map(|it| it.subject_der()).collect();
    let has_several_ways = names.len() < given.len();
    ours == theirs || !is_valid || has_several_ways || of("ca.crt").len() > 1
}

#[derive(Default)]
struct Comparison {
    agreed: [usize; 2],
    seen: [usize; DIFFERENCES.len()],
    /// Other pairs of verdicts, each with its first input.
    wrong: BTreeMap<String, String>,
}

impl Comparison {
    fn add(&mut self, name: &str, secret: &Secret, ours: &Verdict, theirs: &Verdict) {
        let same = match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => is_same_ca(secret, ours, theirs),
            _ => ours.is_ok() == theirs.is_ok(),
        };
        if same {
            self.agreed[usize::from(ours.is_ok())] += 1;
        } else if let Some(at) = DIFFERENCES.iter().position(|it| it.is(ours, theirs)) {
            self.seen[at] += 1;
        } else {
            let is_public = |(key, _): &&(&str, Vec<u8>)| *key != "tls.key";
            let shown = secret.iter().filter(is_public).map(|(_, value)| String::from_utf8_lossy(value));
            let text =
                |verdict: &Verdict| format!("{:?}", verdict.as_ref().map(|ca| String::from_utf8_lossy(ca)));
            let verdicts = format!("ours: {}\ncert-manager's: {}", text(ours), text(theirs));
            self.wrong.entry(verdicts).or_insert_with(|| format!("{name}\n{}", shown.collect::<String>()));
        }
    }
}

#[tokio::test]
#[ignore = "asks cert-manager's own code, which is built first where it is missing; needs Go"]
async fn cert_manager_and_the_plugin_say_the_same_of_ca_secrets() {
    let mut oracle = Oracle::start();
    if !oracle.is_cert_manager() {
        let name = "cert_manager_and_the_plugin_say_the_same_of_ca_secrets";
        eprintln!("test {name} is skipped: the Go module proxy does not serve cert-manager");
        return;
    }
    let plugin = plugin().await;
    let (mut random, server) = (Random::from_env(), server());
    let mut comparison = Comparison::default();
    for (name, secret) in inputs(&mut random) {
        let session = session(&secret);
        let ours = match plugin.check(&session).await {
            Ok(()) => {
                let signed = plugin.sign(&session, &server.request).await;
                Ok(signed
                    .unwrap_or_else(|error| panic!("{name} passes check: {error}"))
                    .ca
                    .unwrap()
                    .into_bytes())
            }
            Err(error) => Err(error.into_failure().message),
        };
        let values: Vec<_> = secret.iter().map(|(key, value)| (*key, value.as_slice())).collect();
        comparison.add(&name, &secret, &ours, &oracle.secret(&values).map(|published| published.ca));
    }
    let Comparison { agreed: [refused, signed], seen, wrong } = comparison;
    eprintln!("CA Secrets: both sign with {signed}, both refuse {refused}, meant: {seen:?}");
    let shown: Vec<_> =
        wrong.iter().take(10).map(|(verdicts, first)| format!("{verdicts}\nfirst of {first}")).collect();
    assert!(shown.is_empty(), "ORACLE_SEED={}: they differ\n{}", random.seed(), shown.join("\n"));
    assert!(signed > 0 && refused > 0, "nothing was compared");
    for (difference, seen) in DIFFERENCES.iter().zip(seen) {
        assert!(
            seen > 0,
            "nothing differs because {} ({:?}, {:?})",
            difference.why,
            difference.ours,
            difference.theirs
        );
    }
}

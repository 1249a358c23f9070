//! The differential test: what this crate says of a CSR and what cert-manager's CA issuer says of it are the same, or the
//! pair is one of the [`DIFFERENCES`] that are meant. Run by `make test-oracle`.
//!
//! `ORACLE_SEED` makes the same mutations again, `ORACLE_MUTATIONS` says how many.

mod inputs;

use std::collections::BTreeMap;

use oracle_fixture::{Oracle, Random};

use self::inputs::Input;
use super::*;
use crate::issuance::request_spec::RequestSpec;

/// A difference that is meant.
struct Difference {
    /// Part of what this crate says; empty where it accepts.
    ours: &'static str,
    /// Part of what Go says; empty where it accepts.
    gos: &'static str,
    why: &'static str,
}

const fn refused(ours: &'static str, why: &'static str) -> Difference {
    Difference { ours, gos: "", why }
}

const fn accepted(gos: &'static str, why: &'static str) -> Difference {
    Difference { ours: "", gos, why }
}

const DIFFERENCES: &[Difference] = &[
    refused("sha1WithRSAEncryption", "whoever collides SHA-1 has a CSR that nobody made"),
    refused("the public key is RSA of", "below 2048 bits it is factored; above 8192 cert-manager's API ends"),
    refused("id-RSASSA-PSS", "DER leaves out what is the default, such as the trailer"),
    refused("elliptic curve secp224r1", "browsers and Java refuse certificates for P-224"),
    refused("the CSR is a PEM block", "a certificate or a key in the wrong place is better called so"),
    refused("neither a subject nor", "Java cannot read a certificate without any name"),
    refused("the list of subject alternative names is empty", "RFC 5280 section 4.2.1.6, and Java"),
    refused("the subject holds an empty relative name", "RFC 5280 section 4.1.2.4: SIZE (1..MAX)"),
    refused(": it is empty", "RFC 5280 section 4.2.1.6 has no empty names"),
    refused("it holds a control character", "a NUL ends a name for readers in C"),
    refused(
        "it is no URI with a scheme",
        "RFC 5280 section 4.2.1.6: no relative ones, and RFC 3986 has the characters",
    ),
    refused("a directoryName is a Name", "OpenSSL and Java read it, Go does not"),
    refused("an otherName is an OID and one value", "OpenSSL and Java read it, Go does not"),
    refused("a registeredID is an OID", "OpenSSL and Java read it, Go does not"),
    accepted("sequence truncated", "some leave the attributes out, where RFC 2986 has an empty set"),
    accepted("do not match the expected ExtKeyUsages", "purposes are a set: their order means nothing"),
    // Go writes "name constraints" and "NameConstraints".
    accepted(
        "onstraints extension",
        "they are judged in the certificate, where somebody makes something of them",
    ),
    refused("malformed (no SubjectPublicKeyInfo)", "DER that others refuse: Go skips what follows the key"),
    refused(
        "is no PKCS#10 request",
        "DER that others refuse: Go skips what follows the known fields, and unknown names",
    ),
];

/// What is said of a request: the subjectAltName that it asks for, empty where there is none, or why it is refused.
type Verdict = Result<Vec<u8>, String>;

/// What the operator says of a request.
fn ours(input: &Input) -> Verdict {
    let csr = Csr::from_pem_or_der(&input.pem).map_err(|error| error.to_string())?;
    let spec = RequestSpec::new(None, input.is_ca, &input.usages).map_err(|error| error.to_string())?;
    spec.check(&csr).map_err(|error| error.to_string())?;
    Ok(csr.san_extension_der().unwrap_or_default().to_vec())
}

/// How often each of the differences was seen.
struct Comparison {
    oracle: Oracle,
    seen: [usize; DIFFERENCES.len()],
    agreed: [usize; 2],
    /// The other pairs of verdicts, each with its first input and how many there were.
    wrong: BTreeMap<String, (String, usize)>,
}

impl Comparison {
    fn new() -> Self {
        Self { oracle: Oracle::start(), seen: [0; DIFFERENCES.len()], agreed: [0; 2], wrong: BTreeMap::new() }
    }

    fn compare(&mut self, input: &Input) {
        let (ours, gos) = (ours(input), self.oracle.csr(&input.pem, input.is_ca, &input.usages));
        let fits = |part: &str, said: &Verdict| match said {
            Ok(_) => part.is_empty(),
            Err(error) => !part.is_empty() && error.contains(part),
        };
        let meant = DIFFERENCES.iter().position(|it| fits(it.ours, &ours) && fits(it.gos, &gos));
        match meant {
            _ if ours == gos || (ours.is_err() && gos.is_err()) => {
                self.agreed[usize::from(ours.is_ok())] += 1
            }
            Some(at) => self.seen[at] += 1,
            None => {
                let first = || (format!("{}\n{}", input.what, String::from_utf8_lossy(&input.pem)), 0);
                let verdicts = format!("ours: {ours:?}\nGo's: {gos:?}");
                self.wrong.entry(verdicts).or_insert_with(first).1 += 1;
            }
        }
    }

    /// Fails where the two differ, or where one of the differences that are meant was not seen.
    fn finish(self, of: &str) -> [usize; DIFFERENCES.len()] {
        let [refused, accepted] = self.agreed;
        eprintln!("{of}: both accept {accepted}, both refuse {refused}, meant: {:?}", self.seen);
        let shown = |(verdicts, (first, count)): (&String, &(String, usize))| {
            format!("{count} times\n{verdicts}\nfirst of {first}")
        };
        let shown: Vec<_> = self.wrong.iter().take(20).map(shown).collect();
        assert!(shown.is_empty(), "{of}: they differ\n{}", shown.join("\n"));
        assert!(accepted > 0 && refused > 0, "{of}: nothing was compared");
        self.seen
    }
}

#[test]
#[ignore = "asks cert-manager's own code, which is built first where it is missing; needs Go"]
fn go_and_this_crate_say_the_same_of_every_kind_of_csr() {
    let mut comparison = Comparison::new();
    let whole = comparison.oracle.is_cert_manager();
    if !whole {
        eprintln!("without cert-manager the usages of a request are not compared");
    }
    for input in inputs::all().iter().filter(|input| whole || !input.contradicts) {
        comparison.compare(input);
    }
    for (difference, seen) in DIFFERENCES.iter().zip(comparison.finish("every kind")) {
        assert!(seen > 0, "no input differs because {} ({:?})", difference.why, difference.ours);
    }
}

#[test]
#[ignore = "asks cert-manager's own code, which is built first where it is missing; needs Go"]
fn go_and_this_crate_say_the_same_of_mutated_csrs() {
    let mut random = Random::from_env();
    let count = std::env::var("ORACLE_MUTATIONS").map_or(20_000, |count| count.parse().unwrap());
    let mut comparison = Comparison::new();
    let sources = inputs::to_mutate();
    for _ in 0..count {
        let source = &sources[random.below(sources.len())];
        comparison.compare(&source.mutated(&mut random));
    }
    comparison.finish(&format!("mutations with ORACLE_SEED={}", random.seed()));
}

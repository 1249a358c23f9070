//! Certificates from files, and whether they lead to a CA.

use std::path::Path;

use anyhow::{anyhow, bail};
use jiff::Timestamp;
use serde::Serialize;
use wasm_issuer_core::x509::{Certificate, name, pem};

use super::describe::timestamp;
use super::input::{self, quoted};
use super::output::Table;

/// How many certificates a file may hold.
const MAX_CERTIFICATES: usize = 64;

/// What came of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule: the field of the certificate that it is about.
    pub rule: &'static str,
    /// Whether it holds.
    pub result: Outcome,
    /// What was found.
    pub detail: String,
}

/// Whether a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It does.
    Ok,
    /// It does not, and that is reported only.
    Warning,
    /// It does not.
    Refused,
}

impl Finding {
    /// A rule with what came of it.
    pub fn new(rule: &'static str, result: Outcome, detail: impl Into<String>) -> Self {
        Self { rule, result, detail: detail.into() }
    }

    fn of(rule: &'static str, result: Result<String, String>) -> Self {
        match result {
            Ok(detail) => Self::new(rule, Outcome::Ok, detail),
            Err(detail) => Self::new(rule, Outcome::Refused, detail),
        }
    }
}

/// The findings for people.
pub fn text(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.rule.len()).max().unwrap_or_default();
    let mut table = Table::default();
    for Finding { rule, result, detail } in findings {
        let result = match result {
            Outcome::Ok => "ok",
            Outcome::Warning => "warning",
            Outcome::Refused => "refused",
        };
        table.row(result, format!("{rule:width$}  {detail}"));
    }
    table.text()
}

/// The certificates of a file as DER: those of a PEM text, or the one that it is.
pub fn read(path: &Path, what: &str) -> anyhow::Result<Vec<Vec<u8>>> {
    let bytes = input::read(path, what, input::MAX_TEXT)?;
    if bytes.first() == Some(&0x30) {
        return Ok(vec![bytes]);
    }
    let wrong = |error: pem::PemError| anyhow!("{what} {} holds no certificates: {error}", quoted(path));
    let (blocks, _) = pem::blocks(&bytes, MAX_CERTIFICATES).map_err(wrong)?;
    let mut ders = Vec::new();
    for block in blocks {
        if block.label != "CERTIFICATE" {
            let label = block.printable_label();
            bail!("{what} {} holds a PEM block {label:?}; only certificates are expected", quoted(path));
        }
        ders.push(block.decode().map_err(wrong)?.to_vec());
    }
    Ok(ders)
}

/// Read the certificates that a file holds.
pub fn parse<'a>(ders: &'a [Vec<u8>], path: &Path, what: &str) -> anyhow::Result<Vec<Certificate<'a>>> {
    let parse = |(at, der): (usize, &'a Vec<u8>)| {
        Certificate::parse(der)
            .map_err(|error| anyhow!("{what} {}: certificate {} is malformed: {error}", quoted(path), at + 1))
    };
    ders.iter().enumerate().map(parse).collect()
}

/// Whether each certificate is signed by the next, all are valid now, and one of the authorities signed the last.
pub fn verify(
    chain: &[Certificate<'_>],
    authorities: Option<&[Certificate<'_>]>,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = vec![Finding::of("chain", links(chain))];
    if let Some(authorities) = authorities {
        findings.push(Finding::of("ca", anchored(chain, authorities, now)));
    }
    let validity = chain.iter().find_map(|certificate| invalid(certificate, now));
    findings.push(Finding::of("validity", validity.map_or(Ok("valid now".to_owned()), Err)));
    findings
}

fn links(chain: &[Certificate<'_>]) -> Result<String, String> {
    for (at, pair) in chain.windows(2).enumerate() {
        if let [certificate, issuer] = pair {
            link(certificate, issuer, chain.get(1..=at).unwrap_or_default())
                .map_err(|error| format!("certificate {} is not signed by the next: {error}", at + 1))?;
        }
    }
    Ok(match chain {
        [only] if only.is_self_signed() => "one certificate, its own issuer".to_owned(),
        [_] => "one certificate".to_owned(),
        _ => format!("{} certificates, each signed by the next", chain.len()),
    })
}

fn anchored(
    chain: &[Certificate<'_>],
    authorities: &[Certificate<'_>],
    now: Timestamp,
) -> Result<String, String> {
    let Some((top, _)) = chain.split_last() else { return Err("there is no certificate".to_owned()) };
    let is_root =
        |authority: &Certificate<'_>| authority.may_sign_certificates() || authority.is_self_signed();
    if let Some(same) =
        authorities.iter().find(|authority| authority.der() == top.der() && is_root(authority))
    {
        return Ok(format!("{} itself", same.describe()));
    }
    let issuer = name::quoted(top.issuer_der());
    let mut reason = format!("none of them has the issuer's name {issuer}");
    for authority in authorities.iter().filter(|authority| authority.subject_der() == top.issuer_der()) {
        let linked = link(top, authority, chain.get(1..).unwrap_or_default());
        match linked.and_then(|()| invalid(authority, now).map_or(Ok(()), Err)) {
            Ok(()) => return Ok(format!("signed by {}", authority.describe())),
            Err(error) => reason = error,
        }
    }
    Err(reason)
}

/// Whether `issuer` signed `certificate` and might do so with these intermediates below it (RFC 5280 section 6.1).
fn link(
    certificate: &Certificate<'_>,
    issuer: &Certificate<'_>,
    below: &[Certificate<'_>],
) -> Result<(), String> {
    if certificate.issuer_der() != issuer.subject_der() {
        return Err(format!("its issuer is {}", name::quoted(certificate.issuer_der())));
    }
    if !issuer.may_sign_certificates() {
        return Err(format!("{} is no CA certificate", issuer.describe()));
    }
    let depth = below.iter().filter(|ca| ca.issuer_der() != ca.subject_der()).count();
    let allowed = issuer.extensions.basic_constraints.and_then(|constraints| constraints.path_len);
    if allowed.is_some_and(|allowed| usize::try_from(allowed).is_ok_and(|allowed| depth > allowed)) {
        return Err(format!("{depth} intermediates are more than its pathLenConstraint allows"));
    }
    certificate.verify_signed_by(issuer).map_err(|error| error.to_string())
}

fn invalid(certificate: &Certificate<'_>, now: Timestamp) -> Option<String> {
    let (from, until) = (timestamp(certificate.not_before()), timestamp(certificate.not_after()));
    if until <= now {
        Some(format!("{} expired at {until}", certificate.describe()))
    } else if from > now {
        Some(format!("{} is not valid before {from}", certificate.describe()))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use wasm_issuer_core::x509::fixtures::{self, Template, key};

    use super::*;

    #[test]
    fn a_chain_is_followed_to_its_authority() {
        let (root_key, ca_key, leaf_key) = (key(), key(), key());
        let root = Template::ca("root", &root_key, "root").sign(&root_key);
        let ca = Template::ca("ca", &ca_key, "root").sign(&root_key);
        let leaf =
            Template::new(fixtures::cn("leaf"), leaf_key.public_key_der(), fixtures::cn("ca")).sign(&ca_key);
        let other = Template::ca("root", &leaf_key, "root").sign(&leaf_key);
        let [root, ca, leaf, other] = [&root, &ca, &leaf, &other].map(|der| Certificate::parse(der).unwrap());
        let results = |chain: &[Certificate<'_>], authorities: Option<&[Certificate<'_>]>, now: Timestamp| {
            verify(chain, authorities, now)
                .into_iter()
                .map(|finding| (finding.rule, finding.result))
                .collect::<Vec<_>>()
        };
        let now = fixtures::now();
        let (ok, refused) = (Outcome::Ok, Outcome::Refused);
        let chain = [leaf, ca];
        let root = [root];
        assert_eq!(results(&chain, Some(&root), now), [("chain", ok), ("ca", ok), ("validity", ok)]);
        assert_eq!(results(&chain, None, now), [("chain", ok), ("validity", ok)]);
        assert_eq!(results(&chain, Some(&chain), now), [("chain", ok), ("ca", ok), ("validity", ok)]);
        assert_eq!(results(&chain, Some(&[other]), now)[1], ("ca", refused));
        assert_eq!(results(&chain[..1], Some(&root), now)[1], ("ca", refused));
        assert_eq!(results(&root, Some(&root), now)[1], ("ca", ok));
        let later = now + jiff::SignedDuration::from_hours(91 * 24);
        assert_eq!(results(&chain, None, later)[1], ("validity", refused));
        let [leaf, ca] = chain;
        assert_eq!(results(&[ca, leaf], None, now)[0], ("chain", refused));
    }
}

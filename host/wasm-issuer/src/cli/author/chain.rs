//! Certificates from files, and whether they lead to a CA.

use std::path::Path;

use anyhow::{anyhow, bail};
use jiff::Timestamp;
use serde::Serialize;
use wasm_issuer_core::issuance::verify::{
    CA, CHAIN, Effort, Mismatch, NAME_CONSTRAINTS, VALIDITY, chain as rules,
};
use wasm_issuer_core::x509::{Certificate, pem};

use super::input::{self, quoted};
use super::output::Table;

/// How many certificates a file may hold.
const MAX_CERTIFICATES: usize = 64;

/// What one rule of verification says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule: the field of the certificate that it is about.
    pub rule: &'static str,
    pub result: Ruling,
    /// What was found, for people.
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ruling {
    Ok,
    /// It does not, which is told and no more.
    Warning,
    /// It does not, so that nothing is published.
    Refused,
}

impl Finding {
    pub fn new(rule: &'static str, result: Ruling, detail: impl Into<String>) -> Self {
        Self { rule, result, detail: detail.into() }
    }

    fn of(rule: &'static str, result: Result<String, Mismatch>) -> Self {
        match result {
            Ok(detail) => Self::new(rule, Ruling::Ok, detail),
            Err(mismatch) => Self::new(rule, Ruling::Refused, mismatch.message),
        }
    }
}

/// The findings as a table for people.
pub fn text(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.rule.len()).max().unwrap_or_default();
    let mut table = Table::default();
    for Finding { rule, result, detail } in findings {
        let result = match result {
            Ruling::Ok => "ok",
            Ruling::Warning => "warning",
            Ruling::Refused => "refused",
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

/// Parse what [`read`] returned of a file. An error names the file and the certificate.
pub fn parse<'a>(ders: &'a [Vec<u8>], path: &Path, what: &str) -> anyhow::Result<Vec<Certificate<'a>>> {
    let parse = |(at, der): (usize, &'a Vec<u8>)| {
        Certificate::parse(der)
            .map_err(|error| anyhow!("{what} {}: certificate {} is malformed: {error}", quoted(path), at + 1))
    };
    ders.iter().enumerate().map(parse).collect()
}

/// Checks a chain, leaf first, by the operator's rules: that it links up, that it leads to one of the authorities where
/// some are given, and that all of it is valid at `now`. There is a finding for each rule.
pub fn verify(
    chain: &[Certificate<'_>],
    authorities: Option<&[Certificate<'_>]>,
    now: Timestamp,
) -> Vec<Finding> {
    let linked = rules::check_links(chain).map(|()| match chain {
        [only] if only.is_self_signed() => "one certificate, its own issuer".to_owned(),
        [_] => "one certificate".to_owned(),
        _ => format!("{} certificates, each signed by the next", chain.len()),
    });
    let mut findings = vec![Finding::of(CHAIN, linked)];
    let mut path: Vec<_> = chain.iter().collect();
    let mut effort = Effort::default();
    if let Some(authorities) = authorities {
        let anchor = anchored(&path, authorities, now, &mut effort);
        path.extend(anchor.as_ref().ok().filter(|anchor| path.iter().all(|it| it.der() != anchor.der())));
        let anchor = anchor.map(|anchor| format!("leads to {}", anchor.describe()));
        findings.push(Finding::of(CA, anchor));
    }
    let named = rules::check_name_constraints(&path, &mut effort)
        .map(|()| "the names are those that the CAs may give".into());
    findings.push(Finding::of(NAME_CONSTRAINTS, named));
    let valid = rules::check_validity(chain, now).map(|()| "valid now".to_owned());
    findings.push(Finding::of(VALIDITY, valid));
    findings
}

/// Which authority a chain leads to. Unlike a plugin's answer, what somebody looks at may be a CA certificate alone, and
/// leads to itself.
fn anchored<'c, 'a>(
    chain: &[&Certificate<'_>],
    authorities: &'c [Certificate<'a>],
    now: Timestamp,
    effort: &mut Effort,
) -> Result<&'c Certificate<'a>, Mismatch> {
    let top = chain.last().map(|top| top.der());
    let is_ca = |it: &Certificate<'_>| it.may_sign_certificates() || it.is_self_signed();
    match authorities.iter().find(|authority| Some(authority.der()) == top && is_ca(authority)) {
        Some(same) => Ok(same),
        None => rules::anchor(chain, &authorities.iter().collect::<Vec<_>>(), now, effort),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

    use super::*;

    fn params(name: &str, is_ca: bool) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2030, 1, 1);
        params.not_after = rcgen::date_time_ymd(2030, 4, 1);
        if is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params
    }

    fn root() -> CertifiedIssuer<'static, KeyPair> {
        CertifiedIssuer::self_signed(params("root", true), KeyPair::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_chain_is_followed_to_its_authority() {
        let (root, other) = (root(), root());
        let ca = CertifiedIssuer::signed_by(params("ca", true), KeyPair::generate().unwrap(), &root).unwrap();
        let leaf = params("leaf", false).signed_by(&KeyPair::generate().unwrap(), &ca).unwrap();
        let ders = [root.der(), ca.der(), leaf.der(), other.der()];
        let [root, ca, leaf, other] = ders.map(|der| Certificate::parse(der).unwrap());
        let results = |chain: &[Certificate<'_>], authorities: Option<&[Certificate<'_>]>, now: Timestamp| {
            let findings = verify(chain, authorities, now).into_iter();
            findings.map(|finding| (finding.rule, finding.result)).collect::<Vec<_>>()
        };
        let now = "2030-01-02T03:04:05Z".parse().unwrap();
        let (ok, refused) = (Ruling::Ok, Ruling::Refused);
        let chain = [leaf, ca];
        let root = [root];
        assert_eq!(
            results(&chain, Some(&root), now),
            [("chain", ok), ("ca", ok), ("nameConstraints", ok), ("validity", ok)]
        );
        assert_eq!(results(&chain, None, now), [("chain", ok), ("nameConstraints", ok), ("validity", ok)]);
        assert_eq!(
            results(&chain, Some(&chain), now),
            [("chain", ok), ("ca", ok), ("nameConstraints", ok), ("validity", ok)]
        );
        assert_eq!(results(&chain, Some(&[other]), now)[1], ("ca", refused));
        assert_eq!(results(&chain[..1], Some(&root), now)[1], ("ca", refused));
        assert_eq!(results(&root, Some(&root), now)[1], ("ca", ok));
        assert_eq!(results(&chain[..1], Some(&chain[..1]), now)[1], ("ca", refused));
        let later = now + SignedDuration::from_hours(90 * 24);
        assert_eq!(results(&chain, None, later)[2], ("validity", refused));
        // The operator allows for the clock of a CA that is ahead, so this does.
        let start: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(results(&chain, None, start - SignedDuration::from_mins(4))[2], ("validity", ok));
        assert_eq!(results(&chain, None, start - SignedDuration::from_mins(6))[2], ("validity", refused));
        let [leaf, ca] = chain;
        assert_eq!(results(&[ca, leaf], None, now)[0], ("chain", refused));
    }
}

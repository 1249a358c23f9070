//! Whether certificates link up, lead to a CA and are valid: the rules for a chain on its own (RFC 5280 section 6.1), for
//! the operator before it publishes one and for whoever looks at one on the command line.

use std::time::Duration;

use const_oid::db::rfc5280;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::effort::Effort;
use super::mismatch::{CA, CHAIN, Mismatch, NAME_CONSTRAINTS, VALIDITY};
use crate::text;
use crate::x509::{BoundName, Certificate, Extension, NameConstraints, bound_names, name, pem};

/// How many certificates a chain, or the CA certificates, may have: a leaf and the 20 CAs that the SDK builds a chain of.
const MAX_CERTIFICATES: usize = 21;
/// The largest PEM text that is read. 21 certificates of 12 KiB; ordinary ones take 1 to 2.
const MAX_PEM_BYTES: usize = 256 * 1024;
/// How far a CA's clock may be ahead of ours.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// The certificates of a PEM text, as DER. `field` is what an error is about.
pub(super) fn decode(field: &'static str, text: &str) -> Result<Vec<Zeroizing<Vec<u8>>>, Mismatch> {
    let wrong = |message: String| Mismatch::new(field, message);
    if text.len() > MAX_PEM_BYTES {
        return Err(wrong(format!("it has {} bytes; at most {MAX_PEM_BYTES} are read", text.len())));
    }
    let (blocks, _) = pem::blocks(text.as_bytes(), MAX_CERTIFICATES)
        .map_err(|error| wrong(format!("it is not PEM: {error}")))?;
    blocks
        .into_iter()
        .map(|block| match block.label {
            "CERTIFICATE" => block.decode().map_err(|error| wrong(error.to_string())),
            _ => Err(wrong(format!(
                "it holds a PEM block {:?} among the certificates",
                block.printable_label()
            ))),
        })
        .collect()
}

/// Parses what [`decode`] returned.
pub(super) fn parse<'a>(
    field: &'static str,
    ders: &'a [Zeroizing<Vec<u8>>],
) -> Result<Vec<Certificate<'a>>, Mismatch> {
    let parse = |(at, der): (usize, &'a Zeroizing<Vec<u8>>)| {
        Certificate::parse(der)
            .map_err(|error| Mismatch::new(field, format!("certificate {} is malformed: {error}", at + 1)))
    };
    ders.iter().enumerate().map(parse).collect()
}

/// The PEM of certificates, encoded anew.
pub(super) fn encode<'c, 'a: 'c>(certificates: impl IntoIterator<Item = &'c Certificate<'a>>) -> String {
    certificates.into_iter().map(|certificate| pem::encode("CERTIFICATE", certificate.der())).collect()
}

/// Refuses a chain of which a certificate is not valid at `now`. One that starts in the next five minutes is: a CA's
/// clock may be ahead of ours.
pub fn check_validity(chain: &[Certificate<'_>], now: Timestamp) -> Result<(), Mismatch> {
    chain.iter().try_for_each(|certificate| match invalid_now(certificate, now) {
        None => Ok(()),
        Some(reason) => Err(Mismatch::new(VALIDITY, format!("{} {reason}", certificate.describe()))),
    })
}

fn invalid_now(certificate: &Certificate<'_>, now: Timestamp) -> Option<String> {
    let epoch = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0));
    let (from, until) = (certificate.not_before(), certificate.not_after());
    if until <= epoch {
        Some(format!("expired at {}; now is {}", timestamp(until), timestamp(epoch)))
    } else if from > epoch + CLOCK_SKEW {
        Some(format!("is not valid before {}; now is {}", timestamp(from), timestamp(epoch)))
    } else {
        None
    }
}

/// Refuses a chain, leaf first, in which a certificate is not signed by the next, or the next may not sign it. One that
/// is alone has no links.
pub fn check_links(chain: &[Certificate<'_>]) -> Result<(), Mismatch> {
    let chain: Vec<_> = chain.iter().collect();
    for (at, pair) in chain.windows(2).enumerate() {
        if let [certificate, issuer] = pair {
            check_link(certificate, issuer, chain.get(1..=at).unwrap_or_default()).map_err(|reason| {
                let (child, parent) = (certificate.describe(), issuer.describe());
                Mismatch::new(
                    CHAIN,
                    format!(
                        "certificate {}, {child}, does not belong under the next, {parent}: {reason}",
                        at + 1
                    ),
                )
            })?;
        }
    }
    Ok(())
}

/// `issuer` signed `certificate` and might do so, with these intermediates below it.
fn check_link(
    certificate: &Certificate<'_>,
    issuer: &Certificate<'_>,
    below: &[&Certificate<'_>],
) -> Result<(), String> {
    if certificate.issuer_der() != issuer.subject_der() {
        return Err(format!("its issuer is {}", name::quoted(certificate.issuer_der())));
    }
    if !issuer.may_sign_certificates() {
        return Err("the latter is no CA certificate that may sign others".to_owned());
    }
    // RFC 5280 section 4.2.1.9: self-issued certificates do not count.
    let depth = below.iter().filter(|ca| !ca.is_self_issued()).count();
    let allowed = issuer.extensions.basic_constraints.and_then(|constraints| constraints.path_len);
    if allowed.is_some_and(|allowed| usize::try_from(allowed).is_ok_and(|allowed| depth > allowed)) {
        return Err(format!("{depth} intermediates are more than the latter's pathLenConstraint allows"));
    }
    certificate.verify_signed_by(issuer).map_err(|error| error.to_string())
}

/// Tells the root from the rest of a chain that links up.
pub(super) fn split_root<'c, 'a>(
    chain: &'c [Certificate<'a>],
) -> (&'c [Certificate<'a>], Option<&'c Certificate<'a>>) {
    let (mut rest, mut root) = (chain, None);
    // A root that is there twice links up with itself.
    while let Some((last, before)) = rest.split_last().filter(|(last, _)| last.is_self_signed()) {
        (rest, root) = (before, Some(last));
    }
    (rest, root)
}

/// The authority that a chain, leaf first, leads to at `now`: the one that signed its last certificate, or is that
/// certificate, because where the root is not at hand an intermediate is what clients get to trust.
pub fn anchor<'c, 'a>(
    chain: &[&Certificate<'_>],
    authorities: &[&'c Certificate<'a>],
    now: Timestamp,
    effort: &mut Effort,
) -> Result<&'c Certificate<'a>, Mismatch> {
    let (top, _) = chain.split_last().ok_or_else(Mismatch::empty)?;
    // Not the leaf itself, which vouches for nothing.
    let mut candidates = authorities.iter().copied().filter(|_| chain.len() > 1);
    if let Some(same) = candidates.find(|authority| authority.der() == top.der()) {
        return Ok(same);
    }
    signer(chain, authorities, now, effort)?.map_err(|reason| {
        let subjects = authorities.iter().map(|authority| name::quoted(authority.subject_der()));
        Mismatch::new(
            CA,
            format!(
                "it holds {}, of which none vouches for the chain's last certificate, {}: {reason}",
                text::list(subjects, 400),
                top.describe()
            ),
        )
    })
}

/// The authority that signed a chain's last certificate and might do so at `now`, or why it is none of these.
pub(super) fn signer<'c, 'a>(
    chain: &[&Certificate<'_>],
    authorities: &[&'c Certificate<'a>],
    now: Timestamp,
    effort: &mut Effort,
) -> Result<Result<&'c Certificate<'a>, String>, Mismatch> {
    let (top, _) = chain.split_last().ok_or_else(Mismatch::empty)?;
    let below = chain.get(1..).unwrap_or_default();
    let mut reason = format!("its issuer is {}", name::quoted(top.issuer_der()));
    for authority in authorities.iter().copied().filter(|it| it.subject_der() == top.issuer_der()) {
        effort.verify_signature()?;
        match check_link(top, authority, below).and_then(|()| invalid_now(authority, now).map_or(Ok(()), Err))
        {
            Ok(()) => return Ok(Ok(authority)),
            Err(error) => reason = error,
        }
    }
    Ok(Err(reason))
}

/// Refuses a path, leaf first, in which a name lies outside of what a certificate above allows (RFC 5280 section 6.1.3
/// (b) and (c)).
pub fn check_name_constraints(path: &[&Certificate<'_>], effort: &mut Effort) -> Result<(), Mismatch> {
    // A CA's own new key is bound by what the leaf below it is.
    check_names_of(path, |at, certificate| at == 0 || !certificate.is_self_issued(), effort)
}

/// The same for a path whose leaf stands for others, with names that are not known yet.
pub(super) fn check_name_constraints_of_cas(
    path: &[&Certificate<'_>],
    effort: &mut Effort,
) -> Result<(), Mismatch> {
    check_names_of(path, |at, certificate| at > 0 && !certificate.is_self_issued(), effort)
}

fn check_names_of(
    path: &[&Certificate<'_>],
    is_bound: impl Fn(usize, &Certificate<'_>) -> bool,
    effort: &mut Effort,
) -> Result<(), Mismatch> {
    if path.iter().all(|certificate| constraints_of(certificate).is_none()) {
        return Ok(());
    }
    let mut below: Vec<(&Certificate<'_>, Vec<BoundName<'_>>)> = Vec::new();
    for (at, certificate) in path.iter().enumerate() {
        check_constraints_of(certificate, &below, effort)?;
        if is_bound(at, certificate) {
            below.push((certificate, bound_names(certificate)));
        }
    }
    Ok(())
}

fn constraints_of<'c, 'a>(certificate: &'c Certificate<'a>) -> Option<&'c Extension<'a>> {
    certificate.extensions.all.iter().find(|it| it.is(rfc5280::ID_CE_NAME_CONSTRAINTS))
}

fn check_constraints_of(
    issuer: &Certificate<'_>,
    below: &[(&Certificate<'_>, Vec<BoundName<'_>>)],
    effort: &mut Effort,
) -> Result<(), Mismatch> {
    let Some(extension) = constraints_of(issuer) else { return Ok(()) };
    let wrong = |message: String| {
        Mismatch::new(NAME_CONSTRAINTS, format!("those of {} {message}", issuer.describe()))
    };
    let constraints =
        NameConstraints::parse(extension.value).map_err(|_error| wrong("are malformed".to_owned()))?;
    below.iter().try_for_each(|(certificate, names)| {
        effort.compare(constraints.comparisons(names))?;
        match constraints.refused_name(names) {
            None => Ok(()),
            Some(name) => Err(wrong(format!("do not allow {name} in {}", certificate.describe()))),
        }
    })
}

/// A certificate's time, given since the Unix epoch. Those without an end (RFC 5280 section 4.1.2.5: 99991231235959Z) are past what `Timestamp`
/// holds, and become its maximum.
pub fn timestamp(since_epoch: Duration) -> Timestamp {
    i64::try_from(since_epoch.as_secs())
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or(Timestamp::MAX)
}

//! Certificates that were not asked for.

use std::time::{SystemTime, UNIX_EPOCH};

use wasm_issuer_sdk::der::asn1::Ia5String;
use wasm_issuer_sdk::der::{Encode as _, Error};
use wasm_issuer_sdk::x509_cert::ext::pkix::name::GeneralName;
use wasm_issuer_sdk::{
    Algorithm, Authority, Certificate, CertificateBuilder, Failure, HostKey, Request, Signer as _, Usages,
    common_name, pem,
};

use crate::{Behaviour, authority};

const HOUR: u64 = 3600;

/// The certificate that a behaviour leaves behind: the right one unless it says otherwise.
pub fn certificate(behaviour: Behaviour, request: &Request) -> Result<Certificate, Failure> {
    let ca = authority("root")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // As long as any CA of this plugin at most, so that sums and products of it fit.
    let duration = request.duration_seconds.min(10 * 365 * 24 * HOUR);
    let right = CertificateBuilder::for_request(request)?;
    let forged = match behaviour {
        Behaviour::GarbagePem => return Ok(text("no certificate, whatever you expect".into())),
        Behaviour::EmptyChain => return Ok(text(String::new())),
        Behaviour::HugeChain => return Ok(text("-----BEGIN CERTIFICATE-----\n".repeat(180_000))),
        Behaviour::WrongOrder => return wrong_order(ca, right),
        Behaviour::UnrelatedChain => return unrelated_chain(&ca, right),

        Behaviour::OtherKey => right.public_key(key("other")?.public_key()),
        Behaviour::ExtraSan => right.subject_alt_name(Some(&one_more_name(request)?)),
        Behaviour::MissingSan => right.subject_alt_name(None),
        Behaviour::CaTrue => right.ca(true),
        Behaviour::Expired => right.validity(now - HOUR - duration, now - HOUR),
        Behaviour::NotYetValid => right.validity(now + HOUR, now + HOUR + duration),
        Behaviour::OtherSubject => right.subject(common_name("somebody else")?),
        Behaviour::WrongUsages => right.usages(Usages::from_names(&["client auth", "crl sign"])?),
        Behaviour::CodeSigning => right.usages(Usages::from_names(&["digital signature", "code signing"])?),
        Behaviour::LongerDuration => right.valid_for(10 * duration),
        Behaviour::SecondRoot => return second_root(&ca, right),
        _ => right,
    };
    Ok(ca.certificate(&forged.sign(&ca)?))
}

fn text(chain: String) -> Certificate {
    Certificate { chain, ca: None }
}

fn key(name: &str) -> Result<HostKey, Failure> {
    HostKey::ephemeral(name, Algorithm::EcdsaP256Sha256)
}

fn one_more_name(request: &Request) -> Result<Vec<u8>, Failure> {
    let mut names = request.csr()?.names()?;
    let mut encode = |name| {
        names.push(GeneralName::DnsName(Ia5String::new(name)?));
        names.to_der()
    };
    encode("unasked.example").map_err(|e: Error| Failure::permanent(e))
}

/// The right certificate, and a root of somebody else's beside its own.
fn second_root(ca: &Authority, leaf: CertificateBuilder) -> Result<Certificate, Failure> {
    let own = ca.certificate(&leaf.sign(ca)?);
    let other = authority("another root")?.certificate(&[]).ca;
    Ok(Certificate { ca: Some([own.ca, other].into_iter().flatten().collect()), ..own })
}

/// An intermediate below a CA, as DER and as a CA.
fn below(ca: &Authority, name: &str) -> Result<(Vec<u8>, Authority), Failure> {
    let key = key(name)?;
    let usages = Usages::from_names(&["cert sign"])?;
    let certificate =
        CertificateBuilder::new(common_name(name)?, key.public_key()).ca(true).usages(usages).sign(ca)?;
    Ok((certificate.clone(), Authority::new(key, &[certificate])?))
}

/// The leaf, then the two that lead to the root, the wrong way round.
fn wrong_order(root: Authority, leaf: CertificateBuilder) -> Result<Certificate, Failure> {
    let (upper, upper_ca) = below(&root, "upper")?;
    let (lower, lower_ca) = below(&upper_ca, "lower")?;
    let leaf = leaf.sign(&lower_ca)?;
    Ok(Certificate { chain: pem::encode_certificates([leaf, upper, lower]), ca: root.certificate(&[]).ca })
}

/// The leaf, and an intermediate that has not signed it.
fn unrelated_chain(root: &Authority, leaf: CertificateBuilder) -> Result<Certificate, Failure> {
    let (other, _) = below(root, "upper")?;
    let leaf = leaf.sign(root)?;
    Ok(Certificate { chain: pem::encode_certificates([leaf, other]), ca: root.certificate(&[]).ca })
}

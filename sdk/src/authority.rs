//! A certificate authority: a key and the certificates that make it one.

use der::asn1::{AnyRef, ObjectIdentifier, Utf8StringRef};
use der::{Encode as _, Sequence, Tag};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

use crate::builder::now;
use crate::parsed::key_id;
use crate::{
    Algorithm, Certificate, CertificateBuilder, Failure, HostKey, ParsedCertificate, Request, Signer, Usages,
    cache, pem, secrets,
};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const TEN_YEARS: u32 = 10 * 365 * 24 * 3600;

/// A CA that signs with a key of its own.
#[derive(Clone, Debug)]
pub struct Authority<K = HostKey> {
    key: K,
    /// The CA's own certificate, then each the issuer of the one before it.
    chain: Vec<ParsedCertificate>,
}

impl Authority<HostKey> {
    /// The CA in the Issuer's Secret: the keys that hold its certificates and its private key, `tls.crt` and
    /// `tls.key` in a `kubernetes.io/tls` Secret.
    pub fn from_secret(certificates: &str, key: &str) -> Result<Self, Failure> {
        let signer = HostKey::from_secret(key)?;
        Self::new(signer, &secrets::get(certificates)?.certificates()?).map_err(|mut failure| {
            failure.message = format!("{certificates} and {key} of the Secret: {}", failure.message);
            failure
        })
    }

    /// A root whose key the operator made and loses when it restarts: for tests and demonstrations. The root is made
    /// once and kept in the [`cache`]; it is valid for ten years.
    pub fn ephemeral(name: &str, common_name: &str, algorithm: Algorithm) -> Result<Self, Failure> {
        let key = HostKey::ephemeral(name, algorithm)?;
        // Named after the key too: a root must not outlive it.
        let id: String = key_id(key.public_key())?.iter().map(|byte| format!("{byte:02x}")).collect();
        // Half its lifetime, so that certificates fit into the other half.
        let root =
            cache::get_or_make(&format!("{name}-{id}"), Some(TEN_YEARS / 2), || root(&key, common_name))?;
        Self::new(key, &[root])
    }
}

/// A root for the key: what [`Authority::ephemeral`] keeps.
fn root(key: &impl Signer, common_name: &str) -> Result<Vec<u8>, Failure> {
    CertificateBuilder::new(crate::common_name(common_name)?, key.public_key())
        .ca(true)
        .usages(Usages::from_names(&["cert sign", "crl sign"])?)
        .valid_for(TEN_YEARS.into())
        .self_sign(key)
}

#[derive(Sequence)]
struct Attribute<'a> {
    oid: ObjectIdentifier,
    value: Utf8StringRef<'a>,
}

/// The Name that holds nothing but a common name (1 to 64 characters), DER.
pub fn common_name(common_name: &str) -> Result<Vec<u8>, Failure> {
    // ub-common-name of RFC 5280.
    if !(1..=64).contains(&common_name.chars().count()) {
        return Err(Failure::issuer("a CA's common name has 1 to 64 characters"));
    }
    let name = || {
        let attribute = Attribute { oid: COMMON_NAME, value: Utf8StringRef::new(common_name)? }.to_der()?;
        vec![AnyRef::new(Tag::Set, &attribute)?].to_der()
    };
    name().map_err(|e| Failure::issuer(format!("the CA's common name cannot be encoded: {e}")))
}

impl<K: Signer> Authority<K> {
    /// A CA from its key and its certificates, DER, in any order: its own and those of its issuers, the root or not.
    /// Fails as the Issuer's fault unless they belong together and make a CA. See also [`Authority::check`].
    pub fn new(key: K, certificates: &[impl AsRef<[u8]>]) -> Result<Self, Failure> {
        let mut rest = Vec::new();
        for (i, der) in certificates.iter().map(AsRef::as_ref).enumerate() {
            let parsed = ParsedCertificate::from_der(der)
                .map_err(|e| Failure::issuer(format!("certificate {} is malformed: {e}", i + 1)))?;
            if !rest.iter().any(|earlier: &ParsedCertificate| earlier.der() == der) {
                rest.push(parsed);
            }
        }
        let own = rest
            .iter()
            .position(|certificate| certificate.public_key() == key.public_key())
            .ok_or_else(|| Failure::issuer("none of the certificates is for the private key"))?;
        let own = rest.remove(own);
        must_be_ca(&own)?;
        let mut chain = vec![own];
        while let Some(issuer) = chain.last().and_then(|last| issuer_of(last, &rest)) {
            chain.push(rest.remove(issuer));
        }
        match rest.len() {
            0 => Ok(Self { key, chain }),
            n => Err(Failure::issuer(format!("{n} of the certificates are not in the CA's chain"))),
        }
    }

    /// Fails as the Issuer's fault unless each certificate of the CA is valid now.
    pub fn check(&self) -> Result<(), Failure> {
        let now = now();
        for (i, certificate) in self.chain.iter().enumerate() {
            let what = if i == 0 { "certificate" } else { "issuer" };
            let validity = certificate.validity();
            if now > validity.not_after.to_unix_duration().as_secs() {
                return Err(Failure::issuer(format!("the CA's {what} expired at {}", validity.not_after)));
            }
            if now < validity.not_before.to_unix_duration().as_secs() {
                return Err(Failure::issuer(format!(
                    "the CA's {what} is not valid before {}",
                    validity.not_before
                )));
            }
        }
        Ok(())
    }

    /// The key that goes with the first certificate of [`chain`](Self::chain), to sign with.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The CA's own certificate, then each the issuer of the one before it.
    pub fn chain(&self) -> &[ParsedCertificate] {
        &self.chain
    }

    /// Signs exactly what the request asks for.
    pub fn issue(&self, request: &Request) -> Result<Certificate, Failure> {
        Ok(self.certificate(&CertificateBuilder::for_request(request)?.sign(self)?))
    }

    /// The answer for a certificate (DER) that this CA has signed: followed by its intermediates, the root or else the
    /// topmost certificate apart.
    pub fn certificate(&self, leaf: &[u8]) -> Certificate {
        let intermediates = self.chain.iter().filter(|ca| !ca.is_self_issued()).map(ParsedCertificate::der);
        Certificate {
            chain: pem::encode_certificates([leaf].into_iter().chain(intermediates)),
            ca: self.chain.last().map(|top| pem::encode_certificates([top.der()])),
        }
    }

    /// Whether certificates below one that this CA signs would be accepted.
    pub(crate) fn may_sign_ca(&self) -> bool {
        self.chain.iter().enumerate().all(|(below, ca)| {
            let limit = ca.decode::<BasicConstraints>().ok().flatten().and_then(|it| it.path_len_constraint);
            limit.is_none_or(|limit| usize::from(limit) > below)
        })
    }
}

/// A certificate whose extensions let it sign others (RFC 5280, 4.2.1.3 and 4.2.1.9).
fn must_be_ca(certificate: &ParsedCertificate) -> Result<(), Failure> {
    let malformed = |e| Failure::issuer(format!("the CA's certificate is malformed: {e}"));
    let constraints = certificate.decode::<BasicConstraints>().map_err(malformed)?;
    let usage = certificate.decode::<KeyUsage>().map_err(malformed)?;
    if !constraints.is_some_and(|constraints| constraints.ca) {
        return Err(Failure::issuer(
            "the private key's certificate is no CA: its basic constraints lack CA:TRUE",
        ));
    }
    if usage.is_some_and(|usage| !usage.key_cert_sign()) {
        return Err(Failure::issuer(
            "the CA's certificate may not sign others: its key usage lacks cert sign",
        ));
    }
    Ok(())
}

/// Where in a list the issuer of a certificate is.
fn issuer_of(certificate: &ParsedCertificate, others: &[ParsedCertificate]) -> Option<usize> {
    if certificate.is_self_issued() {
        return None;
    }
    others.iter().position(|other| other.subject() == certificate.issuer())
}

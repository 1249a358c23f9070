//! Building a certificate that is exactly what was asked for.

use std::time::SystemTime;

use der::oid::AssociatedOid as _;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, NameConstraints};

use crate::{Authority, Csr, Failure, Request, Signer, Usages, log};

mod encode;

/// The lifetime unless [`CertificateBuilder::valid_for`] says otherwise: cert-manager's default.
const NINETY_DAYS: u64 = 90 * 24 * 3600;

/// What a certificate is going to say. [`CertificateBuilder::sign`] or [`CertificateBuilder::self_sign`] makes it.
///
/// The subject and the subject alternative names are the request's own bytes, so several OUs, multi-valued RDNs and
/// otherNames survive. The methods change what [`CertificateBuilder::for_request`] found.
///
/// ```no_run
/// use wasm_issuer_sdk::{Authority, Certificate, CertificateBuilder, Failure, Request, Usages};
///
/// /// For servers only.
/// fn sign(authority: &Authority, request: &Request) -> Result<Certificate, Failure> {
///     let usages = Usages::from_names(&["digital signature", "server auth"])?;
///     let leaf = CertificateBuilder::for_request(request)?.usages(usages).sign(authority)?;
///     Ok(authority.certificate(&leaf))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct CertificateBuilder {
    subject: Vec<u8>,
    public_key: Vec<u8>,
    subject_alt_name: Option<Vec<u8>>,
    basic_constraints: BasicConstraints,
    usages: Usages,
    not_before: u64,
    not_after: u64,
    /// What else goes in, as it is.
    extensions: Vec<Extension>,
}

impl CertificateBuilder {
    /// A certificate for a Name and a SubjectPublicKeyInfo, both DER: no CA, no usages, valid for 90 days from now.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{CertificateBuilder, Failure, HostKey, Signer, Usages, common_name};
    /// # fn f(key: &HostKey) -> Result<(), Failure> {
    /// let root = CertificateBuilder::new(common_name("Team A")?, key.public_key())
    ///     .ca(true)
    ///     .usages(Usages::from_names(&["cert sign", "crl sign"])?)
    ///     .self_sign(key)?;
    /// # Ok(()) }
    /// ```
    pub fn new(subject: impl Into<Vec<u8>>, public_key: impl Into<Vec<u8>>) -> Self {
        let now = now();
        Self {
            subject: subject.into(),
            public_key: public_key.into(),
            subject_alt_name: None,
            basic_constraints: BasicConstraints { ca: false, path_len_constraint: None },
            usages: Usages::default(),
            not_before: now,
            not_after: now.saturating_add(NINETY_DAYS),
            extensions: Vec::new(),
        }
    }

    /// The certificate that a request asks for. A CSR that contradicts its request is a permanent failure, as it is
    /// with cert-manager's own issuers.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{CertificateBuilder, Failure, Request};
    /// # fn f(request: &Request) -> Result<(), Failure> {
    /// let builder = CertificateBuilder::for_request(request)?;
    /// # Ok(()) }
    /// ```
    pub fn for_request(request: &Request) -> Result<Self, Failure> {
        let csr = request.csr()?;
        let usages = Usages::from_names(&request.usages)?;
        let basic_constraints = csr.basic_constraints()?;
        agree(request.is_ca, &usages, basic_constraints.as_ref(), &csr)?;

        let mut builder = Self::new(csr.subject(), csr.public_key())
            .subject_alt_name(csr.subject_alt_name())
            .usages(usages)
            .valid_for(request.duration_seconds)
            .ca(request.is_ca);
        if request.is_ca {
            builder.basic_constraints.path_len_constraint =
                basic_constraints.and_then(|it| it.path_len_constraint);
            builder
                .extensions
                .extend(csr.extensions().iter().find(|it| it.extn_id == NameConstraints::OID).cloned());
        }
        Ok(builder)
    }

    /// The subject's Name, DER.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{CertificateBuilder, Failure, Request, common_name};
    /// # fn f(request: &Request) -> Result<(), Failure> {
    /// let builder = CertificateBuilder::for_request(request)?.subject(common_name("web")?);
    /// # Ok(()) }
    /// ```
    pub fn subject(mut self, name: impl Into<Vec<u8>>) -> Self {
        self.subject = name.into();
        self
    }

    /// The SubjectPublicKeyInfo, DER.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{CertificateBuilder, Failure, Request};
    /// # fn f(request: &Request) -> Result<(), Failure> {
    /// let builder = CertificateBuilder::for_request(request)?.public_key(request.csr()?.public_key());
    /// # Ok(()) }
    /// ```
    pub fn public_key(mut self, public_key: impl Into<Vec<u8>>) -> Self {
        self.public_key = public_key.into();
        self
    }

    /// The value of the subject alternative name extension, DER. Critical only where the subject is empty.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{CertificateBuilder, Failure, Request};
    /// # fn f(request: &Request) -> Result<(), Failure> {
    /// let builder = CertificateBuilder::for_request(request)?.subject_alt_name(None);
    /// # Ok(()) }
    /// ```
    pub fn subject_alt_name(mut self, value: Option<&[u8]>) -> Self {
        self.subject_alt_name = value.map(<[u8]>::to_vec);
        self
    }

    /// Whether it is a CA's certificate, without a limit to its path length.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{CertificateBuilder, Failure, Request};
    /// # fn f(request: &Request) -> Result<(), Failure> {
    /// let builder = CertificateBuilder::for_request(request)?.ca(true);
    /// # Ok(()) }
    /// ```
    pub fn ca(mut self, is_ca: bool) -> Self {
        self.basic_constraints = BasicConstraints { ca: is_ca, path_len_constraint: None };
        self
    }

    /// Key usages and extended key usages.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{CertificateBuilder, Failure, Request, Usages};
    /// # fn f(request: &Request) -> Result<(), Failure> {
    /// let builder = CertificateBuilder::for_request(request)?.usages(Usages::from_names(&["client auth"])?);
    /// # Ok(()) }
    /// ```
    pub fn usages(mut self, usages: Usages) -> Self {
        self.usages = usages;
        self
    }

    /// Valid from now for so many seconds.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{CertificateBuilder, Failure, Request};
    /// # fn f(request: &Request) -> Result<(), Failure> {
    /// let builder = CertificateBuilder::for_request(request)?.valid_for(3600);
    /// # Ok(()) }
    /// ```
    pub fn valid_for(self, seconds: u64) -> Self {
        let now = now();
        self.validity(now, now.saturating_add(seconds))
    }

    /// NotBefore and NotAfter in seconds since 1970.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{CertificateBuilder, Failure, Request};
    /// # fn f(request: &Request) -> Result<(), Failure> {
    /// let builder = CertificateBuilder::for_request(request)?.validity(1_767_225_600, 1_798_761_600);
    /// # Ok(()) }
    /// ```
    pub fn validity(mut self, not_before: u64, not_after: u64) -> Self {
        (self.not_before, self.not_after) = (not_before, not_after);
        self
    }

    /// One more extension, as it is.
    ///
    /// ```no_run
    /// use wasm_issuer_sdk::der::asn1::{ObjectIdentifier, OctetString};
    /// use wasm_issuer_sdk::x509_cert::ext::Extension;
    /// use wasm_issuer_sdk::{CertificateBuilder, Failure, Request};
    ///
    /// /// Of RFC 7633: servers must staple an OCSP answer.
    /// fn must_staple(request: &Request) -> Result<CertificateBuilder, Failure> {
    ///     let value = OctetString::new([0x30u8, 0x03, 0x02, 0x01, 0x05]).map_err(Failure::permanent)?;
    ///     let extn_id = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.24");
    ///     let extension = Extension { extn_id, critical: false, extn_value: value };
    ///     Ok(CertificateBuilder::for_request(request)?.extension(extension))
    /// }
    /// ```
    pub fn extension(mut self, extension: Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    /// Signs with a CA and returns the certificate, DER. A certificate of the CA's chain that ends sooner ends this one
    /// too: beyond that nobody accepts it.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Authority, CertificateBuilder, Failure, Request};
    /// # fn f(authority: &Authority, request: &Request) -> Result<(), Failure> {
    /// let der = CertificateBuilder::for_request(request)?.sign(authority)?;
    /// # Ok(()) }
    /// ```
    pub fn sign<K: Signer>(mut self, authority: &Authority<K>) -> Result<Vec<u8>, Failure> {
        if self.basic_constraints.ca && !authority.may_sign_ca() {
            return Err(Failure::permanent("the path length of this CA does not allow CAs below it"));
        }
        let (ca, first) = (authority.own()?, authority.first_to_end()?);
        if self.not_after > first.until() {
            let end = first.validity().not_after;
            log::warn(format!("the certificate ends with {}, above it, on {end}", first.describe()));
            self.not_after = first.until();
        }
        self.encode(authority.key(), ca.subject(), Some(ca.key_id()?))
    }

    /// Signs with the certificate's own key, which makes it a root, and returns it, DER.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{CertificateBuilder, Failure, HostKey, Signer, common_name};
    /// # fn f(key: &HostKey) -> Result<(), Failure> {
    /// let der = CertificateBuilder::new(common_name("Team A")?, key.public_key()).ca(true).self_sign(key)?;
    /// # Ok(()) }
    /// ```
    pub fn self_sign(self, key: &impl Signer) -> Result<Vec<u8>, Failure> {
        let builder = self.public_key(key.public_key());
        let issuer = builder.subject.clone();
        builder.encode(key, &issuer, None)
    }
}

/// cert-manager puts usages and the CA flag into the CSRs that it makes; they must be the request's.
fn agree(is_ca: bool, usages: &Usages, asked: Option<&BasicConstraints>, csr: &Csr) -> Result<(), Failure> {
    if asked.is_some_and(|asked| asked.ca != is_ca) {
        return Err(Failure::invalid_request(format!(
            "the CSR asks for CA:{}, the request for CA:{}",
            asked.is_some_and(|asked| asked.ca),
            is_ca
        )));
    }
    match csr.usages()? {
        Some(asked) if asked != *usages => Err(Failure::invalid_request(format!(
            "the CSR asks for the usages {asked}, the request for {usages}"
        ))),
        _ => Ok(()),
    }
}

pub(crate) fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}

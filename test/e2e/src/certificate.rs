//! Issued certificates, looked at without any of the operator's code: decoded by x509-cert, verified by webpki.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert};
use x509_cert::Certificate;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};

use crate::{Csr, Object};

/// What a request was given.
pub struct Issued {
    /// The request as it is now.
    pub request: Object,
    /// `status.certificate`, DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// `status.ca`, DER.
    pub ca: Vec<Vec<u8>>,
    /// The first of the chain, decoded.
    pub leaf: Certificate,
}

/// The certificates of a PEM text.
pub fn certificates(pem: &[u8]) -> Vec<Vec<u8>> {
    let chain = Certificate::load_pem_chain(pem).expect("PEM certificates");
    chain.iter().map(|certificate| certificate.to_der().expect("DER")).collect()
}

impl Issued {
    /// From the status of a request.
    pub fn from_request(request: Object) -> Self {
        let chain = request.status_bytes("certificate").expect("status.certificate");
        let ca = request.status_bytes("ca").unwrap_or_default();
        Self::new(request, &chain, &ca)
    }

    /// From the chain and the CA certificates, both PEM; there may be no CA certificate.
    pub fn new(request: Object, chain: &[u8], ca: &[u8]) -> Self {
        let chain = certificates(chain);
        let leaf = Certificate::from_der(chain.first().expect("a leaf")).expect("a certificate");
        let ca = if ca.is_empty() { vec![] } else { certificates(ca) };
        Self { request, chain, ca, leaf }
    }

    /// What holds for every certificate: the key and the names are the CSR's, and the CA certificate verifies the chain.
    pub fn verify(&self, csr: &Csr) {
        self.verify_names(csr);
        assert_eq!(self.spki(), csr.spki, "the key is the CSR's");
        assert_eq!(self.san(), csr.san, "the names are the CSR's bytes");
    }

    fn verify_names(&self, csr: &Csr) {
        // The exact bytes, which a decoder might have put in order.
        assert!(contains(&self.chain[0], &csr.subject), "the subject is the CSR's bytes");
        self.verify_chain();
    }

    /// The chain leads to `status.ca`, by webpki.
    pub fn verify_chain(&self) {
        let (first, rest) = self.chain.split_first().expect("a leaf");
        if self.is_ca() {
            // webpki takes no CA certificate for the end of a chain; its signature is verified where it signs.
            return;
        }
        verify(first, rest, &self.ca);
    }

    /// From NotBefore to NotAfter.
    pub fn lifetime(&self) -> Duration {
        let validity = self.leaf.tbs_certificate().validity();
        validity.not_after.to_unix_duration() - validity.not_before.to_unix_duration()
    }

    /// The SubjectPublicKeyInfo, DER.
    pub fn spki(&self) -> Vec<u8> {
        self.leaf.tbs_certificate().subject_public_key_info().to_der().expect("DER")
    }

    /// The value of the subjectAltName extension.
    pub fn san(&self) -> Option<Vec<u8>> {
        self.extension::<SubjectAltName>()
    }

    /// Whether it is a CA certificate.
    pub fn is_ca(&self) -> bool {
        self.extension::<BasicConstraints>()
            .is_some_and(|der| BasicConstraints::from_der(&der).expect("DER").ca)
    }

    /// The bits of the keyUsage extension.
    pub fn key_usage(&self) -> KeyUsage {
        KeyUsage::from_der(&self.extension::<KeyUsage>().expect("a keyUsage extension")).expect("DER")
    }

    /// The OIDs of the extKeyUsage extension, in text, sorted.
    pub fn extended_usages(&self) -> Vec<String> {
        let Some(der) = self.extension::<ExtendedKeyUsage>() else { return vec![] };
        let usages = ExtendedKeyUsage::from_der(&der).expect("DER");
        let mut usages: Vec<String> = usages.0.iter().map(ToString::to_string).collect();
        usages.sort();
        usages
    }

    /// Whether an extension is critical; none if it is not there.
    pub fn is_critical(&self, oid: &str) -> Option<bool> {
        let extensions = self.leaf.tbs_certificate().extensions()?;
        extensions.iter().find(|e| e.extn_id.to_string() == oid).map(|e| e.critical)
    }

    fn extension<T: AssociatedOid>(&self) -> Option<Vec<u8>> {
        let extensions = self.leaf.tbs_certificate().extensions()?;
        let mut found = extensions.iter().filter(|e| e.extn_id == T::OID);
        let first = found.next().map(|e| e.extn_value.as_bytes().to_vec());
        assert!(found.next().is_none(), "an extension is there twice");
        first
    }
}

/// Fails unless the leaf leads through the intermediates to one of the CAs, all valid now.
pub fn verify(leaf: &[u8], intermediates: &[Vec<u8>], cas: &[Vec<u8>]) {
    struct AnyUsage;
    impl ExtendedKeyUsageValidator for AnyUsage {
        fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
            Ok(())
        }
    }
    let all = |ders: &[Vec<u8>]| ders.iter().map(|der| CertificateDer::from(der.clone())).collect::<Vec<_>>();
    let (leaf, intermediates, cas) = (CertificateDer::from(leaf), all(intermediates), all(cas));
    let anchors: Vec<_> =
        cas.iter().map(|ca| anchor_from_trusted_cert(ca).expect("a CA certificate")).collect();
    let leaf = EndEntityCert::try_from(&leaf).expect("a certificate");
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    leaf.verify_for_usage(algorithms, &anchors, &intermediates, UnixTime::now(), AnyUsage, None, None)
        .expect("ca.crt verifies the chain");
}

/// Whether some bytes occur in others.
pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

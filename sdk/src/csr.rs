//! Reading a certification request (RFC 2986). What goes into the certificate is kept as the request's own bytes.

use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use der::oid::AssociatedOid as _;
use der::{Decode as _, Encode as _, Sequence};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralNames;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

use crate::{Failure, Request, Usages, pem};

const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

impl Request {
    /// The parsed CSR. The operator has verified its signature.
    pub fn csr(&self) -> Result<Csr, Failure> {
        Csr::from_der(&self.csr)
    }

    /// The CSR as PEM, as most CAs' APIs want it.
    pub fn csr_pem(&self) -> String {
        pem::encode("CERTIFICATE REQUEST", &self.csr)
    }
}

/// A certification request (PKCS#10) without its signature, which the operator has verified.
#[derive(Clone, Debug)]
pub struct Csr {
    subject: Vec<u8>,
    public_key: Vec<u8>,
    extensions: Vec<Extension>,
}

#[derive(Sequence)]
struct RawCsr<'a> {
    info: RawInfo<'a>,
    algorithm: AnyRef<'a>,
    signature: BitStringRef<'a>,
}

#[derive(Sequence)]
struct RawInfo<'a> {
    version: u8,
    subject: AnyRef<'a>,
    public_key: AnyRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    attributes: Option<Vec<RawAttribute<'a>>>,
}

/// Sequences here, where RFC 2986 has sets: the order does not matter to the reader.
#[derive(Sequence)]
struct RawAttribute<'a> {
    oid: ObjectIdentifier,
    /// SET OF ANY.
    values: AnyRef<'a>,
}

impl Csr {
    /// From DER. A malformed request is a permanent failure, the request's fault.
    pub fn from_der(der: &[u8]) -> Result<Self, Failure> {
        let malformed = |e: der::Error| Failure::invalid_request(format!("the CSR is malformed: {e}"));
        let info = RawCsr::from_der(der).map_err(malformed)?.info;
        let mut extensions: Vec<Extension> = Vec::new();
        for attribute in info.attributes.unwrap_or_default().iter().filter(|it| it.oid == EXTENSION_REQUEST) {
            extensions.extend(Vec::<Extension>::from_der(attribute.values.value()).map_err(malformed)?);
        }
        for (i, extension) in extensions.iter().enumerate() {
            if extensions[..i].iter().any(|earlier| earlier.extn_id == extension.extn_id) {
                let message = format!("the CSR asks for extension {} twice", extension.extn_id);
                return Err(Failure::invalid_request(message));
            }
        }
        Ok(Self {
            subject: info.subject.to_der().map_err(malformed)?,
            public_key: info.public_key.to_der().map_err(malformed)?,
            extensions,
        })
    }

    /// The subject's Name, DER.
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// The SubjectPublicKeyInfo, DER.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// The extensions that the request asks for.
    pub fn extensions(&self) -> &[Extension] {
        &self.extensions
    }

    /// The value of one requested extension, DER.
    pub fn extension(&self, oid: ObjectIdentifier) -> Option<&[u8]> {
        self.extensions.iter().find(|extension| extension.extn_id == oid).map(|e| e.extn_value.as_bytes())
    }

    /// The value of the subject alternative name extension, DER.
    pub fn subject_alt_name(&self) -> Option<&[u8]> {
        self.extension(SUBJECT_ALT_NAME)
    }

    /// The subject alternative names, none where the request has no such extension.
    pub fn names(&self) -> Result<GeneralNames, Failure> {
        self.subject_alt_name()
            .map_or(Ok(GeneralNames::new()), |value| parse("subject alternative name", value))
    }

    pub(crate) fn basic_constraints(&self) -> Result<Option<BasicConstraints>, Failure> {
        self.extension(BasicConstraints::OID).map(|value| parse("basic constraints", value)).transpose()
    }

    /// The usages that the request asks for, none where it leaves them to cert-manager's `spec.usages`.
    pub(crate) fn usages(&self) -> Result<Option<Usages>, Failure> {
        let key =
            self.extension(KeyUsage::OID).map(|value| parse::<KeyUsage>("key usage", value)).transpose()?;
        let extended = self
            .extension(ExtendedKeyUsage::OID)
            .map(|value| parse::<ExtendedKeyUsage>("extended key usage", value))
            .transpose()?;
        if key.is_none() && extended.is_none() {
            return Ok(None);
        }
        let key = key.map(|usage| usage.0).unwrap_or_default();
        Ok(Some(Usages { key, extended: extended.map(|usage| usage.0).unwrap_or_default() }))
    }
}

fn parse<'a, T: der::Decode<'a, Error = der::Error>>(what: &str, der: &'a [u8]) -> Result<T, Failure> {
    T::from_der(der).map_err(|e| Failure::invalid_request(format!("the CSR's {what} is malformed: {e}")))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Requester;

    pub(crate) fn request(csr: &[u8]) -> Request {
        Request {
            namespace: Some("team-a".into()),
            name: "web-1".into(),
            uid: "7f7d5c2e".into(),
            csr: csr.to_vec(),
            duration_seconds: 3600,
            is_ca: false,
            usages: Vec::new(),
            annotations: Vec::new(),
            requester: Requester {
                username: String::new(),
                uid: String::new(),
                groups: Vec::new(),
                extra: Vec::new(),
            },
            resume: None,
        }
    }

    #[test]
    fn a_malformed_csr_is_the_requests_fault() {
        let failure = request(&[0x30, 0x03, 0x02, 0x01, 0x00]).csr().unwrap_err();
        assert!(failure.message.starts_with("the CSR is malformed: "), "{}", failure.message);
        assert_eq!(failure.condition.unwrap().type_, "InvalidRequest");
    }
}

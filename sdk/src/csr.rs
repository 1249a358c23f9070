//! Reading a certification request (RFC 2986). What goes into the certificate is kept as the request's own bytes.

use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetString, OctetStringRef};
use der::oid::AssociatedOid as _;
use der::{Decode as _, Encode as _, Reader as _, Sequence, SliceReader, Tag, Tagged as _};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralNames;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

use crate::{Failure, Request, Usages, pem, usages};

const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

impl Request {
    /// The parsed CSR. The operator has verified its signature.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, Request};
    /// # fn f(request: &Request) -> Result<(), Failure> {
    /// let csr = request.csr()?;
    /// # Ok(()) }
    /// ```
    pub fn csr(&self) -> Result<Csr, Failure> {
        Csr::from_der(&self.csr)
    }

    /// The CSR as PEM, as most CAs' APIs want it.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, Request};
    /// # fn f(request: &Request) -> Result<(), Failure> {
    /// let body = request.csr_pem();
    /// # Ok(()) }
    /// ```
    pub fn csr_pem(&self) -> String {
        pem::encode("CERTIFICATE REQUEST", &self.csr)
    }
}

/// A certification request (PKCS#10) without its signature, which the operator has verified.
///
/// ```no_run
/// use wasm_issuer_sdk::x509_cert::ext::pkix::name::GeneralName;
/// use wasm_issuer_sdk::{Failure, Request};
///
/// /// Only names below example.com.
/// fn judge(request: &Request) -> Result<(), Failure> {
///     let fits = |name: &GeneralName| matches!(name, GeneralName::DnsName(name) if name.as_str().ends_with(".example.com"));
///     match request.csr()?.names()?.iter().all(fits) {
///         true => Ok(()),
///         false => Err(Failure::invalid_request("only DNS names below example.com are signed")),
///     }
/// }
/// ```
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
    /// A sequence here, where RFC 2986 has a set: the order does not matter to the reader.
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    attributes: Option<Vec<AnyRef<'a>>>,
}

#[derive(Sequence)]
struct RawExtension<'a> {
    id: AnyRef<'a>,
    #[asn1(default = "Default::default")]
    critical: bool,
    value: &'a OctetStringRef,
}

/// The list in an extensionRequest; none in any other attribute, and none in an empty one. The operator has read it before:
/// here, too, what is no attribute is skipped.
fn requested(attribute: &AnyRef<'_>) -> der::Result<Vec<Extension>> {
    let mut parts = SliceReader::new(attribute.value())?;
    if attribute.tag() != Tag::Sequence
        || !parts.decode::<ObjectIdentifier>().is_ok_and(|id| id == EXTENSION_REQUEST)
    {
        return Ok(Vec::new());
    }
    let values: AnyRef<'_> = parts.decode()?;
    if values.value().is_empty() {
        return Ok(Vec::new());
    }
    // An OID longer than an ObjectIdentifier holds is nobody's to ask for here.
    let known = |raw: RawExtension<'_>| {
        let extn_id = raw.id.decode_as().ok()?;
        let extn_value = OctetString::new(raw.value.as_bytes()).ok()?;
        Some(Extension { extn_id, critical: raw.critical, extn_value })
    };
    Ok(Vec::<RawExtension<'_>>::from_der(values.value())?.into_iter().filter_map(known).collect())
}

impl Csr {
    /// From DER. A malformed request is a permanent failure, the request's fault.
    ///
    /// ```
    /// use wasm_issuer_sdk::Csr;
    ///
    /// assert!(Csr::from_der(b"no CSR").is_err());
    /// ```
    pub fn from_der(der: &[u8]) -> Result<Self, Failure> {
        let malformed = |e: der::Error| Failure::invalid_request(format!("the CSR is malformed: {e}"));
        let info = RawCsr::from_der(der).map_err(malformed)?.info;
        let mut extensions: Vec<Extension> = Vec::new();
        for attribute in info.attributes.unwrap_or_default() {
            extensions.extend(requested(&attribute).map_err(malformed)?);
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
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, Request};
    /// # fn f(request: &Request) -> Result<(), Failure> {
    /// let name = request.csr()?.subject().to_vec();
    /// # Ok(()) }
    /// ```
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// The SubjectPublicKeyInfo, DER.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, Request};
    /// # fn f(request: &Request) -> Result<(), Failure> {
    /// let spki = request.csr()?.public_key().to_vec();
    /// # Ok(()) }
    /// ```
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// The extensions that the request asks for.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, Request};
    /// # fn f(request: &Request) -> Result<(), Failure> {
    /// let oids: Vec<String> = request.csr()?.extensions().iter().map(|it| it.extn_id.to_string()).collect();
    /// # Ok(()) }
    /// ```
    pub fn extensions(&self) -> &[Extension] {
        &self.extensions
    }

    /// The value of one requested extension, DER.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, Request};
    /// use wasm_issuer_sdk::der::asn1::ObjectIdentifier;
    ///
    /// # fn f(request: &Request) -> Result<(), Failure> {
    /// let must_staple = request.csr()?.extension(ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.24")).is_some();
    /// # Ok(()) }
    /// ```
    pub fn extension(&self, oid: ObjectIdentifier) -> Option<&[u8]> {
        self.extensions.iter().find(|extension| extension.extn_id == oid).map(|e| e.extn_value.as_bytes())
    }

    /// The value of the subject alternative name extension, DER.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, Request};
    /// # fn f(request: &Request) -> Result<(), Failure> {
    /// let has_names = request.csr()?.subject_alt_name().is_some();
    /// # Ok(()) }
    /// ```
    pub fn subject_alt_name(&self) -> Option<&[u8]> {
        self.extension(SUBJECT_ALT_NAME)
    }

    /// The subject alternative names, none where the request has no such extension.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, Request};
    /// # fn f(request: &Request) -> Result<(), Failure> {
    /// let count = request.csr()?.names()?.len();
    /// # Ok(()) }
    /// ```
    pub fn names(&self) -> Result<GeneralNames, Failure> {
        self.subject_alt_name()
            .map_or(Ok(GeneralNames::new()), |value| parse("subject alternative name", value))
    }

    pub(crate) fn basic_constraints(&self) -> Result<Option<BasicConstraints>, Failure> {
        self.extension(BasicConstraints::OID).map(|value| parse("basic constraints", value)).transpose()
    }

    /// The usages that the request asks for, without purposes that cert-manager does not know, none where it leaves them to cert-manager's `spec.usages`.
    pub(crate) fn usages(&self) -> Result<Option<Usages>, Failure> {
        let key =
            self.extension(KeyUsage::OID).map(|value| parse::<KeyUsage>("key usage", value)).transpose()?;
        let extended = self
            .extension(ExtendedKeyUsage::OID)
            .map(|value| parse::<Vec<AnyRef<'_>>>("extended key usage", value))
            .transpose()?;
        if key.is_none() && extended.is_none() {
            return Ok(None);
        }
        let key = key.map(|usage| usage.0).unwrap_or_default();
        let compared = |id: AnyRef<'_>| id.decode_as().ok().filter(usages::is_compared);
        Ok(Some(Usages { key, extended: extended.into_iter().flatten().filter_map(compared).collect() }))
    }
}

fn parse<'a, T: der::Decode<'a, Error = der::Error>>(what: &str, der: &'a [u8]) -> Result<T, Failure> {
    T::from_der(der).map_err(|e| Failure::invalid_request(format!("the CSR's {what} is malformed: {e}")))
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64, Encoding as _};

    use super::*;
    use crate::support::request;

    #[test]
    fn a_malformed_csr_is_the_requests_fault() {
        let failure = request(vec![0x30, 0x03, 0x02, 0x01, 0x00]).csr().unwrap_err();
        assert!(failure.message.starts_with("the CSR is malformed: "), "{}", failure.message);
        assert_eq!(failure.condition.unwrap().type_, "InvalidRequest");
    }

    #[test]
    fn csrs_as_people_have_them_are_read() {
        let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/../host/core/src/x509/testdata/cases");
        for case in ["eku-unknown", "ossl-eku-ike", "ecdsa-null-params", "rsa8192"] {
            let text = std::fs::read_to_string(format!("{cases}/{case}.pem")).unwrap();
            let digits: String = text.lines().filter(|line| !line.starts_with('-')).collect();
            let usages = Csr::from_der(&Base64::decode_vec(&digits).unwrap()).unwrap().usages().unwrap();
            let asked =
                Usages::from_names(&["digital signature", "key encipherment", "server auth"]).unwrap();
            assert!(usages.is_none_or(|usages| usages == asked), "{case}");
        }
    }

    fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = u8::try_from(content.len()).unwrap();
        let header = if length < 0x80 { vec![tag, length] } else { vec![tag, 0x81, length] };
        [header, content].concat()
    }

    /// A CSR whose key and signature are nobody's, which is not looked at here.
    fn with_attributes(attributes: &[Vec<u8>]) -> Result<Csr, Failure> {
        let info = tlv(0x30, &[&[2, 1, 2], &[0x30, 0], &[0x30, 0], &tlv(0xa0, &[&attributes.concat()])]);
        Csr::from_der(&tlv(0x30, &[&info, &[0x30, 0], &[3, 1, 0]]))
    }

    #[test]
    fn attributes_are_read_as_the_operator_reads_them() {
        let id = EXTENSION_REQUEST.to_der().unwrap();
        let request = |lists: &[Vec<u8>]| tlv(0x30, &[&id, &tlv(0x31, &[&lists.concat()])]);
        let long = tlv(6, &[&[0x2a], &[0x81, 1].repeat(20)]);
        let extension = |id: &[u8]| tlv(0x30, &[&tlv(0x30, &[id, &[4, 1, 7]])]);
        let (key_usage, other) = (KeyUsage::OID.to_der().unwrap(), SUBJECT_ALT_NAME.to_der().unwrap());

        let no_set =
            tlv(0x30, &[&ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.7").to_der().unwrap(), &[12, 0]]);
        let two = with_attributes(&[
            no_set,
            request(&[]),
            request(&[extension(&key_usage)]),
            request(&[extension(&other)]),
        ]);
        assert_eq!(two.unwrap().extensions().len(), 2);
        let skipped = [vec![5, 0], tlv(0x30, &[&long, &[0x31, 0]]), request(&[extension(&long)])];
        assert_eq!(with_attributes(&skipped).unwrap().extensions().len(), 0);
        let twice = [request(&[extension(&other)]), request(&[extension(&other)])];
        assert!(with_attributes(&twice).unwrap_err().message.contains("twice"));
        assert!(with_attributes(&[request(&[extension(&other), extension(&other)])]).is_err(), "two lists");
    }
}

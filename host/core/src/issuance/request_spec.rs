//! What a request asks for beside its CSR, as cert-manager's own issuers read it.

use std::time::Duration;

use crate::x509::{Csr, UnknownUsage, Usages};

/// The lifetime where `spec.duration` is not set: 90 days, cert-manager's default.
pub const DEFAULT_DURATION: Duration = Duration::from_secs(90 * 24 * 3600);
/// The usages where `spec.usages` is empty, cert-manager's default.
pub const DEFAULT_USAGES: [&str; 2] = ["digital signature", "key encipherment"];
/// The usage that a CA's key has, asked for or not.
const CERT_SIGN: &str = "cert sign";

/// The spec of a request with the defaults applied; it cannot be wrong in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestSpec {
    /// The lifetime, a second or more.
    pub duration: Duration,
    /// Whether a CA certificate is asked for.
    pub is_ca: bool,
    /// Key usages and extended key usages by cert-manager's names, all of them known.
    pub usages: Vec<String>,
    parsed: Usages,
}

/// Why no certificate can be issued for a spec: always the request's own fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestSpecError {
    /// A lifetime that X.509 cannot express, whose times are whole seconds.
    #[error("spec.duration: a certificate is valid for at least a second")]
    Duration,
    /// A usage that cert-manager does not have.
    #[error("spec.usages: {0}")]
    Usage(#[from] UnknownUsage),
    /// The CSR asks for something else than the spec. The words are those of [`Csr::contradiction`].
    #[error("encoded CSR error: {0}")]
    Contradiction(&'static str),
}

impl RequestSpec {
    /// Applies the defaults to what a CertificateRequest says, and to one for a CA adds the usage `cert sign`.
    pub fn new(duration: Option<Duration>, is_ca: bool, usages: &[String]) -> Result<Self, RequestSpecError> {
        let mut usages = or_defaults(usages);
        if is_ca && !usages.iter().any(|usage| usage == CERT_SIGN) {
            usages.push(CERT_SIGN.to_owned());
        }
        Self::with_usages(duration, is_ca, usages)
    }

    /// Applies the defaults to what a CertificateSigningRequest says. Its usages are all that is asked for: one for a CA
    /// whose usages lack `cert sign` is for a CA all the same, as cert-manager's own issuers have it.
    pub fn of_signing_request(
        duration: Option<Duration>,
        is_ca: bool,
        usages: &[String],
    ) -> Result<Self, RequestSpecError> {
        Self::with_usages(duration, is_ca, or_defaults(usages))
    }

    fn with_usages(
        duration: Option<Duration>,
        is_ca: bool,
        usages: Vec<String>,
    ) -> Result<Self, RequestSpecError> {
        let duration = duration.unwrap_or(DEFAULT_DURATION);
        if duration.as_secs() == 0 {
            return Err(RequestSpecError::Duration);
        }
        let parsed = Usages::parse(&usages)?;
        Ok(Self { duration, is_ca, usages, parsed })
    }

    /// What the names in `usages` stand for.
    pub fn parsed_usages(&self) -> &Usages {
        &self.parsed
    }

    /// Refuses a CSR whose own extensions contradict the spec.
    pub fn check(&self, csr: &Csr) -> Result<(), RequestSpecError> {
        match csr.contradiction(self.is_ca, &self.parsed) {
            Some(contradiction) => Err(RequestSpecError::Contradiction(contradiction)),
            None => Ok(()),
        }
    }
}

fn or_defaults(usages: &[String]) -> Vec<String> {
    match usages {
        [] => DEFAULT_USAGES.map(str::to_owned).into(),
        given => given.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(duration: Option<u64>, is_ca: bool, usages: &[&str]) -> Result<RequestSpec, RequestSpecError> {
        let usages: Vec<_> = usages.iter().map(|usage| (*usage).to_owned()).collect();
        RequestSpec::new(duration.map(Duration::from_secs), is_ca, &usages)
    }

    #[test]
    fn what_is_left_out_has_cert_managers_defaults() {
        let plain = spec(None, false, &[]).unwrap();
        assert_eq!(
            (plain.duration.as_secs(), plain.usages.as_slice()),
            (7_776_000, &DEFAULT_USAGES.map(str::to_owned)[..])
        );
        let given = spec(Some(60), false, &["server auth"]).unwrap();
        assert_eq!((given.duration.as_secs(), given.usages), (60, vec!["server auth".to_owned()]));
    }

    #[test]
    fn a_ca_signs_certificates_whether_it_says_so_or_not() {
        assert_eq!(
            spec(None, true, &[]).unwrap().usages,
            ["digital signature", "key encipherment", "cert sign"]
        );
        assert_eq!(spec(None, true, &["crl sign"]).unwrap().usages, ["crl sign", "cert sign"]);
        assert_eq!(spec(None, true, &["cert sign"]).unwrap().usages, ["cert sign"]);
        assert_eq!(spec(None, false, &["crl sign"]).unwrap().usages, ["crl sign"]);
    }

    #[test]
    fn a_signing_request_for_a_ca_gets_the_usages_that_it_asks_for() {
        let usages = ["crl sign".to_owned()];
        let ca = RequestSpec::of_signing_request(None, true, &usages).unwrap();
        assert!(ca.is_ca && ca.usages == usages && ca.duration == DEFAULT_DURATION);
        let plain = RequestSpec::of_signing_request(None, false, &[]).unwrap();
        assert_eq!(plain.usages, DEFAULT_USAGES);
    }

    #[test]
    fn what_cannot_be_issued_names_its_field() {
        let refused = |result: Result<RequestSpec, RequestSpecError>| result.unwrap_err().to_string();
        let short = "spec.duration: a certificate is valid for at least a second";
        assert_eq!(refused(spec(Some(0), false, &[])), short);
        let unknown = "spec.usages: unknown key usage \"tls\"";
        assert_eq!(refused(spec(None, false, &["tls"])), unknown);
        let almost = RequestSpec::new(Some(Duration::from_millis(999)), false, &[]);
        assert_eq!(refused(almost), short);
    }

    #[test]
    fn a_csr_may_not_contradict_its_spec() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        let csr = Csr::from_pem_or_der(params.serialize_request(&key).unwrap().der()).unwrap();
        assert_eq!(spec(None, false, &["signing"]).unwrap().check(&csr), Ok(()));
        // The usage that is added for a CA counts as asked for.
        for other in [spec(None, false, &[]), spec(None, true, &["signing"])] {
            assert_eq!(
                other.unwrap().check(&csr).unwrap_err().to_string(),
                "encoded CSR error: the CSR's key usages differ from the request's"
            );
        }
    }
}

//! A certificate authority: a key and the certificates that make it one.

use der::asn1::{AnyRef, ObjectIdentifier, Utf8StringRef};
use der::{Encode as _, Sequence, Tag};
use x509_cert::ext::pkix::BasicConstraints;

use crate::builder::now;
use crate::parsed::key_id;
use crate::path::{self, Given};
use crate::secrets::SecretError;
use crate::{
    Algorithm, Certificate, CertificateBuilder, Failure, HostKey, ParsedCertificate, Request, Signer, Usages,
    cache, log, pem, secrets,
};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const TEN_YEARS: u32 = 10 * 365 * 24 * 3600;

/// A CA that signs with a key of its own.
///
/// ```no_run
/// use wasm_issuer_sdk::{Authority, Certificate, Failure, Request};
///
/// fn sign(request: &Request) -> Result<Certificate, Failure> {
///     Authority::from_secret("tls.crt", "tls.key", "ca.crt")?.issue(request)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Authority<K = HostKey> {
    key: K,
    /// The CA's own certificate, then each the issuer of the one before it.
    chain: Vec<ParsedCertificate>,
    /// Whether the last one is self-signed.
    has_root: bool,
    /// What [`Authority::check`] tells the log.
    remark: Option<String>,
}

impl Authority<HostKey> {
    /// The CA in the Issuer's Secret: the keys that hold its certificates, its private key, and the certificates that
    /// clients trust, which may be missing or empty. In a `kubernetes.io/tls` Secret, as cert-manager makes them, they
    /// are `tls.crt`, `tls.key` and `ca.crt`. Otherwise as [`Authority::with_trusted`].
    ///
    /// ```no_run
    /// use wasm_issuer_sdk::Authority;
    ///
    /// # fn f() -> Result<(), wasm_issuer_sdk::Failure> {
    /// let authority = Authority::from_secret("tls.crt", "tls.key", "ca.crt")?;
    /// # Ok(()) }
    /// ```
    pub fn from_secret(certificates: &str, key: &str, trusted: &str) -> Result<Self, Failure> {
        let signer = HostKey::from_secret(key)?;
        let mut given =
            parse(&secrets::get(certificates)?.certificates()?, &format!("`{certificates}`"), false)?;
        match secrets::get(trusted) {
            Ok(value) => given.extend(parse(&value.certificates()?, &format!("`{trusted}`"), true)?),
            Err(SecretError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
        Self::choose(signer, given).map_err(|mut failure| {
            failure.message = format!("`{certificates}` and `{key}` of the Secret: {}", failure.message);
            failure
        })
    }

    /// A root whose key the operator made and loses when it restarts: for tests and demonstrations. The root is made
    /// once and kept in the [`cache`]; it is valid for ten years.
    ///
    /// ```no_run
    /// use wasm_issuer_sdk::{Algorithm, Authority};
    ///
    /// # fn f() -> Result<(), wasm_issuer_sdk::Failure> {
    /// let authority = Authority::ephemeral("root", "Team A", Algorithm::EcdsaP256Sha256)?;
    /// # Ok(()) }
    /// ```
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
///
/// ```
/// use wasm_issuer_sdk::common_name;
///
/// assert!(common_name("Team A").is_ok());
/// assert!(common_name("").is_err());
/// ```
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
    /// Fails as the Issuer's fault where they make no chain of CAs that is valid now. See also [`Authority::check`].
    ///
    /// ```no_run
    /// use wasm_issuer_sdk::{Authority, HostKey, secrets};
    ///
    /// # fn f() -> Result<(), wasm_issuer_sdk::Failure> {
    /// let certificates = secrets::get("tls.crt")?.certificates()?;
    /// let authority = Authority::new(HostKey::from_secret("tls.key")?, &certificates)?;
    /// # Ok(()) }
    /// ```
    pub fn new(key: K, certificates: &[impl AsRef<[u8]>]) -> Result<Self, Failure> {
        Self::with_trusted(key, certificates, &[] as &[&[u8]])
    }

    /// As [`Authority::new`], with certificates (DER) that clients trust, of which one is at the CA's end or above it.
    ///
    /// Of several chains the one is taken that has a root, one that clients trust, and lasts longest; what is not part
    /// of it does not matter. A root that is not valid now is left out.
    ///
    /// ```no_run
    /// use wasm_issuer_sdk::{Authority, HostKey, secrets};
    ///
    /// # fn f() -> Result<(), wasm_issuer_sdk::Failure> {
    /// let (own, trusted) = (secrets::get("chain.pem")?.certificates()?, secrets::get("roots.pem")?.certificates()?);
    /// let authority = Authority::with_trusted(HostKey::from_secret("key.pem")?, &own, &trusted)?;
    /// # Ok(()) }
    /// ```
    pub fn with_trusted(
        key: K,
        certificates: &[impl AsRef<[u8]>],
        trusted: &[impl AsRef<[u8]>],
    ) -> Result<Self, Failure> {
        let mut given = parse(certificates, "the chain", false)?;
        given.extend(parse(trusted, "the trusted ones", true)?);
        Self::choose(key, given)
    }

    fn choose(key: K, given: Vec<Given>) -> Result<Self, Failure> {
        let mut distinct: Vec<Given> = Vec::new();
        for one in given {
            match distinct.iter_mut().find(|it| it.certificate.der() == one.certificate.der()) {
                Some(earlier) => earlier.is_trusted |= one.is_trusted,
                None => distinct.push(one),
            }
        }
        let path::Path { chain, has_root, remark } =
            path::find(&key, &distinct, now()).map_err(Failure::issuer)?;
        Ok(Self { key, chain, has_root, remark })
    }

    /// Fails as the Issuer's fault unless what the key signs will be accepted: signs a certificate, which nobody gets to
    /// see, and has the operator judge it.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::Authority;
    /// # fn f() -> Result<(), wasm_issuer_sdk::Failure> {
    /// # let authority = Authority::from_secret("tls.crt", "tls.key", "ca.crt")?;
    /// authority.check()?;
    /// # Ok(()) }
    /// ```
    pub fn check(&self) -> Result<(), Failure> {
        if let Some(remark) = &self.remark {
            log::warn(remark);
        }
        let own = self.own()?;
        let probe =
            CertificateBuilder::new(common_name("check")?, own.public_key()).valid_for(60).sign(self)?;
        self.key
            .judge(&self.certificate(&probe))
            .map_err(|why| Failure::issuer(format!("what {} signs would be refused: {why}", own.describe())))
    }

    /// The certificate that goes with the key.
    pub(crate) fn own(&self) -> Result<&ParsedCertificate, Failure> {
        self.chain.first().ok_or_else(|| Failure::issuer("the CA has no certificate"))
    }

    /// The certificate of the chain that ends first.
    pub(crate) fn first_to_end(&self) -> Result<&ParsedCertificate, Failure> {
        let own = self.own()?;
        Ok(self.chain.iter().min_by_key(|ca| ca.until()).unwrap_or(own))
    }

    /// The key that goes with the first certificate of [`chain`](Self::chain), to sign with.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Authority, Signer};
    /// # fn f() -> Result<(), wasm_issuer_sdk::Failure> {
    /// # let authority = Authority::from_secret("tls.crt", "tls.key", "ca.crt")?;
    /// let signature = authority.key().sign(b"a message")?;
    /// # Ok(()) }
    /// ```
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The CA's own certificate, then each the issuer of the one before it.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::Authority;
    /// # fn f() -> Result<(), wasm_issuer_sdk::Failure> {
    /// # let authority = Authority::from_secret("tls.crt", "tls.key", "ca.crt")?;
    /// let names: Vec<String> = authority.chain().iter().map(|ca| ca.describe()).collect();
    /// # Ok(()) }
    /// ```
    pub fn chain(&self) -> &[ParsedCertificate] {
        &self.chain
    }

    /// Signs exactly what the request asks for.
    ///
    /// ```no_run
    /// use wasm_issuer_sdk::{Authority, Certificate, Failure, Request};
    ///
    /// fn sign(authority: &Authority, request: &Request) -> Result<Certificate, Failure> {
    ///     authority.issue(request)
    /// }
    /// ```
    pub fn issue(&self, request: &Request) -> Result<Certificate, Failure> {
        Ok(self.certificate(&CertificateBuilder::for_request(request)?.sign(self)?))
    }

    /// The answer for a certificate (DER) that this CA has signed: followed by its intermediates, the root or else the
    /// topmost certificate apart.
    ///
    /// ```no_run
    /// use wasm_issuer_sdk::{Authority, Certificate, CertificateBuilder, Failure, Request};
    ///
    /// /// At most a day, whatever was asked for.
    /// fn sign(authority: &Authority, request: &Request) -> Result<Certificate, Failure> {
    ///     let day = 24 * 3600;
    ///     let leaf = CertificateBuilder::for_request(request)?.valid_for(request.duration_seconds.min(day));
    ///     Ok(authority.certificate(&leaf.sign(authority)?))
    /// }
    /// ```
    pub fn certificate(&self, leaf: &[u8]) -> Certificate {
        let intermediates = &self.chain[..self.chain.len() - usize::from(self.has_root)];
        let intermediates = intermediates.iter().map(ParsedCertificate::der);
        Certificate {
            chain: pem::encode_certificates([leaf].into_iter().chain(intermediates)),
            ca: self.chain.last().map(|top| pem::encode_certificates([top.der()])),
        }
    }

    /// Whether certificates below one that this CA signs would be accepted.
    pub(crate) fn may_sign_ca(&self) -> bool {
        self.chain.iter().enumerate().all(|(at, ca)| {
            let below = self.chain[..at].iter().filter(|ca| !ca.is_self_issued()).count();
            let limit = ca.decode::<BasicConstraints>().ok().flatten().and_then(|it| it.path_len_constraint);
            limit.is_none_or(|limit| usize::from(limit) > below)
        })
    }
}

/// Certificates (DER) with where they stand: the Secret's key, say.
fn parse(certificates: &[impl AsRef<[u8]>], place: &str, is_trusted: bool) -> Result<Vec<Given>, Failure> {
    let parse = |(at, der): (usize, &_)| {
        let der: &[u8] = AsRef::as_ref(der);
        let place = format!("certificate {} of {place}", at + 1);
        let certificate = ParsedCertificate::from_der(der)
            .map_err(|e| Failure::issuer(format!("{place} is malformed: {e}")))?;
        Ok(Given { certificate, place, is_trusted })
    };
    certificates.iter().enumerate().map(parse).collect()
}

//! CA Secrets: every kind of key, and every form in which people keep a CA.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, DnValue, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, RsaKeySize, SerialNumber,
    date_time_ymd,
};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/tests/cases");
const RSA_8192: &str = include_str!("../../../core/src/keys/testdata/rsa-8192.key");

pub struct Authority {
    pub name: String,
    pub secret: Vec<(&'static str, Vec<u8>)>,
    /// Whether it is asked for all kinds of certificates.
    pub signs_all: bool,
}

/// A CA with its own key and what its certificate says.
pub struct Ca {
    pub key: KeyPair,
    pub params: CertificateParams,
}

impl Ca {
    pub fn new(name: &str) -> Self {
        Self::with_key(name, KeyPair::generate().unwrap())
    }

    pub fn with_key(name: &str, key: KeyPair) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2049, 1, 1));
        Self { key, params }
    }

    fn but(mut self, change: impl FnOnce(&mut CertificateParams)) -> Self {
        change(&mut self.params);
        self
    }

    fn years(self, from: i32, to: i32) -> Self {
        self.but(|params| {
            (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        })
    }

    /// The same key with other years.
    fn renewed(&self, from: i32, to: i32) -> Self {
        let key = KeyPair::from_pem(&self.key.serialize_pem()).unwrap();
        Self { key, params: self.params.clone() }.years(from, to)
    }

    pub fn root(&self) -> String {
        self.params.self_signed(&self.key).unwrap().pem()
    }

    pub fn below(&self, issuer: &Ca) -> String {
        let issuer = Issuer::new(issuer.params.clone(), &issuer.key);
        self.params.clone().signed_by(&self.key, &issuer).unwrap().pem()
    }

    /// The Secret with these certificates, and those that clients trust.
    pub fn secret(&self, certificates: &[&str], trusted: &[&str]) -> Vec<(&'static str, Vec<u8>)> {
        let mut values = vec![
            ("tls.crt", certificates.concat().into_bytes()),
            ("tls.key", self.key.serialize_pem().into_bytes()),
        ];
        if !trusted.is_empty() {
            values.push(("ca.crt", trusted.concat().into_bytes()));
        }
        values
    }
}

fn authority(name: impl Into<String>, secret: Vec<(&'static str, Vec<u8>)>) -> Authority {
    Authority { name: name.into(), secret, signs_all: false }
}

pub fn all() -> Vec<Authority> {
    let mut all = kinds_of_keys();
    all.extend(places());
    all.extend(several_ways());
    all.extend(limits());
    all.extend(odd_ones());
    all.extend(cases());
    all
}

fn kinds_of_keys() -> Vec<Authority> {
    let root = Ca::new("Root");
    let generate = |algorithm| KeyPair::generate_for(algorithm).unwrap();
    [
        ("P-256", generate(&rcgen::PKCS_ECDSA_P256_SHA256)),
        ("P-384", generate(&rcgen::PKCS_ECDSA_P384_SHA384)),
        ("P-521", generate(&rcgen::PKCS_ECDSA_P521_SHA512)),
        ("Ed25519", generate(&rcgen::PKCS_ED25519)),
        ("RSA 2048", KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()),
        ("RSA 3072", KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA384, RsaKeySize::_3072).unwrap()),
        ("RSA 8192", KeyPair::from_pem(RSA_8192).unwrap()),
    ]
    .into_iter()
    .flat_map(|(kind, key)| {
        let own = Ca::with_key("Own", key);
        [
            Authority {
                signs_all: kind == "P-256",
                ..authority(format!("root of {kind}"), own.secret(&[&own.root()], &[]))
            },
            authority(format!("intermediate of {kind}"), own.secret(&[&own.below(&root)], &[&root.root()])),
            authority(format!("below a root of {kind}"), root.secret(&[&root.below(&own)], &[&own.root()])),
        ]
    })
    .collect()
}

/// Where its certificates stand.
fn places() -> Vec<Authority> {
    let (root, own) = (Ca::new("Root"), Ca::new("Own"));
    let (top, inter, alone) = (root.root(), own.below(&root), own.root());
    let chain = |length: usize| {
        let cas: Vec<_> = (0..length).map(|n| Ca::new(&format!("CA {n}"))).collect();
        let mut pems: Vec<_> = cas.windows(2).rev().map(|pair| pair[1].below(&pair[0])).collect();
        pems.push(cas[0].root());
        cas[length - 1].secret(&pems.iter().map(String::as_str).collect::<Vec<_>>(), &[])
    };
    vec![
        authority("root, as cert-manager writes it", own.secret(&[&alone], &[&alone])),
        Authority { signs_all: true, ..authority("root in ca.crt", own.secret(&[&inter], &[&top])) },
        authority("root in tls.crt", own.secret(&[&inter, &top], &[])),
        authority("root in front", own.secret(&[&top, &inter], &[])),
        authority("no root", own.secret(&[&inter], &[])),
        authority("the intermediate is trusted", own.secret(&[&inter], &[&inter])),
        authority("an empty ca.crt", [own.secret(&[&inter, &top], &[]), vec![("ca.crt", vec![])]].concat()),
        authority("something unrelated", own.secret(&[&inter, &Ca::new("Other").root(), &top], &[])),
        authority("chain of 12", chain(12)),
        authority("chain of 20", chain(20)),
    ]
}

/// Several certificates of one authority.
fn several_ways() -> Vec<Authority> {
    let (a, b, own) = (Ca::new("A"), Ca::new("B"), Ca::new("Own"));
    let (by_a, by_b, top_a, top_b) = (own.below(&a), own.below(&b), a.root(), b.root());
    let (next, expired) = (a.renewed(2024, 2060), a.renewed(2010, 2020));
    // A path is found by keys here, and by their identifiers elsewhere.
    let identified = |name| Ca::new(name).but(|it| it.use_authority_key_identifier_extension = true);
    let (new_key, below) = (identified("A"), identified("Own"));
    vec![
        authority("cross-signed, both roots", own.secret(&[&by_a, &by_b, &top_a, &top_b], &[])),
        authority("cross-signed, one is trusted", own.secret(&[&by_a, &by_b], &[&top_b])),
        authority("the new root below the old", own.secret(&[&by_a, &a.below(&b)], &[&top_b])),
        authority("renewed with its key", a.secret(&[&top_a, &next.root()], &[])),
        authority("root renewed above", own.secret(&[&by_a, &top_a, &next.root()], &[])),
        authority("both roots are trusted", own.secret(&[&by_a], &[&top_a, &next.root()])),
        authority("an expired root beside", own.secret(&[&by_a, &expired.root(), &top_a], &[])),
        authority("an expired root alone", own.secret(&[&by_a, &expired.root()], &[])),
        authority(
            "a new key of the same name",
            below.secret(&[&below.below(&new_key), &new_key.below(&a)], &[&top_a]),
        ),
    ]
}

/// What CAs above allow.
fn limits() -> Vec<Authority> {
    let subtrees = |domain: &str| vec![GeneralSubtree::DnsName(domain.into())];
    let permitting =
        |domain: &str| NameConstraints { permitted_subtrees: subtrees(domain), excluded_subtrees: vec![] };
    let excluding =
        |domain: &str| NameConstraints { permitted_subtrees: vec![], excluded_subtrees: subtrees(domain) };
    let purposes = |list: &[ExtendedKeyUsagePurpose]| {
        let list = list.to_vec();
        move |params: &mut CertificateParams| params.extended_key_usages = list
    };
    let below =
        |name: &str, root: Ca, own: Ca| authority(name, own.secret(&[&own.below(&root)], &[&root.root()]));
    let (root, own) = (|| Ca::new("Root"), || Ca::new("Own"));
    let unknown = |params: &mut CertificateParams| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    };
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, ServerAuth};
    vec![
        below("permitted names", root(), own().but(|it| it.name_constraints = Some(permitting("example")))),
        below(
            "permitted names of the root",
            root().but(|it| it.name_constraints = Some(permitting("example"))),
            own(),
        ),
        below("excluded names", root(), own().but(|it| it.name_constraints = Some(excluding("a.example")))),
        below(
            "excluded names of the root",
            root().but(|it| it.name_constraints = Some(excluding("a.example"))),
            own(),
        ),
        below(
            "other names are excluded",
            root(),
            own().but(|it| it.name_constraints = Some(excluding("b.example"))),
        ),
        below("no CAs below", root(), own().but(|it| it.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)))),
        below("one CA below", root().but(|it| it.is_ca = IsCa::Ca(BasicConstraints::Constrained(1))), own()),
        below("for servers and clients", root(), own().but(purposes(&[ServerAuth, ClientAuth]))),
        below("for anything", root(), own().but(purposes(&[Any]))),
        below("for clients", root(), own().but(purposes(&[ClientAuth]))),
        below("an unknown critical extension of the root", root().but(unknown), own()),
        below("root for clients", root().but(purposes(&[ClientAuth])), own()),
    ]
}

fn odd_ones() -> Vec<Authority> {
    let alone = |name: &str, ca: Ca| authority(name, ca.secret(&[&ca.root()], &[]));
    let subject = |values: Vec<(DnType, DnValue)>| {
        Ca::new("Own").but(|params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            values.into_iter().for_each(|(kind, value)| params.distinguished_name.push(kind, value));
        })
    };
    let utf8 = |text: &str| DnValue::Utf8String(text.to_owned());
    vec![
        alone("past 2050", Ca::new("Own").years(2020, 2100)),
        alone("no key usage", Ca::new("Own").but(|it| it.key_usages.clear())),
        alone("serial 1", Ca::new("Own").but(|it| it.serial_number = Some(SerialNumber::from(1)))),
        alone("serial of 20 octets", Ca::new("Own").but(|it| it.serial_number = Some(vec![0x7f; 20].into()))),
        alone("serial of 21 octets", Ca::new("Own").but(|it| it.serial_number = Some(vec![0x7f; 21].into()))),
        alone(
            "an authority key identifier",
            Ca::new("Own").but(|it| it.use_authority_key_identifier_extension = true),
        ),
        alone("unicode", subject(vec![(DnType::CommonName, utf8("B\u{fc}cher \u{1f4da}"))])),
        alone(
            "many attributes",
            subject(vec![
                (DnType::CountryName, DnValue::PrintableString("DE".try_into().unwrap())),
                (DnType::OrganizationName, utf8("Corp, Inc.")),
                (DnType::OrganizationalUnitName, utf8("CAs")),
                (DnType::CommonName, DnValue::BmpString("Own".try_into().unwrap())),
            ]),
        ),
        alone("no common name", subject(vec![(DnType::OrganizationName, utf8("Corp"))])),
    ]
}

/// Those that people had, and that are issued for.
fn cases() -> Vec<Authority> {
    let issued =
        |folder: &Path| fs::read_to_string(folder.join("README")).unwrap().starts_with("Expected: issued");
    let folders =
        fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let always = ["01-ca-crt-of-the-secret", "02-ready-issuer-fails-every-request"];
    folders
        .filter(|folder| always.iter().any(|name| folder.ends_with(name)) || issued(folder))
        .map(|folder| authority(folder.file_name().unwrap().to_str().unwrap(), case(&folder)))
        .collect()
}

/// The Secret in a folder.
pub fn case(folder: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let read = |key: &'static str| Some((key, fs::read(folder.join(key)).ok()?));
    ["tls.crt", "tls.key", "ca.crt"].into_iter().filter_map(read).collect()
}

/// All folders of cases.
pub fn case_folders() -> Vec<std::path::PathBuf> {
    let mut folders: Vec<_> = fs::read_dir(CASES)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

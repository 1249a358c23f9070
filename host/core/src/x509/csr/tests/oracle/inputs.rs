//! CSRs to compare the verdicts on: those of testdata, one for every kind of key, form, extension and name, and what
//! mutations are made of.

mod names;
mod pss;

use super::*;

/// A CSR, and the rest of the request around it.
pub struct Input {
    pub what: String,
    pub pem: Vec<u8>,
    pub is_ca: bool,
    pub usages: Vec<String>,
    /// Whether it is the rest of the request that decides.
    pub contradicts: bool,
}

impl Input {
    fn pem(what: impl Into<String>, pem: impl Into<Vec<u8>>) -> Self {
        // What the CSRs here ask for, where they ask for usages.
        let usages = ["digital signature", "key encipherment", "server auth"].map(str::to_owned).to_vec();
        Self { what: what.into(), pem: pem.into(), is_ca: false, usages, contradicts: false }
    }

    fn der(what: impl Into<String>, der: &[u8]) -> Self {
        Self::pem(what, pem::encode("CERTIFICATE REQUEST", der))
    }

    fn with(self, is_ca: bool, usages: &[&str]) -> Self {
        let usages = usages.iter().map(|usage| (*usage).to_owned()).collect();
        Self { is_ca, usages, contradicts: true, ..self }
    }
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../../../testdata/", $name, ".pem")).as_slice())),*]
    };
}

/// All inputs that are made on purpose.
pub fn all() -> Vec<Input> {
    let files = files![
        "openssl-p384",
        "pss-odd-salt",
        "pss-sha384",
        "rsa-1024",
        "secp256k1",
        "sha1",
        "p224",
        "cases/dns-ulabel",
        "cases/ecdsa-null-params",
        "cases/eku-unknown",
        "cases/empty-all",
        "cases/ip-badlen",
        "cases/ossl-eku-ike",
        "cases/pem-headers",
        "cases/pem-latin1-before",
        "cases/pem-nul-after",
        "cases/pem-text-after",
        "cases/pem-two",
        "cases/rsa8192",
        "cases/san-empty-seq",
    ];
    let mut all: Vec<_> = files.into_iter().map(|(name, pem)| Input::pem(name, pem)).collect();
    all.extend(keys_and_extensions());
    all.extend(names::alternative());
    all.extend(names::subjects());
    all.extend(attributes());
    all.extend(envelopes());
    all.extend(pss::all());
    all.extend(around());
    all.extend(requests());
    all
}

fn keys() -> Vec<PrivateKey> {
    use Algorithm::*;
    let rsa = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let mut keys = vec![PrivateKey::from_pem(rsa.serialize_pem().as_bytes()).unwrap()];
    keys.extend(
        [EcdsaP256Sha256, EcdsaP384Sha384, EcdsaP521Sha512, Ed25519]
            .map(|it| PrivateKey::generate(it).unwrap()),
    );
    keys
}

/// digitalSignature and keyEncipherment.
fn usage() -> Vec<u8> {
    extension("2.5.29.15", &[3, 2, 5, 0xa0])
}

fn purposes(oids: &[&str]) -> Vec<u8> {
    let oids: Vec<_> = oids.iter().map(|dotted| oid(dotted)).collect();
    extension("2.5.29.37", &tlv(SEQUENCE, &[&oids.concat()]))
}

const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";

fn extensions() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let names = || san(&[dns("a.example")]);
    let critical = |id: &str, value: &[u8]| tlv(SEQUENCE, &[&oid(id), &[1, 1, 0xff], &tlv(4, &[value])]);
    let constraints = |value: &[u8]| extension("2.5.29.19", value);
    vec![
        ("none", vec![]),
        ("names", vec![names()]),
        ("names, critical", vec![critical("2.5.29.17", &tlv(SEQUENCE, &[&dns("a.example")]))]),
        ("usages", vec![names(), usage(), purposes(&[SERVER_AUTH])]),
        (
            "usage bits in one byte more",
            vec![extension("2.5.29.15", &[3, 3, 0, 0xa0, 0]), purposes(&[SERVER_AUTH])],
        ),
        (
            "usage with a padding bit set",
            vec![extension("2.5.29.15", &[3, 2, 5, 0xa1]), purposes(&[SERVER_AUTH])],
        ),
        ("usage without bits", vec![extension("2.5.29.15", &[3, 1, 0])]),
        ("usage that is no bit string", vec![extension("2.5.29.15", &[4, 1, 0])]),
        (
            "usage with something behind it",
            vec![extension("2.5.29.15", &[3, 2, 5, 0xa0, 5, 0]), purposes(&[SERVER_AUTH])],
        ),
        ("an unknown purpose", vec![usage(), purposes(&[SERVER_AUTH, "1.3.6.1.4.1.311.20.2.2"])]),
        ("Microsoft's code signing", vec![usage(), purposes(&[SERVER_AUTH, "1.3.6.1.4.1.311.61.1.1"])]),
        ("no purpose", vec![extension("2.5.29.37", &tlv(SEQUENCE, &[]))]),
        ("constraints, empty", vec![names(), constraints(&[SEQUENCE, 0])]),
        ("constraints, false", vec![names(), constraints(&[SEQUENCE, 3, 1, 1, 0])]),
        ("constraints, CA", vec![names(), ca_flag()]),
        ("constraints with a length", vec![names(), constraints(&[SEQUENCE, 3, 2, 1, 0])]),
        ("constraints that are malformed", vec![names(), constraints(&[SEQUENCE, 3, 1, 1, 1])]),
        (
            "name constraints that are malformed",
            vec![names(), extension("2.5.29.30", &[SEQUENCE, 2, 0xa0, 0])],
        ),
        ("an unknown one", vec![names(), extension("1.2.3", b"anything")]),
        ("an unknown one, critical", vec![names(), critical("1.2.3", b"anything")]),
        ("an unknown one twice", vec![extension("1.2.3", b"a"), extension("1.2.3", b"b")]),
        ("names twice", vec![names(), names()]),
        ("must-staple", vec![names(), extension("1.3.6.1.5.5.7.1.24", &[SEQUENCE, 3, 2, 1, 5])]),
        ("a subject key id", vec![names(), extension("2.5.29.14", &tlv(4, &[&[7; 20]]))]),
    ]
}

fn keys_and_extensions() -> Vec<Input> {
    let mut all = Vec::new();
    for key in keys() {
        for (what, extensions) in extensions() {
            let what = format!("{:?}, {what}", key.algorithm());
            all.push(Input::der(what, &csr(&key, &cn("a.example"), &extensions)));
        }
    }
    all
}

fn attributes() -> Vec<Input> {
    let key = key();
    let request = extension_request(&[san(&[dns("a.example")])]);
    let other = extension_request(&[extension("1.2.3", b"")]);
    let list = tlv(SEQUENCE, &[&san(&[dns("a.example")])]);
    let id = oid("1.2.840.113549.1.9.14");
    let long = tlv(6, &[&[0x2a], &[0x81, 1].repeat(30)]);
    [
        ("no attribute", vec![]),
        ("two extensionRequests", vec![request.clone(), other]),
        ("one twice", vec![request.clone(), request.clone()]),
        ("an empty set", vec![tlv(SEQUENCE, &[&id, &tlv(SET, &[])])]),
        ("an empty list", vec![tlv(SEQUENCE, &[&id, &tlv(SET, &[&tlv(SEQUENCE, &[])])])]),
        ("two lists", vec![tlv(SEQUENCE, &[&id, &tlv(SET, &[&list, &list])])]),
        ("no list", vec![tlv(SEQUENCE, &[&id, &tlv(SET, &[&[5, 0]])])]),
        ("no set", vec![tlv(SEQUENCE, &[&id, &list]), request.clone()]),
        ("an attribute that is none", vec![tlv(UTF8, &[b"x"]), request.clone()]),
        (
            "a password without a set",
            vec![tlv(SEQUENCE, &[&oid("1.2.840.113549.1.9.7"), &tlv(UTF8, &[b"x"])])],
        ),
        ("a long OID", vec![tlv(SEQUENCE, &[&long, &tlv(SET, &[])]), request]),
    ]
    .map(|(what, attributes)| Input::der(what, &csr_with_attributes(&key, &cn("a"), &attributes)))
    .into()
}

fn envelopes() -> Vec<Input> {
    let key = key();
    let info = |version: &[u8], end: &[u8]| tlv(SEQUENCE, &[version, &cn("a"), key.public_key_der(), end]);
    let plain = info(&[2, 1, 0], &tlv(0xa0, &[]));
    let algorithm = |id: &str, parameters: &[u8]| tlv(SEQUENCE, &[&oid(id), parameters]);
    let (sha256, sha384) = ("1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3");
    let mut all: Vec<_> = [0, 1, 2, 3, 127]
        .map(|n| Input::der(format!("version {n}"), &signed(&info(&[2, 1, n], &tlv(0xa0, &[])), &key)))
        .into();
    let long_spki = [fields(key.public_key_der()).concat().as_slice(), &[5, 0]].concat();
    let long_spki = tlv(SEQUENCE, &[&[2, 1, 0], &cn("a"), &tlv(SEQUENCE, &[&long_spki]), &tlv(0xa0, &[])]);
    all.extend(
        [
            ("a field more in the key", signed(&long_spki, &key)),
            ("no attributes field", signed(&info(&[2, 1, 0], &[]), &key)),
            ("a field more", signed(&info(&[2, 1, 0], &[0xa0, 0, 5, 0]), &key)),
            ("NULL parameters", signed_as(&plain, &algorithm(sha256, &[5, 0]), &key)),
            ("another hash", signed_as(&plain, &algorithm(sha384, &[]), &key)),
            ("an algorithm of RSA", signed_as(&plain, &algorithm("1.2.840.113549.1.1.11", &[5, 0]), &key)),
            ("an unknown algorithm", signed_as(&plain, &algorithm("1.2.3", &[]), &key)),
            ("another key", signed(&plain, &fixtures::key())),
            ("no signature", tlv(SEQUENCE, &[&plain, &algorithm(sha256, &[]), &[3, 1, 0]])),
            ("a byte more", [signed(&plain, &key).as_slice(), &[0]].concat()),
            ("no CSR", vec![SEQUENCE, 3, 2, 1, 0]),
            ("nothing", vec![]),
        ]
        .map(|(what, der)| Input::der(what, &der)),
    );
    all
}

fn around() -> Vec<Input> {
    let der = csr(&key(), &cn("a"), &[]);
    let pem = pem::encode("CERTIFICATE REQUEST", &der);
    let digits: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let block = |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
    [
        ("nothing", String::new()),
        ("CRLF", pem.replace('\n', "\r\n")),
        ("CR", pem.replace('\n', "\r")),
        ("one line", block("CERTIFICATE REQUEST", &digits)),
        ("NEW", block("NEW CERTIFICATE REQUEST", &digits)),
        ("another label", block("CERTIFICATE", &digits)),
        ("an empty label", block("", &digits)),
        ("another block first", block("EC PARAMETERS", "BggqhkjOPQMBBw==") + &pem),
        ("a broken block first", block("CERTIFICATE REQUEST", "!") + &pem),
        ("an indented block", format!(" {pem}")),
        ("an indented block first", format!(" {pem}{pem}")),
        ("behind text", format!("x{pem}")),
        ("blanks in the body", pem.replace('M', "M \t")),
        ("blanks behind the ends", pem.replace("-----\n", "----- \t\n")),
        ("text behind the end", pem.replace("REQUEST-----\n", "REQUEST-----x\n")),
        ("no newline at the end", pem.trim_end().to_owned()),
        ("a carriage return at the end", pem.trim_end().to_owned() + "\r"),
        ("no end", pem.replace("-----END", "-----EN")),
        ("another end", pem.replace("END CERT", "END DIRT")),
        ("a header", pem.replacen("-----\n", "-----\nA: b\n", 1)),
        ("headers only", block("CERTIFICATE REQUEST", "A: b")),
        ("no body", "-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n".to_owned()),
        ("no padding", block("CERTIFICATE REQUEST", digits.trim_end_matches('='))),
        ("a vertical tab in the body", pem.replace('M', "M\x0b")),
    ]
    .map(|(what, pem)| Input::pem(format!("around: {what}"), pem))
    .into()
}

/// CSRs with requests that fit and that do not.
fn requests() -> Vec<Input> {
    let key = key();
    let make = |extensions: &[Vec<u8>]| Input::der("request", &csr(&key, &cn("a"), extensions));
    let cert_sign = || extension("2.5.29.15", &[3, 2, 2, 0xa4]);
    let client_auth = "1.3.6.1.5.5.7.3.2";
    vec![
        make(&[]).with(false, &[]),
        make(&[]).with(true, &[]),
        make(&[]).with(false, &["no such usage"]),
        make(&[usage()]).with(false, &[]),
        make(&[usage()]).with(false, &["signing", "key encipherment"]),
        make(&[usage()]).with(false, &["signing"]),
        make(&[usage()]).with(false, &["signing", "key encipherment", "server auth"]),
        make(&[purposes(&[SERVER_AUTH])]).with(false, &["server auth"]),
        make(&[purposes(&[SERVER_AUTH])]).with(false, &["client auth"]),
        make(&[purposes(&[SERVER_AUTH])]).with(false, &["signing", "server auth"]),
        make(&[purposes(&[SERVER_AUTH])]).with(false, &[]),
        make(&[purposes(&[SERVER_AUTH, client_auth])]).with(false, &["server auth", "client auth"]),
        make(&[purposes(&[SERVER_AUTH, client_auth])]).with(false, &["client auth", "server auth"]),
        make(&[purposes(&["1.2.3"])]).with(false, &["server auth"]),
        make(&[ca_flag()]).with(true, &[]),
        make(&[ca_flag()]).with(false, &[]),
        make(&[ca_flag(), cert_sign()]).with(true, &[]),
        make(&[ca_flag(), cert_sign()]).with(true, &["cert sign"]),
    ]
}

/// What mutations are made of: a text, or a structure that is signed anew.
pub struct Source {
    input: Input,
    key: Option<PrivateKey>,
}

pub fn to_mutate() -> Vec<Source> {
    let key = || key();
    let rich = |key: &PrivateKey| {
        let all = san(&[
            dns("a.example"),
            tlv(0x81, &[b"a@b.example"]),
            tlv(0x86, &[b"https://u@h.example:1/p%20q"]),
            tlv(0x87, &[&[10, 0, 0, 1]]),
            tlv(0xa4, &[&cn("in a directory")]),
        ]);
        csr(
            key,
            &name(&[&[(O, UTF8, "a")], &[(CN, PRINTABLE, "b")]]),
            &[all, usage(), purposes(&[SERVER_AUTH])],
        )
    };
    let mut sources = Vec::new();
    for make in
        [rich as fn(&PrivateKey) -> Vec<u8>, |key| csr(key, &cn("a.example"), &[san(&[dns("a.example")])])]
    {
        let key = key();
        let der = make(&key);
        sources.push(Source { input: Input::der("text", &der), key: None });
        // The structure three times as often as the text.
        for _ in 0..3 {
            let key = PrivateKey::generate(Algorithm::EcdsaP256Sha256).unwrap();
            sources.push(Source { input: Input::pem("info", fields(&make(&key))[0]), key: Some(key) });
        }
    }
    sources
}

impl Source {
    /// The mutated text, or the CSR of the mutated structure.
    pub fn mutated(&self, random: &mut Random) -> Input {
        match &self.key {
            None => Input::pem("mutated text", random.mutate(&self.input.pem)),
            Some(key) => Input::der("mutated structure", &signed(&random.mutate_der(&self.input.pem), key)),
        }
    }
}

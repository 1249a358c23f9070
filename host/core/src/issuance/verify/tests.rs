use std::time::Duration;

use super::*;
use crate::issuance::signer::Requester;
use crate::keys::{Algorithm, PrivateKey};
use crate::x509::fixtures::{self, *};
use crate::x509::{Csr, pem};

mod authorities;
mod chains;
mod effort;
mod forms;
mod leaves;
mod oracle;
mod purposes;
mod requested;
mod rules;

const INTERMEDIATE: &str = "Intermediate";
const ROOT: &str = "Root";

/// A request, and a CA of two levels with a leaf that answers it exactly.
struct World {
    key: PrivateKey,
    intermediate_key: PrivateKey,
    root_key: PrivateKey,
    request: SignRequest,
    leaf: Template,
    policy: Verification,
    trusted: TrustedCas,
}

/// The extension keyUsage: digitalSignature.
fn usage() -> Vec<u8> {
    extension("2.5.29.15", &[3, 2, 7, 0x80])
}

/// The extension extKeyUsage.
fn purposes(ids: &[&str]) -> Vec<u8> {
    let ids: Vec<_> = ids.iter().map(|id| oid(id)).collect();
    extension("2.5.29.37", &tlv(SEQUENCE, &[&ids.concat()]))
}

/// The value of nameConstraints that exclude one base.
fn excluding(base: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[&tlv(0xa1, &[&tlv(SEQUENCE, &[base])])])
}

impl World {
    fn new() -> Self {
        Self::asking(&cn("a.example"), &[dns("a.example"), dns("b.example")])
    }

    fn asking(subject: &[u8], names: &[Vec<u8>]) -> Self {
        let key = fixtures::key();
        let extensions = if names.is_empty() { vec![] } else { vec![san(names)] };
        let request = SignRequest {
            namespace: Some("team".into()),
            name: "request".into(),
            uid: "1".into(),
            csr: Csr::from_pem_or_der(&csr(&key, subject, &extensions)).unwrap(),
            duration: Duration::from_secs(90 * 24 * 3600),
            is_ca: false,
            usages: vec!["digital signature".into()],
            annotations: vec![],
            requester: Requester::default(),
            resume: None,
        };
        let mut leaf = Template::new(subject.to_vec(), key.public_key_der(), cn(INTERMEDIATE));
        leaf.extensions = [extensions, vec![usage()]].concat();
        let (policy, trusted) = (Verification::strict(), TrustedCas::default());
        Self {
            key,
            intermediate_key: fixtures::key(),
            root_key: fixtures::key(),
            request,
            leaf,
            policy,
            trusted,
        }
    }

    fn leaf(&self) -> Vec<u8> {
        self.leaf.sign(&self.intermediate_key)
    }

    fn intermediate(&self) -> Vec<u8> {
        Template::ca(INTERMEDIATE, &self.intermediate_key, ROOT).sign(&self.root_key)
    }

    fn root(&self) -> Vec<u8> {
        Template::ca(ROOT, &self.root_key, ROOT).sign(&self.root_key)
    }

    /// What a plugin would return with the leaf as it is.
    fn issue(&self) -> Result<Verified, Mismatch> {
        self.verify(&[self.leaf(), self.intermediate(), self.root()], None)
    }

    fn verify(&self, chain: &[Vec<u8>], ca: Option<&[Vec<u8>]>) -> Result<Verified, Mismatch> {
        let signed = Signed { chain: pems(chain), ca: ca.map(pems) };
        self.verify_text(&signed)
    }

    fn verify_text(&self, signed: &Signed) -> Result<Verified, Mismatch> {
        verify(&self.request, signed, &self.trusted, now(), &self.policy)
    }
}

fn pems(ders: &[Vec<u8>]) -> String {
    ders.iter().map(|der| pem::encode("CERTIFICATE", der)).collect()
}

/// The refusal, whose text must be fit for a condition whatever it is about.
#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, Mismatch>, field: &str) -> String {
    let mismatch = result.unwrap_err();
    assert_eq!(mismatch.field, field, "{mismatch}");
    let text = mismatch.to_string();
    assert!(text.len() < 4096 && !text.chars().any(char::is_control), "{text:?}");
    text
}

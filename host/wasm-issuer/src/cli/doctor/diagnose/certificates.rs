//! Why a Certificate of cert-manager is not ready.

use wasm_issuer_core::issuance::GROUP;
use wasm_issuer_core::issuance::condition::{self, READY, TRUE};

use super::super::facts::{Certificate, Facts};
use super::super::finding::Finding;
use super::requests;
use super::verdict::{PATIENCE, Verdict};

pub fn verdict(facts: &Facts, certificate: &Certificate) -> Verdict {
    if condition::find(&certificate.conditions, READY).is_some_and(|ready| ready.status == TRUE) {
        return Verdict::Fine;
    }
    let object = &certificate.object;
    if certificate.group != GROUP {
        let cause = format!(
            "spec.issuerRef.group is \"{}\": {} {:?} is no Issuer of this operator",
            certificate.group, certificate.kind, certificate.issuer
        );
        let namespace = object.namespace.as_deref().unwrap_or_default();
        let mend = format!(
            "kubectl patch certificate {} -n {namespace} --type merge -p '{{\"spec\":{{\"issuerRef\":{{\"group\":\"{GROUP}\"}}}}}}'",
            object.name
        );
        return Verdict::Fault(Finding::new(object.clone(), cause, mend));
    }
    match &certificate.request {
        Some(request) => requests::verdict(facts, request),
        None if facts.now.duration_since(certificate.created) < PATIENCE => Verdict::Fine,
        None => {
            let said = ["Issuing", READY]
                .into_iter()
                .find_map(|type_| condition::find(&certificate.conditions, type_));
            let said = said.map(|c| format!(": {}", c.message)).unwrap_or_default();
            let cause = format!("cert-manager has made no CertificateRequest for it{said}");
            let (namespace, name) = &facts.approver;
            let mend = format!(
                "kubectl describe {}\nkubectl logs -n {namespace} deployment/{name} --tail=20",
                object.args()
            );
            Verdict::Fault(Finding::new(object.clone(), cause, mend))
        }
    }
}

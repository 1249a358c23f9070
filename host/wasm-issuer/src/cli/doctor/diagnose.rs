//! From what is known to what is wrong. No client: facts in, findings out.

mod certificates;
mod crds;
mod installation;
mod issuers;
mod plugins;
mod requests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod verdict;

#[cfg(test)]
pub use plugins::Grant;
pub use plugins::{Described, described};
use verdict::Verdict;

use super::facts::Facts;
use super::finding::{Finding, ObjectRef};

/// All that is wrong, each cause once, with what waits for it.
pub fn diagnose(facts: &Facts) -> Vec<Finding> {
    let mut findings = crds::findings(facts);
    findings.extend(installation::findings(facts));
    for object in &facts.missing {
        let mend = format!("kubectl get {}s -A   # those that there are", object.kind.to_lowercase());
        findings.push(Finding::new(object.clone(), "there is no such object", mend));
    }
    for issuer in facts.issuers_wanted() {
        file(facts, &mut findings, issuers::verdict(facts, issuer), &[(&issuer.key).into()]);
    }
    for certificate in &facts.certificates {
        let request = certificate.request.iter().map(|request| request.object.clone());
        let waiting: Vec<ObjectRef> = [certificate.object.clone()].into_iter().chain(request).collect();
        file(facts, &mut findings, certificates::verdict(facts, certificate), &waiting);
    }
    for request in &facts.requests {
        let waiting = std::slice::from_ref(&request.object);
        file(facts, &mut findings, requests::verdict(facts, request), waiting);
    }
    findings
}

/// Add a fault, or what waits to the fault that it waits for.
fn file(facts: &Facts, findings: &mut Vec<Finding>, verdict: Verdict, waiting: &[ObjectRef]) {
    let (object, fault) = match verdict {
        Verdict::Fine => return,
        Verdict::Fault(finding) => (finding.object.clone(), finding),
        Verdict::Issuer(key, finding) => ((&key).into(), finding),
        Verdict::Kind(kind) => {
            let finding = crds::missing(kind);
            (finding.object.clone(), finding)
        }
        Verdict::Approver => {
            let finding = installation::silent_approver(facts);
            (finding.object.clone(), finding)
        }
        Verdict::Operator => {
            let finding = installation::silent_operator(facts);
            (finding.object.clone(), finding)
        }
    };
    let known = findings.iter().position(|finding| finding.object == object);
    let place = known.unwrap_or_else(|| {
        findings.push(fault);
        findings.len() - 1
    });
    let finding = &mut findings[place];
    for object in waiting {
        if *object != finding.object && !finding.blocks.contains(object) {
            finding.blocks.push(object.clone());
        }
    }
}

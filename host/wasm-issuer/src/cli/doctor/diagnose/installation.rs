//! Whether the operator runs, may do what it has to, and has a policy.

use wasm_issuer_core::issuance::approval;

use super::super::facts::{Facts, Policy as PolicyFacts};
use super::super::finding::{Finding, ObjectRef};
use super::super::needs::Need;
use crate::policy::Policy;

/// How many signers a manifest names.
const SIGNERS: usize = 50;
const LOGS: &str = "-l app.kubernetes.io/name=wasm-issuer --tail=20";

pub fn findings(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = running(facts).into_iter().collect();
    findings.extend(rights(facts));
    findings.extend(approver(facts));
    findings.extend(policy(facts));
    findings
}

fn running(facts: &Facts) -> Option<Finding> {
    let operator = facts.operator.as_ref()?;
    let (name, namespace) = (&operator.name, &operator.namespace);
    let object = deployment(facts);
    if operator.wanted == 0 {
        let mend = format!("kubectl scale deployment {name} -n {namespace} --replicas=2");
        return Some(Finding::new(object, "it is scaled to no replicas: nothing is signed", mend));
    }
    if operator.available >= operator.wanted && operator.troubles.is_empty() {
        return None;
    }
    let troubles: Vec<String> =
        operator.troubles.iter().map(|(pod, trouble)| format!("; pod {pod}: {trouble}")).collect();
    let cause =
        format!("{} of {} pods are available{}", operator.available, operator.wanted, troubles.concat());
    let mend = format!(
        "kubectl describe pods -n {namespace} -l app.kubernetes.io/name=wasm-issuer\n\
         kubectl logs -n {namespace} {LOGS}"
    );
    Some(Finding::new(object, cause, mend))
}

/// The operator's Deployment, by the name that it has in deploy/ where it is not known.
fn deployment(facts: &Facts) -> ObjectRef {
    let (namespace, _) = &facts.service_account;
    let name = facts.operator.as_ref().map_or("wasm-issuer", |operator| operator.name.as_str());
    ObjectRef::new("Deployment", namespace, name)
}

/// What is wrong where the operator does not look at objects, and no reason is known.
pub fn silent_operator(facts: &Facts) -> Finding {
    let object = deployment(facts);
    let (namespace, _) = &facts.service_account;
    let mend = format!(
        "kubectl get deployments,pods -n {namespace}   # does it run?\n\
         kubectl logs -n {namespace} {LOGS}   # does it serve them? --watch-namespaces and --issuer-selector leave some out"
    );
    Finding::new(object, "no operator has looked at these as they are now", mend)
}

/// One finding for each resource, with all verbs that lack.
fn rights(facts: &Facts) -> Vec<Finding> {
    let (namespace, name) = &facts.service_account;
    let mut lacking: Vec<(&Need, Vec<&str>)> = Vec::new();
    for (need, _) in facts.rights.iter().filter(|(_, is_granted)| !is_granted) {
        let same = |other: &&mut (&Need, Vec<&str>)| {
            (other.0.group, other.0.resource, other.0.name) == (need.group, need.resource, need.name)
        };
        match lacking.iter_mut().find(same) {
            Some((_, verbs)) if verbs.contains(&need.verb) => {}
            Some((_, verbs)) => verbs.push(need.verb),
            None => lacking.push((need, vec![need.verb])),
        }
    }
    let finding = |(need, verbs): (&Need, Vec<&str>)| {
        let named = if need.name.is_empty() { String::new() } else { format!(" named {}", need.name) };
        let cause = format!("it may not {} {}{named}", verbs.join(", "), need.resource_in_group());
        let mend = format!(
            "kubectl apply --server-side -f deploy/install.yaml   # or what else the operator was installed with\n\
             kubectl auth can-i {} {} -A --as system:serviceaccount:{namespace}:{name}   # says whether it helped",
            verbs.first().copied().unwrap_or_default(),
            need.resource_in_group(),
        );
        Finding::new(ObjectRef::new("ServiceAccount", namespace, name), cause, mend)
    };
    lacking.into_iter().map(finding).collect()
}

fn approver(facts: &Facts) -> Option<Finding> {
    facts.approvals.iter().any(|(_, may)| !may).then(|| silent_approver(facts))
}

/// What is wrong where the approver may not approve.
pub fn silent_approver(facts: &Facts) -> Finding {
    let (namespace, name) = &facts.approver;
    let refused = facts.approvals.iter().filter(|(_, may)| !may).map(|(signer, _)| signer.as_str());
    let signers: Vec<&str> = refused.take(SIGNERS).collect();
    let cause = format!(
        "it may not \"approve\" signers.cert-manager.io named {}: cert-manager approves no \
         request for these Issuers. Where something else approves them, name it with --approver",
        signers.join(", ")
    );
    let manifest = approval::manifest("wasm-issuer-approver", &signers, (namespace, name));
    let mend = format!("kubectl apply --server-side -f - <<'END'\n{manifest}\nEND");
    Finding::new(ObjectRef::new("ServiceAccount", namespace, name), cause, mend)
}

fn policy(facts: &Facts) -> Option<Finding> {
    let PolicyFacts::ConfigMap { object, key, text } = &facts.policy else { return None };
    let edit = format!("kubectl edit {}", object.args());
    let text = match text {
        Ok(text) => text,
        Err(why) => return Some(Finding::new(object.clone(), why.clone(), edit)),
    };
    let faults = Policy::parse(text).err()?;
    let cause = format!(
        "key {key} is no policy, so that the one before holds on, and the operator does not start again: {faults}"
    );
    let mend = format!("wasm-issuer policy check FILE   # before it is applied\n{edit}");
    Some(Finding::new(object.clone(), cause, mend))
}

/// The policy that holds, if it is known and is one.
pub fn current(facts: &Facts) -> Option<Policy> {
    match &facts.policy {
        PolicyFacts::Unknown => None,
        PolicyFacts::Defaults => Some(Policy::default()),
        PolicyFacts::ConfigMap { text, .. } => Policy::parse(text.as_ref().ok()?).ok(),
    }
}

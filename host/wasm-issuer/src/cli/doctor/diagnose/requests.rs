//! Why a request has no certificate.

use wasm_issuer_core::issuance::approval;
use wasm_issuer_core::issuance::condition::{self, DENIED, FALSE, READY, TRUE};
use wasm_issuer_core::issuance::request::{Gate, Tries, gate};
use wasm_issuer_core::issuance::request_issuer::IssuerView;

use super::super::facts::{Facts, Issuer, Request};
use super::super::finding::{Finding, ObjectRef};
use super::crds;
use super::verdict::{PATIENCE, Verdict};
use crate::api::IssuerKind;

pub fn verdict(facts: &Facts, request: &Request) -> Verdict {
    let object = &request.object;
    let finding = |cause: String, mend: String| Finding::new(object.clone(), cause, mend);
    let said = request.view.ready().map(|ready| ready.message.clone()).filter(|message| !message.is_empty());
    let is_denied = condition::find(&request.view.conditions, DENIED).is_some_and(|c| c.status == TRUE);
    if request.view.is_finished() || is_denied {
        return finished(request, said);
    }
    if let Some(why) = &request.refusal {
        return Verdict::Fault(finding(why.clone(), again(request)));
    }
    // One for what cannot be is told so by the gate below; for Kubernetes' own, nothing else tells.
    let can_be = request.view.issuer.signer.is_some() || object.namespace.is_none();
    if request.view.awaits_approval() && can_be {
        return unapproved(facts, request);
    }
    let Some(issuers) = &facts.issuers else {
        return Verdict::Fault(finding(said.unwrap_or_default(), look(request)));
    };
    if let Some(key) = request.issuer.as_ref().filter(|key| crds::is_missing(facts, key.kind)) {
        return Verdict::Kind(key.kind);
    }
    let issuer = request.issuer.as_ref().and_then(|key| issuers.iter().find(|issuer| issuer.key == *key));
    let Gate::Act(plan) =
        gate(&request.view, &view(issuer), Tries { told_waiting: true, ..Tries::default() }, facts.now)
    else {
        return signing(facts, request, said);
    };
    let planned = plan.status.as_ref().and_then(|status| condition::find(&status.conditions, READY));
    let cause = planned.map(|ready| ready.message.clone()).or(said).unwrap_or_default();
    match (issuer, &request.issuer) {
        (Some(issuer), _) => {
            let mend =
                format!("kubectl describe {} {}", issuer.key.kind.as_str().to_lowercase(), issuer.key.name);
            Verdict::Issuer(issuer.key.clone(), finding(cause, mend))
        }
        (None, _) => Verdict::Fault(finding(cause, other_issuer(request, issuers))),
    }
}

/// What the decisions see of an Issuer. Whether its plugin is loaded is for the operator to know.
fn view(issuer: Option<&Issuer>) -> IssuerView {
    match issuer {
        None => IssuerView::Missing,
        Some(issuer) => {
            IssuerView::Present { generation: issuer.generation, ready: issuer.ready.clone(), serving: true }
        }
    }
}

fn finished(request: &Request, said: Option<String>) -> Verdict {
    let conditions = &request.view.conditions;
    if condition::find(conditions, READY).is_some_and(|ready| ready.status == TRUE) {
        return Verdict::Fine;
    }
    let of = |type_: &str| {
        let found = condition::find(conditions, type_).filter(|c| c.status == TRUE)?;
        Some(
            [found.reason.as_str(), found.message.as_str()]
                .into_iter()
                .filter(|s| !s.is_empty())
                .collect::<Vec<_>>()
                .join(": "),
        )
    };
    if let Some(by) = of(DENIED) {
        let cause = format!("it was denied: {by}");
        let mend = format!("ask whoever denied it, then have it made anew:\n{}", again(request));
        return Verdict::Fault(Finding::new(request.object.clone(), cause, mend));
    }
    let cause = said.or_else(|| of("Failed")).unwrap_or_else(|| "it has failed".to_owned());
    let mend = format!("mend what the cause names, then have it made anew:\n{}", again(request));
    Verdict::Fault(Finding::new(request.object.clone(), cause, mend))
}

fn unapproved(facts: &Facts, request: &Request) -> Verdict {
    let waited = facts.now.duration_since(request.view.created);
    let signer = request.view.issuer.signer.as_deref();
    let all = signer.and_then(|signer| Some(format!("{}/*", signer.split_once('/')?.0)));
    let is_refused =
        |(of, may): &(String, bool)| !may && (Some(of.as_str()) == signer || Some(of) == all.as_ref());
    // cert-manager's approver has no say in Kubernetes' own requests.
    if request.object.namespace.is_some() && facts.approvals.iter().any(is_refused) {
        return Verdict::Approver;
    }
    if waited < PATIENCE {
        return Verdict::Fine;
    }
    let mend = match signer {
        Some(signer) => approval::way_out(request.view.kind, signer),
        None => other_issuer(request, facts.issuers.as_deref().unwrap_or_default()),
    };
    let cause = format!("nobody has approved or denied it for {} s", waited.as_secs());
    Verdict::Fault(Finding::new(request.object.clone(), cause, mend))
}

/// Nothing stands in its way, but there is no certificate.
fn signing(facts: &Facts, request: &Request, said: Option<String>) -> Verdict {
    let is_told = request.view.ready().is_some_and(|ready| ready.status == FALSE);
    // What an Issuer that has become ready since was waited for is no news.
    let is_stale = said.as_deref().is_some_and(|said| said.starts_with("Waiting for issuer"));
    match said.filter(|_| is_told && !is_stale).or_else(|| request.warning.clone()) {
        Some(cause) => Verdict::Fault(Finding::new(request.object.clone(), cause, look(request))),
        None if facts.now.duration_since(request.view.created) < PATIENCE => Verdict::Fine,
        None => Verdict::Operator,
    }
}

/// What to look at where the cause is with the CA or the plugin.
fn look(request: &Request) -> String {
    let of = request.issuer.as_ref().map(|issuer| ObjectRef::from(issuer).args());
    let describe = of.map(|args| format!("kubectl describe {args}\n")).unwrap_or_default();
    format!("{describe}kubectl describe {}   # it is tried again by itself", request.object.args())
}

/// How a request is made anew.
fn again(request: &Request) -> String {
    let namespace = request.object.namespace.as_deref().unwrap_or_default();
    match &request.certificate {
        Some(certificate) => format!("cmctl renew {certificate} -n {namespace}"),
        None => format!("kubectl delete {}   # and ask again", request.object.args()),
    }
}

/// What to do about a request whose Issuer there is not.
fn other_issuer(request: &Request, issuers: &[Issuer]) -> String {
    let called = &request.view.issuer.name;
    let namespace = request.object.namespace.as_deref();
    let usable = |issuer: &&Issuer| issuer.key.namespace.as_deref().is_none_or(|of| Some(of) == namespace);
    let field = match namespace {
        Some(_) => "spec.issuerRef",
        None => "spec.signerName",
    };
    if let Some(same) = issuers.iter().filter(usable).find(|issuer| issuer.key.name == *called) {
        return format!(
            "name kind {} in {field}: there is one of that name\n{}",
            same.key.kind,
            change(request, same.key.kind)
        );
    }
    let mut names: Vec<String> = issuers.iter().filter(usable).map(|issuer| issuer.key.to_string()).collect();
    names.sort();
    names.truncate(5);
    let there_are = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    format!(
        "apply an Issuer of that kind and name (deploy/samples), or name in {field} one that is there: {there_are}"
    )
}

fn change(request: &Request, kind: IssuerKind) -> String {
    let namespace = request.object.namespace.as_deref().unwrap_or_default();
    match &request.certificate {
        Some(certificate) => format!(
            "kubectl patch certificate {certificate} -n {namespace} --type merge -p \
             '{{\"spec\":{{\"issuerRef\":{{\"kind\":\"{kind}\"}}}}}}'"
        ),
        None => again(request),
    }
}

//! Why an Issuer is not ready, or will not stay so.

use wasm_issuer_core::issuance::condition::{Condition, FALSE, TRUE, UNKNOWN};

use super::super::facts::{Facts, Issuer, Policy as PolicyFacts, Source};
use super::super::finding::{Finding, ObjectRef};
use super::installation;
use super::plugins::{self, Grant};
use super::verdict::{PATIENCE, Verdict};
use crate::api::IssuerSpec;
use crate::operator::Dependency;

pub fn verdict(facts: &Facts, issuer: &Issuer) -> Verdict {
    let object = ObjectRef::from(&issuer.key);
    let fault = |cause: &str, mend: String| Verdict::Fault(Finding::new(object.clone(), cause, mend));
    let edit = || format!("kubectl edit {}", object.args());
    let spec = match &issuer.spec {
        Ok(spec) => spec,
        Err(why) => return fault(&format!("its spec cannot be read: {why}"), edit()),
    };
    let current = |c: &&Condition| c.observed_generation.is_none_or(|observed| observed >= issuer.generation);
    let Some(ready) = issuer.ready.as_ref().filter(current) else {
        return unheard(facts, issuer, object);
    };
    let since = ready.last_transition.unwrap_or(issuer.created);
    if ready.status == UNKNOWN && facts.now.duration_since(since) < PATIENCE {
        return Verdict::Fine;
    }
    if ready.status != TRUE {
        let mend = mend(facts, issuer, spec).unwrap_or_else(|| otherwise(&object));
        return fault(&ready.message, mend);
    }
    if let Some(refused) = issuer.plugin_current.as_ref().filter(|c| c.status == FALSE) {
        let mend = mend(facts, issuer, spec).unwrap_or_else(|| package(issuer).unwrap_or_else(edit));
        return fault(&refused.message, mend);
    }
    // It serves, and something is wrong all the same.
    if ready.reason != "Checked" {
        return fault(&ready.message, package(issuer).unwrap_or_else(|| otherwise(&object)));
    }
    match (lacking(facts, issuer), &issuer.plugin) {
        (Some((source, mend)), _) => {
            let Source { kind, name, field, .. } = source;
            let cause = format!(
                "{kind} {name:?} (named by {field}) is gone or may not be read, which the next check finds"
            );
            fault(&cause, mend)
        }
        (None, Some(plugin)) if plugin.sha256 != issuer.used => match &plugin.problem {
            Some(problem) => fault(
                &format!(
                    "its ConfigMap holds another plugin than the one that serves, and it is of no use: {problem}"
                ),
                package(issuer).unwrap_or_else(edit),
            ),
            None => Verdict::Fine,
        },
        _ => Verdict::Fine,
    }
}

/// The operator has said nothing of it, or nothing of its spec as it is now.
fn unheard(facts: &Facts, issuer: &Issuer, object: ObjectRef) -> Verdict {
    if facts.now.duration_since(issuer.created) < PATIENCE {
        return Verdict::Fine;
    }
    if issuer.ready.is_none() && issuer.plugin.as_ref().is_some_and(|plugin| plugin.problem.is_some()) {
        let problem = issuer.plugin.as_ref().and_then(|plugin| plugin.problem.as_deref()).unwrap_or_default();
        let mend = package(issuer).unwrap_or_else(|| format!("kubectl edit {}", object.args()));
        return Verdict::Fault(Finding::new(object, problem, mend));
    }
    Verdict::Operator
}

/// What mends an Issuer that is not ready, by what is known of what it names and of the policy.
fn mend(facts: &Facts, issuer: &Issuer, spec: &IssuerSpec) -> Option<String> {
    if let Some((_, mend)) = lacking(facts, issuer) {
        return Some(mend);
    }
    if let Some(grant) = plugins::grant(facts, issuer, spec) {
        return Some(mend_grants(facts, issuer, &grant));
    }
    let policy = installation::current(facts);
    if let Some(refusal) = policy.and_then(|policy| policy.check(issuer.key.kind, spec).err()) {
        return Some(format!("{}\n{}", by_policy(facts), refusal));
    }
    issuer.plugin.as_ref().filter(|plugin| plugin.problem.is_some())?;
    package(issuer)
}

/// How an Issuer grants what its plugin says that it needs.
fn mend_grants(facts: &Facts, issuer: &Issuer, grant: &Grant) -> String {
    let object = ObjectRef::from(&issuer.key);
    let mut lines = format!(
        "kubectl edit {}   # its plugin says that it needs more than is granted; in its spec:\n{}",
        object.args(),
        grant.section
    );
    for key in &grant.keys {
        lines.push_str(&format!("# the Secret is to have the key {key}\n"));
    }
    if let Some(refusal) = &grant.policy {
        lines.push_str(&format!("{}\n{refusal}\n", by_policy(facts)));
    }
    lines
}

/// The first thing that it names and does not get, and what mends that.
fn lacking<'a>(facts: &Facts, issuer: &'a Issuer) -> Option<(&'a Source, String)> {
    issuer.sources.iter().find_map(|source| Some((source, mend_source(facts, issuer, source)?)))
}

fn mend_source(facts: &Facts, issuer: &Issuer, source: &Source) -> Option<String> {
    let (name, namespace) = (&source.name, issuer.home.as_deref()?);
    if source.is_there == Some(false) {
        return Some(match source.kind {
            "ConfigMap" => package(issuer)?,
            _ => format!("kubectl create secret generic {name} -n {namespace} {}", files(issuer, source)),
        });
    }
    let resource = format!("{}s", source.kind.to_lowercase());
    let (operator, account) = &facts.service_account;
    (source.is_granted == Some(false)).then(|| {
        format!(
            "kubectl create role wasm-issuer-{name} -n {namespace} --verb=get,list,watch --resource={resource} \
             --resource-name={name}\n\
             kubectl create rolebinding wasm-issuer-{name} -n {namespace} --role=wasm-issuer-{name} \
             --serviceaccount={operator}:{account}",
        )
    })
}

/// What a Secret is made of that an Issuer names: of its plugin's the keys, where that says which.
fn files(issuer: &Issuer, source: &Source) -> String {
    let is_plugins = source.field == Dependency::AuthSecret.field();
    let spec = issuer.spec.as_ref().ok().filter(|_| is_plugins);
    let keys = spec.map(|spec| plugins::keys_of(issuer, spec)).unwrap_or_default();
    if keys.is_empty() {
        return "--from-file=KEY=FILE".to_owned();
    }
    keys.iter().map(|key| format!("--from-file={key}=FILE")).collect::<Vec<_>>().join(" ")
}

/// How a plugin gets into the ConfigMap that an Issuer names.
fn package(issuer: &Issuer) -> Option<String> {
    let map = issuer.spec.as_ref().ok()?.plugin.config_map.as_ref()?;
    let namespace = issuer.home.as_deref()?;
    Some(format!(
        "wasm-issuer plugin package FILE --name {} --namespace {namespace} | kubectl apply --server-side -f -",
        map.name
    ))
}

/// Where the policy is changed.
fn by_policy(facts: &Facts) -> String {
    match &facts.policy {
        PolicyFacts::ConfigMap { object, .. } => {
            format!("kubectl edit {}   # or ask for less in the Issuer's spec:", object.args())
        }
        _ => "give the operator a policy (docs/policy.md), or ask for less in the Issuer's spec:".to_owned(),
    }
}

/// What to do where only the words of the condition tell.
fn otherwise(object: &ObjectRef) -> String {
    format!("kubectl edit {}   # what the cause names; it is checked again by itself", object.args())
}

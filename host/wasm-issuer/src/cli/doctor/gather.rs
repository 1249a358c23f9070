//! From the cluster to what is known of it. Only reads, and access reviews, which are created and stored nowhere.

mod access;
mod issuers;
mod look;
mod operator;
mod plugins;
mod reader;
mod requests;

use access::Access;
use futures::StreamExt as _;
use issuers::Issuers;
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client};
use look::AT_ONCE;
pub use look::Look;
use plugins::Plugins;
use reader::Reader;
use requests::Requests;
use wasm_issuer_core::issuance::approval::signer_name;

use super::facts::{Facts, Issuer, Operator, Policy};
use super::needs::{Need, Scope, needs};
use crate::api::cert_manager::GROUP as CERT_MANAGER;
use crate::api::{IssuerKey, IssuerKind};
use crate::policy;

/// For how many Issuers of a kind it is asked whether the approver may approve for each alone.
const SIGNERS: usize = 200;

/// Look at the cluster. Fails if it cannot be reached.
pub async fn gather(client: Client, look: &Look) -> anyhow::Result<Facts> {
    client.apiserver_version().await?;
    let reader = Reader::new(client);
    let mut facts = Facts { now: Timestamp::now(), approver: look.approver.clone(), ..Facts::default() };
    facts.crds = crds(&reader).await;
    facts.has_cert_manager = reader.has(CERT_MANAGER, "certificaterequests").await;
    let found = operator::read(&reader, &look.operator_namespace).await;
    facts.service_account = (look.operator_namespace.clone(), found.service_account);
    (facts.operator, facts.policy) = (found.operator, found.policy);
    let access = Access::new(&reader, facts.service_account.clone());
    facts.rights = rights(&access, facts.operator.as_ref()).await;

    let Requests { mut requests, mut certificates, missing } = requests::read(&reader, look).await;
    let all =
        requests.iter().chain(certificates.iter().filter_map(|certificate| certificate.request.as_ref()));
    let asked: Vec<IssuerKey> = all.filter_map(|request| request.issuer.clone()).collect();
    // Of a namespace, its own Issuers and those that its requests ask; of one object, the latter.
    let is_wanted = |key: &IssuerKey| match (&look.object, &look.namespace) {
        (Some(_), _) => asked.contains(key),
        (None, Some(_)) => key.namespace.is_some() || asked.contains(key),
        (None, None) => true,
    };
    let plugins = Plugins::new(&reader, policy_of(&facts.policy));
    let home = facts
        .operator
        .as_ref()
        .map_or(&look.operator_namespace, |operator| &operator.cluster_resource_namespace);
    let issuers = Issuers { reader: &reader, access: &access, plugins: &plugins, home };
    facts.issuers = issuers.read(look, is_wanted).await;
    let keys = facts.issuers.iter().flatten().map(|issuer| issuer.key.clone());
    facts.wanted = Some(keys.filter(is_wanted).collect());
    let approver = Access::new(&reader, look.approver.clone());
    facts.approvals = approvals(&approver, facts.issuers.as_deref().unwrap_or_default()).await;
    facts.requests.append(&mut requests);
    facts.certificates.append(&mut certificates);
    facts.missing = missing;
    facts.unseen = reader.unseen();
    Ok(facts)
}

async fn crds(reader: &Reader) -> Option<Vec<CustomResourceDefinition>> {
    let api = Api::<CustomResourceDefinition>::all(reader.client.clone());
    let mut found = Vec::new();
    for kind in IssuerKind::ALL {
        let name = format!("{}.{}", kind.plural(), wasm_issuer_core::issuance::GROUP);
        found.extend(reader.get(&api, &name).await?);
    }
    Some(found)
}

/// What the operator needs in the way it runs, and whether it may.
async fn rights(access: &Access<'_>, operator: Option<&Operator>) -> Vec<(Need, bool)> {
    let all = Operator { signs_csrs: true, ..Operator::default() };
    let operator = operator.unwrap_or(&all);
    let is_whole = operator.watched.is_empty();
    let places = |need: &Need| -> Vec<String> {
        match need.scope {
            Scope::Cluster if is_whole => vec![String::new()],
            Scope::ClusterForCsrs if is_whole && operator.signs_csrs => vec![String::new()],
            Scope::Served if is_whole => vec![String::new()],
            Scope::Served => operator.watched.clone(),
            Scope::Default if is_whole => vec!["default".to_owned()],
            Scope::Home if operator.elects => vec![operator.namespace.clone()],
            Scope::Cluster | Scope::ClusterForCsrs | Scope::Default | Scope::Home => vec![],
        }
    };
    let asked: Vec<(Need, String)> =
        needs().flat_map(|need| places(&need).into_iter().map(move |place| (need, place))).collect();
    let answers = futures::stream::iter(asked).map(async |(need, place)| {
        let may = access.may(need.verb, need.group, need.resource, &place, need.name).await?;
        Some((need, may))
    });
    answers.buffered(AT_ONCE).filter_map(std::future::ready).collect().await
}

/// Whether the approver may approve for all Issuers of each kind, or, where not, for each Issuer that there is.
async fn approvals(access: &Access<'_>, issuers: &[Issuer]) -> Vec<(String, bool)> {
    let mut answers = Vec::new();
    for kind in IssuerKind::ALL {
        let keys = issuers.iter().map(|issuer| &issuer.key).filter(|key| key.kind == kind);
        let each =
            keys.map(|key| signer_name(kind.plural(), key.namespace.as_deref(), &key.name)).take(SIGNERS);
        let all = signer_name(kind.plural(), None, "*");
        let is_granted = access.may("approve", CERT_MANAGER, "signers", "", &all).await;
        let signers: Vec<String> = each.collect();
        match is_granted {
            Some(false) if !signers.is_empty() => {
                let asked = futures::stream::iter(signers).map(async |signer| {
                    let may = access.may("approve", CERT_MANAGER, "signers", "", &signer).await?;
                    Some((signer, may))
                });
                let asked = asked.buffered(AT_ONCE).filter_map(std::future::ready);
                answers.extend(asked.collect::<Vec<_>>().await);
            }
            answer => answers.extend(answer.map(|may| (all, may))),
        }
    }
    answers
}

/// The policy that holds, if that is known.
fn policy_of(policy: &Policy) -> Option<policy::Policy> {
    match policy {
        Policy::Unknown => None,
        Policy::Defaults => Some(policy::Policy::default()),
        Policy::ConfigMap { text, .. } => policy::Policy::parse(text.as_ref().ok()?).ok(),
    }
}

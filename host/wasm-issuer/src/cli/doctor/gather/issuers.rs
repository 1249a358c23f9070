//! The Issuers of both kinds, and what they name.

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use wasm_issuer_core::issuance::condition::{PLUGIN_CURRENT, READY, find};

use super::access::Access;
use super::look::{AT_ONCE, Look};
use super::plugins::Plugins;
use super::reader::{Reader, why};
use crate::api::{IssuerKey, IssuerKind, IssuerObject, WasmClusterIssuer, WasmIssuer};
use crate::cli::doctor::facts::{Issuer, Source};
use crate::operator::{Dependency, ObservedIssuer};

/// Into how many Issuers it is looked.
const MAX: usize = 500;

/// Reads Issuers.
pub struct Issuers<'a> {
    pub reader: &'a Reader,
    /// To the operator's ServiceAccount.
    pub access: &'a Access<'a>,
    pub plugins: &'a Plugins<'a>,
    /// Where the ConfigMaps and Secrets of WasmClusterIssuers are.
    pub home: &'a str,
}

impl Issuers<'_> {
    /// All Issuers, looking into those that are wanted.
    pub async fn read(&self, look: &Look, is_wanted: impl Fn(&IssuerKey) -> bool) -> Option<Vec<Issuer>> {
        let client = self.reader.client.clone();
        let namespaced = match &look.namespace {
            Some(namespace) => Api::<DeserializeGuard<WasmIssuer>>::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        let mut all = self.list(namespaced).await?;
        if let Some(mut cluster) = self.list(Api::<DeserializeGuard<WasmClusterIssuer>>::all(client)).await {
            all.append(&mut cluster);
        }
        let (looked, others): (Vec<Issuer>, Vec<Issuer>) =
            all.into_iter().partition(|issuer| is_wanted(&issuer.key));
        if looked.len() > MAX {
            let why = format!(
                "what the first {MAX} of {} Issuers name was looked at; -n looks at one namespace",
                looked.len()
            );
            self.reader.miss("Secrets and plugins", why);
        }
        let looked = futures::stream::iter(looked.into_iter().enumerate())
            .map(async |(n, issuer)| if n < MAX { self.look_into(issuer).await } else { issuer });
        let mut all: Vec<Issuer> = looked.buffered(AT_ONCE).collect().await;
        all.extend(others);
        Some(all)
    }

    async fn list<K: IssuerObject>(&self, api: Api<DeserializeGuard<K>>) -> Option<Vec<Issuer>> {
        let found = self.reader.list(&api, ListParams::default()).await?;
        Some(found.into_iter().filter_map(|guard| of(guard, self.home)).collect())
    }

    async fn look_into(&self, mut issuer: Issuer) -> Issuer {
        let (Ok(spec), Some(home)) = (issuer.spec.clone(), issuer.home.clone()) else { return issuer };
        for (dependency, _, name) in Dependency::of(&spec) {
            let name = name.to_string();
            let (kind, resource, is_there) = match dependency {
                Dependency::Plugin => {
                    ("ConfigMap", "configmaps", self.is_there::<ConfigMap>(&home, &name).await)
                }
                _ => ("Secret", "secrets", self.is_there::<Secret>(&home, &name).await),
            };
            let is_granted = self.access.may("get", "", resource, &home, &name).await;
            issuer.sources.push(Source { kind, field: dependency.field(), name, is_there, is_granted });
        }
        issuer.plugin = self.plugins.read(&issuer, &spec, &home).await;
        issuer
    }

    /// Whether there is an object of that name, of which no more than its metadata is read.
    async fn is_there<K>(&self, namespace: &str, name: &str) -> Option<bool>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api = Api::<K>::namespaced(self.reader.client.clone(), namespace);
        match api.get_metadata_opt(name).await {
            Ok(found) => Some(found.is_some()),
            Err(error) => {
                self.reader.miss(format!("{} {namespace}/{name}", K::kind(&())), why(&error));
                None
            }
        }
    }
}

fn of<K: IssuerObject>(guard: DeserializeGuard<K>, home: &str) -> Option<Issuer> {
    let (meta, observed, spec) = match guard.0 {
        Ok(object) => {
            let spec = object.spec().clone();
            (object.meta().clone(), ObservedIssuer::of(&object, K::KIND), Ok(spec))
        }
        Err(invalid) => (invalid.metadata, None, Err(invalid.error)),
    };
    let home = match K::KIND {
        IssuerKind::Namespaced => meta.namespace.clone()?,
        IssuerKind::Cluster => home.to_owned(),
    };
    let conditions =
        observed.as_ref().map(|observed| observed.state.conditions.as_slice()).unwrap_or_default();
    Some(Issuer {
        ready: find(conditions, READY).cloned(),
        plugin_current: find(conditions, PLUGIN_CURRENT).cloned(),
        used: observed.as_ref().and_then(|observed| Some(observed.state.plugin.as_ref()?.sha256.clone())),
        key: IssuerKey { kind: K::KIND, namespace: meta.namespace, name: meta.name? },
        home: Some(home),
        created: meta.creation_timestamp.map_or(Timestamp::UNIX_EPOCH, |at| at.0),
        generation: meta.generation.unwrap_or_default(),
        spec,
        sources: vec![],
        plugin: None,
    })
}

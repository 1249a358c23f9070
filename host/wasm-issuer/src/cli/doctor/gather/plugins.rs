//! The plugins in ConfigMaps: whether an operator takes them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use tokio::sync::OnceCell;
use wasm_issuer_core::issuance::condition::{FALSE, TRUE};
use wasm_issuer_runtime::{Account, ComponentBytes, Runtime, RuntimeConfig};

use super::reader::Reader;
use crate::api::{ConfigMapSource, IssuerSpec};
use crate::cli::doctor::facts::{Issuer, Plugin};
use crate::operator::{SourceError, account, gunzip, plugin_bytes};
use crate::policy::Policy;

/// Why a component is of no use, once that is known.
type Tried = Rc<OnceCell<Option<String>>>;

/// Reads and tries plugins.
pub struct Plugins<'a> {
    reader: &'a Reader,
    /// None where it is not known.
    policy: Option<Policy>,
    runtime: OnceCell<Option<Arc<Runtime>>>,
    /// What came of loading, by budget and digest.
    tried: RefCell<HashMap<(bool, String), Tried>>,
}

impl<'a> Plugins<'a> {
    pub fn new(reader: &'a Reader, policy: Option<Policy>) -> Self {
        Self { reader, policy, runtime: OnceCell::new(), tried: RefCell::default() }
    }

    /// The plugin that an Issuer's ConfigMap holds; none where it names none that is there.
    pub async fn read(&self, issuer: &Issuer, spec: &IssuerSpec, home: &str) -> Option<Plugin> {
        let source = spec.plugin.config_map.as_ref()?;
        let name = source.name.to_string();
        let api = Api::<ConfigMap>::namespaced(self.reader.client.clone(), home);
        let map = self.reader.get(&api, &name).await??;
        let component = match self.component(map, source, issuer, home) {
            Ok(component) => component,
            Err(error) => return Some(Plugin { sha256: None, problem: Some(error.to_string()) }),
        };
        let sha256 = component.sha256().to_owned();
        let mismatch = spec.plugin.check_pin(&sha256).err().map(|error| error.to_string());
        let forbidden =
            self.policy.as_ref().and_then(|policy| policy.check_digest(issuer.key.kind, &sha256).err());
        let problem = match mismatch.or_else(|| forbidden.map(|violation| violation.to_string())) {
            Some(problem) => Some(problem),
            None if is_proven(issuer, &sha256) => None,
            None => self.load(component, issuer, home).await,
        };
        let problem = problem.map(|problem| format!("ConfigMap {home}/{name} {}: {problem}", source.key));
        Some(Plugin { sha256: Some(sha256), problem })
    }

    /// On whose account an operator with the default `--max-component` would load it.
    fn account(&self, issuer: &Issuer, home: &str) -> Account {
        let defaults = Policy::default();
        let bounds = self.policy.as_ref().unwrap_or(&defaults).bounds(issuer.key.kind);
        account(issuer.key.kind, home, bounds.max_component)
    }

    fn component(
        &self,
        map: ConfigMap,
        source: &ConfigMapSource,
        issuer: &Issuer,
        home: &str,
    ) -> Result<ComponentBytes, SourceError> {
        let (name, key) = (source.name.to_string(), source.key.clone());
        let what = format!("ConfigMap {home}/{name} {key}");
        let packed = plugin_bytes(map, home.to_owned(), name, key)?;
        let limit = self.account(issuer, home).budget.component_bytes;
        gunzip(packed, &what, limit).map(ComponentBytes::new)
    }

    /// Why an operator does not take a component. Each is compiled once.
    async fn load(&self, component: ComponentBytes, issuer: &Issuer, home: &str) -> Option<String> {
        let is_tenant = issuer.key.namespace.is_some();
        let tried =
            self.tried.borrow_mut().entry((is_tenant, component.sha256().to_owned())).or_default().clone();
        let load = async || {
            let start = || async { Runtime::new(RuntimeConfig::default()).ok() };
            let runtime = self.runtime.get_or_init(start).await.as_ref()?;
            runtime.load(component, &self.account(issuer, home)).await.err().map(|error| error.to_string())
        };
        tried.get_or_init(load).await.clone()
    }
}

/// Whether the operator itself says that it has taken this component, which need not be tried then.
fn is_proven(issuer: &Issuer, sha256: &str) -> bool {
    let says = |condition: &Option<_>, status| {
        condition
            .as_ref()
            .is_some_and(|c: &wasm_issuer_core::issuance::condition::Condition| c.status == status)
    };
    issuer.used.as_deref() == Some(sha256)
        && says(&issuer.ready, TRUE)
        && !says(&issuer.plugin_current, FALSE)
}

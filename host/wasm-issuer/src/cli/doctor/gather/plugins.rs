//! The plugins in ConfigMaps: whether an operator takes them, and what they say of themselves.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use tokio::sync::OnceCell;
use wasm_issuer_core::issuance::condition::{FALSE, TRUE};
use wasm_issuer_runtime::describe::Description;
use wasm_issuer_runtime::{Account, Budget, ComponentBytes, Runtime, RuntimeConfig};

use super::reader::Reader;
use crate::api::{ConfigMapSource, IssuerSpec};
use crate::cli::description;
use crate::cli::doctor::facts::{Issuer, Plugin};
use crate::operator::{SourceError, account, gunzip, plugin_bytes};
use crate::policy::Policy;

/// The export of plugins that say what they are.
const DESCRIPTION: &str = "wasm-issuer:plugin/description@";
/// How many plugins that serve are compiled only to ask what they are.
const MAX_ASKED: usize = 20;

/// What a component says of itself, if it does; else why it is of no use. Once that is known.
type Tried = Rc<OnceCell<Result<Option<Description>, String>>>;

/// Reads and tries plugins.
pub struct Plugins<'a> {
    reader: &'a Reader,
    /// None where it is not known.
    policy: Option<Policy>,
    runtime: OnceCell<Option<Arc<Runtime>>>,
    /// What came of loading, by budget and digest.
    tried: RefCell<HashMap<(bool, String), Tried>>,
    asked: Asked,
}

/// The digests of plugins that serve and are asked what they are: so many at most, since each is compiled for that.
#[derive(Default)]
struct Asked(RefCell<HashSet<String>>);

impl Asked {
    fn may(&self, sha256: String) -> bool {
        let mut asked = self.0.borrow_mut();
        let may = asked.contains(&sha256) || asked.len() < MAX_ASKED;
        if may {
            asked.insert(sha256);
        }
        may
    }
}

impl<'a> Plugins<'a> {
    pub fn new(reader: &'a Reader, policy: Option<Policy>) -> Self {
        Self { reader, policy, runtime: OnceCell::new(), tried: RefCell::default(), asked: Asked::default() }
    }

    /// The plugin that an Issuer's ConfigMap holds; none where it names none that is there.
    pub async fn read(&self, issuer: &Issuer, spec: &IssuerSpec, home: &str) -> Option<Plugin> {
        let Some(source) = &spec.plugin.config_map else {
            if issuer.ready.as_ref().is_none_or(|ready| ready.status != TRUE) {
                self.miss_elsewhere(spec);
            }
            return None;
        };
        let name = source.name.to_string();
        let api = Api::<ConfigMap>::namespaced(self.reader.client.clone(), home);
        let map = self.reader.get(&api, &name).await??;
        let component = match self.component(map, source, issuer, home) {
            Ok(component) => component,
            Err(error) => {
                return Some(Plugin { sha256: None, problem: Some(error.to_string()), description: None });
            }
        };
        let sha256 = component.sha256().to_owned();
        let mismatch = spec.plugin.check_pin(&sha256).err().map(|error| error.to_string());
        let forbidden =
            self.policy.as_ref().and_then(|policy| policy.check_digest(issuer.key.kind, &sha256).err());
        let tried = match mismatch.or_else(|| forbidden.map(|violation| violation.to_string())) {
            Some(problem) => Err(problem),
            // Whatever comes of it here, the operator has taken it.
            None if is_proven(issuer, &sha256) => Ok(self.ask(component, issuer, home).await),
            None => self.load(component, issuer, home).await,
        };
        let (description, problem) = match tried {
            Ok(description) => (description, None),
            Err(problem) => (None, Some(problem)),
        };
        let problem = problem.map(|problem| format!("ConfigMap {home}/{name} {}: {problem}", source.key));
        Some(Plugin { sha256: Some(sha256), problem, description })
    }

    /// Note where a plugin is that this command does not read, for whoever looks for what its Issuer lacks.
    fn miss_elsewhere(&self, spec: &IssuerSpec) {
        let what = |plugin: &str| format!("what the plugin {plugin} says that it needs");
        if let Some(image) = &spec.plugin.image {
            let why = format!(
                "it is in a registry: `wasm-issuer plugin pull {} -o plugin.wasm`, then `wasm-issuer plugin inspect plugin.wasm`",
                image.reference
            );
            self.reader.miss(what(&image.reference), why);
        } else if let Some(name) = &spec.plugin.builtin {
            self.reader.miss(
                what(name),
                "it is in the operator's image: docs/cas.md, and the README of its folder in plugins/",
            );
        }
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

    /// What a component that serves says of itself, where it exports that it does.
    async fn ask(&self, component: ComponentBytes, issuer: &Issuer, home: &str) -> Option<Description> {
        let inspection = self.runtime().await?.inspect(&component, &Budget::WIDE).ok()?;
        if !inspection.exports.iter().any(|export| export.starts_with(DESCRIPTION)) {
            return None;
        }
        if !self.asked.may(inspection.sha256) {
            let why = format!("only {MAX_ASKED} plugins that serve are asked; -n looks at one namespace");
            self.reader.miss("what other plugins say of themselves", why);
            return None;
        }
        self.load(component, issuer, home).await.ok().flatten()
    }

    /// What a component says of itself, if it does; else why an operator does not take it. Each is compiled once.
    async fn load(
        &self,
        component: ComponentBytes,
        issuer: &Issuer,
        home: &str,
    ) -> Result<Option<Description>, String> {
        let is_tenant = issuer.key.namespace.is_some();
        let tried =
            self.tried.borrow_mut().entry((is_tenant, component.sha256().to_owned())).or_default().clone();
        let load = async || {
            let Some(runtime) = self.runtime().await else { return Ok(None) };
            let loaded = runtime.load(component, &self.account(issuer, home)).await;
            let plugin = loaded.map_err(|error| error.to_string())?;
            description::of(&plugin, "doctor").await.map_err(|error| error.to_string())
        };
        tried.get_or_init(load).await.clone()
    }

    async fn runtime(&self) -> Option<&Arc<Runtime>> {
        let start = || async { Runtime::new(RuntimeConfig::default()).ok() };
        self.runtime.get_or_init(start).await.as_ref()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_plugins_that_serve_are_asked() {
        let asked = Asked::default();
        assert!((0..MAX_ASKED).all(|n| asked.may(n.to_string())));
        assert!(!asked.may("one more".to_owned()));
        assert!(asked.may("0".to_owned()), "it is compiled already");
    }
}

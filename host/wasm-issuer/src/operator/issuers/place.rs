//! Where an Issuer is, and for whom its work is done.

use wasm_issuer_runtime::{Account, Owner};

use crate::api::{IssuerKey, IssuerKind};

/// An Issuer's place among the others.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    pub kind: IssuerKind,
    /// Where what it names lives.
    pub namespace: &'a str,
    /// For whom the turns are that its work needs.
    pub owner: Owner,
}

impl<'a> Place<'a> {
    /// The place of an Issuer. `namespace` is where what it names lives.
    pub fn of(key: &IssuerKey, namespace: &'a str) -> Self {
        Self { kind: key.kind, namespace, owner: owner(key) }
    }

    /// On whose account its plugin is loaded.
    pub fn account(&self) -> Account {
        account(self.kind, self.namespace)
    }
}

/// On whose account the plugin of an Issuer of this kind is loaded, and within which budget; `namespace` is where what it
/// names lives.
pub fn account(kind: IssuerKind, namespace: &str) -> Account {
    match kind {
        IssuerKind::Namespaced => Account::tenant(namespace),
        IssuerKind::Cluster => Account::administrators(),
    }
}

/// For whom an Issuer's work is done, whatever it is that is shared.
pub fn owner(key: &IssuerKey) -> Owner {
    Owner::new(key.namespace.as_deref().unwrap_or_default(), &format!("{}/{}", key.kind, key.name))
}

//! Where an Issuer is, and for whom its work is done.

use wasm_issuer_runtime::{Account, Owner};

use crate::api::{IssuerKey, IssuerKind, Quantity};

/// An Issuer's place among the others.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    pub kind: IssuerKind,
    /// Where what it names lives.
    pub namespace: &'a str,
    /// For whom the turns are that its work needs.
    pub owner: Owner,
    /// How large its plugin may be.
    max_component: Quantity,
}

impl<'a> Place<'a> {
    /// The place of an Issuer. `namespace` is where what it names lives, `max_component` how large its plugin may be.
    pub fn of(key: &IssuerKey, namespace: &'a str, max_component: Quantity) -> Self {
        Self { kind: key.kind, namespace, owner: owner(key), max_component }
    }

    /// On whose account its plugin is loaded.
    pub fn account(&self) -> Account {
        account(self.kind, self.namespace, self.max_component)
    }
}

/// On whose account the plugin of an Issuer of this kind is loaded, and within which budget; `namespace` is where what it
/// names lives, and `max_component` how large the component may be.
pub fn account(kind: IssuerKind, namespace: &str, max_component: Quantity) -> Account {
    let account = match kind {
        IssuerKind::Namespaced => Account::tenant(namespace),
        IssuerKind::Cluster => Account::administrators(),
    };
    account.up_to(max_component.in_memory())
}

/// For whom an Issuer's work is done, whatever it is that is shared.
pub fn owner(key: &IssuerKey) -> Owner {
    Owner::new(key.namespace.as_deref().unwrap_or_default(), &format!("{}/{}", key.kind, key.name))
}

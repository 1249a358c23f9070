//! What an Issuer's spec names besides itself: the ConfigMap of its plugin and its Secrets.

use std::collections::HashMap;

use super::watches::{Version, Watched};
use crate::api::{IssuerSpec, ObjectName};

/// A field of an Issuer's spec that names another object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dependency {
    /// `spec.plugin.configMap`
    Plugin,
    /// `spec.authSecretName`
    AuthSecret,
    /// `spec.http.caBundleSecretName`
    CaBundle,
    /// `spec.http.clientCertSecretName`
    ClientCert,
}

/// The versions in which the objects were read. One that could not be read counts as absent.
pub type Versions = HashMap<Dependency, Version>;

impl Dependency {
    /// All that a spec names.
    pub fn of(spec: &IssuerSpec) -> impl Iterator<Item = (Self, Watched, &ObjectName)> {
        let map = spec.plugin.config_map.as_ref().map(|map| (Self::Plugin, Watched::ConfigMap, &map.name));
        let secrets = [
            (Self::AuthSecret, &spec.auth_secret_name),
            (Self::CaBundle, &spec.http.ca_bundle_secret_name),
            (Self::ClientCert, &spec.http.client_cert_secret_name),
        ];
        let secrets = secrets
            .into_iter()
            .filter_map(|(dependency, name)| Some((dependency, Watched::Secret, name.as_ref()?)));
        map.into_iter().chain(secrets)
    }

    /// The field, as messages name it.
    pub fn field(self) -> &'static str {
        match self {
            Self::Plugin => "spec.plugin.configMap.name",
            Self::AuthSecret => "spec.authSecretName",
            Self::CaBundle => "spec.http.caBundleSecretName",
            Self::ClientCert => "spec.http.clientCertSecretName",
        }
    }
}

/// Whether all Secrets were read in the same versions.
pub fn same_secrets(old: &Versions, new: &Versions) -> bool {
    let secrets = [Dependency::AuthSecret, Dependency::CaBundle, Dependency::ClientCert];
    secrets.iter().all(|secret| old.get(secret) == new.get(secret))
}

//! What an Issuer's spec names besides itself: the ConfigMap of its plugin and its Secrets.

use std::collections::HashMap;

use tokio::sync::watch;

use super::watches::{Subscription, Version, Watched, Watches};
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
    /// `spec.verification.caSecretName`
    TrustedCas,
    /// `spec.plugin.image.pullSecretName`
    PullSecret,
    /// `spec.plugin.image.caBundleSecretName`
    RegistryCa,
}

/// The versions in which the objects were read. One that could not be read counts as absent.
pub type Versions = HashMap<Dependency, Version>;

impl Dependency {
    /// All that a spec names.
    pub fn of(spec: &IssuerSpec) -> impl Iterator<Item = (Self, Watched, &ObjectName)> {
        let map = spec.plugin.config_map.as_ref().map(|map| (Self::Plugin, Watched::ConfigMap, &map.name));
        let image = spec.plugin.image.as_ref();
        // The plugin's last: where they are missing, what it uses was read.
        let secrets = [
            (Self::AuthSecret, spec.auth_secret_name.as_ref()),
            (Self::CaBundle, spec.http.ca_bundle_secret_name.as_ref()),
            (Self::ClientCert, spec.http.client_cert_secret_name.as_ref()),
            (Self::TrustedCas, spec.verification.ca_secret_name.as_ref()),
            (Self::PullSecret, image.and_then(|image| image.pull_secret_name.as_ref())),
            (Self::RegistryCa, image.and_then(|image| image.ca_bundle_secret_name.as_ref())),
        ];
        let secrets =
            secrets.into_iter().filter_map(|(dependency, name)| Some((dependency, Watched::Secret, name?)));
        map.into_iter().chain(secrets)
    }

    /// The field, as messages name it.
    pub fn field(self) -> &'static str {
        match self {
            Self::Plugin => "spec.plugin.configMap.name",
            Self::AuthSecret => "spec.authSecretName",
            Self::CaBundle => "spec.http.caBundleSecretName",
            Self::ClientCert => "spec.http.clientCertSecretName",
            Self::TrustedCas => "spec.verification.caSecretName",
            Self::PullSecret => "spec.plugin.image.pullSecretName",
            Self::RegistryCa => "spec.plugin.image.caBundleSecretName",
        }
    }
}

/// Whether all Secrets that the plugin uses were read in the same versions. Those that it is pulled with are not among them.
pub fn same_secrets(old: &Versions, new: &Versions) -> bool {
    let secrets =
        [Dependency::AuthSecret, Dependency::CaBundle, Dependency::ClientCert, Dependency::TrustedCas];
    secrets.iter().all(|secret| old.get(secret) == new.get(secret))
}

/// What a watch has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// There is another version than the one that was read.
    News,
    /// The watch is broken, and tells of no change until it is mended.
    Lost,
}

/// Watches of what a spec names, and what was read of it.
#[derive(Default)]
pub struct Dependencies {
    watched: Vec<Watch>,
    /// The versions that were read last.
    pub read: Versions,
}

struct Watch {
    dependency: Dependency,
    version: watch::Receiver<Version>,
    _share: Subscription,
}

impl Dependencies {
    /// Watch what the spec names, before it is read. Watches that go on are not interrupted.
    pub fn watch(&mut self, watches: &Watches, namespace: &str, spec: &IssuerSpec) {
        let watch = |(dependency, what, name): (Dependency, Watched, &ObjectName)| {
            let share = watches.subscribe(what, namespace, name);
            let mut version = share.receiver();
            version.borrow_and_update();
            Watch { dependency, version, _share: share }
        };
        self.watched = Dependency::of(spec).map(watch).collect();
    }

    /// Whether every watch has an answer, and all was read since: one that has none tells of no change.
    pub fn are_known(&self) -> bool {
        self.watched.iter().all(|watch| {
            let version = watch.version.borrow();
            *version != Version::Unknown && !version.is_news(self.read.get(&watch.dependency))
        })
    }

    /// Wait until something is another version than the one that was read, or is not known any more.
    pub async fn changed(&mut self) -> Change {
        let read = &self.read;
        let changes = self.watched.iter_mut().map(|watch| {
            Box::pin(async move {
                while watch.version.changed().await.is_ok() {
                    let version = watch.version.borrow_and_update().clone();
                    if version.is_news(read.get(&watch.dependency)) {
                        return Change::News;
                    }
                    if version == Version::Unknown {
                        return Change::Lost;
                    }
                }
                std::future::pending().await
            })
        });
        let changes: Vec<_> = changes.collect();
        if changes.is_empty() {
            return std::future::pending().await;
        }
        futures::future::select_all(changes).await.0
    }
}

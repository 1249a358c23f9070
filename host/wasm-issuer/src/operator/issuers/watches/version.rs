//! What is watched, and what is known of it.

use kube::ResourceExt;

use crate::operator::metrics::WatchedResource;

/// A kind that Issuers name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Watched {
    /// Holds a plugin.
    ConfigMap,
    /// Holds what a plugin authenticates with, and how it does so.
    Secret,
}

impl Watched {
    /// As people call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }

    /// As metrics call it.
    pub fn resource(self) -> WatchedResource {
        match self {
            Self::ConfigMap => WatchedResource::ConfigMaps,
            Self::Secret => WatchedResource::Secrets,
        }
    }
}

/// What is known of an object's version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// Nothing: the API server has not answered, or the watch is broken.
    Unknown,
    /// The one that whoever asked for it has read since: it is watched, and has not changed.
    Unchanged,
    /// There is no such object.
    Absent,
    /// Its `metadata.resourceVersion`.
    At(String),
}

impl Version {
    /// The version of an object that was read; none where there was no such object.
    pub fn of(object: Option<&impl ResourceExt>) -> Self {
        object.and_then(ResourceExt::resource_version).map_or(Self::Absent, Self::At)
    }

    /// Whether the object is another than the one that was `read`. The first answer of a new watch often is not.
    pub fn is_news(&self, read: Option<&Self>) -> bool {
        match self {
            Self::Unknown | Self::Unchanged => false,
            Self::Absent | Self::At(_) => Some(self) != read,
        }
    }
}

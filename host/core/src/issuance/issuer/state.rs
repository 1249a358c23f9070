//! What is observed of an Issuer.

use jiff::Timestamp;

use super::super::condition::{self, Condition, READY, TRUE};

/// What is observed of an Issuer.
#[derive(Clone, Debug)]
pub struct IssuerState {
    /// `metadata.generation`.
    pub generation: i64,
    /// Its conditions, all of which are this operator's.
    pub conditions: Vec<Condition>,
    /// What `status.plugin` says.
    pub plugin: Option<PluginFacts>,
    /// The status says the same otherwise than this version would write it: another version wrote it.
    pub is_old: bool,
}

impl IssuerState {
    /// Whether the status says that the Issuer is ready with that plugin, for the spec that it has now.
    pub fn vouches_for(&self, sha256: &str) -> bool {
        self.is_ready() && self.plugin.as_ref().is_some_and(|used| used.sha256 == sha256)
    }

    /// Whether the status says that it is, for the spec that it has now.
    pub(super) fn is_ready(&self) -> bool {
        condition::find(&self.conditions, READY)
            .is_some_and(|ready| ready.status == TRUE && ready.observed_generation == Some(self.generation))
    }
}

/// Which plugin an Issuer uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFacts {
    /// SHA-256 of the wasm bytes, 64 hexadecimal digits.
    pub sha256: String,
    /// Where it came from: `ConfigMap team-a/cfssl-plugin`.
    pub source: String,
    /// When it was taken into use.
    pub loaded_at: Timestamp,
}

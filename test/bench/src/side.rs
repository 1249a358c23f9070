//! Who is measured.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The name of every issuer here.
pub const ISSUER: &str = "bench";
/// The group of the issuers that are not ours.
pub const GROUP: &str = "bench.wasm-issuer.dev";

/// One of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Does what cannot be left out and nothing else.
    Limit,
    /// Does the same as this project, in Go.
    Peer,
    /// This project.
    Ours,
}

impl Side {
    /// All of them, in the order in which they take turns.
    pub const ALL: [Self; 3] = [Self::Limit, Self::Peer, Self::Ours];

    /// What a CertificateRequest says to be signed by it.
    pub fn issuer_ref(self) -> Value {
        let (group, kind) = self.kind();
        json!({"group": group, "kind": kind, "name": ISSUER})
    }

    /// The group and the kind of its issuers.
    pub fn kind(self) -> (&'static str, &'static str) {
        match self {
            Self::Limit => (GROUP, "BareWriter"),
            Self::Peer => (GROUP, "PeerClusterIssuer"),
            Self::Ours => ("wasm-issuer.dev", "WasmClusterIssuer"),
        }
    }
}

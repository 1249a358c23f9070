//! What is wrong with an object, why, and what mends it.

use std::fmt;

use serde::Serialize;

use crate::api::IssuerKey;

/// An object of the cluster, as findings name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: String,
    /// None where its kind has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The object that it is about, which is the one to mend most often.
    pub object: ObjectRef,
    /// What is wrong, in the operator's or cert-manager's own words where they have said it.
    pub cause: String,
    /// What mends it: commands, each a line, or words where only people know.
    pub mend: String,
    /// What waits for it to be mended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<ObjectRef>,
}

/// Something that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unseen {
    /// What.
    pub what: String,
    /// Why not, and what allows it.
    pub why: String,
}

impl ObjectRef {
    /// An object of a kind. An empty namespace is none.
    pub fn new(kind: &str, namespace: &str, name: &str) -> Self {
        let namespace = (!namespace.is_empty()).then(|| namespace.to_owned());
        Self { kind: kind.to_owned(), namespace, name: name.to_owned() }
    }

    /// Its arguments for kubectl: `wasmissuer my-ca -n team-a`.
    pub fn args(&self) -> String {
        let namespace =
            self.namespace.as_ref().map(|namespace| format!(" -n {namespace}")).unwrap_or_default();
        format!("{} {}{namespace}", self.kind.to_lowercase(), self.name)
    }
}

impl From<&IssuerKey> for ObjectRef {
    fn from(key: &IssuerKey) -> Self {
        Self::new(key.kind.as_str(), key.namespace.as_deref().unwrap_or_default(), &key.name)
    }
}

/// `WasmIssuer team-a/my-ca`
impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

impl Finding {
    /// A finding about an object.
    pub fn new(object: ObjectRef, cause: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { object, cause: cause.into(), mend: mend.into(), blocks: vec![] }
    }
}

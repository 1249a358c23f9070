//! What to look at.

use crate::cli::doctor::finding::ObjectRef;

/// How many questions the API server is asked at a time.
pub const AT_ONCE: usize = 8;

/// What to look at.
pub struct Look {
    /// The namespace of Issuers and requests; none: all.
    pub namespace: Option<String>,
    /// One object to follow to its cause; none: everything.
    pub object: Option<ObjectRef>,
    /// Where the operator is.
    pub operator_namespace: String,
    /// The namespace and the ServiceAccount of who approves.
    pub approver: (String, String),
}

//! What a spec asks for beyond the policy, and the section of the policy that would allow it.

use std::fmt;

use serde::Serialize;
use serde_json::Value;
use wasm_issuer_runtime::egress::GrantError;

use crate::api::IssuerKind;

/// A spec wants more than the policy allows: all of it, and the section of the policy that would allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What is wished for, and what is allowed.
    wishes: Vec<(String, String)>,
    section: Section,
}

impl Violation {
    /// One wish that this value of a field would allow.
    pub fn of(
        kind: IssuerKind,
        wish: String,
        allowed: &str,
        field: &'static str,
        value: impl Serialize,
    ) -> Self {
        let mut all = Wishes::new(kind);
        all.beyond(wish, allowed, field, value);
        Self { wishes: all.wishes, section: all.section }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wishes = self.wishes.iter().map(|(wish, allowed)| format!("{wish} (it allows {allowed})"));
        let wishes = wishes.collect::<Vec<_>>().join(", nor ");
        write!(
            f,
            "the operator's policy does not allow {wishes}; to allow it, put the section {} there",
            self.section
        )
    }
}

/// A section of a policy file, displayed as one line of YAML: what is in no other section keeps what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    kind: IssuerKind,
    fields: Vec<(&'static str, Value)>,
}

impl fmt::Display for Section {
    /// JSON is YAML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<String> =
            self.fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        write!(f, "{}: {{{}}}", field_of(self.kind), fields.join(", "))
    }
}

/// Why an Issuer's grants are refused: everything that is wrong with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Entries of `spec.http.allowedHosts` that cannot be read.
    pub(super) unreadable: Vec<GrantError>,
    /// What the spec asks for beyond what the policy allows to its kind.
    pub(super) violation: Option<Violation>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unreadable = self.unreadable.iter().map(ToString::to_string);
        let all: Vec<String> = unreadable.chain(self.violation.iter().map(ToString::to_string)).collect();
        f.write_str(&all.join("; "))
    }
}

/// What goes too far, as it is collected.
pub struct Wishes {
    wishes: Vec<(String, String)>,
    /// The section that would allow all.
    pub section: Section,
}

impl Wishes {
    /// None yet, of this kind of Issuer.
    pub fn new(kind: IssuerKind) -> Self {
        Self { wishes: vec![], section: Section { kind, fields: vec![] } }
    }

    /// A wish that this value of a field would allow.
    pub fn beyond(&mut self, wish: String, allowed: &str, field: &'static str, value: impl Serialize) {
        self.wishes.push((wish, allowed.to_owned()));
        // What the policy is made of is JSON.
        self.section.fields.push((field, serde_json::to_value(value).unwrap_or_default()));
    }

    /// A wish that these items would allow besides those of a list.
    pub fn more<T: Clone + fmt::Display + Serialize>(
        &mut self,
        wish: String,
        field: &'static str,
        allowed: &[T],
        more: impl IntoIterator<Item = T>,
    ) {
        let all: Vec<T> = allowed.iter().cloned().chain(more).collect();
        self.beyond(wish, &list(allowed), field, all);
    }

    /// All of them together, if there is any.
    pub fn violation(self) -> Option<Violation> {
        let Self { wishes, section } = self;
        (!wishes.is_empty()).then_some(Violation { wishes, section })
    }
}

/// The policy's field that bounds a kind.
pub fn field_of(kind: IssuerKind) -> &'static str {
    match kind {
        IssuerKind::Namespaced => "wasmIssuers",
        IssuerKind::Cluster => "wasmClusterIssuers",
    }
}

/// The items, or that there is none.
pub fn list<T: fmt::Display>(items: &[T]) -> String {
    match items {
        [] => "none".to_owned(),
        items => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// The same of names.
pub fn quoted<T: AsRef<str>>(items: &[T]) -> String {
    list(&items.iter().map(|item| format!("\"{}\"", item.as_ref())).collect::<Vec<_>>())
}

//! RBAC as the API server does it, with the Roles of a manifest.

use std::fmt;

use serde_json::Value;

/// What a client may do: the rules of Roles, taken apart.
#[derive(Clone, Debug)]
pub struct Rights(Vec<Right>);

/// One verb on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// `get`
    pub verb: String,
    /// With its group as RBAC writes it: `wasmissuers/status.wasm-issuer.dev`, `secrets`.
    pub resource: String,
    /// Where; none of a ClusterRole: everywhere.
    pub namespace: Option<String>,
    /// Of which object; none: of all.
    pub name: Option<String>,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        self.name.iter().try_for_each(|name| write!(f, " {name}"))?;
        self.namespace.iter().try_for_each(|namespace| write!(f, " in {namespace}"))
    }
}

impl Rights {
    /// What the bindings of a manifest give to the ServiceAccount `wasm-issuer`.
    pub fn of(manifest: &str) -> Self {
        let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).unwrap();
        let is_ours = |binding: &&Value| {
            let mut subjects = binding["subjects"].as_array().into_iter().flatten();
            subjects.any(|subject| subject["kind"] == "ServiceAccount" && subject["name"] == "wasm-issuer")
        };
        let role_of = |binding: &Value| {
            documents.iter().find(|role| {
                role["kind"] == binding["roleRef"]["kind"]
                    && role["metadata"]["name"] == binding["roleRef"]["name"]
                    && role["metadata"]["namespace"] == binding["metadata"]["namespace"]
            })
        };
        let roles = documents.iter().filter(is_ours).map(|binding| {
            role_of(binding).unwrap_or_else(|| panic!("there is no role for {}", binding["metadata"]))
        });
        Self(roles.flat_map(taken_apart).collect())
    }

    /// Each of them.
    pub fn each(&self) -> &[Right] {
        &self.0
    }

    /// All but one.
    pub fn without(&self, right: &Right) -> Self {
        Self(self.0.iter().filter(|other| *other != right).cloned().collect())
    }

    /// Whether they cover what is asked: with a namespace and a name, where it has them.
    pub fn allow(&self, asked: &Right) -> bool {
        self.0.iter().any(|right| {
            let covers = |limit: &Option<String>, what| limit.is_none() || limit == what;
            right.verb == asked.verb
                && right.resource == asked.resource
                && covers(&right.namespace, &asked.namespace)
                && covers(&right.name, &asked.name)
        })
    }
}

fn taken_apart(role: &Value) -> Vec<Right> {
    let texts = |rule: &Value, field: &str| -> Vec<String> {
        rule[field].as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let namespace = role["metadata"]["namespace"].as_str();
    let mut rights = Vec::new();
    for rule in role["rules"].as_array().unwrap() {
        let names: Vec<Option<String>> = match texts(rule, "resourceNames") {
            names if names.is_empty() => vec![None],
            names => names.into_iter().map(Some).collect(),
        };
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                for (verb, name) in
                    texts(rule, "verbs").iter().flat_map(|v| names.iter().map(move |n| (v, n)))
                {
                    rights.push(Right {
                        verb: verb.clone(),
                        resource: in_group(&resource, &group),
                        namespace: namespace.map(str::to_owned),
                        name: name.clone(),
                    });
                }
            }
        }
    }
    rights
}

/// A resource with its group; the core one has no name.
pub fn in_group(resource: &str, group: &str) -> String {
    let dot = if group.is_empty() { "" } else { "." };
    format!("{resource}{dot}{group}")
}

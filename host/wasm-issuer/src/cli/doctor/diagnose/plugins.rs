//! What plugins say of themselves, and what of that their Issuers grant. A claim, not a fault: a plugin may say that it needs
//! more than this configuration makes use of. Where an Issuer is not ready, it is what to try.

use serde::Serialize;
use wasm_issuer_runtime::describe::Description;

use super::super::facts::{Facts, Issuer};
use super::super::finding::ObjectRef;
use super::installation;
use crate::api::IssuerSpec;
use crate::cli::description::needs::{Need, Needed, granting, needs, section};

/// An Issuer whose plugin says what it is.
#[derive(Clone, Debug, Serialize)]
pub struct Described {
    /// The Issuer.
    pub issuer: ObjectRef,
    /// The plugin's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does.
    pub summary: String,
    /// What it says that it needs with this configuration.
    pub needs: Vec<Need>,
    /// What grants the rest of it; none where nothing lacks.
    #[serde(flatten)]
    pub grant: Option<Grant>,
}

/// What grants all that a plugin says that it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// For the Issuer's spec: YAML, a field on each line.
    pub section: String,
    /// What the operator's policy says to that, with the section to put there; none where it allows it, or is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The keys that the Secret is to have, where the section names one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

/// The Issuers that are looked at and whose plugins say what they are.
pub fn described(facts: &Facts) -> Vec<Described> {
    facts.issuers_wanted().filter_map(|issuer| describe(facts, issuer)).collect()
}

fn describe(facts: &Facts, issuer: &Issuer) -> Option<Described> {
    let (description, spec) = (description(issuer)?, issuer.spec.as_ref().ok()?);
    let Description { name, version, summary, .. } = description.clone();
    let (needs, grant) = (needs(description, spec), grant(facts, issuer, spec));
    Some(Described { issuer: (&issuer.key).into(), name, version, summary, needs, grant })
}

/// What would grant an Issuer's plugin what it says that it needs; none where nothing lacks.
pub fn grant(facts: &Facts, issuer: &Issuer, spec: &IssuerSpec) -> Option<Grant> {
    let needs = needs(description(issuer)?, spec);
    let wanted = granting(&needs, spec, &issuer.key.name)?;
    let policy = installation::current(facts);
    let is_new = wanted.auth_secret_name != spec.auth_secret_name;
    Some(Grant {
        section: section(spec, &wanted),
        policy: policy.and_then(|it| it.check(issuer.key.kind, &wanted).err()).map(|it| it.to_string()),
        keys: if is_new { keys(&needs) } else { vec![] },
    })
}

/// The keys that the Secret of an Issuer is to have, as its plugin says.
pub fn keys_of(issuer: &Issuer, spec: &IssuerSpec) -> Vec<String> {
    description(issuer).map(|description| keys(&needs(description, spec))).unwrap_or_default()
}

fn keys(needs: &[Need]) -> Vec<String> {
    let needed = needs.iter().filter(|need| !need.optional);
    let keys = needed.filter_map(|need| match &need.what {
        Needed::Server(_) => None,
        Needed::Key(name) | Needed::RevealedKey(name) => Some(name.clone()),
    });
    keys.collect()
}

fn description(issuer: &Issuer) -> Option<&Description> {
    issuer.plugin.as_ref()?.description.as_ref()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wasm_issuer_runtime::describe::{Place, Schema, SecretKey, Server};

    use super::super::super::facts::{Plugin, Policy};
    use super::super::testing::{failing, healthy, issuer, only, secret};
    use super::*;

    /// What a plugin says that asks a server with a token, which it reads.
    fn says() -> Option<Plugin> {
        let token = SecretKey {
            name: Place::Fixed("token".into()),
            purpose: "the token".into(),
            optional: false,
            reveal: true,
        };
        let description = Description {
            name: "acme".into(),
            version: "1.2.3".into(),
            summary: "Certificates.".into(),
            config: Schema::Any(true),
            servers: vec![Server { url: Place::Config("/url".into()), purpose: "the CA".into() }],
            secret_keys: vec![token],
        };
        Some(Plugin { sha256: None, problem: None, description: Some(description) })
    }

    fn with(mut issuer: Issuer) -> Facts {
        let config = json!({"url": "http://ca.example"});
        issuer.spec.as_mut().unwrap().config = serde_json::from_value(config).unwrap();
        issuer.plugin = says();
        Facts { issuers: Some(vec![issuer]), ..healthy() }
    }

    #[test]
    fn an_issuer_that_is_ready_is_described_and_nothing_is_wrong_with_it() {
        let facts = with(issuer("ca"));
        assert_eq!(super::super::diagnose(&facts), []);
        let [described] = described(&facts).try_into().unwrap();
        assert_eq!((described.name.as_str(), described.version.as_str()), ("acme", "1.2.3"));
        assert!(described.needs.iter().all(Need::lacks), "{described:?}");
        let grant = described.grant.clone().unwrap();
        assert_eq!(
            grant.section,
            "http: {\"allowedHosts\":[\"http://ca.example\"]}\nsecrets: {\"reveal\":[\"token\"]}\nauthSecretName: \"ca-auth\"\n"
        );
        assert_eq!(grant.keys, ["token"]);
        // A tenant's may not, by the default policy: both, and where to allow it.
        let refusal = grant.policy.unwrap();
        for part in [
            "\"http://ca.example\" in spec.http.allowedHosts",
            "put the section wasmIssuers: {",
            "reveal: true",
        ] {
            assert!(refusal.contains(part), "{part}: {refusal}");
        }
        let json = serde_json::to_value(&described).unwrap();
        assert_eq!(json["needs"][0]["server"], "http://ca.example");
        assert_eq!(json["keys"], json!(["token"]));
    }

    #[test]
    fn one_that_is_not_ready_is_mended_by_what_its_plugin_needs() {
        let mend = only(&with(failing("ca", "it is denied"))).mend;
        for part in [
            "kubectl edit wasmissuer ca -n team-a   # its plugin says that it needs more",
            "\nhttp: {\"allowedHosts\":[\"http://ca.example\"]}\n",
            "\n# the Secret is to have the key token\n",
            "the operator's policy does not allow",
        ] {
            assert!(mend.contains(part), "{part}: {mend}");
        }
        let unknown = Facts { policy: Policy::Unknown, ..with(failing("ca", "it is denied")) };
        assert!(!only(&unknown).mend.contains("policy"));
        let mut granted = with(failing("ca", "it is busy"));
        let spec = granted.issuers.as_mut().unwrap()[0].spec.as_mut().unwrap();
        spec.http.allowed_hosts = vec!["http://ca.example".to_owned()];
        spec.secrets.reveal = vec!["token".to_owned()];
        spec.auth_secret_name = Some("ca".parse().unwrap());
        granted.policy = Policy::Unknown;
        assert_eq!(described(&granted)[0].grant, None);
        assert!(only(&granted).mend.ends_with("it is checked again by itself"));
        // A Secret that is named and not there is made with its keys.
        granted.issuers.as_mut().unwrap()[0].sources = vec![secret(false, true)];
        let mend = "kubectl create secret generic keys -n team-a --from-file=token=FILE";
        assert_eq!(only(&granted).mend, mend);
    }
}

//! What a user asks of an Issuer: the one spec of both kinds. The doc comments become the CRD's descriptions.

use kube::KubeSchema;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::json;
use wasm_issuer_core::issuance::verify::{Difference, Mode};

use super::name::{DATA_KEY_PATTERN, MAX_DATA_KEY};
use super::{GoDuration, ObjectName, PluginConfig, PluginSpec, Quantity, ranges};

/// Which plugin issues the certificates, how it is configured, and what it is granted.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuerSpec {
    /// The WebAssembly component that holds the CA's logic: exactly one of `configMap`, `image` and `builtin`.
    pub plugin: PluginSpec,

    /// The plugin's own configuration, a free-form object that the plugin receives as JSON. Its documentation says
    /// what belongs in here. It is not a place for secrets: everyone who can read the Issuer can read it. Default: an
    /// empty object.
    #[serde(default)]
    #[schemars(schema_with = "free_form_object")]
    pub config: PluginConfig,

    /// The Secret that holds the plugin's credentials, in the Issuer's namespace; for a WasmClusterIssuer, in the
    /// operator's cluster resource namespace. The plugin uses its keys by name through handles (to sign, to compute an
    /// HMAC, as a placeholder in a request header) and does not see the bytes, save for those that `secrets.reveal`
    /// names. A change of the Secret takes effect within a second; while the operator does not watch it (it has 256
    /// watches for what all Issuers name), with the next check (`checkInterval`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_secret_name: Option<ObjectName>,

    /// What the plugin may do with the Secret beyond using it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub secrets: SecretsSpec,

    /// What the plugin may reach over the network. Default: nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub http: HttpSpec,

    /// How often the plugin checks that it could issue: the CA answers and the credentials work. A Go duration such as
    /// `90s`, `1m30s` or `1h`, from 10s to 24h; each round varies a little, so that Issuers do not check in step.
    /// Default: 1m. Where `http.allowedHosts` names no server, a check that passed is repeated when something about the
    /// Issuer changes, when signing fails by the Issuer's fault, and else within half an hour: nothing but the time could
    /// make it say something else.
    #[serde(default = "default_check_interval")]
    #[x_kube(validation = GoDuration::rule(ranges::CHECK_INTERVAL))]
    pub check_interval: GoDuration,

    /// The bounds of one call to the plugin.
    #[serde(default)]
    pub limits: LimitsSpec,

    /// How failed requests are tried again. Default: the operator's flags.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retry: RetrySpec,

    /// How the certificates that the plugin returns are compared with their requests.
    #[serde(default)]
    pub verification: VerificationSpec,
}

/// How the certificates that the plugin returns are compared with their requests. Whatever is set here, none is published
/// with another key or other names than the CSR's, as a CA that was not asked for, or with a chain that clients would
/// refuse.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.mode != 'Strict' || !has(self.allow) || size(self.allow) == 0")
    .message("mode Strict allows no difference: allow must be empty"))]
pub struct VerificationSpec {
    /// `Reported` publishes a certificate whose key usages or lifetime are not as requested, or whose subject has less,
    /// with a warning Event, because a CA's profile may rightly decide them. `Strict` refuses every difference. The
    /// operator's policy may demand `Strict`. Default: Reported.
    #[serde(default)]
    #[schemars(schema_with = "mode_schema")]
    pub mode: Mode,

    /// Differences that give the holder more than was requested, and that are published nevertheless, with a warning
    /// Event: `Subject` (attributes beyond the CSR's, a common name that is none of the names), `ExtendedKeyUsages`
    /// (beyond server auth and client auth), `OutlivesIssuer` (valid for longer than the CA), `Extensions` (that the
    /// operator does not know). The operator's policy must allow them too. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "allow_schema")]
    pub allow: Vec<Difference>,

    /// A Secret whose certificates, under any key, may stand in the CA certificates that are published (`ca.crt`)
    /// beside the one that the chain leads to, such as an old root and a new one. Those in the Secret of
    /// `authSecretName` may too. All others that the plugin returns are dropped. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_name: Option<ObjectName>,
}

/// What the plugin may do with the Secret beyond using it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
pub struct SecretsSpec {
    /// The keys of the Secret whose bytes the plugin may read. A plugin that reads a key can keep it and send it to any
    /// host that it is allowed to reach, so grant only what its CA's protocol cannot do without. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = MAX_DATA_KEY), regex(pattern = DATA_KEY_PATTERN)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub reveal: Vec<String>,
}

/// What the plugin may reach over the network.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpSpec {
    /// The servers that the plugin may call: `scheme://host` or `scheme://host:port`, where the scheme is https or http
    /// and `*.` in front of the host means every host below it: `https://cfssl.pki.svc:8888`,
    /// `https://*.ca.example.com`. The operator's policy may narrow it. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "allowed_hosts_schema")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_hosts: Vec<String>,

    /// A Secret whose key `ca.crt` holds the PEM certificates of the CAs that the servers' certificates must chain to,
    /// instead of the public ones. Default: the public CAs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle_secret_name: Option<ObjectName>,

    /// A Secret of type `kubernetes.io/tls` with the client certificate and key (`tls.crt`, `tls.key`) for mutual TLS.
    /// The operator does the handshake; the plugin does not see the key. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert_secret_name: Option<ObjectName>,
}

/// The bounds of one call to the plugin.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
pub struct LimitsSpec {
    /// How long a call may take, its HTTP requests included. A Go duration such as `500ms` or `10s`, from 100ms to 1m.
    /// Default: 10s.
    #[serde(default = "default_timeout")]
    #[x_kube(validation = GoDuration::rule(ranges::TIMEOUT))]
    pub timeout: GoDuration,

    /// How much memory a call may use: bytes, with Ki, Mi, Gi, k, M or G as the unit, from 1Mi to 1Gi. Default: 64Mi.
    #[serde(default = "default_memory")]
    #[x_kube(validation = Quantity::rule(ranges::MEMORY))]
    pub memory: Quantity,
}

/// How failed requests are tried again.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.minBackoff) || !has(self.maxBackoff) || duration(self.minBackoff) <= duration(self.maxBackoff)")
    .message("minBackoff must not be longer than maxBackoff"))]
pub struct RetrySpec {
    /// How long a request may be retried after passing errors before it becomes Failed, which costs its Certificate an
    /// hour or more. It counts from the request's creation or approval, or from when the Issuer became ready, whichever
    /// was last. A Go duration, from 1s to 8760h. Default: the operator's `--max-retry-duration`, 24h unless changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = GoDuration::rule(ranges::RETRY_DURATION))]
    pub max_duration: Option<GoDuration>,

    /// The pause before the first new try; it doubles with each further one. A Go duration, from 100ms to 1h. Default:
    /// the operator's `--min-backoff`, 1s unless changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = GoDuration::rule(ranges::MIN_BACKOFF))]
    pub min_backoff: Option<GoDuration>,

    /// The longest pause between two tries. A Go duration, from 1s to 24h. Default: the operator's `--max-backoff`, 5m
    /// unless changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = GoDuration::rule(ranges::MAX_BACKOFF))]
    pub max_backoff: Option<GoDuration>,
}

impl IssuerSpec {
    /// Whether another spec differs from this one in anything but the plugin.
    pub fn asks_otherwise(&self, other: &Self) -> bool {
        let rest = |spec: &Self| Self { plugin: PluginSpec::default(), ..spec.clone() };
        rest(self) != rest(other)
    }

    /// A spec with that plugin and the defaults.
    pub fn new(plugin: PluginSpec) -> Self {
        Self {
            plugin,
            config: PluginConfig::default(),
            auth_secret_name: None,
            secrets: SecretsSpec::default(),
            http: HttpSpec::default(),
            check_interval: default_check_interval(),
            limits: LimitsSpec::default(),
            retry: RetrySpec::default(),
            verification: VerificationSpec::default(),
        }
    }
}

impl Default for LimitsSpec {
    fn default() -> Self {
        Self { timeout: default_timeout(), memory: default_memory() }
    }
}

fn default_check_interval() -> GoDuration {
    GoDuration::from_secs(60)
}

fn default_timeout() -> GoDuration {
    GoDuration::from_secs(10)
}

fn default_memory() -> Quantity {
    Quantity::mebibytes(64)
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Any object; what is nested in it is the plugin's affair.
fn free_form_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "maxProperties": 128, "x-kubernetes-preserve-unknown-fields": true})
}

/// A rule in place of a pattern: no one could read this one in an error message.
fn allowed_hosts_schema(_: &mut SchemaGenerator) -> Schema {
    let label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
    let host = format!(r"((\*\.)?{label}(\.{label})*|\[[0-9a-f:.]+\])");
    let rule = json!({
        "rule": format!("self.matches(r'^https?://{host}(:[0-9]{{1,5}})?$')"),
        "message": "must be https://host, https://host:port, http://host or http://host:port, without a path",
    });
    json_schema!({
        "type": "array",
        "maxItems": 32,
        "items": {"type": "string", "maxLength": 270, "x-kubernetes-validations": [rule]},
    })
}

/// Without the variants' descriptions, which a structural schema has no place for.
fn mode_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": [Mode::Reported, Mode::Strict]})
}

fn allow_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": Difference::ALL.len(),
        "items": {"type": "string", "enum": Difference::ALL},
        "x-kubernetes-list-type": "set",
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn read(spec: Value) -> IssuerSpec {
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn the_smallest_spec_has_the_defaults() {
        let spec = read(json!({"plugin": {"builtin": "in-memory-ca"}}));
        assert_eq!(spec, IssuerSpec::new(PluginSpec::builtin("in-memory-ca")));
        assert_eq!(spec.check_interval, GoDuration::from_secs(60));
        assert_eq!(spec.limits.memory.bytes, 64 << 20);
        assert_eq!(spec.verification, VerificationSpec::default());
    }

    #[test]
    fn a_spec_is_written_as_it_was_read() {
        let spec = json!({
            "plugin": {"configMap": {"name": "cfssl-plugin", "key": "plugin.wasm"}, "sha256": "4f0c"},
            "config": {"url": "https://cfssl.pki.svc:8888", "nested": {"list": [1, null, "x"]}},
            "authSecretName": "cfssl-auth",
            "secrets": {"reveal": ["token"]},
            "http": {
                "allowedHosts": ["https://cfssl.pki.svc:8888"],
                "caBundleSecretName": "pki-root",
                "clientCertSecretName": "mtls",
            },
            "checkInterval": "1m30s",
            "limits": {"timeout": "500ms", "memory": "128Mi"},
            "retry": {"maxDuration": "1h", "minBackoff": "1s", "maxBackoff": "1m"},
            "verification": {"mode": "Reported", "allow": ["Subject", "Extensions"], "caSecretName": "roots"},
        });
        assert_eq!(serde_json::to_value(read(spec.clone())).unwrap(), spec);
    }

    #[test]
    fn names_that_leave_the_namespace_are_refused_without_the_crd_too() {
        let spec = json!({"plugin": {"builtin": "a"}, "authSecretName": "../../other/secrets/x"});
        assert!(serde_json::from_value::<IssuerSpec>(spec).is_err());
    }
}

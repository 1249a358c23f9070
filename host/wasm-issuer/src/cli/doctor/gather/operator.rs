//! The operator's Deployment: whether it runs, how, and with which policy.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Container, ContainerStatus, Pod, PodSpec};
use kube::Api;
use kube::api::ListParams;

use super::reader::Reader;
use crate::cli::doctor::facts::{Operator, Policy};
use crate::cli::doctor::finding::ObjectRef;

const LABEL: &str = "app.kubernetes.io/name=wasm-issuer";
/// The ServiceAccount of deploy/.
const SERVICE_ACCOUNT: &str = "wasm-issuer";

/// What was found of the operator.
pub struct Found {
    pub operator: Option<Operator>,
    pub policy: Policy,
    pub service_account: String,
}

/// Look for the operator in a namespace.
pub async fn read(reader: &Reader, namespace: &str) -> Found {
    let nothing =
        || Found { operator: None, policy: Policy::Unknown, service_account: SERVICE_ACCOUNT.to_owned() };
    let api = Api::<Deployment>::namespaced(reader.client.clone(), namespace);
    let Some(all) = reader.list(&api, ListParams::default().labels(LABEL)).await else { return nothing() };
    let Some(deployment) = all.into_iter().next() else {
        let why = format!("none has the label {LABEL} in {namespace}; --operator-namespace looks elsewhere");
        reader.miss("the operator's Deployment and its policy", why);
        return nothing();
    };
    let name = deployment.metadata.name.clone().unwrap_or_default();
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let available = deployment.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0);
    let Some(pod) = deployment.spec.and_then(|spec| spec.template.spec) else { return nothing() };
    let setting = Settings { pod: &pod };
    let list = |text: Option<String>| -> Vec<String> {
        text.iter()
            .flat_map(|text| text.split(','))
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let is =
        |flag, variable, default: bool| setting.of(flag, variable).map_or(default, |text| text != "false");
    let operator = Operator {
        name,
        namespace: namespace.to_owned(),
        wanted,
        available,
        troubles: troubles(reader, namespace).await,
        watched: list(setting.of("--watch-namespaces", "WASM_ISSUER_WATCH_NAMESPACES")),
        signs_csrs: is("--kubernetes-csrs", "WASM_ISSUER_KUBERNETES_CSRS", true),
        elects: is("--leader-elect", "WASM_ISSUER_LEADER_ELECT", false),
        cluster_resource_namespace: setting
            .of("--cluster-resource-namespace", "WASM_ISSUER_CLUSTER_RESOURCE_NAMESPACE")
            .unwrap_or_else(|| namespace.to_owned()),
    };
    let policy = policy(reader, namespace, &setting).await;
    let service_account = pod.service_account_name.clone().unwrap_or_else(|| "default".to_owned());
    Found { operator: Some(operator), policy, service_account }
}

/// Why pods do not run.
async fn troubles(reader: &Reader, namespace: &str) -> Vec<(String, String)> {
    let api = Api::<Pod>::namespaced(reader.client.clone(), namespace);
    let pods = reader.list(&api, ListParams::default().labels(LABEL)).await.unwrap_or_default();
    let trouble = |pod: Pod| {
        let status = pod.status?;
        let containers = status.container_statuses.unwrap_or_default();
        let unscheduled = status
            .conditions
            .unwrap_or_default()
            .into_iter()
            .find(|c| c.type_ == "PodScheduled" && c.status == "False");
        let why = containers.iter().find_map(of_container).or_else(|| unscheduled?.message)?;
        Some((pod.metadata.name?, why))
    };
    pods.into_iter().filter_map(trouble).collect()
}

fn of_container(container: &ContainerStatus) -> Option<String> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting
        .reason
        .as_deref()
        .filter(|reason| !["ContainerCreating", "PodInitializing"].contains(reason))?;
    let ended = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let ended = ended.map(|ended| {
        format!(
            " (it ended with {}: {})",
            ended.exit_code,
            ended.message.as_deref().unwrap_or("its log says why")
        )
    });
    Some(format!("{reason}: {}{}", waiting.message.as_deref().unwrap_or_default(), ended.unwrap_or_default()))
}

/// How the operator is told what to do.
struct Settings<'a> {
    pod: &'a PodSpec,
}

impl Settings<'_> {
    fn container(&self) -> Option<&Container> {
        let named = self.pod.containers.iter().find(|container| container.name == "wasm-issuer");
        named.or(self.pod.containers.first())
    }

    /// What an option says, or the variable that stands for it; none of one that only the pod knows.
    fn of(&self, flag: &str, variable: &str) -> Option<String> {
        let container = self.container()?;
        let mut args = container.command.iter().chain(&container.args).flatten();
        while let Some(arg) = args.next() {
            match arg.strip_prefix(flag) {
                Some("") => {
                    return Some(
                        args.next()
                            .filter(|next| !next.starts_with('-'))
                            .cloned()
                            .unwrap_or_else(|| "true".to_owned()),
                    );
                }
                Some(rest) if rest.starts_with('=') => return Some(rest[1..].to_owned()),
                _ => {}
            }
        }
        container.env.iter().flatten().find(|env| env.name == variable)?.value.clone()
    }

    /// The ConfigMap and the key that are mounted at a path.
    fn mounted(&self, path: &str) -> Option<(String, String)> {
        let mounts = self.container()?.volume_mounts.iter().flatten();
        let below =
            |mount: &str| path.strip_prefix(mount).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let mount = mounts
            .filter(|mount| below(&mount.mount_path).is_some())
            .max_by_key(|mount| mount.mount_path.len())?;
        let rest = below(&mount.mount_path)?.trim_start_matches('/');
        let file = mount.sub_path.as_deref().filter(|_| rest.is_empty()).unwrap_or(rest);
        let volume = self.pod.volumes.iter().flatten().find(|volume| volume.name == mount.name)?;
        let map = volume.config_map.as_ref()?;
        let key = map.items.iter().flatten().find(|item| item.path == file).map_or(file, |item| &item.key);
        Some((map.name.clone(), key.to_owned()))
    }
}

async fn policy(reader: &Reader, namespace: &str, settings: &Settings<'_>) -> Policy {
    let Some(path) = settings.of("--policy", "WASM_ISSUER_POLICY") else { return Policy::Defaults };
    let Some((name, key)) = settings.mounted(&path) else {
        reader.miss("the policy", format!("{path} is not mounted from a ConfigMap"));
        return Policy::Unknown;
    };
    let api = Api::<ConfigMap>::namespaced(reader.client.clone(), namespace);
    let Some(found) = reader.get(&api, &name).await else { return Policy::Unknown };
    let object = ObjectRef::new("ConfigMap", namespace, &name);
    let text = match found {
        None => Err("it is not there, and the operator's policy is in it: its pods do not start".to_owned()),
        Some(map) => map
            .data
            .and_then(|mut data| data.remove(&key))
            .ok_or_else(|| format!("it has no key {key}, where the operator's policy is")),
    };
    Policy::ConfigMap { object, key, text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(container: serde_json::Value, volumes: serde_json::Value) -> PodSpec {
        serde_json::from_value(json!({"containers": [{"name": "sidecar"}, container], "volumes": volumes}))
            .unwrap()
    }

    #[test]
    fn options_come_before_variables() {
        let env = json!([{"name": "WASM_ISSUER_POLICY", "value": "/a"}, {"name": "E", "value": "true"}]);
        for (args, said) in [
            (json!(["run"]), Some("/a")),
            (json!(["run", "--policy", "/b"]), Some("/b")),
            (json!(["run", "--policy=/c", "--policy-of-others", "/d"]), Some("/c")),
            (json!(["run", "--policy", "--other"]), Some("true")),
        ] {
            let pod = pod(json!({"name": "wasm-issuer", "args": args, "env": env}), json!([]));
            assert_eq!(
                Settings { pod: &pod }.of("--policy", "WASM_ISSUER_POLICY").as_deref(),
                said,
                "{args}"
            );
        }
    }

    #[test]
    fn the_policy_is_found_where_it_is_mounted() {
        let volumes = json!([
            {"name": "all", "emptyDir": {}},
            {"name": "policy", "configMap": {"name": "p", "items": [{"key": "k", "path": "file.yaml"}]}},
            {"name": "plain", "configMap": {"name": "q"}},
        ]);
        let mounts = json!([
            {"name": "all", "mountPath": "/etc"},
            {"name": "policy", "mountPath": "/etc/policy"},
            {"name": "plain", "mountPath": "/etc/plain"},
            {"name": "plain", "mountPath": "/etc/one.yaml", "subPath": "key"},
        ]);
        let pod = pod(json!({"name": "wasm-issuer", "volumeMounts": mounts}), volumes);
        let found =
            |path: &str| Settings { pod: &pod }.mounted(path).map(|(map, key)| format!("{map} {key}"));
        for (path, mounted) in [
            ("/etc/policy/file.yaml", Some("p k")),
            ("/etc/plain/policy.yaml", Some("q policy.yaml")),
            ("/etc/one.yaml", Some("q key")),
            ("/etc/plainer/policy.yaml", None),
            ("/tmp/policy.yaml", None),
        ] {
            assert_eq!(found(path).as_deref(), mounted, "{path}");
        }
    }
}

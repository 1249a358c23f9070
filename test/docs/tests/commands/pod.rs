//! A container of a Deployment, as a process.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use wasm_issuer_docs::root;

use crate::kubectl;
use crate::node;

/// A container that runs.
pub struct Pod {
    process: Child,
    port: u16,
    namespace: String,
    /// The folders that stand for mounted ConfigMaps, and their volumes.
    maps: Vec<(PathBuf, Value)>,
}

impl Pod {
    /// Start what the template says. Its files and its log are in `folder`.
    pub fn start(folder: PathBuf, namespace: &str, name: &str, template: &Value) -> Self {
        fs::create_dir_all(&folder).expect("a folder");
        let kubeconfig = folder.join("kubeconfig");
        let account = template["serviceAccountName"].as_str().unwrap_or("default");
        let wrote = Command::new(root().join("test/cluster/kubeconfig-for.sh"))
            .args([namespace, account])
            .arg(&kubeconfig)
            .status();
        assert!(wrote.expect("bash").success(), "there is no ServiceAccount {namespace}/{account}");

        let container = &template["containers"][0];
        let (mut mounts, mut maps) = (BTreeMap::new(), vec![]);
        for mount in items(&container["volumeMounts"]) {
            let target = folder.join(text(&mount["name"]));
            fs::create_dir_all(&target).expect("a folder");
            let volume = items(&template["volumes"]).find(|it| it["name"] == mount["name"]);
            let volume = volume.unwrap_or_else(|| panic!("no volume {}", mount["name"]));
            if volume["configMap"].is_object() {
                maps.push((target.clone(), volume["configMap"].clone()));
            } else {
                assert!(volume["emptyDir"].is_object(), "the stand-in knows no such volume: {volume}");
            }
            mounts.insert(text(&mount["mountPath"]).to_owned(), target);
        }
        for (target, map) in &maps {
            write_map(namespace, target, map);
        }
        let mounted = |value: &str| {
            let place = mounts.iter().find(|(path, _)| value.contains(path.as_str()));
            place.map_or_else(
                || value.to_owned(),
                |(path, target)| value.replace(path, &target.to_string_lossy()),
            )
        };

        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let args = items(&container["args"]).map(|arg| mounted(text(arg)));
        let env = items(&container["env"]).filter_map(|variable| {
            let value = value_of(variable, namespace, name)?;
            Some((text(&variable["name"]), mounted(&value)))
        });
        let log = File::create(folder.join("log")).expect("a log");
        let process = Command::new(node::binary())
            .args(args)
            .env_clear()
            .envs(env)
            // What a pod has of itself: the API server, its namespace, the image's plugins, a port of its own.
            .env("KUBECONFIG", kubeconfig)
            .env("WASM_ISSUER_LEASE_NAMESPACE", namespace)
            .env("WASM_ISSUER_BUILTIN_DIR", node::plugins())
            .env("WASM_ISSUER_HEALTH_ADDRESS", format!("127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; run `make test-docs`", node::binary().display()));
        Self { process, port, namespace: namespace.to_owned(), maps }
    }

    /// Whether it has not ended.
    pub fn lives(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// What its readiness probe says.
    pub fn is_ready(&self) -> bool {
        let answer = || -> std::io::Result<String> {
            let mut connection = TcpStream::connect(("127.0.0.1", self.port))?;
            connection.set_read_timeout(Some(Duration::from_secs(1)))?;
            connection.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer)?;
            Ok(answer)
        };
        answer().is_ok_and(|answer| answer.split(' ').nth(1) == Some("200"))
    }

    /// Bring what has changed in its mounted ConfigMaps.
    pub fn refresh(&self) {
        self.maps.iter().for_each(|(target, map)| write_map(&self.namespace, target, map));
    }
}

impl Drop for Pod {
    /// As Kubernetes ends it.
    fn drop(&mut self) {
        let pid = self.process.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).stderr(Stdio::null()).status();
        let _ = self.process.wait();
    }
}

/// The value of an environment variable; none where it is optional and not there.
fn value_of(variable: &Value, namespace: &str, pod: &str) -> Option<String> {
    if let Some(value) = variable["value"].as_str() {
        return Some(value.to_owned());
    }
    let from = &variable["valueFrom"];
    match from["fieldRef"]["fieldPath"].as_str() {
        Some("metadata.namespace") => Some(namespace.to_owned()),
        Some("metadata.name") => Some(pod.to_owned()),
        _ if from.is_null() => Some(String::new()),
        _ => panic!("the stand-in knows no such variable: {variable}"),
    }
}

/// Write the keys of a ConfigMap as files, each in one go.
fn write_map(namespace: &str, target: &Path, map: &Value) {
    let data = kubectl::get(&["get", "configmap", text(&map["name"]), "-n", namespace]).unwrap_or_default();
    for (key, value) in data["data"].as_object().into_iter().flatten() {
        let (file, new) = (target.join(key), target.join(format!(".{key}")));
        fs::write(&new, text(value)).and_then(|()| fs::rename(&new, &file)).expect("a file");
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

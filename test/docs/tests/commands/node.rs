//! Stands in for what a cluster has and the test cluster has not: a kubelet and the controllers of Deployments and namespaces.
//!
//! It does what the objects in the cluster say and nothing else. The containers of a Deployment are started as processes with
//! the arguments, the environment and the mounted files of its template, as its ServiceAccount; only if the image is one that
//! was built and brought to where a kubelet would find it; and the Deployment's status says whether they are ready. What is in
//! a namespace that is deleted goes, and then the namespace.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wasm_issuer_docs::root;

use crate::kubectl;
use crate::pod::Pod;

/// How long a container may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(120);

/// The node.
pub struct Node {
    workdir: PathBuf,
    /// The file with the names of the images that a kubelet would find.
    images: PathBuf,
    stop: Stop,
    /// By namespace and name.
    running: BTreeMap<(String, String), Running>,
    started: usize,
}

/// The containers of a Deployment.
struct Running {
    /// What they were started for.
    spec: Value,
    pods: Vec<Pod>,
}

/// Tells the node when it is over.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// It is.
    pub fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_now(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The operator's binary.
pub fn binary() -> PathBuf {
    path_from("WASM_ISSUER_BINARY", "target/debug/wasm-issuer")
}

/// The folder of the plugins that the image ships.
pub fn plugins() -> PathBuf {
    path_from("WASM_ISSUER_PLUGINS", "target/wasm32-wasip2/plugin")
}

fn path_from(variable: &str, default: &str) -> PathBuf {
    root().join(std::env::var_os(variable).map_or_else(|| default.into(), PathBuf::from))
}

/// The ends of what the operator has logged.
pub fn tell_logs(workdir: &Path) {
    for entry in fs::read_dir(workdir.join("pods")).into_iter().flatten().flatten() {
        let log = fs::read_to_string(entry.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n");
        eprintln!("--- the end of the log of {}:\n{end}", entry.file_name().to_string_lossy());
    }
}

impl Node {
    pub fn new(workdir: &Path, images: PathBuf, stop: Stop) -> Self {
        Self { workdir: workdir.to_owned(), images, stop, running: BTreeMap::new(), started: 0 }
    }

    /// Work until it is told to stop.
    pub fn run(mut self) {
        while !self.stop.is_now() {
            self.sync();
            end_namespaces();
            sleep(Duration::from_millis(300));
        }
        self.running.clear();
    }

    fn sync(&mut self) {
        let deployments = kubectl::list(&["get", "deployments", "-A"]);
        let key = |it: &Value| (text(&it["metadata"]["namespace"]), text(&it["metadata"]["name"]));
        self.running.retain(|running, _| deployments.iter().any(|it| key(it) == *running));
        for deployment in &deployments {
            let key = key(deployment);
            let is_current = self.running.get_mut(&key).is_some_and(|it| it.is_for(deployment) && it.lives());
            if is_current {
                self.running.get_mut(&key).into_iter().for_each(|it| it.pods.iter().for_each(Pod::refresh));
            } else if let Some(new) = self.roll_out(&key, deployment) {
                // The old ones end when the new ones are ready.
                self.running.insert(key.clone(), new);
            }
            let ready = self.running.get(&key).is_some_and(|it| it.is_for(deployment));
            tell(&key, deployment, ready);
        }
    }

    fn roll_out(&mut self, (namespace, name): &(String, String), deployment: &Value) -> Option<Running> {
        let template = &deployment["spec"]["template"]["spec"];
        let image = text(&template["containers"][0]["image"]);
        let known = fs::read_to_string(&self.images).unwrap_or_default();
        if !known.lines().any(|it| it == image) {
            // ErrImagePull.
            return None;
        }
        let mut new = Running { spec: deployment["spec"].clone(), pods: vec![] };
        for _ in 0..deployment["spec"]["replicas"].as_u64().unwrap_or(1) {
            self.started += 1;
            let pod = format!("{name}-{}", self.started);
            let folder = self.workdir.join("pods").join(&pod);
            new.pods.push(Pod::start(folder, namespace, &pod, template));
        }
        let began = Instant::now();
        while !new.pods.iter().all(Pod::is_ready) {
            if self.stop.is_now() || !new.lives() || began.elapsed() > PATIENCE {
                eprintln!("the containers of deployment {namespace}/{name} do not become ready");
                // CrashLoopBackOff.
                sleep(Duration::from_secs(5));
                return None;
            }
            sleep(Duration::from_millis(100));
        }
        Some(new)
    }
}

impl Running {
    fn is_for(&self, deployment: &Value) -> bool {
        self.spec == deployment["spec"]
    }

    fn lives(&mut self) -> bool {
        self.pods.iter_mut().all(Pod::lives)
    }
}

/// Write the status of a Deployment, if it says something else.
fn tell((namespace, name): &(String, String), deployment: &Value, ready: bool) {
    let generation = &deployment["metadata"]["generation"];
    let wanted = &deployment["spec"]["replicas"];
    let available = if ready { wanted.clone() } else { json!(0) };
    let status = json!({
        "observedGeneration": generation,
        "replicas": wanted,
        "updatedReplicas": wanted,
        "readyReplicas": available,
        "availableReplicas": available,
        "conditions": [{
            "type": "Available",
            "status": if ready { "True" } else { "False" },
            "reason": "StandIn",
            "message": "",
        }],
    });
    let is_told = status.as_object().into_iter().flatten().all(|(field, value)| match field.as_str() {
        "conditions" => deployment["status"][field][0]["status"] == value[0]["status"],
        // The API server drops a 0.
        _ => deployment["status"][field].as_u64().unwrap_or(0) == value.as_u64().unwrap_or(0),
    });
    if !is_told {
        let patch = json!({"status": status}).to_string();
        let object = format!("deployment/{name}");
        kubectl::run(&[
            "patch",
            &object,
            "-n",
            namespace,
            "--subresource=status",
            "--type=merge",
            "-p",
            &patch,
        ]);
    }
}

/// Empty the namespaces that are deleted, and let them go.
fn end_namespaces() {
    for mut namespace in kubectl::list(&["get", "namespaces"]) {
        if namespace["status"]["phase"] != "Terminating" {
            continue;
        }
        let name = text(&namespace["metadata"]["name"]);
        let kinds = std::process::Command::new("kubectl")
            .args(["api-resources", "--namespaced", "--verbs=list,delete", "-o", "name"])
            .output()
            .expect("kubectl");
        let kinds = String::from_utf8(kinds.stdout).expect("text").lines().collect::<Vec<_>>().join(",");
        if !kubectl::run(&["delete", &kinds, "--all", "-n", &name, "--ignore-not-found", "--timeout=20s"]) {
            // A kind that went meanwhile, say.
            continue;
        }
        namespace["spec"] = json!({"finalizers": []});
        let path = format!("/api/v1/namespaces/{name}/finalize");
        kubectl::put(&path, &namespace);
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

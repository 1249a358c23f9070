//! The cluster, by the same kubectl that the pages use.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

/// What `kubectl ARGS -o json` prints; none where it fails: an object that is not there, say.
pub fn get(args: &[&str]) -> Option<Value> {
    let output = Command::new("kubectl").args(args).args(["-o", "json"]).stderr(Stdio::null()).output();
    let output = output.expect("kubectl");
    output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// The items of a list.
pub fn list(args: &[&str]) -> Vec<Value> {
    let list = get(args).unwrap_or_default();
    list["items"].as_array().cloned().unwrap_or_default()
}

/// Whether `kubectl ARGS` works.
pub fn run(args: &[&str]) -> bool {
    let status = Command::new("kubectl").args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.expect("kubectl").success()
}

/// Put an object to a path of the API.
pub fn put(path: &str, object: &Value) {
    let mut kubectl = Command::new("kubectl")
        .args(["replace", "--raw", path, "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("kubectl");
    let sent = kubectl.stdin.take().map(|mut stdin| stdin.write_all(object.to_string().as_bytes()));
    sent.expect("its input").expect("it reads");
    // Somebody else may have changed it: the next look tries again.
    kubectl.wait().expect("it ends");
}

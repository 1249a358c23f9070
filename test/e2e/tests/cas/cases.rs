//! The cases of a plugin, which `wasm-issuer plugin test` replays without a server: recorded from a real one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use wasm_issuer_e2e::Test;
use wasm_issuer_e2e::operator::{binary, plugin_file, root};

/// What a recording needs.
pub struct Recording<'a> {
    /// The folder of the plugin in plugins/.
    pub plugin: &'a str,
    /// What the cases say in place of what only this server has: the first is written, the second used.
    pub names: &'a [(&'a str, &'a str)],
    /// What the server takes: keys of the Secret and their values.
    pub secret: &'a [(&'a str, &'a str)],
    /// What to trust the server by, PEM.
    pub trusted: &'a str,
}

impl Recording<'_> {
    /// Records the cases, and replays them without a server, which `stop` ends: both come to the same. With
    /// WASM_ISSUER_RECORD set, this recording takes the place of the one in the repository.
    pub fn is_replayed(&self, t: &Test, stop: impl FnOnce()) {
        let source = root().join("plugins").join(self.plugin).join("cases");
        let folder = t.workdir.join(&t.namespace);
        copy(&source, &folder.join("cases"), |text| self.used(text));
        write(&folder.join("ca.pem"), self.trusted);
        for (key, value) in self.secret {
            write(&folder.join("secret").join(key), value);
        }
        let record =
            ["--record", "--update", "--secret", "secret", "--ca-bundle", "ca.pem", "--allow-loopback"];
        let recorded = self.outcomes(&folder, &record);
        stop();
        assert_eq!(recorded, self.outcomes(&folder, &[]));
        assert!(recorded.iter().any(|outcome| outcome["result"] == "issued"), "{recorded:?}");
        if std::env::var_os("WASM_ISSUER_RECORD").is_some() {
            copy(&folder.join("cases"), &source, |text| self.written(text));
        }
    }

    fn used(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (written, used)| text.replace(written, used))
    }

    fn written(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (written, used)| text.replace(used, written))
    }

    /// What comes of each case in `cases`.
    fn outcomes(&self, folder: &Path, arguments: &[&str]) -> Vec<Value> {
        let ran = Command::new(binary())
            .args(["plugin", "test"])
            .arg(plugin_file(&self.plugin.replace('-', "_")))
            .args(arguments)
            .args(["-o", "json"])
            .current_dir(folder)
            // Servers on this machine are behind no proxy.
            .env("NO_PROXY", "127.0.0.1")
            .output()
            .expect("wasm-issuer runs");
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        assert!(ran.status.success(), "{}{}", text(&ran.stdout), text(&ran.stderr));
        let report: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
        report["cases"].as_array().expect("cases").iter().map(|case| case["outcome"].clone()).collect()
    }
}

/// The files of the folders in a folder, each changed; none of a case whose exchanges were written by hand.
fn copy(from: &Path, to: &Path, change: impl Fn(&str) -> String) {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
    };
    for case in entries(from) {
        let exchanges = fs::read_to_string(case.join("exchanges.yaml"));
        if exchanges.is_ok_and(|text| text.starts_with("# Written by hand")) {
            continue;
        }
        for file in entries(&case) {
            let text = fs::read_to_string(&file).expect("text");
            write(&to.join(file.strip_prefix(from).expect("it is below")), &change(&text));
        }
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("it has a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

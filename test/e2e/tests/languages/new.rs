//! A new plugin in each language: made, built and tried as its author does, outside of this repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use wasm_issuer_e2e::operator::binary;

use crate::language;

/// A folder that nothing else is in, until this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn of(language: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wasm-issuer-new-{language}-{}", std::process::id()));
        std::fs::create_dir(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a program prints that works.
fn run(program: &Path, args: &[&str], folder: &Path) -> Vec<u8> {
    let ran = Command::new(program).args(args).current_dir(folder).output().expect("a program");
    let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{} {args:?}: {stdout}{stderr}", program.display());
    ran.stdout
}

fn builds_and_passes_its_cases(name: &str) {
    // Where that was not built the tools are not there.
    if language(name).is_none() {
        return;
    }
    let folder = Folder::of(name);
    run(&binary(), &["plugin", "new", "my-ca", "--language", name], &folder.0);
    let made = folder.0.join("my-ca");
    run(&made.join("build.sh"), &[], &made);
    let report = run(&binary(), &["plugin", "test", "plugin.wasm", "-o", "json"], &made);
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!((&report["passed"], &report["failed"]), (&5.into(), &0.into()), "{report}");
}

#[test]
fn a_new_plugin_in_go_builds_and_passes_its_cases() {
    builds_and_passes_its_cases("go");
}

#[test]
fn a_new_plugin_in_c_builds_and_passes_its_cases() {
    builds_and_passes_its_cases("c");
}

#[test]
fn a_new_plugin_in_javascript_builds_and_passes_its_cases() {
    builds_and_passes_its_cases("js");
}

#[test]
fn a_new_plugin_in_python_builds_and_passes_its_cases() {
    builds_and_passes_its_cases("python");
}

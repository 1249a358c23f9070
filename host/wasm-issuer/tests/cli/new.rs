//! A new plugin: made, built as its author builds it, and tried.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::Cli;

/// A checkout with the SDK.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The folder of a new plugin.
struct New {
    folder: PathBuf,
    /// Where it is built; kept from one run to the next.
    target: PathBuf,
}

impl New {
    fn make(cli: &Cli, name: &str, template: &str) -> Self {
        let args = ["new", name, "--template", template, "--sdk", WORKSPACE];
        let ran = cli.fine(&args);
        assert!(ran.stdout.contains("cargo build --target wasm32-wasip2 --release"), "{}", ran.stdout);
        assert_eq!(cli.run(&args).code, 2, "it is there already");
        Self { folder: cli.path(name), target: Path::new(env!("CARGO_TARGET_TMPDIR")).join("new") }
    }

    /// Cargo, without a network: the lock file is the workspace's.
    fn try_cargo(&self, args: &[&str]) -> Output {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(args).current_dir(&self.folder).env("CARGO_TARGET_DIR", &self.target);
        cargo.env("CARGO_NET_OFFLINE", "true").output().unwrap()
    }

    fn cargo(&self, args: &[&str]) {
        let output = self.try_cargo(args);
        let said =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "cargo {args:?}: {said}");
    }

    /// The component that a build has left for a target of Cargo.
    fn component(&self, target: &str) -> String {
        let name = self.folder.file_name().unwrap().to_str().unwrap().replace('-', "_");
        self.target.join(target).join("release").join(format!("{name}.wasm")).to_str().unwrap().to_owned()
    }

    fn build(&self) -> String {
        self.cargo(&["build", "--target", "wasm32-wasip2", "--release"]);
        self.component("wasm32-wasip2")
    }
}

#[test]
fn a_new_plugin_with_a_key_of_its_own_builds_and_signs() {
    let cli = Cli::new();
    let new = New::make(&cli, "my-2nd-ca", "ca");
    new.cargo(&["fmt", "--check"]);
    let component = new.build();
    let issuer = ["--issuer", "my-2nd-ca/issuer.yaml"];
    cli.fine(&[&["check", &component][..], &issuer].concat());
    let sign = [&["sign", &component, "--dns", "a.example"][..], &issuer].concat();
    let report = cli.json(0, &sign);
    assert_eq!(report["certificates"][0]["issuer"], "CN=my-2nd-ca");
    let report = cli.json(1, &[&sign[..], &["--duration", "2161h"]].concat());
    assert_eq!(report["problem"]["condition"], "InvalidRequest=True InvalidRequest");
}

/// `make test-docs` issues with one, against a real CA.
#[test]
fn a_new_plugin_for_an_http_ca_builds_and_passes_its_tests() {
    let cli = Cli::new();
    let new = New::make(&cli, "my-http-ca", "http");
    new.cargo(&["fmt", "--check"]);
    new.cargo(&["test"]);
    let component = new.build();
    let report = cli.json(0, &["inspect", &component]);
    assert_eq!(report["result"], "accepted");
    let cases = new.folder.join("cases");
    let report = cli.json(0, &["test", &component, cases.to_str().unwrap()]);
    assert_eq!(report["passed"], 7, "{report}");
    cli.write("config.yaml", "{url: https://127.0.0.1:1, profile: a/b}");
    let report = cli.json(1, &["check", &component, "--config", "config.yaml"]);
    let message = report["problem"]["message"].as_str().unwrap();
    assert_eq!(message, "spec.config.profile: letters, digits, '-' and '_' are expected");
}

/// `make test-languages` builds them.
#[test]
fn a_new_plugin_in_another_language_has_what_builds_it() {
    let cli = Cli::new();
    for (language, start) in
        [("go", "plugin.go"), ("js", "plugin.js"), ("python", "plugin.py"), ("c", "plugin.c")]
    {
        let ran = cli.fine(&["new", "my-ca", "--dir", language, "--language", language]);
        let next =
            format!("made {language}: start with {language}/{start}\n\n  cd {language}\n  ./build.sh\n");
        assert!(ran.stdout.starts_with(&next), "{}", ran.stdout);
        for script in ["build.sh", "tools.sh"] {
            let script = cli.path(language).join(script);
            let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&script).unwrap());
            assert_eq!(mode & 0o111, 0o111, "{}", script.display());
        }
        assert!(cli.read(&format!("{language}/issuer.yaml")).contains("\n  name: my-ca\n"));
        assert!(cli.path(language).join("wit/deps/http.wit").exists());
    }
    let ran = cli.run(&["new", "my-ca", "--language", "go", "--template", "ca"]);
    assert!(ran.code == 2 && ran.stderr.contains("in go there is only --template http"), "{}", ran.stderr);
}

/// Tell it past the harness, which shows only what failed tests print; `test/summary.sh` counts these lines.
fn skip(why: &str) {
    let thread = std::thread::current();
    let line = format!("test {} is skipped: {why}\n", thread.name().unwrap_or_default());
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// With a tool of its own, and for another target than `cargo build`: what Rust's toolchain here may not have.
#[test]
fn a_new_plugin_builds_with_cargo_component() {
    let cli = Cli::new();
    let new = New::make(&cli, "my-component", "http");
    if !new.try_cargo(&["component", "--version"]).status.success() {
        return skip("no cargo-component: cargo install --locked cargo-component@0.21.1");
    }
    if !new.try_cargo(&["check", "--target", "wasm32-wasip1"]).status.success() {
        return skip("no target wasm32-wasip1: rustup target add wasm32-wasip1");
    }
    new.cargo(&["component", "build", "--release"]);
    let report = cli.json(0, &["inspect", &new.component("wasm32-wasip1")]);
    assert_eq!(report["result"], "accepted");
}

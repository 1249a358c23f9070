//! `wasm-issuer plugin`, and what else needs no cluster, as its users run it: the built program, real plugins, files and exit codes.

#![expect(clippy::unwrap_used, reason = "tests")]

mod bad_input;
mod bench;
mod ca_secrets;
mod cases;
mod commands;
mod laptop;
mod new;
mod packaging;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder to work in, and the program that runs in it.
struct Cli {
    folder: TempDir,
}

/// What a run left behind.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Cli {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// `wasm-issuer plugin` with these arguments; words in capitals stand for components.
    fn run(&self, args: &[&str]) -> Ran {
        self.run_with_input(args, b"")
    }

    fn run_with_input(&self, args: &[&str], input: &[u8]) -> Ran {
        self.run_whole(&[&["plugin"], args].concat(), input)
    }

    /// `wasm-issuer` with these arguments.
    fn run_whole(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wasm-issuer"))
            .args(args.iter().map(|arg| match *arg {
                "PLUGIN" => plugin("in_memory_ca"),
                "HOSTILE" => plugin("hostile_plugin"),
                "HOSTILE-HTTP" => plugin("hostile_http_plugin"),
                "MINIMAL" => plugin("minimal_plugin"),
                "CFSSL" => plugin("cfssl"),
                "STEP-CA" => plugin("step_ca"),
                "AWS-PCA" => plugin("aws_pca"),
                arg => PathBuf::from(arg),
            }))
            .current_dir(self.folder.path())
            // Servers on this machine are behind no proxy.
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may end without reading.
        let _ = child.stdin.take().unwrap().write_all(input);
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: status.code().unwrap(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// The JSON of a run that ends with this code.
    fn json(&self, code: i32, args: &[&str]) -> Value {
        let ran = self.run(&[args, &["-o", "json"]].concat());
        assert_eq!(ran.code, code, "{args:?}: {}{}", ran.stdout, ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// A run that works.
    fn fine(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {}{}", ran.stdout, ran.stderr);
        ran
    }
}

fn plugin(name: &str) -> PathBuf {
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let folder = std::env::var_os("WASM_ISSUER_PLUGINS")
        .map_or_else(|| workspace.join("target/wasm32-wasip2/plugin"), PathBuf::from);
    let path = workspace.join(folder).join(format!("{name}.wasm"));
    assert!(path.exists(), "{} is missing: run `make plugins test-plugins` first", path.display());
    path
}

#[test]
fn check_passes_or_says_why_not() {
    let cli = Cli::new();
    let ran = cli.fine(&["check", "PLUGIN"]);
    assert!(ran.stdout.starts_with("check passed: "), "{}", ran.stdout);
    assert!(ran.stdout.contains("for WasmIssuer default/in-memory-ca (compile "), "{}", ran.stdout);

    cli.write("config.yaml", "commonName: 5");
    let ran = cli.run(&["check", "PLUGIN", "--config", "config.yaml"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    for part in
        ["check failed", "kind          permanent", "spec.config.commonName", "makes the Issuer Failed"]
    {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    let report = cli.json(1, &["check", "PLUGIN", "--config", "config.yaml"]);
    assert_eq!((&report["result"], &report["problem"]["kind"]), (&"failed".into(), &"permanent".into()));

    cli.write("config.json", r#"{"commonName": "Test", "algorithm": "ed25519"}"#);
    let args = ["check", "PLUGIN", "--config", "config.json", "--kind", "WasmClusterIssuer", "--name", "x"];
    let report = cli.json(0, &args);
    assert_eq!((&report["result"], &report["issuer"]), (&"passed".into(), &"WasmClusterIssuer x".into()));
    assert!(report["timings"]["check"].is_number() && report["plugin"]["sha256"].is_string());
}

#[test]
fn every_kind_of_key_is_signed_and_the_chain_verifies() {
    let cli = Cli::new();
    let keys = ["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519", "rsa-2048", "rsa-3072", "rsa-4096"];
    for key in keys {
        let key_out = format!("{key}.key");
        let args = ["sign", "PLUGIN", "--dns", "web.example.com", "--ip", "10.0.0.1", "--key-algorithm", key];
        let rest = ["--key-out", &key_out, "--out", "tls.crt", "--ca-out", "ca.crt", "--strict"];
        let report = cli.json(0, &[&args[..], &rest[..]].concat());
        assert_eq!(report["result"], "issued");
        let names = ["DNS:web.example.com", "IP:10.0.0.1"];
        assert_eq!(report["certificates"][0]["subjectAltNames"], Value::from(names.to_vec()));
        let results = report["verification"].as_array().unwrap();
        assert!(results.len() >= 9 && results.iter().all(|rule| rule["result"] == "ok"), "{results:?}");
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(cli.path(&key_out)).unwrap());
        assert_eq!(mode & 0o777, 0o600);
        let report = cli.json(0, &["certificate", "tls.crt", "--ca", "ca.crt"]);
        assert_eq!(report["result"], "verified");
        let kind = report["certificates"][0]["publicKey"].as_str().unwrap().to_lowercase().replace(' ', "-");
        assert_eq!(kind.replace("-p-", "-p"), key);
    }
    let ran = cli.run(&["sign", "PLUGIN", "--dns", "a", "--key-out", "ed25519.key"]);
    assert!(ran.code == 2 && ran.stderr.contains("never overwritten"), "{}", ran.stderr);
}

#[test]
fn sign_prints_the_chain_and_says_what_was_verified() {
    let cli = Cli::new();
    let ran = cli.fine(&[
        "sign",
        "PLUGIN",
        "--dns",
        "web.example.com",
        "--common-name",
        "web",
        "--usage",
        "server auth",
    ]);
    assert!(ran.stdout.starts_with("-----BEGIN CERTIFICATE-----\n"), "{}", ran.stdout);
    for part in [
        "subject     CN=web\n",
        "90 days",
        "ok  publicKey",
        "extended    server auth\n",
        "thrown away",
        "timings: compile",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    cli.write("tls.crt", &ran.stdout);
    let shown = cli.fine(&["certificate", "tls.crt"]).stdout;
    assert!(shown.contains("DNS:web.example.com") && shown.contains("--ca FILE"), "{shown}");
    let piped = cli.run_with_input(&["certificate", "-"], ran.stdout.as_bytes());
    assert_eq!((piped.code, piped.stdout), (0, shown));
}

#[test]
fn a_ca_in_a_secret_signs_and_other_cas_do_not_verify() {
    let cli = Cli::new();
    fs::create_dir(cli.path("secret")).unwrap();
    let ca = ["sign", "PLUGIN", "--common-name", "Sub CA", "--ca", "--duration", "48h"];
    let files = ["--key-out", "secret/tls.key", "--out", "sub.crt", "--ca-out", "root.crt"];
    cli.fine(&[&ca[..], &files[..]].concat());
    cli.write("secret/tls.crt", cli.read("sub.crt") + &cli.read("root.crt"));
    let sign = ["sign", "PLUGIN", "--secret", "secret", "--dns", "a.example", "--duration", "24h"];
    let ran = cli.fine(&[&sign[..], &["--out", "tls.crt", "--ca-out", "ca.crt"]].concat());
    assert!(ran.stderr.contains("issuer      CN=Sub CA\n"), "{}", ran.stderr);
    assert_eq!(cli.json(0, &["certificate", "tls.crt", "--ca", "root.crt"])["result"], "verified");

    cli.fine(&["sign", "PLUGIN", "--dns", "a", "--out", "other.crt", "--ca-out", "other-ca.crt"]);
    let report = cli.json(1, &["certificate", "tls.crt", "--ca", "other-ca.crt"]);
    assert_eq!(report["result"], "refused");
    let refused = cli.run(&["certificate", "tls.crt", "--ca", "other-ca.crt"]);
    assert!(refused.code == 1 && refused.stdout.contains("refused  ca"), "{}", refused.stdout);
}

#[test]
fn a_csr_and_an_issuer_from_files_are_used() {
    let cli = Cli::new();
    cli.fine(&[
        "sign",
        "PLUGIN",
        "--dns",
        "a.example",
        "--usage",
        "client auth",
        "--csr-out",
        "a.csr",
        "--out",
        "1.crt",
    ]);
    cli.write(
        "issuer.yaml",
        "apiVersion: wasm-issuer.dev/v1alpha1\nkind: WasmIssuer\nmetadata: {name: my-ca, namespace: team-a}\n\
         spec: {plugin: {builtin: in-memory-ca}, config: {commonName: Team A}, verification: {mode: Strict}}\n",
    );
    let args = ["sign", "PLUGIN", "--issuer", "issuer.yaml", "--csr", "a.csr", "--annotation", "a=b"];
    let report = cli.json(0, &args);
    assert_eq!(report["issuer"], "WasmIssuer team-a/my-ca");
    assert_eq!(report["certificates"][0]["issuer"], "CN=Team A");
    assert_eq!(report["certificates"][0]["extendedKeyUsages"][0], "client auth");
    assert!(report["ca"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));

    let pinned = cli
        .read("issuer.yaml")
        .replace("builtin: in-memory-ca", &format!("builtin: x, sha256: \"{}\"", "0".repeat(64)));
    cli.write("pinned.yaml", pinned);
    let report = cli.json(1, &["check", "PLUGIN", "--issuer", "pinned.yaml"]);
    assert_eq!(report["problem"]["kind"], "pin");
}

#[test]
fn what_a_plugin_gets_wrong_is_named() {
    let cli = Cli::new();
    let cases = [
        ("permanent", 1, "failed", "permanent"),
        ("retry", 1, "failed", "retry"),
        ("issuer-error", 1, "failed", "issuer"),
        ("trap", 1, "failed", "broken"),
        ("loop-forever", 1, "failed", "broken"),
        ("other-key", 1, "refused", "verification"),
        ("extra-san", 1, "refused", "verification"),
        ("garbage-pem", 1, "refused", "verification"),
        ("other-subject", 1, "refused", "verification"),
    ];
    for (behaviour, code, result, kind) in cases {
        cli.write("config.yaml", format!("behaviour: {behaviour}"));
        let args = ["sign", "HOSTILE", "--config", "config.yaml", "--dns", "a.example", "--timeout", "500ms"];
        let report = cli.json(code, &[&args[..], &["--key-out", "tls.key"]].concat());
        assert_eq!(
            (&report["result"], &report["problem"]["kind"]),
            (&result.into(), &kind.into()),
            "{behaviour}"
        );
        assert!(!report["problem"]["operator"].as_str().unwrap().is_empty());
        assert!(!cli.path("tls.key").exists(), "a key without a certificate is not kept");
    }
    let args = ["sign", "HOSTILE", "--config", "config.yaml", "--dns", "a.example"];
    let ran = cli.run(&args);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("nothing would be published"), "{}", ran.stderr);

    cli.write("config.yaml", "{behaviour: trap, at: check}");
    assert_eq!(cli.json(1, &args)["result"], "checkFailed");
    assert_eq!(cli.json(0, &[&args[..], &["--no-check"]].concat())["result"], "issued");
}

#[test]
fn a_pending_request_goes_on() {
    let cli = Cli::new();
    cli.write("config.yaml", "{behaviour: pending, times: 1}");
    let sign = ["sign", "HOSTILE", "--config", "config.yaml"];
    let first = ["--dns", "a.example", "--csr-out", "a.csr", "--key-out", "tls.key"];
    let ran = cli.run(&[&sign[..], &first[..]].concat());
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("pending: ") && ran.stderr.contains("go on with: --csr a.csr --resume"),
        "{}",
        ran.stderr
    );
    let report = cli.json(3, &[&sign[..], &["--csr", "a.csr"]].concat());
    let resume = report["problem"]["resume"].as_str().unwrap();
    let report = cli.json(0, &[&sign[..], &["--csr", "a.csr", "--resume", resume]].concat());
    assert_eq!(report["result"], "issued");
}

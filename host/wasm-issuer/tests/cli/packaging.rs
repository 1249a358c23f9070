//! What a plugin needs, and how it gets into a cluster; a new plugin.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::Cli;

#[test]
fn inspect_tells_what_a_plugin_needs() {
    let cli = Cli::new();
    let text = cli.fine(&["inspect", "PLUGIN", "--name", "my-ca", "--namespace", "team-a"]).stdout;
    for part in [
        "a plugin, implements wasm-issuer:plugin/issuer-plugin@0.1.0",
        "fits into a ConfigMap",
        "wasm-issuer:plugin/signer@0.1.0",
        "[method]secret.signing-key",
        "reveal   no",
        "  name: \"my-ca\"\n  namespace: \"team-a\"\n",
        "kubectl apply --server-side -f -",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let report = cli.json(0, &["inspect", "PLUGIN"]);
    assert_eq!(report["result"], "accepted");
    assert!(
        report["fitsConfigMap"].as_bool().unwrap() && report["imports"]["others"] == Value::Array(vec![])
    );

    assert_eq!(report["world"], "wasm-issuer:plugin/issuer-plugin@0.1.0");
    let made_with = report["producers"]["processed-by"].to_string();
    assert!(made_with.contains("wit-bindgen-rust ") && report["footprint"]["core modules"].is_u64(), "{report}");

    // What it prints is an Issuer that pins this plugin.
    cli.write("issuer.yaml", report["issuer"].as_str().unwrap());
    cli.fine(&["check", "PLUGIN", "--issuer", "issuer.yaml"]);
}

#[test]
fn two_components_are_compared() {
    let cli = Cli::new();
    let text = cli.fine(&["inspect", "HOSTILE-HTTP", "--against", "PLUGIN"]).stdout;
    for part in [
        "\n+ can ",
        "network: calls servers",
        "\n+ import ",
        "wasi:http/outgoing-handler@0.2",
        "\n- function ",
        " -> ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("issuer.yaml"), "{text}");
    let report = cli.json(0, &["inspect", "HOSTILE-HTTP", "--against", "PLUGIN"]);
    assert_eq!(report["against"]["equal"], false);
    let same = cli.json(0, &["inspect", "PLUGIN", "--against", "PLUGIN"]);
    assert_eq!(
        (&same["against"]["equal"], &same["against"]["differences"]),
        (&true.into(), &Value::Array(vec![]))
    );
    cli.write("text", "hello");
    let wrong = cli.run(&["inspect", "PLUGIN", "--against", "text"]);
    assert!(
        wrong.code == 2 && wrong.stderr.contains("--against text: the plugin is text"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn a_packaged_plugin_is_the_plugin() {
    let cli = Cli::new();
    let ran = cli.fine(&["package", "PLUGIN", "--name", "my-ca", "-n", "team-a", "--key", "ca.wasm"]);
    assert!(ran.stderr.contains("stored gzip"), "{}", ran.stderr);
    let map: Value = serde_saphyr::from_str(&ran.stdout).unwrap();
    assert_eq!((&map["kind"], &map["metadata"]["namespace"]), (&"ConfigMap".into(), &"team-a".into()));
    let value = map["binaryData"]["ca.wasm"].as_str().unwrap();
    let gzip = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, value).unwrap();
    cli.write("ca.wasm.gz", gzip);
    let sha256 = |file: &str| cli.json(0, &["check", file])["plugin"]["sha256"].clone();
    assert_eq!(sha256("ca.wasm.gz"), sha256("PLUGIN"));
    assert_eq!(
        cli.fine(&["package", "ca.wasm.gz", "--name", "my-ca", "--namespace", "team-a", "--key", "ca.wasm"])
            .stdout,
        ran.stdout
    );
}

#[test]
fn a_new_plugin_builds_and_signs() {
    let cli = Cli::new();
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let ran = cli.fine(&["new", "my-2nd-ca", "--sdk", workspace.to_str().unwrap()]);
    assert!(ran.stdout.contains("cargo build --target wasm32-wasip2 --release"), "{}", ran.stdout);
    assert_eq!(
        cli.run(&["new", "my-2nd-ca", "--sdk", workspace.to_str().unwrap()]).code,
        2,
        "it is there already"
    );
    let folder = cli.path("my-2nd-ca");
    // The versions that are downloaded already.
    fs::copy(workspace.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    // Kept from one run to the next.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--target", "wasm32-wasip2", "--release"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let component = target.join("wasm32-wasip2/release/my_2nd_ca.wasm");
    let component = component.to_str().unwrap();
    cli.fine(&["check", component, "--issuer", "my-2nd-ca/issuer.yaml"]);
    let sign = ["sign", component, "--issuer", "my-2nd-ca/issuer.yaml", "--dns", "a.example"];
    let report = cli.json(0, &sign);
    assert_eq!(report["certificates"][0]["issuer"], "CN=my-2nd-ca");
    let report = cli.json(1, &[&sign[..], &["--duration", "2161h"]].concat());
    assert_eq!(report["problem"]["condition"], "InvalidRequest=True InvalidRequest");
}

//! What a plugin needs, and how it gets into a cluster.

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
    assert!(
        made_with.contains("wit-bindgen-rust ") && report["footprint"]["core modules"].is_u64(),
        "{report}"
    );

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

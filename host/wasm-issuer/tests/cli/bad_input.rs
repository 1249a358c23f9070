//! Input that is wrong, and what is said about it.

use std::fs;

use super::Cli;

#[test]
fn bad_input_is_told_with_the_file_and_the_fix() {
    let cli = Cli::new();
    cli.write("empty", "");
    cli.write("text", "hello");
    cli.write("core.wasm", b"\0asm\x01\0\0\0");
    cli.write("broken.gz", b"\x1f\x8b\x08\0\0");
    cli.write("list.yaml", "- 1");
    cli.write("broken.yaml", "a: [");
    cli.write("huge.csr", vec![b'x'; 100 << 10]);
    cli.write("der.csr", [0x30, 0x03, 0x02, 0x01, 0x00]);
    cli.write("key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let encrypted = "ENCRYPTED SIGSTORE PRIVATE KEY";
    cli.write("cosign.key", format!("-----BEGIN {encrypted}-----\nAAAA\n-----END {encrypted}-----\n"));
    let ed25519 = "MCowBQYDK2VwAyEAtmBnqOqAmW3x8Jf5mpo4W41JqFwEl4zCYp1+uQEnftA=";
    cli.write("ed25519.pub", format!("-----BEGIN PUBLIC KEY-----\n{ed25519}\n-----END PUBLIC KEY-----\n"));
    fs::create_dir(cli.path("folder")).unwrap();
    // In a component that does nothing nothing is missing but the contract.
    cli.write("nothing.wasm", b"\0asm\x0d\0\x01\0");
    let dns = ["sign", "PLUGIN", "--dns", "a"];
    let cases: [(&[&str], i32, &str); 38] = [
        (&["check", "none.wasm"], 2, "cannot read the plugin \"none.wasm\": No such file"),
        (&["check", "none.wasm"], 2, "cargo build --target wasm32-wasip2"),
        (&["check", "folder"], 2, "cannot read the plugin \"folder\""),
        (&["check", "empty"], 1, "the plugin is empty"),
        (&["check", "text"], 1, "the plugin is text, not a WebAssembly component"),
        (&["check", "core.wasm"], 1, "wasm-tools component new"),
        (&["check", "broken.gz"], 1, "the gzip data is broken"),
        (&["check", "nothing.wasm"], 1, "`wasm-issuer:plugin/signer@0.1.0` is missing"),
        (&["inspect", "core.wasm"], 1, "core WebAssembly module"),
        (&["package", "text"], 1, "not packaged: text"),
        (&["package", "PLUGIN", "--key", "a/b"], 2, "--key \"a/b\""),
        (&["package", "PLUGIN", "--name", "A_B"], 2, "not the name of an object"),
        (&["check", "PLUGIN", "--config", "none.yaml"], 2, "cannot read the config \"none.yaml\""),
        (&["check", "PLUGIN", "--config", "list.yaml"], 2, "\"list.yaml\" is to be an object"),
        (&["check", "PLUGIN", "--config", "broken.yaml"], 2, "\"broken.yaml\" is neither YAML nor JSON"),
        (&["check", "PLUGIN", "--secret", "none"], 2, "cannot read the secret \"none\""),
        (&["check", "PLUGIN", "--secret", "folder"], 2, "\"folder\" holds no files"),
        (
            &["check", "PLUGIN", "--secret", "broken.yaml"],
            2,
            "the secret \"broken.yaml\" is neither YAML nor JSON",
        ),
        (&["check", "PLUGIN", "--policy", "none"], 2, "cannot read the policy \"none\""),
        (&["check", "PLUGIN", "--timeout", "2m"], 2, "from 100ms to 1m"),
        (&["sign", "PLUGIN"], 2, "give --csr FILE, --request FILE, or names"),
        (&["sign", "PLUGIN", "--request", "list.yaml"], 2, "\"list.yaml\": exactly one CertificateRequest"),
        (&["inspect", "PLUGIN", "--against", "none"], 2, "cannot read the plugin \"none\""),
        (&["sign", "PLUGIN", "--csr", "none"], 2, "cannot read the CSR \"none\""),
        (&["sign", "PLUGIN", "--csr", "text"], 2, "\"text\": the CSR is not PEM"),
        (&["sign", "PLUGIN", "--csr", "huge.csr"], 2, "the CSR has 102400 bytes; at most 65536 are accepted"),
        (&["sign", "PLUGIN", "--csr", "der.csr"], 2, "\"der.csr\": the CSR is no PKCS#10 request"),
        (&[&dns[..], &["--usage", "tls"]].concat(), 2, "unknown key usage \"tls\""),
        (&[&dns[..], &["--out", "none/tls.crt"]].concat(), 2, "cannot write \"none/tls.crt\""),
        (&["certificate", "text"], 2, "\"text\" holds no certificates: it holds no PEM block"),
        (&["certificate", "key.pem"], 2, "holds a PEM block \"PRIVATE KEY\""),
        (
            &["push", "PLUGIN", "r.example/a:1", "--sign-key", "cosign.key"],
            2,
            "cosign's own files are encrypted",
        ),
        (&["push", "PLUGIN", "r.example/a:1", "--sign-key", "key.pem"], 2, "--sign-key \"key.pem\""),
        (
            &["pull", "r.example/a:1", "--verify-key", "key.pem"],
            2,
            "block is PRIVATE KEY, where a public key's is",
        ),
        (&["verify", "r.example/a:1"], 2, "--verify-key <FILE>"),
        (
            &["verify", "r.example/a:1", "--verify-key", "ed25519.pub"],
            2,
            "--verify-key \"ed25519.pub\": the key sha256:5ffd13da",
        ),
        (&["new", "My_CA"], 2, "lower-case letters"),
        (&["new", "my-ca", "--sdk", "none"], 2, "is neither `registry` nor a checkout of wasm-issuer"),
    ];
    for (args, code, wanted) in cases {
        let ran = cli.run(args);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(ran.code == code && said.contains(wanted), "{args:?}: {} {said}", ran.code);
        assert!(!said.contains("panicked"), "{args:?}: {said}");
    }
}

//! CA Secrets as people have them, the folders in `sdk/tests/cases`, from the plugin to the files.

use std::fs;
use std::path::{Path, PathBuf};

use super::Cli;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/tests/cases");

#[test]
fn the_root_in_ca_crt_is_what_is_published() {
    let cli = Cli::new();
    let secret = Path::new(CASES).join("01-ca-crt-of-the-secret");
    let sign = ["sign", "PLUGIN", "--secret", secret.to_str().unwrap(), "--dns", "web.example"];
    let report = cli.json(0, &[&sign[..], &["--out", "tls.crt", "--ca-out", "ca.crt"]].concat());
    assert_eq!(report["certificates"][0]["issuer"], "O=Corp, CN=Inter");
    assert_eq!(report["certificates"].as_array().unwrap().len(), 2);
    assert_eq!(cli.read("ca.crt").replace('\r', ""), fs::read_to_string(secret.join("ca.crt")).unwrap());
    assert_eq!(cli.json(0, &["certificate", "tls.crt", "--ca", "ca.crt"])["result"], "verified");
}

/// What `check` lets pass is signed, and what it does not says which certificate is in the way.
#[test]
fn no_issuer_is_ready_whose_requests_all_fail() {
    let cli = Cli::new();
    let entries = fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    assert!(folders.len() >= 9, "{folders:?}");
    for folder in folders {
        let secret = folder.to_str().unwrap();
        let checked = cli.run(&["check", "PLUGIN", "--secret", secret]);
        let signed = cli.run(&["sign", "PLUGIN", "--secret", secret, "--dns", "web.example", "--no-check"]);
        assert_eq!(checked.code, signed.code, "{secret}: {}{}", checked.stderr, signed.stderr);
        let expected = fs::read_to_string(folder.join("README")).unwrap();
        if expected.starts_with("Expected: issued") {
            assert_eq!(signed.code, 0, "{secret}: {}", signed.stderr);
        } else if expected.starts_with("Expected: not ready") {
            assert!(checked.code == 1 && checked.stderr.contains("(serial "), "{secret}: {}", checked.stderr);
        }
    }
}

//! `wasm-issuer policy` and `wasm-issuer completions`.

use std::process::Command;

use serde_json::Value;

use super::Cli;

#[test]
fn the_policy_that_is_shown_is_one() {
    let cli = Cli::new();
    let shown = cli.run_whole(&["policy", "show"], b"");
    assert_eq!(shown.code, 0);
    let checked = cli.run_whole(&["policy", "check", "-"], shown.stdout.as_bytes());
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert!(
        !checked.stdout.contains("warning") && !checked.stdout.contains("(default:"),
        "{}",
        checked.stdout
    );
}

#[test]
fn a_policy_is_checked_with_lines_and_exit_codes() {
    let cli = Cli::new();
    cli.write("wide.yaml", "wasmIssuers:\n  allowAddresses: [0.0.0.0/0]\n");
    let wide = cli.run_whole(&["policy", "check", "wide.yaml"], b"");
    assert_eq!(wide.code, 0);
    assert!(
        wide.stdout.contains("wide.yaml:2:20: warning: wasmIssuers.allowAddresses[0]: "),
        "{}",
        wide.stdout
    );
    cli.write("bad.yaml", "allowAddresses: [10.0.0.0/8]\nwasmIssuers: {reveal: perhaps}\n");
    let bad = cli.run_whole(&["policy", "check", "bad.yaml"], b"");
    assert_eq!(bad.code, 1);
    let lines: Vec<&str> = bad.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", bad.stdout);
    assert!(
        lines[0].starts_with("bad.yaml:1:1: error: allowAddresses: there is no such field; there are wasm")
    );
    assert!(lines[1].starts_with("bad.yaml:2:23: error: wasmIssuers.reveal: "), "{}", bad.stdout);
    let json = cli.run_whole(&["policy", "check", "bad.yaml", "-o", "json"], b"");
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["result"], &json["faults"][0]["field"]), (&"refused".into(), &"allowAddresses".into()));
    let missing = cli.run_whole(&["policy", "check", "nowhere.yaml"], b"");
    assert_eq!((missing.code, missing.stdout.as_str()), (2, ""));
    assert!(missing.stderr.contains("nowhere.yaml"), "{}", missing.stderr);
}

#[test]
fn a_shell_completes_commands_and_not_the_hidden_one() {
    let cli = Cli::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = cli.run_whole(&["completions", shell], b"");
        assert_eq!(script.code, 0, "{}", script.stderr);
        assert!(script.stdout.contains("doctor"), "{shell}");
        for offered in ["__compile", "'compile:", "-a \"compile\""] {
            assert!(!script.stdout.contains(offered), "{shell} offers what is hidden: {offered}");
        }
    }
    let script = cli.run_whole(&["completions", "bash"], b"").stdout;
    cli.write("completions", script);
    let complete = |word: &str| {
        let program = "source ./completions; COMP_WORDS=(wasm-issuer \"$1\"); COMP_CWORD=1; \
                       _wasm__issuer wasm-issuer \"$1\" wasm-issuer; echo \"${COMPREPLY[@]}\"";
        let args = ["--norc", "-c", program, "bash", word];
        let ran = Command::new("bash").args(args).current_dir(cli.folder.path()).output().unwrap();
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("doc"), "doctor");
    assert_eq!(complete("com"), "completions", "`compile` is nobody's to start");
}

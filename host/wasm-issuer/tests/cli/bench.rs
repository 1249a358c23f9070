//! `wasm-issuer plugin bench`.

use serde_json::Value;

use super::Cli;

fn cli() -> Cli {
    let cli = Cli::new();
    cli.write("cases/check/case.yaml", "call: check\n");
    cli.write("cases/sign/case.yaml", "call: sign\nrequest: {dns: [web.example.com]}\n");
    cli
}

fn figure<'a>(figures: &'a Value, name: &str) -> &'a Value {
    figures.as_array().unwrap().iter().find(|figure| figure["name"] == name).unwrap()
}

#[test]
fn what_a_plugin_takes_is_measured() {
    let cli = cli();
    let report = cli.json(0, &["bench", "PLUGIN", "--runs", "3"]);
    assert_eq!((&report["result"], &report["runs"]), (&"measured".into(), &3.into()));
    for name in ["bytes", "compiled", "compile"] {
        assert!(figure(&report["component"], name)["this"].as_f64().unwrap() > 0.0, "{report}");
    }
    let [check, sign] = &report["cases"].as_array().unwrap()[..] else { panic!("{report}") };
    assert_eq!((&check["name"], &sign["name"]), (&"check".into(), &"sign".into()));
    for name in ["latency p50", "latency p99", "instructions", "memory"] {
        assert!(figure(&sign["figures"], name)["this"].as_f64().unwrap() > 0.0, "{report}");
    }
    let instructions = |case: &Value| figure(&case["figures"], "instructions")["this"].as_f64().unwrap();
    assert!(instructions(sign) > instructions(check), "{report}");
    let text = cli.fine(&["bench", "PLUGIN", "--runs", "1", "--filter", "sign"]).stdout;
    assert!(text.contains("\nsign, calls: 1\n  latency p50 ") && !text.contains("\ncheck, "), "{text}");
}

fn against(limit: &str) -> [&str; 7] {
    ["bench", "PLUGIN", "--runs", "1", "--max-regression", limit, "--against"]
}

#[test]
fn what_is_worse_than_another_component_fails() {
    let cli = cli();
    // Its own figures are the same but for what new keys make of instructions.
    let report = cli.json(0, &[&against("2%")[..], &["PLUGIN"]].concat());
    assert_eq!(figure(&report["component"], "bytes")["ratio"], 1.0);
    assert_eq!(figure(&report["cases"][1]["figures"], "memory")["ratio"], 1.0);
    let ran = cli.run(&[&against("10%")[..], &["MINIMAL"]].concat());
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    for part in
        ["against ", "ratio\n", "worse: component: bytes: ", "worse: sign: instructions: ", "10% is allowed"]
    {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("worse: sign: latency"), "{}", ran.stdout);
    let report = cli.json(1, &[&against("0")[..], &["MINIMAL"]].concat());
    assert_eq!(report["result"], "regressed");
    assert!(!report["regressions"].as_array().unwrap().is_empty());
}

#[test]
fn what_cannot_be_measured_says_why() {
    let cli = cli();
    cli.write("text.wasm", "hello");
    let cases: [(&[&str], &str); 5] = [
        (&["bench", "text.wasm"], "not a WebAssembly component"),
        (&["bench", "PLUGIN", "nowhere"], "cannot read the cases"),
        (&["bench", "PLUGIN", "--max-regression", "10%"], "--against"),
        (&["bench", "PLUGIN", "--against", "PLUGIN", "--max-regression", "much"], "a percentage is expected"),
        (&["bench", "PLUGIN", "--runs", "0"], "1..=1000000"),
    ];
    for (args, wanted) in cases {
        let ran = cli.run(args);
        assert!(ran.code == 2 && ran.stderr.contains(wanted), "{args:?}: {} {}", ran.code, ran.stderr);
    }
    cli.write(
        "cases/sign/exchanges.yaml",
        "exchanges:\n- request: {method: GET, url: 'https://a/'}\n  response: {status: 200}\n",
    );
    let ran = cli.run(&["bench", "PLUGIN"]);
    assert!(
        ran.code == 2 && ran.stderr.contains("does not send what was recorded (request 1)"),
        "{}",
        ran.stderr
    );
}

//! The laptop obeys the cluster's rules, and takes the cluster's objects.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::Cli;

#[test]
fn what_the_cluster_would_refuse_is_refused_here_and_all_of_it_at_once() {
    let cli = Cli::new();
    cli.write("secret/token", "t");
    cli.write("config.yaml", "behaviour: good");
    let check = ["check", "HOSTILE", "--config", "config.yaml", "--secret", "secret", "--reveal", "token"];
    let asked = [&check[..], &["--allow-host", "http://169.254.169.254", "--timeout", "45s"]].concat();
    let report = cli.json(1, &asked);
    let message = report["problem"]["message"].as_str().unwrap();
    for part in [
        "the operator's policy does not allow \"http://169.254.169.254\" in spec.http.allowedHosts (it allows https://*)",
        "\"token\" in spec.secrets.reveal",
        "45s for spec.limits.timeout",
        "put the section wasmIssuers: {",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(report["problem"]["kind"], "policy");
    assert!(report["timings"].get("compile").is_none(), "what may not run is not compiled: {report}");
    let sign = [&["sign"][..], &asked[1..], &["--dns", "a.example"]].concat();
    assert_eq!(cli.json(1, &sign)["problem"]["message"], message);
    cli.fine(&[&asked[..], &["--kind", "WasmClusterIssuer"]].concat());

    // What it says to put into the policy is what allows it.
    let section = message.split("put the section ").nth(1).unwrap().split(" there").next().unwrap();
    cli.write("policy.yaml", section);
    cli.fine(&[&asked[..], &["--policy", "policy.yaml"]].concat());
    cli.write(
        "policy.yaml",
        "wasmIssuers: {sources: [image], sha256: [ab], verification: Strict, reveals: 1}",
    );
    let wrong = cli.run(&["check", "PLUGIN", "--policy", "policy.yaml"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("wasmIssuers.reveals: there is no"), "{}", wrong.stderr);
    cli.write("policy.yaml", "wasmIssuers: {sha256: [ab]}");
    let report = cli.json(1, &["check", "PLUGIN", "--policy", "policy.yaml"]);
    assert!(report["problem"]["message"].as_str().unwrap().contains("(it allows ab)"), "{report}");
}

#[test]
fn a_policy_that_demands_strictness_has_it() {
    let cli = Cli::new();
    cli.write("config.yaml", "behaviour: wrong-usages");
    cli.write("policy.yaml", "wasmIssuers: {verification: Strict}");
    let sign = ["sign", "HOSTILE", "--config", "config.yaml", "--dns", "a.example"];
    assert_eq!(cli.json(0, &sign)["result"], "issued");
    let report = cli.json(1, &[&sign[..], &["--policy", "policy.yaml"]].concat());
    assert_eq!(report["result"], "refused");
}

/// Answers every request with `ok`, for as long as the process runs.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                request.push(byte[0]);
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
        }
    });
    format!("http://{address}")
}

#[test]
fn a_server_on_this_machine_is_one_argument_away() {
    let (cli, server) = (Cli::new(), server());
    cli.write("config.yaml", format!("{{behaviour: get, url: \"{server}/\"}}"));
    let sign =
        ["sign", "HOSTILE-HTTP", "--config", "config.yaml", "--dns", "a.example", "--allow-host", &server];
    let message = |code: i32, more: &[&str]| {
        let report = cli.json(code, &[&sign[..], more].concat());
        report["problem"]["message"].as_str().unwrap().to_owned()
    };
    let refused = message(1, &[]);
    assert!(refused.contains("in spec.http.allowedHosts (it allows https://*)"), "{refused}");
    // In a WasmClusterIssuer clear text is allowed, and loopback is not.
    let denied = message(1, &["--kind", "WasmClusterIssuer"]);
    assert!(denied.contains("wasmClusterIssuers: {allowAddresses: [\"127.0.0.1/32\"]}, or, on"), "{denied}");
    assert!(denied.contains("--allow-loopback"), "{denied}");
    for kind in ["WasmIssuer", "WasmClusterIssuer"] {
        assert_eq!(message(1, &["--kind", kind, "--allow-loopback"]), "200 ok");
    }
}

#[test]
fn a_denial_is_told_once_however_often_the_plugin_asks() {
    let cli = Cli::new();
    cli.write("config.yaml", "{behaviour: many-requests, url: \"https://ca.example/\"}");
    let sign = ["sign", "HOSTILE-HTTP", "--config", "config.yaml", "--dns", "a.example"];
    let ran = cli.run(&sign);
    let told = ran.stderr.matches("does not grant its plugin https://ca.example").count();
    assert_eq!((ran.code, told), (1, 1), "{}", ran.stderr);
    let report = cli.json(1, &sign);
    let unanswered = report["unanswered"].as_array().unwrap();
    assert_eq!((unanswered.len(), &unanswered[0]["denied"]), (1, &true.into()), "{report}");
}

#[test]
fn what_a_plugin_logs_is_plain_text() {
    let cli = Cli::new();
    cli.write("config.yaml", "{behaviour: log-flood, at: check}");
    let ran = cli.fine(&["check", "HOSTILE", "--config", "config.yaml", "--timeout", "30s"]);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!((lines[0], lines[63]), ("plugin info  record 0", "plugin info  record 63"));
    assert!(lines[64].starts_with("host warn ") && lines.len() == 65, "{}", ran.stderr);
}

#[test]
fn a_secret_is_a_folder_or_its_yaml() {
    let cli = Cli::new();
    let ca =
        ["sign", "PLUGIN", "--common-name", "Sub CA", "--ca", "--key-out", "tls.key", "--out", "tls.crt"];
    cli.fine(&[&ca[..], &["--ca-out", "root.crt"]].concat());
    let chain = BASE64_STANDARD.encode(cli.read("tls.crt") + &cli.read("root.crt"));
    let key = serde_json::to_string(&cli.read("tls.key")).unwrap();
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: ca}}\ntype: kubernetes.io/tls\ndata: {{tls.crt: {chain}}}\n\
         stringData: {{tls.key: {key}}}\n"
    );
    cli.write("secret.yaml", &secret);
    let sign = ["sign", "PLUGIN", "--dns", "a.example", "--duration", "1h", "-o", "json", "--secret"];
    let of_file = cli.fine(&[&sign[..], &["secret.yaml"]].concat()).stdout;
    let of_stdin = cli.run_with_input(&[&sign[..], &["-"]].concat(), secret.as_bytes());
    for report in [of_file, of_stdin.stdout] {
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["certificates"][0]["issuer"], "CN=Sub CA");
    }
}

/// A CertificateRequest with the CSR that a run left behind.
fn request(cli: &Cli, more: &str) -> String {
    let csr = BASE64_STANDARD.encode(cli.read("a.csr"));
    format!(
        "apiVersion: cert-manager.io/v1\nkind: CertificateRequest\n\
         metadata: {{name: web-1, namespace: team-a, uid: 5f0c, annotations: {{a: b}}}}\n\
         spec: {{request: {csr}, duration: 2h30m, usages: [server auth], issuerRef: {{name: x, group: other.example}}}}\n{more}"
    )
}

#[test]
fn a_certificate_request_of_a_cluster_is_signed() {
    let cli = Cli::new();
    cli.fine(&["sign", "PLUGIN", "--dns", "a.example", "--csr-out", "a.csr", "--usage", "server auth"]);
    cli.write("request.yaml", request(&cli, ""));
    let report = cli.json(0, &["sign", "PLUGIN", "--request", "request.yaml"]);
    assert_eq!(report["issuer"], "WasmIssuer team-a/in-memory-ca");
    let request = &report["request"];
    assert_eq!((&request["name"], &request["uid"]), (&"web-1".into(), &"5f0c".into()));
    assert_eq!((&request["durationSeconds"], &request["usages"][0]), (&9000.into(), &"server auth".into()));
    assert_eq!(report["certificates"][0]["lifetimeSeconds"], 9000);
    let both = cli.run(&["sign", "PLUGIN", "--request", "request.yaml", "--dns", "b.example"]);
    assert!(both.code == 2 && both.stderr.contains("cannot be used with"), "{}", both.stderr);
    let elsewhere = cli.run(&["sign", "PLUGIN", "--request", "request.yaml", "-n", "team-b"]);
    assert!(elsewhere.code == 2 && elsewhere.stderr.contains("its own namespace"), "{}", elsewhere.stderr);
}

#[test]
fn a_pending_order_is_polled_until_it_is_done_or_the_time_is_over() {
    let cli = Cli::new();
    cli.write("config.yaml", "{behaviour: pending, times: 2}");
    let sign = ["sign", "HOSTILE", "--config", "config.yaml"];
    // Too short for a single poll, which is a second away.
    let ran = cli.run(&[&sign[..], &["--dns", "a.example", "--csr-out", "a.csr", "--wait=500ms"]].concat());
    assert!(ran.code == 3 && ran.stderr.contains("--csr a.csr --resume \"1\""), "{}", ran.stderr);

    let ran = cli.fine(&[&sign[..], &["--csr", "a.csr", "--wait"]].concat());
    assert!(ran.stdout.starts_with("-----BEGIN CERTIFICATE-----"), "{}", ran.stdout);
    let waits: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("waiting: ")).collect();
    assert_eq!(waits, ["waiting: order 1 of 2", "waiting: order 2 of 2"]);
    assert!(ran.stderr.contains(", wait "), "{}", ran.stderr);

    // The token in the request's status is where it goes on.
    let resumed =
        "status: {conditions: [{type: wasm-issuer.dev/Resume, status: \"True\", message: \"2\"}]}\n";
    cli.write("request.yaml", request(&cli, resumed).replace(", usages: [server auth]", ""));
    assert_eq!(cli.json(0, &[&sign[..], &["--request", "request.yaml"]].concat())["result"], "issued");

    cli.write("config.yaml", "{behaviour: retry-after, seconds: 60}");
    let report = cli.json(1, &[&sign[..], &["--csr", "a.csr", "--wait=30s"]].concat());
    assert!(
        report["timings"].get("wait").is_none(),
        "a Retry-After beyond the time is not waited for: {report}"
    );
    assert_eq!(report["problem"]["kind"], "retry");
}

//! `wasm-issuer plugin test`: recorded from a real server, and replayed when there is none.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use cfssl_fixture::Cfssl;
use serde_json::Value;

use super::{Cli, Ran};

/// A server on loopback that answers so many requests, one to a connection, and then is gone.
struct Server {
    address: SocketAddr,
    /// The requests, as they came.
    seen: Receiver<String>,
}

impl Server {
    fn start(answers: &[String]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answers = answers.to_vec();
        let (sender, seen) = channel();
        thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                sender.send(exchange(stream, &answer)).unwrap();
            }
        });
        Self { address, seen }
    }
}

/// Reads a request, and answers it.
fn exchange(stream: TcpStream, answer: &str) -> String {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut request).unwrap(), 0, "{request}");
    }
    let length = request.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    reader.into_inner().write_all(answer.as_bytes()).unwrap();
    request + &String::from_utf8(body).unwrap()
}

fn ok(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}", body.len())
}

/// A case of the plugin that asks `url` and says what it got.
fn case(behaviour: &str, address: SocketAddr, expect: &str) -> String {
    format!(
        "# A case.\ncall: sign\nissuer:\n  name: my-ca\n  spec:\n    config: {{behaviour: {behaviour}, url: 'http://{address}/x'}}\n    \
         authSecretName: auth\n    http: {{allowedHosts: ['http://{address}']}}\nsecret: {{token: made-up}}\n\
         request: {{dns: [web.example.com]}}\n{expect}"
    )
}

/// `plugin test` of that plugin.
fn test(cli: &Cli, args: &[&str]) -> Ran {
    cli.run(&[&["test", "HOSTILE-HTTP"], args].concat())
}

const RECORD: [&str; 5] = ["--record", "--update", "--secret", "secret", "--allow-loopback"];
const SECRET: &str = "r3al-s3cr3t";
const EXCHANGES: &str = "cases/one/exchanges.yaml";

/// A folder with one case, recorded from a server that is not there any more.
fn recorded() -> Cli {
    let cli = Cli::new();
    let server = Server::start(&[ok("set-cookie: a=b\r\nx-id: 7\r\n", "hello")]);
    cli.write("cases/one/case.yaml", case("placeholder", server.address, ""));
    cli.write("secret/token", SECRET);
    let ran = test(&cli, &RECORD);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    assert!(
        ran.stdout.starts_with("ok 1 - one (") && ran.stdout.contains("recorded, updated"),
        "{}",
        ran.stdout
    );
    let seen = server.seen.recv().unwrap();
    assert!(seen.contains(&format!("authorization: Bearer {SECRET}\r\n")), "{seen}");
    cli
}

#[test]
fn what_was_recorded_comes_to_the_same_without_network() {
    let cli = recorded();
    let exchanges = cli.read(EXCHANGES);
    assert!(
        exchanges.contains("authorization: Bearer {secret:token}") && exchanges.contains("x-id: 7"),
        "{exchanges}"
    );
    assert!(!exchanges.contains(SECRET) && !exchanges.contains("set-cookie"), "{exchanges}");
    let case = cli.read("cases/one/case.yaml");
    assert!(
        case.starts_with("# A case.\n") && case.contains("\nexpect:\n") && case.contains("200 hello"),
        "{case}"
    );
    // The server is gone, and nothing is written.
    let report = cli.json(0, &["test", "HOSTILE-HTTP"]);
    assert_eq!(
        (&report["result"], &report["passed"], &report["failed"]),
        (&"passed".into(), &1.into(), &0.into())
    );
    let outcome = &report["cases"][0]["outcome"];
    assert_eq!((&outcome["kind"], &outcome["message"]), (&"permanent".into(), &"200 hello".into()));
    assert_eq!((cli.read(EXCHANGES), cli.read("cases/one/case.yaml")), (exchanges, case));
}

#[test]
fn what_is_not_as_recorded_fails_and_is_named() {
    let cli = recorded();
    let whole = cli.read(EXCHANGES);
    let second = whole.split_once("exchanges:\n").unwrap().1.to_owned();
    let changes = [
        // What the server answers.
        (whole.replace("hello", "bye"), "expect /message", "200 hello", "200 bye"),
        // What the plugin sends.
        (
            whole.replace("{secret:token}", "other"),
            "request 1, header authorization",
            "Bearer other",
            "Bearer {secret:token}",
        ),
        (whole.replace("method: GET", "method: PUT"), "request 1, method", "PUT", "GET"),
        (whole.replace("/x", "/y"), "request 1, url", "/y", "/x"),
        // How often.
        (whole.clone() + &second, "request 2", "GET http://127.0.0.1", "it was not sent"),
        ("exchanges: []\n".to_owned(), "request 1", "no further request", "GET http://127.0.0.1"),
    ];
    for (exchanges, place, expected, found) in changes {
        cli.write(EXCHANGES, &exchanges);
        let report = cli.json(1, &["test", "HOSTILE-HTTP"]);
        let difference = &report["cases"][0]["differences"][0];
        let text = |field: &str| difference[field].as_str().unwrap().to_owned();
        assert_eq!(text("place"), place, "{report}");
        assert!(text("expected").contains(expected) && text("found").contains(found), "{report}");
        let ran = test(&cli, &[]);
        assert_eq!(ran.code, 1);
        assert!(ran.stdout.contains("not ok 1 - one (") && ran.stdout.contains(place), "{}", ran.stdout);
    }
    cli.write(
        EXCHANGES,
        whole.replace("x-id: 7", "x-id: 8").replace("Bearer {secret:token}", "B* {secret:*"),
    );
    assert_eq!(test(&cli, &[]).code, 0, "`*` stands for any text, and this plugin does not look at x-id");
}

#[test]
fn no_server_is_a_recording_too() {
    let cli = Cli::new();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    cli.write(
        "cases/one/case.yaml",
        case("get", address, "expect: {result: failed, message: ConnectionRefused}\n"),
    );
    let report = cli.json(0, &["test", "HOSTILE-HTTP", "--record", "--allow-loopback"]);
    let outcome = report["cases"][0]["outcome"].clone();
    let exchanges = cli.read(EXCHANGES);
    assert!(exchanges.contains("code: connection-refused"), "{exchanges}");
    assert_eq!(cli.json(0, &["test", "HOSTILE-HTTP"])["cases"][0]["outcome"], outcome);
    cli.write(EXCHANGES, exchanges.replace("connection-refused", "dns-error"));
    assert_eq!(cli.json(1, &["test", "HOSTILE-HTTP"])["cases"][0]["outcome"]["message"], "DnsError");
}

#[test]
fn a_secret_is_never_recorded() {
    let cli = Cli::new();
    let echoed = ok("", &format!("{{\"you\": \"sent Bearer {SECRET}\"}}"));
    let server = Server::start(&[echoed]);
    let text = case("placeholder", server.address, "");
    cli.write("cases/one/case.yaml", &text);
    cli.write("secret/token", SECRET);
    let ran = test(&cli, &RECORD);
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    let why = "nothing was recorded: the value of `token` stands in the body of the answer to request 1";
    assert!(ran.stdout.contains(why) && !ran.stdout.contains(SECRET), "{}", ran.stdout);
    assert!(!cli.path(EXCHANGES).exists());
    assert_eq!(cli.read("cases/one/case.yaml"), text);
}

#[test]
fn the_csr_of_a_recording_is_kept_and_used() {
    let cli = recorded();
    let csr = cli.read("cases/one/request.csr");
    assert!(csr.starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"), "{csr}");
    cli.write("cases/one/request.csr", "nonsense");
    let ran = test(&cli, &[]);
    assert!(ran.code == 2 && ran.stderr.contains("request.csr"), "{}", ran.stderr);
}

#[test]
fn each_format_tells_of_each_case() {
    let cli = Cli::new();
    cli.write("cases/good/case.yaml", "call: check\nexpect: {result: passed}\n");
    cli.write(
        "cases/bad/case.yaml",
        "call: check\nissuer: {spec: {config: {commonName: 5}}}\nexpect: {result: passed}\n",
    );
    cli.write("cases/new/case.yaml", "call: sign\nrequest: {dns: [web.example.com]}\n");
    let run = |args: &[&str]| cli.run(&[&["test", "PLUGIN"], args].concat());
    let text = run(&[]);
    assert_eq!(text.code, 1);
    let lines = [
        "not ok 1 - bad (",
        "ok 2 - good (",
        "not ok 3 - new (",
        "nothing yet: --update writes",
        "passed: 1, failed: 2",
    ];
    assert!(lines.iter().all(|line| text.stdout.contains(line)), "{}", text.stdout);
    assert!(!text.stdout.contains('\u{1b}'), "colours are for terminals");
    let tap = run(&["-o", "tap"]);
    assert!(
        tap.code == 1 && tap.stdout.starts_with("TAP version 14\n1..3\nnot ok 1 - bad\n  ---\n"),
        "{}",
        tap.stdout
    );
    let junit = run(&["-o", "junit"]);
    assert_eq!((junit.code, junit.stdout.matches("<failure ").count()), (1, 2), "{}", junit.stdout);
    let json: Value = serde_json::from_str(&run(&["-o", "json"]).stdout).unwrap();
    assert_eq!(
        (&json["result"], &json["cases"][0]["outcome"]["kind"]),
        (&"failed".into(), &"permanent".into())
    );
    let only = run(&["--filter", "go"]);
    assert!(only.code == 0 && only.stdout.contains("passed: 1, failed: 0"), "{}", only.stdout);

    let updated = run(&["--update"]);
    assert_eq!(updated.code, 0, "{}", updated.stdout);
    assert_eq!(run(&[]).code, 0);
    assert!(cli.read("cases/bad/case.yaml").contains("kind: permanent"));
}

#[test]
fn what_is_no_case_is_told_with_the_file() {
    let cli = Cli::new();
    cli.write("cases/one/case.yaml", "call: check\nother: {}\n");
    cli.write("none/file", "");
    let cases: [(&[&str], i32, &str); 6] = [
        (&["test", "none.wasm"], 2, "cannot read the plugin \"none.wasm\""),
        (&["test", "PLUGIN"], 2, "one/case.yaml"),
        (&["test", "PLUGIN", "none"], 2, "holds no cases"),
        (&["test", "PLUGIN", "nowhere"], 2, "cannot read the cases in \"nowhere\""),
        (&["test", "PLUGIN", "--filter", "two"], 2, "there are one"),
        (&["test", "PLUGIN", "--secret", "none"], 2, "--record"),
    ];
    for (args, code, wanted) in cases {
        let ran = cli.run(args);
        assert!(ran.code == code && ran.stderr.contains(wanted), "{args:?}: {} {}", ran.code, ran.stderr);
    }
    cli.write("cases/one/case.yaml", "call: check\nexpect: {result: failed, kind: load, reason: not_wasm}\n");
    cli.write("text.wasm", "hello");
    assert_eq!(cli.run(&["test", "text.wasm"]).code, 0);
    assert_eq!(cli.run(&["test", "PLUGIN"]).code, 1);
}

/// The plugins that the image ships, by the words that stand for their components.
const PLUGINS: [(&str, &str); 4] =
    [("PLUGIN", "in-memory-ca"), ("CFSSL", "cfssl"), ("STEP-CA", "step-ca"), ("AWS-PCA", "aws-pca")];

#[test]
fn the_plugins_are_small() {
    for (_, plugin) in PLUGINS {
        let size = fs::metadata(super::plugin(&plugin.replace('-', "_"))).unwrap().len();
        assert!(size <= 300 << 10, "{plugin} has {size} bytes");
    }
}

/// The cases that stand beside the plugins themselves.
#[test]
fn the_plugins_pass_their_cases() {
    let cli = Cli::new();
    for (component, plugin) in PLUGINS {
        let folder = format!("{}/../../plugins/{plugin}/cases", env!("CARGO_MANIFEST_DIR"));
        let ran = cli.run(&["test", component, &folder]);
        assert_eq!(ran.code, 0, "{plugin}: {}{}", ran.stdout, ran.stderr);
    }
}

/// From real servers: what the cases of the plugin `cfssl` have was recorded so. With WASM_ISSUER_RECORD set, they are recorded anew.
#[test]
#[ignore = "needs Go, as `make test-cluster` does"]
fn cfssl_is_recorded_and_replayed() {
    const URL: &str = "https://cfssl.pki.svc:8888";
    let cli = Cli::new();
    let servers = Cfssl::start();
    let url = servers.multirootca.url();
    let source = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/cfssl/cases"));
    for (name, file, text) in files(&source) {
        // What was written by hand has no time.
        let is_by_hand = fs::read_to_string(source.join(&name).join("exchanges.yaml"));
        if is_by_hand.is_ok_and(|text| !text.contains("\nat:")) || file == "exchanges.yaml" {
            continue;
        }
        cli.write(&format!("cases/{name}/{file}"), text.replace(URL, &url));
    }
    cli.write("secret/key", servers.auth_key());
    cli.write("ca.pem", servers.trusted());
    let record = [
        "test",
        "CFSSL",
        "--record",
        "--update",
        "--secret",
        "secret",
        "--ca-bundle",
        "ca.pem",
        "--allow-loopback",
    ];
    let recorded = cli.json(0, &record);
    drop(servers);
    let replayed = cli.json(0, &["test", "CFSSL"]);
    let outcomes = |report: &Value| -> Vec<Value> {
        report["cases"].as_array().unwrap().iter().map(|case| case["outcome"].clone()).collect()
    };
    assert_eq!(outcomes(&recorded), outcomes(&replayed));
    assert!(outcomes(&recorded).iter().any(|outcome| outcome["result"] == "issued"), "{recorded}");
    for (name, file, text) in files(&cli.path("cases")) {
        if std::env::var_os("WASM_ISSUER_RECORD").is_some() {
            fs::write(source.join(name).join(file), text.replace(&url, URL)).unwrap();
        }
    }
}

/// The folder, the name and the text of each file in the folders of a folder.
fn files(folder: &Path) -> Vec<(String, String, String)> {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let entries =
        |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let of_case = |case: PathBuf| {
        let texts = entries(&case)
            .into_iter()
            .map(|file| (name(&case), name(&file), fs::read_to_string(file).unwrap()));
        texts.collect::<Vec<_>>()
    };
    entries(folder).into_iter().flat_map(of_case).collect()
}

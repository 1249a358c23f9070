use clap::Parser;
use wasm_issuer_core::issuance::verify::Difference;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    issuer: IssuerArgs,
}

/// Arguments in which `FILE` stands for a file with that content.
fn issuer(content: &str, args: &[&str]) -> anyhow::Result<Issuer> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("issuer.yaml");
    std::fs::write(&file, content)?;
    std::fs::create_dir(folder.path().join("secret"))?;
    std::fs::write(folder.path().join("secret/token"), "x")?;
    let args = args.iter().map(|arg| match *arg {
        "FILE" => file.display().to_string(),
        "SECRET" => folder.path().join("secret").display().to_string(),
        arg => arg.to_owned(),
    });
    let line = Line::try_parse_from(["test".to_owned()].into_iter().chain(args))?;
    line.issuer.validate(Path::new("x/My_CA.wasm.gz"))
}

const WHOLE: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: team-a}
---
apiVersion: wasm-issuer.dev/v1alpha1
kind: WasmIssuer
metadata: {name: my-ca, namespace: team-a}
spec:
  plugin: {builtin: in-memory-ca}
  config: {anything: {nested: true}}
  limits: {timeout: 5s}
  verification: {allow: [Subject]}
";

#[test]
fn without_arguments_there_is_a_default_issuer() {
    let issuer = issuer("", &[]).unwrap();
    assert_eq!(issuer.key.to_string(), "WasmIssuer default/my-ca");
    assert_eq!(issuer.spec, IssuerSpec::new(PluginSpec::default()));
}

#[test]
fn a_whole_issuer_is_used_and_arguments_come_first() {
    let read = issuer(WHOLE, &["--issuer", "FILE"]).unwrap();
    assert_eq!(read.key.to_string(), "WasmIssuer team-a/my-ca");
    assert_eq!(read.spec.limits.timeout, GoDuration::from_secs(5));
    assert_eq!(read.spec.verification.allow, [Difference::Subject]);
    let args = ["--issuer", "FILE", "--kind", "WasmClusterIssuer", "--name", "b", "--timeout", "1s"];
    let read = issuer(WHOLE, &args).unwrap();
    assert_eq!(
        (read.key.to_string().as_str(), read.spec.limits.timeout.0.as_secs()),
        ("WasmClusterIssuer b", 1)
    );
    assert_eq!(read.request_namespace, "team-a");
}

#[test]
fn wrong_files_and_values_say_what_is_wrong() {
    let secret = WHOLE.replace("  limits", "  authSecretName: keys\n  limits");
    let cases: [(&str, &[&str], &str); 17] = [
        ("", &["--config", "FILE"], "is empty: `{}` is the empty config"),
        ("[1]", &["--config", "FILE"], "is to be an object"),
        ("a: [", &["--config", "FILE"], "is neither YAML nor JSON"),
        ("a: 1\n---\nb: 2", &["--config", "FILE"], "several YAML documents"),
        (WHOLE, &["--config", "FILE"], "several YAML documents"),
        ("apiVersion: x\nspec: {}", &["--config", "FILE"], "for an Issuer there is --issuer"),
        ("a: 1", &["--issuer", "FILE"], "exactly one WasmIssuer or WasmClusterIssuer"),
        (
            &WHOLE.replace("v1alpha1", "v2"),
            &["--issuer", "FILE"],
            "apiVersion is to be wasm-issuer.dev/v1alpha1",
        ),
        (&WHOLE.replace("timeout: 5s", "timeuot: 5s"), &["--issuer", "FILE"], "no field spec.limits.timeuot"),
        (&WHOLE.replace("5s", "5x"), &["--issuer", "FILE"], "spec.limits.timeout: not a duration"),
        (&WHOLE.replace("5s", "2m"), &["--issuer", "FILE"], "from 100ms to 1m"),
        (&WHOLE.replace("{allow", "{mode: Strict, allow"), &["--issuer", "FILE"], "allow must be empty"),
        (
            &WHOLE.replace("{allow", "{caSecretName: a, allow"),
            &["--issuer", "FILE"],
            "give it with --ca-secret",
        ),
        (WHOLE, &["--issuer", "FILE", "--secret", "SECRET"], "set spec.authSecretName"),
        (&secret, &["--issuer", "FILE"], "give it with --secret"),
        ("", &["--memory", "2Gi"], "from 1Mi to 1Gi"),
        ("", &["--reveal", "token"], "--secret"),
    ];
    for (content, args, wanted) in cases {
        let error = format!("{:#}", issuer(content, args).err().unwrap());
        assert!(error.contains(wanted), "{args:?}: {error}");
    }
    assert!(issuer(&secret, &["--issuer", "FILE", "--secret", "SECRET", "--reveal", "token"]).is_ok());
}

#[test]
fn every_file_name_makes_an_object_name() {
    for (file, name) in [("a/in_memory_ca.wasm", "in-memory-ca"), ("__.wasm", "plugin"), ("-", "plugin")] {
        assert_eq!(name_for(Path::new(file)), name);
        assert!(name.parse::<ObjectName>().is_ok());
    }
}

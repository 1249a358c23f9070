use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    request: RequestArgs,
}

fn request(args: &[&str]) -> anyhow::Result<Request> {
    let line = Line::try_parse_from(["test"].iter().chain(args))?;
    line.request.validate("team-a".into(), "my-ca")
}

#[test]
fn cert_managers_defaults_apply() {
    let sign = request(&["--dns", "a.example"]).unwrap().sign;
    assert_eq!(sign.usages, ["digital signature", "key encipherment"]);
    assert_eq!((sign.duration.as_secs(), sign.is_ca), (90 * 24 * 3600, false));
    assert_eq!((sign.namespace.as_deref(), sign.name.as_str()), (Some("team-a"), "my-ca-request"));
    let ca = request(&["--common-name", "CA", "--ca", "--usage", "crl sign"]).unwrap().sign;
    assert_eq!(ca.usages, ["crl sign", "cert sign"]);
}

#[test]
fn a_csr_says_what_it_is_for() {
    let folder = tempfile::tempdir().unwrap();
    let (csr, key) = (folder.path().join("csr"), folder.path().join("key"));
    let (csr, key) = (csr.to_str().unwrap(), key.to_str().unwrap());
    let args = [
        "--dns",
        "a",
        "--ca",
        "--usage",
        "server auth",
        "--usage",
        "signing",
        "--csr-out",
        csr,
        "--key-out",
        key,
    ];
    let made = request(&args).unwrap();
    made.made.unwrap().keep(&made.sign.csr).unwrap();
    let read = request(&["--csr", csr, "--resume", "order-1"]).unwrap().sign;
    assert!(read.is_ca);
    assert_eq!(read.usages, ["digital signature", "cert sign", "server auth"]);
    assert_eq!((read.uid.as_str(), read.resume.as_deref()), (made.sign.uid.as_str(), Some("order-1")));
    let error = format!("{:#}", request(&["--csr", csr, "--usage", "client auth"]).err().unwrap());
    assert!(error.contains("the operator would refuse it, the CSR's key usages differ"), "{error}");
    let error = format!("{:#}", request(&["--dns", "a", "--key-out", key]).err().unwrap());
    assert!(error.contains("a key is never overwritten"), "{error}");
}

#[test]
fn wrong_arguments_say_what_is_wrong() {
    let long = "x".repeat(65);
    let cases: [(&[&str], &str); 11] = [
        (&[], "nothing to sign: give --csr FILE"),
        (&["--dns", ""], "it is empty"),
        (&["--dns", "bücher.example"], "xn--"),
        (&["--common-name", &long], "1 to 64 characters"),
        (&["--ip", "10.0.0.256"], "invalid IP address"),
        (&["--dns", "a", "--usage", "tls"], "--usage takes cert-manager's names"),
        (&["--dns", "a", "--annotation", "x"], "KEY=VALUE is expected"),
        (&["--dns", "a", "--resume", "t"], "--csr"),
        (&["--dns", "a", "--csr", "x"], "cannot be used with"),
        (&["--dns", "a", "--duration", "1d"], "90 days are 2160h"),
        (&["--dns", "a", "--duration", "500ms"], "--duration: a certificate is valid for at least a second"),
    ];
    for (args, wanted) in cases {
        let error = request(args).err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(error.contains(wanted), "{args:?}: {error}");
    }
}

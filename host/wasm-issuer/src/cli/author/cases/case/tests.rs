use serde_json::json;

use super::*;

fn case(text: &str) -> anyhow::Result<Case> {
    let folder = tempfile::tempdir().unwrap();
    read(folder.path(), text)
}

fn read(folder: &Path, text: &str) -> anyhow::Result<Case> {
    std::fs::create_dir_all(folder.join("cases/one")).unwrap();
    std::fs::write(folder.join("cases/one").join(FILE), text).unwrap();
    let mut cases = Case::all(&folder.join("cases"), "", Path::new("My_CA.wasm"))?;
    assert_eq!(cases.len(), 1);
    Ok(cases.remove(0))
}

#[test]
fn what_is_left_out_is_as_elsewhere() {
    let read = case("call: check\n").unwrap();
    assert_eq!((read.name.as_str(), read.issuer.to_string().as_str()), ("one", "WasmIssuer default/my-ca"));
    assert_eq!(read.spec, IssuerSpec::new(Default::default()));
    assert!(matches!(read.asked, Asked::Check) && read.recording.is_none() && read.expect.is_none());
    let read =
        case("call: sign\nrequest: {dns: [a.example]}\nissuer: {kind: WasmClusterIssuer, name: x}").unwrap();
    assert_eq!(read.issuer.to_string(), "WasmClusterIssuer x");
    let Asked::Sign { request, is_new: true } = read.asked else { panic!("{}", read.name) };
    assert_eq!(request.usages, ["digital signature", "key encipherment"]);
    assert_eq!(request.namespace.as_deref(), Some("default"));
}

#[test]
fn a_csr_that_is_kept_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let text = "call: sign\nrequest: {dns: [a.example], usages: [server auth]}\n";
    let Asked::Sign { request, .. } = read(folder.path(), text).unwrap().asked else { panic!() };
    std::fs::write(folder.path().join("cases/one").join(KEPT), request.csr.der()).unwrap();
    for text in [text, "call: sign\nrequest: {csr: request.csr}\n"] {
        let Asked::Sign { request: again, is_new: false } = read(folder.path(), text).unwrap().asked else {
            panic!()
        };
        assert_eq!(again.csr.der(), request.csr.der());
        assert_eq!((&again.usages, &again.uid), (&vec!["server auth".to_owned()], &request.uid));
    }
}

#[test]
fn what_is_wrong_in_a_case_is_named() {
    let cases = [
        ("", "unexpected end"),
        ("call: both", "call"),
        ("call: check\nother: {}", "other"),
        ("call: check\nrequest: {dns: [a]}", "request: a check has none"),
        ("call: sign", "give the CSR as `csr: FILE`, or names"),
        ("call: sign\nrequest: {dns: [a], csr: b}", "either `csr`, or names"),
        ("call: sign\nrequest: {csr: none}", "none\": No such file"),
        ("call: sign\nrequest: {csr: /none}", "is to be a file in the case's folder"),
        ("call: sign\nrequest: {dns: [é]}", "names are ASCII"),
        ("call: sign\nrequest: {dns: [a], keyAlgorithm: dsa}", "there is no \"dsa\"; there are ecdsa-p256"),
        ("call: sign\nrequest: {dns: [a], usages: [tls]}", "request: spec.usages: unknown key usage \"tls\""),
        ("call: sign\nrequest: {dns: [a], duration: 90d}", "90 days are 2160h"),
        ("call: check\nissuer: {kind: Issuer}", "issuer.kind"),
        ("call: check\nissuer: {spec: {other: {}}}", "there is no field spec.other"),
        ("call: check\nissuer: {spec: {limits: {timeout: 2m}}}", "from 100ms to 1m"),
        ("call: check\nissuer: {spec: {authSecretName: a}}", "give its keys in `secret`"),
        ("call: check\nsecret: {a: b}", "set issuer.spec.authSecretName"),
        (
            "call: check\nissuer: {spec: {authSecretName: a}}\nsecret: {a/b: c}",
            "\"a/b\" is no key of a Secret",
        ),
        ("call: check\nissuer: {spec: {verification: {caSecretName: a}}}", "give its keys in `caSecret`"),
        ("call: check\nhide: [token]", "hide: \"token\" is no JSON Pointer"),
        ("call: check\nignore: {body: [token]}", "ignore.body: \"token\" is no JSON Pointer"),
        ("call: check\nignore: {cookies: []}", "cookies"),
        ("call: check\nexpect: {result: fine}", "fine"),
        ("call: check\nexpect: {result: passed, other: a}", "other"),
    ];
    for (text, wanted) in cases {
        let error = format!("{:#}", case(text).err().unwrap());
        assert!(error.contains(wanted) && error.contains("one/case.yaml"), "{text}: {error}");
    }
}

#[test]
fn a_time_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = "2030-01-02T03:04:05Z";
    assert!(read(folder.path(), &format!("call: check\nat: {at}")).unwrap().at.is_some());
    std::fs::write(folder.path().join("cases/one").join(recording::FILE), format!("at: {at}\nexchanges: []"))
        .unwrap();
    let error = format!("{:#}", read(folder.path(), &format!("call: check\nat: {at}")).err().unwrap());
    assert!(error.contains("at: the time is that of the recording"), "{error}");
    assert!(read(folder.path(), "call: check").unwrap().recording.unwrap().at.is_some());
}

#[test]
fn folders_without_cases_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let all = |filter: &str| Case::all(folder.path(), filter, Path::new("a.wasm"));
    let error = |filter: &str| format!("{:#}", all(filter).err().unwrap());
    std::fs::write(folder.path().join("file"), "").unwrap();
    std::fs::create_dir(folder.path().join(".git")).unwrap();
    assert!(error("").contains("holds no cases: each is a folder with a case.yaml"));
    std::fs::create_dir(folder.path().join("one")).unwrap();
    assert!(error("").contains("cannot read the case"));
    assert!(error("two").contains("no case has \"two\" in its name; there are one"));
}

#[test]
fn only_the_expectation_of_a_file_is_exchanged() {
    let outcome: Outcome =
        serde_json::from_value(json!({"result": "failed", "message": "a: 'b' # *\n"})).unwrap();
    let rewritten = |text: &str| with_expectation(text, &outcome);
    let before = "# Mine.\ncall: check   # a check\n";
    let after = "# The issuer.\nissuer: {name: a}\n";
    let written = rewritten(before).unwrap();
    assert!(written.starts_with(before), "{written}");
    assert_eq!(rewritten(&written).unwrap(), written);
    assert_eq!(rewritten(before.trim_end()).unwrap(), written);
    let old = format!("{before}expect:\n  result: passed\n\n  # old\n{after}");
    let written = rewritten(&old).unwrap();
    assert!(written.starts_with(&format!("{before}expect:\n")) && written.ends_with(after), "{written}");
    assert!(!written.contains("passed") && !written.contains("old"), "{written}");
    // Flow style all over has no line to exchange.
    assert!(rewritten("{call: check}").is_err());
}

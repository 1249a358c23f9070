//! What Go and cert-manager make of CSRs, certificates and CA Secrets: the oracle of differential tests. `main.go` beside
//! this crate answers; `build.sh` builds it, which needs Go.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "this is for tests: what does not work shall fail, with its place"
)]

mod random;

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

pub use random::Random;

/// A running oracle. It ends when it is dropped.
pub struct Oracle {
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    name: String,
}

/// What cert-manager's CA issuer would publish, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The leaf and the intermediates.
    pub chain: Vec<u8>,
    /// `ca.crt`.
    pub ca: Vec<u8>,
}

impl Oracle {
    /// Builds the oracle if it is missing, and starts it. Needs Go.
    pub fn start() -> Self {
        let built = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/build.sh"))
            .stderr(Stdio::inherit())
            .output()
            .expect("test/oracle/build.sh runs");
        assert!(built.status.success(), "test/oracle/build.sh did not build the oracle: see above");
        let path = String::from_utf8(built.stdout).expect("a path");
        let mut process = Command::new(path.trim_end())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the oracle starts");
        let questions = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut oracle = Self { process, questions, answers, name: String::new() };
        oracle.name = oracle.answer()["oracle"].as_str().expect("its name").to_owned();
        oracle
    }

    /// Whether cert-manager's own code answers; else crypto/x509 alone does, which knows nothing of the request around a
    /// CSR, and of Secrets.
    pub fn is_cert_manager(&self) -> bool {
        self.name == "cert-manager"
    }

    /// Whether the CA issuer would sign a CertificateRequest with this CSR, in PEM: then the value of the subjectAltName
    /// extension that it asks for, empty where there is none; if not, what it says.
    pub fn csr(&mut self, pem: &[u8], is_ca: bool, usages: &[String]) -> Result<Vec<u8>, String> {
        let csr = BASE64_STANDARD.encode(pem);
        let answer = self.ask(json!({"csr": csr, "isCA": is_ca, "usages": usages}))?;
        Ok(part(&answer, "san"))
    }

    /// Whether crypto/x509 parses this certificate, in DER.
    pub fn certificate(&mut self, der: &[u8]) -> Result<(), String> {
        self.ask(json!({"certificate": BASE64_STANDARD.encode(der)})).map(|_| ())
    }

    /// What the CA issuer would publish for a leaf, with a Secret of these keys (`tls.crt`, `tls.key`, `ca.crt`) and PEM
    /// values.
    pub fn secret(&mut self, data: &[(&str, &[u8])]) -> Result<Published, String> {
        let data: serde_json::Map<_, _> =
            data.iter().map(|(key, pem)| ((*key).to_owned(), BASE64_STANDARD.encode(pem).into())).collect();
        let answer = self.ask(json!({"secret": data}))?;
        Ok(Published { chain: part(&answer, "chain"), ca: part(&answer, "ca") })
    }

    /// Whether a Go client that trusts these CA certificates believes the chain, leaf first, both PEM.
    pub fn verify(&mut self, chain: &str, ca: &str) -> Result<(), String> {
        let (chain, ca) = (BASE64_STANDARD.encode(chain), BASE64_STANDARD.encode(ca));
        self.ask(json!({"chain": chain, "ca": ca})).map(|_| ())
    }

    /// Whether a CertificateSigningRequest, as it is in the API, has the certificate that cert-manager's own CA signer would
    /// have made of it, but for who signed it and when.
    pub fn signed(&mut self, object: &Value) -> Result<(), String> {
        self.ask(json!({"signed": object})).map(|_| ())
    }

    fn ask(&mut self, question: Value) -> Result<Value, String> {
        let pipe = self.questions.as_mut().expect("it is open until the drop");
        pipe.write_all(format!("{question}\n").as_bytes()).expect("the oracle reads");
        let answer = self.answer();
        match answer["error"].as_str().expect("an answer has an error, or an empty one") {
            "" => Ok(answer),
            error => Err(error.to_owned()),
        }
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the oracle writes text");
        serde_json::from_str(&line).expect("the oracle answers in JSON; see above if it has ended")
    }
}

fn part(answer: &Value, key: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(answer[key].as_str().unwrap_or_default()).expect("base64")
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.questions.take());
        let _status = self.process.wait();
    }
}

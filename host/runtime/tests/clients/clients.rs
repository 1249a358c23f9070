//! Go, OpenSSL and Java as clients that trust the CA of an Issuer.

use std::fs;
use std::process::Command;

use oracle_fixture::Oracle;
use tempfile::TempDir;
use wasm_issuer_core::x509::{Certificate, pem};

use crate::publish::Published;

/// What verifies chains.
pub trait Client {
    fn name(&self) -> &'static str;
    /// Why it cannot be asked here.
    fn is_missing(&self) -> Option<String>;
    /// Whether it believes each of them, or why not.
    fn verify(&mut self, all: &[Published]) -> Vec<Result<(), String>>;
}

/// `crypto/x509`.
pub struct Go(Oracle);

impl Go {
    pub fn start() -> Self {
        Self(Oracle::start())
    }
}

impl Client for Go {
    fn name(&self) -> &'static str {
        "go"
    }

    fn is_missing(&self) -> Option<String> {
        None
    }

    fn verify(&mut self, all: &[Published]) -> Vec<Result<(), String>> {
        all.iter().map(|one| self.0.verify(&one.chain, &one.ca)).collect()
    }
}

/// `openssl verify`.
pub struct OpenSsl;

impl Client for OpenSsl {
    fn name(&self) -> &'static str {
        "openssl"
    }

    fn is_missing(&self) -> Option<String> {
        is_missing("openssl", "version")
    }

    fn verify(&mut self, all: &[Published]) -> Vec<Result<(), String>> {
        all.iter()
            .map(|one| {
                let folder = files(std::slice::from_ref(one));
                let file = |name: &str| folder.path().join(name).into_os_string();
                let mut openssl = Command::new("openssl");
                openssl.args(["verify", "-no-CApath", "-no-CAstore", "-CAfile"]);
                openssl.arg(file("0.ca")).arg("-untrusted").arg(file("0.chain"));
                if !is_self_issued(&one.ca) {
                    openssl.arg("-partial_chain");
                }
                if one.is_server {
                    openssl.args(["-purpose", "sslserver"]);
                }
                let output = openssl.arg(file("0.chain")).output().unwrap();
                let text = String::from_utf8_lossy(&output.stderr).into_owned();
                if output.status.success() { Ok(()) } else { Err(text) }
            })
            .collect()
    }
}

fn is_self_issued(ca: &str) -> bool {
    let (blocks, _) = pem::blocks(ca.as_bytes(), 100).unwrap();
    Certificate::parse(&blocks[0].decode().unwrap()).unwrap().is_self_issued()
}

/// `CertificateFactory` and `CertPathValidator`, once for all.
pub struct Java;

impl Client for Java {
    fn name(&self) -> &'static str {
        "java"
    }

    fn is_missing(&self) -> Option<String> {
        is_missing("java", "-version")
    }

    fn verify(&mut self, all: &[Published]) -> Vec<Result<(), String>> {
        let folder = files(all);
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/Verify.java");
        let output =
            Command::new("java").arg(program).arg(folder.path()).arg(all.len().to_string()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| if line.is_empty() { Ok(()) } else { Err(line.to_owned()) }).collect()
    }
}

fn is_missing(program: &str, argument: &str) -> Option<String> {
    let runs = Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success());
    (!runs).then(|| format!("`{program}` is not there"))
}

/// A folder with the chains and the CA certificates, by their numbers.
fn files(all: &[Published]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (number, one) in all.iter().enumerate() {
        fs::write(folder.path().join(format!("{number}.chain")), &one.chain).unwrap();
        fs::write(folder.path().join(format!("{number}.ca")), &one.ca).unwrap();
    }
    folder
}

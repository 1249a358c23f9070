//! Real CFSSL servers for tests, on loopback with TLS: a `multirootca` and a `cfssl serve`, with keys and certificates
//! made for the occasion. README.md says what they are like.
//!
//! Each [`Cfssl`] is a test's own. Its servers end when it is dropped, and with the process that started them, however
//! that ends.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "this is for tests: what does not work shall fail, with its place"
)]

mod ca;
mod config;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::ca::{Ca, Kind};
pub use crate::config::OTHER_AUTH_KEY;
pub use server_fixture::Server;

/// The labels of the `multirootca`, each with the key of its CA.
const LABELS: [(&str, Kind); 2] = [("primary", Kind::P256), ("secondary", Kind::Rsa2048)];

/// The two servers, and what they were started with.
pub struct Cfssl {
    /// Signs with the CAs `primary` and `secondary`; every request needs a token.
    pub multirootca: Server,
    /// Signs with the CA of `primary`, and needs a token for the profile `other-key` only; it makes bundles.
    pub serve: Server,
    root: Ca,
    intermediates: [Ca; 2],
    tls: Ca,
    /// How often the authentication key has been made.
    auth_keys: u32,
    // The last field, because the servers must have ended when it goes.
    folder: TempDir,
}

/// The folder with the servers' programs.
static PROGRAMS: LazyLock<PathBuf> =
    LazyLock::new(|| server_fixture::programs("cfssl/build.sh").expect("CFSSL can be had"));

impl Cfssl {
    /// Makes the CAs and starts both servers; they accept connections when it returns.
    pub fn start() -> Self {
        let folder = TempDir::with_prefix("cfssl-").expect("a temporary folder");
        let root = Ca::root("CFSSL test root");
        let intermediates = LABELS.map(|(label, kind)| root.below(&format!("CFSSL test {label}"), kind));
        let mut cfssl = Self {
            multirootca: config::multirootca(&PROGRAMS, folder.path()),
            serve: config::serve(&PROGRAMS, folder.path()),
            root,
            intermediates,
            tls: Ca::root("CFSSL test TLS"),
            auth_keys: 1,
            folder,
        };
        cfssl.write("root.pem", &cfssl.root.pem());
        for ((label, _), ca) in LABELS.iter().zip(&cfssl.intermediates) {
            cfssl.write(&format!("{label}.pem"), &ca.pem());
            cfssl.write(&format!("{label}-key.pem"), &ca.key_pem());
        }
        cfssl.write("multirootca.conf", &config::roots(cfssl.path(), &LABELS.map(|(label, _)| label)));
        cfssl.write_profiles();
        cfssl.write_server_certificate();
        cfssl.multirootca.start();
        cfssl.serve.start();
        cfssl
    }

    /// What to trust the servers' certificate by, PEM.
    pub fn trusted(&self) -> String {
        self.tls.pem()
    }

    /// The root of both labels, PEM.
    pub fn root(&self) -> String {
        self.root.pem()
    }

    /// The CA certificate of `primary` or `secondary`, PEM.
    pub fn intermediate(&self, label: &str) -> String {
        let at = LABELS.iter().position(|(known, _)| *known == label);
        self.intermediates[at.expect("primary or secondary")].pem()
    }

    /// The authentication key of all profiles but `other-key` and `no-key`, hexadecimal.
    pub fn auth_key(&self) -> String {
        config::auth_key(self.auth_keys)
    }

    /// Gives both servers a new certificate of the same CA, and restarts them.
    pub fn rotate_certificate(&mut self) {
        self.write_server_certificate();
        self.restart();
    }

    /// Gives both servers a certificate of a new CA, and restarts them: [`Cfssl::trusted`] is another one afterwards.
    pub fn rotate_ca(&mut self) {
        self.tls = Ca::root("CFSSL test TLS");
        self.rotate_certificate();
    }

    /// Gives both servers a new authentication key, and restarts them: [`Cfssl::auth_key`] is another one afterwards.
    pub fn rotate_auth_key(&mut self) {
        self.auth_keys += 1;
        self.write_profiles();
        self.restart();
    }

    fn restart(&mut self) {
        for server in [&mut self.multirootca, &mut self.serve] {
            server.stop();
            server.start();
        }
    }

    fn write_profiles(&self) {
        self.write(config::AUTHENTICATED, &config::profiles(&self.auth_key(), true));
        self.write(config::OPEN, &config::profiles(&self.auth_key(), false));
    }

    fn write_server_certificate(&self) {
        let (certificate, key) = self.tls.server_certificate();
        self.write(config::SERVER_CERTIFICATE, &certificate);
        self.write(config::SERVER_KEY, &key);
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path().join(name), content).expect("a file in a folder of our own");
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

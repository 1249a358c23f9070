//! How the servers are told what to do: arguments and files. Their formats are CFSSL's own (`cmd/multirootca` and
//! `config` in its sources).

use std::path::Path;

use serde_json::{Value, json};
use server_fixture::Server;

/// The authentication key of the profile `other-key`, hexadecimal.
pub const OTHER_AUTH_KEY: &str = "00112233445566778899aabbccddeeff";

/// The profiles of the `multirootca`, which wants a key in each.
pub const AUTHENTICATED: &str = "authenticated.json";
/// The profiles of `cfssl serve`, which needs no token where there is no key.
pub const OPEN: &str = "open.json";
pub const SERVER_CERTIFICATE: &str = "server.pem";
pub const SERVER_KEY: &str = "server-key.pem";

pub fn multirootca(programs: &Path, folder: &Path) -> Server {
    let tls = ["-tls-cert", SERVER_CERTIFICATE, "-tls-key", SERVER_KEY];
    Server::new(programs.join("multirootca"), folder, |address| {
        let mut arguments = vec!["-a".to_owned(), address.to_string()];
        arguments.extend(["-roots", "multirootca.conf"].into_iter().chain(tls).map(str::to_owned));
        arguments
    })
}

pub fn serve(programs: &Path, folder: &Path) -> Server {
    let tls = ["-tls-cert", SERVER_CERTIFICATE, "-tls-key", SERVER_KEY];
    let ca = ["-ca", "primary.pem", "-ca-key", "primary-key.pem", "-config", OPEN];
    let bundles = ["-ca-bundle", "root.pem", "-int-bundle", "primary.pem"];
    Server::new(programs.join("cfssl"), folder, |address| {
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let listen = ["serve", "-address", &host, "-port", &port];
        listen.into_iter().chain(ca).chain(bundles).chain(tls).map(str::to_owned).collect()
    })
}

/// `multirootca.conf`: for each label a CA in the folder.
pub fn roots(folder: &Path, labels: &[&str]) -> String {
    let folder = folder.display();
    let root = |label| {
        format!(
            "[{label}]\nprivate = file://{folder}/{label}-key.pem\ncertificate = {folder}/{label}.pem\n\
             config = {folder}/{AUTHENTICATED}\n"
        )
    };
    labels.iter().map(root).collect()
}

/// The authentication key that is made as the `n`th: no secret, but another each time.
pub fn auth_key(n: u32) -> String {
    format!("{:032x}", u128::MAX / 3 + u128::from(n))
}

/// The profiles. Those that say nothing else have the authentication key if requests are to carry a token.
pub fn profiles(auth_key: &str, authenticated: bool) -> String {
    let profile = |usages: &[&str], more: Value| {
        let mut profile = json!({"usages": usages, "expiry": "2160h"});
        if authenticated {
            profile["auth_key"] = "main".into();
        }
        for (field, value) in more.as_object().into_iter().flatten() {
            profile[field] = value.clone();
        }
        profile
    };
    let server = ["digital signature", "key encipherment", "server auth"];
    let both = [server.as_slice(), &["client auth"]].concat();
    let config = json!({
        "auth_keys": {
            "main": {"type": "standard", "key": auth_key},
            "other": {"type": "standard", "key": OTHER_AUTH_KEY},
        },
        "signing": {
            "default": profile(&both, json!({})),
            "profiles": {
                "server": profile(&server, json!({})),
                "short": profile(&["digital signature", "client auth"], json!({"expiry": "1h"})),
                "ca": profile(&["cert sign", "crl sign"], json!({"ca_constraint": {"is_ca": true}})),
                "restricted": profile(&["server auth"], json!({"name_whitelist": r"\.example\.com$"})),
                "other-key": profile(&["server auth"], json!({"auth_key": "other"})),
                "no-key": {"usages": ["server auth"], "expiry": "2160h"},
            },
        },
    });
    config.to_string()
}

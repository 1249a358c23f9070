//! A plugin that misuses outgoing HTTP, in the one way that the Issuer's `spec.config` names: what the network's side of
//! the sandbox is tested with.
//!
//! It signs nothing. Each behaviour ends with a permanent failure whose message says what the plugin got, in the order in
//! which it asked: for a response its status and its body, for an error the name of its code.

#[cfg(target_os = "wasi")]
mod attack;
#[cfg(target_os = "wasi")]
mod client;

use serde::Deserialize;
use wasm_issuer_sdk::schemars::{self, JsonSchema};
use wasm_issuer_sdk::{Certificate, Failure, Issuer, Plugin, Request};

/// `spec.config`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Config {
    behaviour: Behaviour,
    /// `scheme://authority/path`: the server that the test grants, or tries to do without granting.
    url: String,
}

/// The misuse, or the plain use that it is compared with.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Behaviour {
    // Goes where it should not.
    /// Asks `url` and no more.
    Get,
    /// Asks a server that no test grants, with and without TLS.
    Ungranted,
    /// Asks clouds' metadata services, in every spelling of their addresses.
    Metadata,
    /// Puts the authority of `url` in front of `@169.254.169.254`, and a user name in front of it.
    Userinfo,
    /// Sets header fields that are the host's: `host` and how the message is framed. Then sends what is left.
    HostHeader,
    /// Sets them as trailers.
    Trailers,
    /// Asks `url`, and then what its `location` names.
    Redirect,
    /// Sets absolute URIs, `*` and line breaks as the path.
    PathTricks,
    /// Sends CONNECT and TRACE, and a method with a line break.
    Methods,

    // Takes too much.
    /// Reads the response of `url` to its end, however large, slow or strange it is. Says how many bytes came.
    Read,
    /// The same, with the longest timeouts that can be set.
    TimeoutsHuge,
    /// The same, with timeouts of zero.
    TimeoutsZero,
    /// Asks `url` a hundred times.
    ManyRequests,
    /// Asks `url` twenty times at once, and reads no response.
    ManyAtOnce,
    /// Sends two megabytes.
    BigBody,
    /// Has the host keep long methods, paths, authorities and URLs.
    LongParts,
    /// Has the host keep long header fields.
    LongFields,
    /// Announces ten bytes and sends five.
    ShortBody,

    // Does not end.
    /// Sends half a body and waits for an hour.
    HoldConnection,
    /// Reads nothing of a response and waits for an hour.
    HoldResponse,
    /// Sends half a body and traps.
    TrapInBody,

    // Tries to read the Secret's `token`.
    /// Sends its placeholder as a header field.
    Placeholder,
    /// Sends it in the path, the query, the name of a header field and the body.
    PlaceholderElsewhere,
    /// Sends it as a header field to a server that is not granted.
    PlaceholderUngranted,
}

struct HostileHttp;

wasm_issuer_sdk::export!(HostileHttp);

impl Plugin for HostileHttp {
    type Config = Config;

    fn check(_: &Issuer<Config>) -> Result<(), Failure> {
        Ok(())
    }

    fn sign(issuer: &Issuer<Config>, _: &Request) -> Result<Certificate, Failure> {
        Err(Failure::permanent(run(&issuer.config)))
    }
}

#[cfg(target_os = "wasi")]
fn run(config: &Config) -> String {
    attack::run(config.behaviour, &config.url)
}

#[cfg(not(target_os = "wasi"))]
fn run(_: &Config) -> String {
    "there is no wasi:http here".to_owned()
}

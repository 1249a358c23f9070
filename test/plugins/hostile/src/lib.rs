//! A plugin that misbehaves, in the one way that the Issuer's `spec.config` names: what the sandbox and the checks of
//! what a plugin returns are tested with.
//!
//! It wants no Secret. A behaviour that is over without a trap either leaves a certificate behind, or a permanent
//! failure whose message says what the plugin got.

mod exhaust;
mod forge;
mod pry;

use std::thread::sleep;
use std::time::Duration;

use serde::Deserialize;
use wasm_issuer_sdk::schemars::{self, JsonSchema};
use wasm_issuer_sdk::{Algorithm, Authority, Certificate, Failure, Issuer, Plugin, Request, log};

/// `spec.config`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Config {
    behaviour: Behaviour,
    /// The function that misbehaves; the other one does as it should.
    #[serde(default)]
    at: At,
    /// For `slow`: how long it waits. For `retry-after`: how long the host shall.
    #[serde(default = "five")]
    seconds: u32,
    /// For `pending`: how often it is before the certificate comes.
    #[serde(default = "five")]
    times: u32,
    /// For `issuer-error`: the namespace whose requests fail. Default: all fail, and the check.
    namespace: Option<String>,
}

fn five() -> u32 {
    5
}

#[derive(Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
enum At {
    Check,
    #[default]
    Sign,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Behaviour {
    /// Does as it should.
    Good,

    // Ends the instance.
    /// Runs the `unreachable` instruction.
    Trap,
    /// Panics with a message.
    Panic,
    /// Exits as a command would, with success.
    Exit,

    // Takes what it can get.
    /// Computes without end.
    LoopForever,
    /// Waits for `seconds` and goes on.
    Slow,
    /// Fills memory until the host refuses more, then traps.
    #[serde(rename = "allocate-4gib")]
    Allocate4Gib,
    /// Calls itself without end.
    DeepRecursion,
    /// Writes a million log records.
    LogFlood,
    /// Writes a hundred thousand lines to stdout and to stderr, and one of a megabyte.
    PrintFlood,
    /// Opens a million handles: of a secret where the Issuer has one, else of a key.
    HandleFlood,
    /// Stores a million values, then one of a megabyte.
    CacheFlood,
    /// Makes a thousand keys.
    KeyFlood,
    /// Asks for a gigabyte of random numbers at once.
    RandomFlood,

    // Looks for what it was not granted.
    /// Reveals each key of the Secret.
    RevealUngranted,
    /// Reads the environment.
    ReadEnv,
    /// Reads the arguments.
    ReadArgs,
    /// Lists, reads and writes files.
    ReadFiles,
    /// Connects by TCP, sends by UDP and looks a name up.
    OpenSocket,

    // Fails.
    /// A failure to retry.
    Retry,
    /// A failure to retry after `seconds`.
    RetryAfter,
    /// A permanent failure.
    Permanent,
    /// A failure of the Issuer.
    IssuerError,
    /// Pending for so many `times`, counted in the resume token; then a certificate.
    Pending,
    /// A permanent failure with the condition `InvalidRequest`.
    Condition,
    /// A failure whose message looks like a format string.
    PercentMessage,
    /// A failure with a message of 100 KB: lines, tabs, ANSI escapes, a right-to-left override, a zero byte.
    LongMessage,

    // Returns what was not asked for.
    /// A chain that is no PEM.
    GarbagePem,
    /// A chain without a certificate.
    EmptyChain,
    /// A certificate for another key.
    OtherKey,
    /// A certificate with one more name.
    ExtraSan,
    /// A certificate without its names.
    MissingSan,
    /// A CA's certificate.
    CaTrue,
    /// A certificate that expired an hour ago.
    Expired,
    /// A certificate that becomes valid in an hour.
    NotYetValid,
    /// Two intermediates in each other's place.
    WrongOrder,
    /// A leaf, and another CA's intermediate.
    UnrelatedChain,
    /// A chain of five megabytes.
    HugeChain,
    /// A certificate with another subject.
    OtherSubject,
    /// A certificate with other usages.
    WrongUsages,
    /// A certificate that is for signing code, too.
    CodeSigning,
    /// A certificate that is valid for ten times as long.
    LongerDuration,
    /// The right certificate, and one more root for clients to trust.
    SecondRoot,
}

struct Hostile;

wasm_issuer_sdk::export!(Hostile);

impl Plugin for Hostile {
    type Config = Config;

    fn check(issuer: &Issuer<Config>) -> Result<(), Failure> {
        if issuer.config.at == At::Check {
            misbehave(&issuer.config, None)?;
        }
        authority("root")?.check()
    }

    fn sign(issuer: &Issuer<Config>, request: &Request) -> Result<Certificate, Failure> {
        if issuer.config.at == At::Check {
            return authority("root")?.issue(request);
        }
        misbehave(&issuer.config, Some(request))?;
        forge::certificate(issuer.config.behaviour, request)
    }
}

fn authority(name: &str) -> Result<Authority, Failure> {
    Authority::ephemeral(name, &format!("hostile {name}"), Algorithm::EcdsaP256Sha256)
}

/// All but the forged certificates. In a check there is no request.
fn misbehave(config: &Config, request: Option<&Request>) -> Result<(), Failure> {
    match config.behaviour {
        Behaviour::Trap => std::process::abort(),
        Behaviour::Panic => panics(),
        Behaviour::Exit => std::process::exit(0),

        Behaviour::LoopForever => exhaust::time(),
        Behaviour::Slow => sleep(Duration::from_secs(config.seconds.into())),
        Behaviour::Allocate4Gib => exhaust::memory(),
        Behaviour::DeepRecursion => exhaust::stack(),
        Behaviour::LogFlood => (0..1_000_000).for_each(|i| log::info(format!("record {i}"))),
        Behaviour::PrintFlood => exhaust::streams(),
        Behaviour::HandleFlood => return Err(exhaust::handles()?),
        Behaviour::CacheFlood => return Err(exhaust::cache()),
        Behaviour::KeyFlood => return Err(exhaust::keys()),
        Behaviour::RandomFlood => return Err(exhaust::random()),

        Behaviour::RevealUngranted => return Err(pry::secrets()),
        Behaviour::ReadEnv => return Err(pry::environment()),
        Behaviour::ReadArgs => return Err(pry::arguments()),
        Behaviour::ReadFiles => return Err(pry::files()),
        Behaviour::OpenSocket => return Err(pry::network()),

        Behaviour::Retry => return Err(Failure::retry("the CA is busy")),
        Behaviour::RetryAfter => return Err(Failure::retry("the CA is busy").after(config.seconds)),
        Behaviour::Permanent => return Err(Failure::permanent("the CA refuses")),
        Behaviour::IssuerError if concerns(config, request) => {
            return Err(Failure::issuer("the CA refuses the credentials"));
        }
        Behaviour::Pending => pending(config.times, request)?,
        Behaviour::Condition => return Err(Failure::invalid_request("the CA cannot read the request")),
        Behaviour::PercentMessage => return Err(Failure::retry("quota 100%full %s %d %!f(MISSING) {} {0}")),
        Behaviour::LongMessage => {
            return Err(Failure::retry("\u{1b}[31mred\u{1b}[0m\r\n\tnext\u{202e}line\0 é ".repeat(3000)));
        }
        _ => {}
    }
    Ok(())
}

#[expect(clippy::panic, reason = "what it is for")]
fn panics() {
    panic!("a panic on purpose")
}

/// Whether it is a request of the namespace that fails.
fn concerns(config: &Config, request: Option<&Request>) -> bool {
    config.namespace.is_none() || request.is_some_and(|request| request.namespace == config.namespace)
}

/// The token is the number of times so far.
fn pending(times: u32, request: Option<&Request>) -> Result<(), Failure> {
    let resume = request.and_then(|request| request.resume.as_deref());
    let so_far: u32 = resume.and_then(|token| token.parse().ok()).unwrap_or(0);
    if so_far >= times {
        return Ok(());
    }
    Err(Failure::pending(format!("order {} of {times}", so_far + 1))
        .resume((so_far + 1).to_string())
        .poll_after(1))
}

//! The runtime against small components in text form: one fixture, of which each test replaces the body of `check`.

mod admission;
mod calls;
mod imports;
mod load;
mod spans;
mod turns;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::testing::AGES;

const FIXTURE: &str = include_str!("tests/fixture.wat");

/// The component of a plugin whose `check` runs these instructions.
fn checking(instructions: &str) -> ComponentBytes {
    edited(&[(";; CHECK", instructions)])
}

/// The fixture with its parts replaced.
fn edited(edits: &[(&str, &str)]) -> ComponentBytes {
    let text = edits.iter().fold(FIXTURE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    ComponentBytes::new(wat::parse_str(text).unwrap())
}

const LOOP: &str = "(loop $again (br $again))";

/// For what is to be done, however busy the machine is.
fn patient() -> CallLimits {
    CallLimits { timeout: AGES, instantiate: AGES, ..CallLimits::default() }
}

/// For what never ends by itself.
fn quick() -> CallLimits {
    CallLimits { timeout: Duration::from_millis(200), ..patient() }
}

fn runtime() -> Arc<Runtime> {
    Runtime::new(RuntimeConfig::default()).unwrap()
}

/// What is freed goes back to the system, so that what a process has resident is what it uses.
const UNPOOLED: [(&str, &str); 3] =
    [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "16384"), ("MALLOC_TRIM_THRESHOLD_", "0")];

/// Run an ignored test of these modules in a process of its own, where nothing else opens files and takes memory.
fn alone(test: &str) {
    let name = format!("tests::{test}");
    let args = ["--exact", &name, "--ignored", "--nocapture", "--test-threads=1"];
    let child = Command::new(std::env::current_exe().unwrap()).args(args).envs(UNPOOLED).output().unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    let errors = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && output.contains("1 passed"), "{output}\n{errors}");
    println!("{output}");
}

/// A line of this process's status, in bytes.
fn status(field: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<usize>().unwrap() << 10
}

fn account() -> Account {
    Account::tenant("team-a")
}

fn session(limits: CallLimits) -> Arc<Session> {
    Session::new(SessionInit { limits, ..init("my-ca") })
}

fn init(issuer: &str) -> SessionInit {
    SessionInit {
        issuer: IssuerIdentity {
            kind: "WasmIssuer".into(),
            namespace: Some("team-a".into()),
            name: issuer.into(),
        },
        config: "{}".into(),
        secret: None,
        reveal: Default::default(),
        keys: Arc::default(),
        limits: CallLimits::default(),
        http: Default::default(),
        observer: Arc::new(()),
        memory: IssuerMemory::unlimited().share("team-a"),
    }
}

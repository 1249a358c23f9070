//! The runtime against small components in text form: one fixture, of which each test replaces the body of `check`.

mod calls;
mod imports;
mod load;

use std::sync::Arc;

use super::*;

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

fn runtime() -> Arc<Runtime> {
    Runtime::new(RuntimeConfig::default()).unwrap()
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
    }
}

//! The hostile plugins of `test/plugins`.

use serde_json::{Value, json};

use crate::arena::{Arena, eager, names, referred};

/// The longest that a tenant's call may take.
const TIMEOUT: &str = "30s";

/// Four Issuers that misbehave in `sign`, each with more requests than it may have in flight, and four that do so in
/// `check`.
pub async fn plugin(arena: &Arena, behaviour: &str) {
    let spec = |at: &str| {
        json!({
            "plugin": {"builtin": "hostile"},
            "config": {"behaviour": behaviour, "at": at, "seconds": 29},
            "limits": {"timeout": TIMEOUT, "memory": "256Mi"},
            // Without a server to reach it would be checked once.
            "http": {"allowedHosts": ["https://ca.example.com"]},
            "checkInterval": "10s",
            "retry": eager(),
        })
    };
    run(arena, spec("sign"), 24).await;
    arena.issuers(names("check", 4).into_iter().map(|name| (name, spec("check")))).await;
}

/// The same over HTTP, where a check does nothing.
pub async fn http(arena: &Arena, behaviour: &str) {
    let server = format!("http://{}", arena.server);
    let spec = json!({
        "plugin": {"builtin": "hostile-http"},
        "config": {"behaviour": behaviour, "url": format!("{server}/")},
        "http": {"allowedHosts": [server]},
        "limits": {"timeout": TIMEOUT},
        "checkInterval": "10s",
        "retry": eager(),
    });
    run(arena, spec, 24).await;
}

async fn run(arena: &Arena, spec: Value, requests: usize) {
    let issuers = names("sign", 4);
    for name in &issuers {
        arena.tenant.ready_issuer(name, spec.clone()).await;
    }
    arena.requests(&referred(&issuers), requests).await;
}

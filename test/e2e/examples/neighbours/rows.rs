//! What is measured.

use std::time::Duration;

use crate::attack::Attack;

/// One row of the table.
pub struct Row {
    /// A short name, which the names of its objects begin with.
    pub name: &'static str,
    /// What the tenant does, in words.
    pub what: &'static str,
    pub attack: Attack,
    /// How long the neighbour signs at least.
    pub lasts: Duration,
    /// How many times as many certificates as in a usual row.
    pub times: usize,
    /// What the neighbour uses.
    pub through: Through,
    /// Whether the operator is restarted in the end, while the attack is still there.
    pub restarts: bool,
}

/// What the neighbour uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    /// Issuers of its own namespace.
    Own,
    /// The same; those that it makes anew look up the name of their CA.
    Names,
    /// A WasmClusterIssuer that the tenant uses as well.
    Shared,
}

/// All rows, or those that `ROWS` names.
pub fn rows(has_names: bool) -> Vec<Row> {
    let wanted = std::env::var("ROWS").ok();
    let is_wanted = |row: &Row| match &wanted {
        Some(wanted) => row.name == "quiet" || wanted.split(',').any(|name| name == row.name),
        None => true,
    };
    let quiet = |name| Row { times: 2, ..row(name, "nothing", Attack::Nothing, 60) };
    let mut rows = vec![quiet("quiet")];
    rows.extend(tenants(has_names));
    rows.extend(behaviours());
    rows.push(quiet("quiet again"));
    rows.into_iter().filter(is_wanted).collect()
}

fn row(name: &'static str, what: &'static str, attack: Attack, seconds: u64) -> Row {
    let lasts = Duration::from_secs(seconds);
    Row { name, what, attack, lasts, times: 1, through: Through::Own, restarts: false }
}

/// What was seen to hurt everybody once. The numbers are those of the issue that reported it.
fn tenants(has_names: bool) -> Vec<Row> {
    use Attack::*;
    let names = if has_names { SilentNames } else { Elsewhere("nobody_takes_the_last_slots") };
    let mut rows = [
        row("1", "a million globals in 250 instances; the most instances that are admitted", Instances, 30),
        row("2", "images far apart, 900 modules; the most images that are admitted", Images, 30),
        row("3", "400 Issuers whose check sleeps for 29 s", SleepingChecks, 40),
        row("4", "1,100 Issuers that name Secrets; half of them do not exist", Secrets, 30),
        row("5", "ten plugins that are slow to compile, one of them edited every 5 s", SlowCompiles, 30),
        row("6", "60 Issuers whose name server does not answer", names, 30),
        row("7", "140 requests whose status cannot be written", RefusedWrites, 30),
        row("8", "a shared Issuer is blamed for the tenant's own requests", Blame, 30),
        row("9", "1,000 Issuers that name one Secret of 1 MiB, 100 that name one each", LargeSecrets, 30),
    ];
    rows.iter_mut().for_each(|row| row.restarts = true);
    rows[5].through = Through::Names;
    rows[7].through = Through::Shared;
    rows.into()
}

/// What the hostile plugins do to take more than their share.
fn behaviours() -> Vec<Row> {
    let plugin = [
        "loop-forever",
        "slow",
        "allocate-4gib",
        "deep-recursion",
        "trap",
        "huge-chain",
        "long-message",
        "log-flood",
        "print-flood",
        "handle-flood",
        "cache-flood",
        "key-flood",
        "random-flood",
    ];
    let http = ["read", "many-at-once", "hold-connection", "hold-response", "long-fields"];
    let plugin =
        plugin.map(|name| row(name, "the plugin, in sign and in check", Attack::Behaviour(name), 30));
    let http = http.map(|name| row(name, "the plugin over HTTP", Attack::Http(name), 30));
    plugin.into_iter().chain(http).collect()
}

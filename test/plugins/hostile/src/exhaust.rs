//! Taking more than one's share.

use std::hint::black_box;
use std::io::Write as _;

use wasm_issuer_sdk::{Algorithm, Failure, HostKey, cache, secrets};

/// Never returns.
pub fn time() {
    loop {
        black_box(());
    }
}

/// Touches every page that it gets: memory that is only reserved costs a host nothing.
pub fn memory() {
    loop {
        let mut block: Vec<u8> = Vec::new();
        if block.try_reserve_exact(1 << 20).is_err() {
            std::process::abort();
        }
        block.resize(1 << 20, 1);
        black_box(block.leak());
    }
}

pub fn stack() {
    #[expect(unconditional_recursion, reason = "what it is for")]
    fn descend(depth: u64) -> u64 {
        let frame = black_box([depth; 32]);
        descend(depth + 1) + frame[0]
    }
    black_box(descend(0));
}

/// A stream that the host closes ends the flood without a failure.
pub fn streams() {
    for i in 0..100_000 {
        let _ = writeln!(std::io::stdout(), "out {i}");
        let _ = writeln!(std::io::stderr(), "err {i}");
    }
    let _ = write!(std::io::stdout(), "{}", "x".repeat(1 << 20));
}

/// Says how many it got.
pub fn handles() -> Result<Failure, Failure> {
    let wanted = 1_000_000;
    if let Some(name) = secrets::names().first() {
        let handles: Result<Vec<_>, _> = (0..wanted).map(|_| secrets::get(name)).collect();
        return Ok(Failure::permanent(format!("{} handles of a secret", handles?.len())));
    }
    let key = || HostKey::ephemeral("root", Algorithm::EcdsaP256Sha256);
    let handles: Result<Vec<_>, _> = (0..wanted).map(|_| key()).collect();
    Ok(Failure::permanent(format!("{} handles of a key", handles?.len())))
}

/// Says how many values it stored.
pub fn cache() -> Failure {
    let stored =
        (0..1_000_000).take_while(|i| cache::set(&format!("flood {i}"), &[0; 1024], None).is_ok()).count();
    let large = cache::set("large", &vec![0; 1 << 20], None).is_ok();
    Failure::permanent(format!("{stored} values stored, one of a megabyte: {large}"))
}

/// Says how many keys it got.
pub fn keys() -> Failure {
    let key = |i: &u32| HostKey::ephemeral(&format!("flood-{i}"), Algorithm::Ed25519);
    let made = (0..1000).take_while(|i| key(i).is_ok()).count();
    Failure::permanent(format!("{made} keys made"))
}

/// Says how many bytes it got.
#[cfg(target_os = "wasi")]
pub fn random() -> Failure {
    Failure::permanent(format!("{} random bytes", wasip2::random::random::get_random_bytes(1 << 30).len()))
}

#[cfg(not(target_os = "wasi"))]
pub fn random() -> Failure {
    Failure::permanent("outside of WASI")
}

//! Looking for what was not granted. The message of each failure says what there was to see.

use std::net::{TcpStream, ToSocketAddrs as _, UdpSocket};
use std::{env, fs, io};

use wasm_issuer_sdk::Failure;

fn seen(what: &str, found: &[String]) -> Failure {
    let found = if found.is_empty() { "nothing".into() } else { found.join(", ") };
    Failure::permanent(format!("{what}: {found}"))
}

pub fn secrets() -> Failure {
    let reveal = |name: &String| {
        let value = wasm_issuer_sdk::secrets::get(name).and_then(|secret| secret.reveal()).ok()?;
        Some(format!("{name} ({} bytes)", value.len()))
    };
    seen("revealed", &wasm_issuer_sdk::secrets::names().iter().filter_map(reveal).collect::<Vec<_>>())
}

pub fn environment() -> Failure {
    seen(
        "environment",
        &env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect::<Vec<_>>(),
    )
}

pub fn arguments() -> Failure {
    seen("arguments", &env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>())
}

pub fn files() -> Failure {
    let mut found = Vec::new();
    let mut attempt = |what: &str, done: io::Result<()>| found.extend(done.ok().map(|()| what.to_owned()));
    for directory in ["/", ".", "..", "/proc", "/tmp", "/var/run/secrets/kubernetes.io/serviceaccount"] {
        attempt(&format!("list {directory}"), fs::read_dir(directory).map(drop));
    }
    for file in ["/etc/passwd", "/proc/self/environ", "/var/run/secrets/kubernetes.io/serviceaccount/token"] {
        attempt(&format!("read {file}"), fs::read(file).map(drop));
    }
    for file in ["/tmp/hostile", "hostile"] {
        attempt(&format!("write {file}"), fs::write(file, "x"));
    }
    attempt(
        "read stdin",
        io::read_to_string(io::stdin()).and_then(|text| match text.len() {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }),
    );
    seen("files", &found)
}

/// Loopback only: where nothing stops it, what gets out stays on this machine.
pub fn network() -> Failure {
    let mut found = Vec::new();
    // A refusal by the far end would show that the packet got out.
    let mut attempt = |what: String, done: io::Result<()>| match done {
        Err(e) if e.kind() != io::ErrorKind::ConnectionRefused => {}
        _ => found.push(what),
    };
    for address in ["127.0.0.1:1", "[::1]:1"] {
        attempt(format!("tcp {address}"), TcpStream::connect(address).map(drop));
    }
    attempt(
        "udp".into(),
        UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"x", "127.0.0.1:1")).map(drop),
    );
    attempt("tcp listener".into(), std::net::TcpListener::bind("127.0.0.1:0").map(drop));
    attempt("name localhost".into(), "localhost:1".to_socket_addrs().map(drop));
    found.extend(sockets().into_iter().map(str::to_owned));
    seen("network", &found)
}

/// Sockets that go nowhere. Each would be a file of the host.
#[cfg(target_os = "wasi")]
fn sockets() -> Vec<&'static str> {
    use wasip2::sockets::network::IpAddressFamily::Ipv4;
    let tcp = wasip2::sockets::tcp_create_socket::create_tcp_socket(Ipv4).is_ok();
    let udp = wasip2::sockets::udp_create_socket::create_udp_socket(Ipv4).is_ok();
    [(tcp, "tcp socket"), (udp, "udp socket")]
        .into_iter()
        .filter_map(|(is, what)| is.then_some(what))
        .collect()
}

#[cfg(not(target_os = "wasi"))]
fn sockets() -> Vec<&'static str> {
    Vec::new()
}

//! The HTTP servers of the operator. Anybody in the cluster may connect to them, so whoever asks gets little: a place among
//! few, shared by addresses as everything else is by namespaces, and a short time for a short request.

mod access;
mod scrape;
mod tls;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

pub use access::Access;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
pub use scrape::{Scrape, authorized, open};
pub use tls::{ServingCertificate, TlsError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::warn;
use wasm_issuer_runtime::{FairSlots, Owner};

/// How many connections a server has at a time; one address leaves as many places as it has.
const CONNECTIONS: usize = 64;
/// How long a connection may last, with the answer's way to whoever reads slowly.
const LIFE: Duration = Duration::from_secs(30);
/// How long the handshake may take, and then the request.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest head of a request: a token of a ServiceAccount has 1 KiB or two.
const HEAD: usize = 16 << 10;
const FIELDS: usize = 64;
/// How long a place is taken at least where there is a handshake, which costs the operator more than the other side: so no
/// address has more than 64 of them in a second.
const LEAST: Duration = Duration::from_millis(500);

/// Serve this at an address until the future is dropped. With a certificate, by TLS. Fails if the address is taken.
pub async fn serve(
    address: SocketAddr,
    certificate: Option<ServingCertificate>,
    app: Router,
) -> io::Result<()> {
    serve_on(bind(address).await?, certificate, app).await;
    Ok(())
}

async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        // All addresses of a node without IPv6.
        Err(_) if address.ip() == Ipv6Addr::UNSPECIFIED => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        listener => listener,
    }
}

async fn serve_on(listener: TcpListener, certificate: Option<ServingCertificate>, app: Router) {
    let places = FairSlots::new(CONNECTIONS);
    // They end with this future.
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of files, for instance: it passes when others are closed.
                    warn!(%error, "cannot take a connection");
                    sleep(Duration::from_secs(1)).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
        };
        let owner = Owner::new(&peer.ip().to_canonical().to_string(), &peer.port().to_string());
        let Some(place) = places.try_acquire(&owner) else { continue };
        let (certificate, app) = (certificate.clone(), app.clone());
        connections.spawn(async move {
            let least = if certificate.is_some() { LEAST } else { Duration::ZERO };
            let _ = tokio::join!(timeout(LIFE, connection(stream, certificate, app)), sleep(least));
            drop(place);
        });
    }
}

/// One connection. What goes wrong with it is the other side's affair.
async fn connection(stream: TcpStream, certificate: Option<ServingCertificate>, app: Router) {
    match certificate {
        None => one_request(stream, app).await,
        Some(certificate) => {
            if let Ok(Ok(stream)) = timeout(PATIENCE, certificate.accept(stream)).await {
                one_request(stream, app).await;
            }
        }
    }
}

async fn one_request(stream: impl AsyncRead + AsyncWrite + Unpin, app: Router) {
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD)
        .max_headers(FIELDS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
        .await;
}

#[cfg(test)]
mod tests;

//! Makes connections: resolves once, vets each address, connects to a vetted one, through the proxy if there is one.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::address::AddressPolicy;
use super::cause::find;
use super::error::ConnectError;
use super::net::{EgressConfig, Stream};
use super::origin::{Host, Origin, Scheme};
use super::proxy::Hop;
use crate::fair::{FairSlot, Owner};

/// Addresses of a name that are tried.
const MAX_ADDRESSES: usize = 8;
/// How long an address is waited for when there is another one to try.
const NEXT_ADDRESS: Duration = Duration::from_secs(1);

/// Makes the connections of one session. The client knows it as a service from a URI to a connection.
#[derive(Clone)]
pub struct Dialer(pub Arc<Dial>);

/// What connections are made with.
pub struct Dial {
    pub config: EgressConfig,
    pub addresses: AddressPolicy,
    pub tls: TlsConnector,
    /// For all steps of a connection together.
    pub limit: Duration,
    /// For whom.
    pub owner: Owner,
    /// One for each open connection of the session.
    pub slots: Arc<Semaphore>,
    pub max_connections: usize,
}

impl Dial {
    async fn dial(&self, uri: &Uri) -> Result<Wire, ConnectError> {
        let slot = self.slots.clone().try_acquire_owned();
        let slot = slot.map_err(|_| ConnectError::Limit(self.max_connections))?;
        let shared = self.config.connections.try_acquire(&self.owner).ok_or(ConnectError::Full)?;
        let origin = Origin::of(uri).map_err(|_| ConnectError::Uri)?;
        match timeout(self.limit, self.open(&origin)).await {
            Ok(opened) => opened.map(|(stream, is_h2)| Wire::new(stream, is_h2, (slot, shared))),
            Err(_elapsed) => Err(ConnectError::Timeout(self.limit.as_millis())),
        }
    }

    async fn open(&self, origin: &Origin) -> Result<(Box<dyn Stream>, bool), ConnectError> {
        let addresses = self.vetted(origin).await?;
        let uri = origin.uri(None).ok_or(ConnectError::Uri)?;
        let proxy = self.config.proxy.as_ref().and_then(|proxy| proxy.intercept(&uri));
        let stream = match (proxy, addresses.first()) {
            (Some(proxy), Some(address)) => {
                let hop = Hop::of(&proxy)?;
                let proxies = self.resolve(&hop.host, hop.port).await?;
                hop.tunnel(self.connect(&proxies).await?, *address).await?
            }
            _ => self.connect(&addresses).await?,
        };
        if origin.scheme == Scheme::Http {
            return Ok((stream, false));
        }
        let name = match &origin.host {
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| ConnectError::Uri)?,
            Host::Ip(ip) => ServerName::from(*ip),
        };
        let stream = self.tls.connect(name, stream).await.map_err(ConnectError::Tls)?;
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Box::new(stream), is_h2))
    }

    async fn resolve(&self, host: &Host, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        let addresses: Vec<IpAddr> = match host {
            Host::Ip(ip) => vec![*ip],
            Host::Name(name) => {
                self.config.resolver.resolve(&self.owner, name).await.map_err(ConnectError::Resolve)?
            }
        };
        Ok(addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }

    /// The addresses of a server that may be connected to: at least one.
    async fn vetted(&self, origin: &Origin) -> Result<Vec<SocketAddr>, ConnectError> {
        let mut vetted = Vec::new();
        let mut refused = ConnectError::NoAddress;
        let addresses = self.resolve(&origin.host, origin.port).await?;
        let api_servers = self.config.api_servers.get();
        for address in addresses {
            match self.addresses.vet(address, &api_servers) {
                Ok(address) => vetted.push(address),
                Err(prohibition) => refused = ConnectError::Prohibited { address, prohibition },
            }
        }
        vetted.truncate(MAX_ADDRESSES);
        if vetted.is_empty() { Err(refused) } else { Ok(vetted) }
    }

    /// The first address that answers.
    async fn connect(&self, addresses: &[SocketAddr]) -> Result<Box<dyn Stream>, ConnectError> {
        let mut failed = ConnectError::NoAddress;
        for (index, address) in addresses.iter().enumerate() {
            let patience = if index + 1 < addresses.len() { NEXT_ADDRESS } else { self.limit };
            let error = match timeout(patience, self.config.connector.connect(*address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => error,
                Err(_elapsed) => io::ErrorKind::TimedOut.into(),
            };
            failed = ConnectError::Tcp { address: *address, error };
        }
        Err(failed)
    }
}

impl tower_service::Service<Uri> for Dialer {
    type Response = Wire;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Wire, ConnectError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dial = self.0.clone();
        async move { dial.dial(&uri).await }.boxed()
    }
}

/// An open connection, with the slots that it takes among those of its session and those of all.
pub struct Wire {
    io: TokioIo<Box<dyn Stream>>,
    is_h2: bool,
    fault: TlsFault,
    _slots: (OwnedSemaphorePermit, FairSlot),
}

/// Why TLS broke after the handshake. A server that misses a client certificate says so only then (TLS 1.3), and the
/// HTTP/2 layer makes mere text of it.
#[derive(Clone, Default)]
pub struct TlsFault(pub Arc<OnceLock<rustls::Error>>);

impl Wire {
    fn new(stream: Box<dyn Stream>, is_h2: bool, slots: (OwnedSemaphorePermit, FairSlot)) -> Self {
        Self { io: TokioIo::new(stream), is_h2, fault: TlsFault::default(), _slots: slots }
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        let connected = Connected::new().extra(self.fault.clone());
        if self.is_h2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        if let Poll::Ready(Err(error)) = &read
            && let Some(fault) = find::<rustls::Error>(error)
        {
            let _ = self.fault.0.set(fault.clone());
        }
        read
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

//! The two steps that touch the network, as traits: tests put their own in place, so that not even a broken guard sends
//! a packet anywhere.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::{fmt, io};

use async_trait::async_trait;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;

use super::address::ApiServers;
use crate::fair::{FairSlots, Owner};

/// Finds the addresses of a host name.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// The addresses, the best first. `owner` is for whom: lookups are shared fairly.
    async fn resolve(&self, owner: &Owner, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// A connection, as bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens the TCP connections to servers and proxies.
#[async_trait]
pub trait Connector: Send + Sync {
    /// A connection to this address, within the time that the caller waits.
    async fn connect(&self, address: SocketAddr) -> io::Result<Box<dyn Stream>>;
}

/// Asks the system (`getaddrinfo`), with the pod's search domains.
pub struct SystemResolver {
    /// A lookup takes a thread and cannot be broken off: plugins must not take all threads there are, and nobody all that
    /// plugins may take, be it with names whose servers never answer.
    slots: Arc<FairSlots>,
}

impl SystemResolver {
    /// One that looks up so many names at a time.
    pub fn new(lookups: usize) -> Self {
        Self { slots: FairSlots::new(lookups) }
    }
}

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, owner: &Owner, name: &str) -> io::Result<Vec<IpAddr>> {
        let slot = self.slots.acquire(owner).await;
        let name = name.to_owned();
        let lookup = || {
            spawn_blocking(move || {
                let _slot = slot;
                let addresses = (name.as_str(), 0).to_socket_addrs()?;
                Ok(addresses.map(|address| address.ip()).collect())
            })
        };
        // A new thread has the priority of the one that starts it, which is to be one of this runtime's, not of the background.
        let lookup = tokio::spawn(async { lookup().await.map_err(io::Error::other)? });
        lookup.await.map_err(io::Error::other)?
    }
}

/// Connects with the system's sockets, without Nagle's delay.
pub struct TcpConnector;

#[async_trait]
impl Connector for TcpConnector {
    async fn connect(&self, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}

/// How many names are looked up at a time, over all Issuers.
const LOOKUPS: usize = 32;
/// How many connections plugins may have open, over all Issuers. Half of the files that a pod usually has.
const CONNECTIONS: usize = 512;

/// How this process reaches servers. The same for all Issuers, and no affair of any plugin.
#[derive(Clone)]
pub struct EgressConfig {
    /// Asked for each name, once for a connection.
    pub resolver: Arc<dyn Resolver>,
    /// Asked for vetted addresses only, and for that of the proxy.
    pub connector: Arc<dyn Connector>,
    /// Which requests go through an HTTP proxy: as `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say.
    ///
    /// The proxy only carries bytes: names are resolved and vetted here, the proxy is asked (`CONNECT`) for the vetted
    /// address, and TLS ends at the server. The proxy itself is the operator's choice and is not vetted.
    pub proxy: Option<Arc<Matcher>>,
    /// Where API servers listen: out of reach under every policy.
    pub api_servers: ApiServers,
    /// The connections of all sessions: each takes a file of this process.
    pub connections: Arc<FairSlots>,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self::new(LOOKUPS, CONNECTIONS)
    }
}

impl fmt::Debug for EgressConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EgressConfig")
            .field("proxy", &self.proxy)
            .field("api_servers", &self.api_servers)
            .finish_non_exhaustive()
    }
}

impl EgressConfig {
    /// The system's way to the network, with so many look-ups at a time and so many connections open.
    pub fn new(lookups: usize, connections: usize) -> Self {
        Self {
            resolver: Arc::new(SystemResolver::new(lookups)),
            connector: Arc::new(TcpConnector),
            proxy: None,
            api_servers: ApiServers::default(),
            connections: FairSlots::new(connections),
        }
    }

    /// With the proxy that the environment names, if it names one.
    #[must_use]
    pub fn with_proxy_from_env(self) -> Self {
        Self { proxy: Some(Arc::new(Matcher::from_env())), ..self }
    }
}

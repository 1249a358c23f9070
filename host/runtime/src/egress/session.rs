//! What one session of a plugin has for HTTP: its grant, its client, its connections.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioTimer;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::address::AddressPolicy;
use super::body::RequestBody;
use super::dial::{Dial, Dialer};
use super::grant::Grant;
use super::net::EgressConfig;
use super::tls::{self, ClientIdentity, Roots};
use crate::background::spawn_along;
use crate::fair::Owner;

/// How long a connection waits for its next request.
const IDLE: Duration = Duration::from_secs(30);
const MAX_IDLE_PER_HOST: usize = 8;
/// What a server may send of a response before the plugin reads it (HTTP/2).
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

/// What an Issuer grants its plugin. By default nothing.
#[derive(Clone, Debug, Default)]
pub struct HttpGrant {
    /// The servers that it may call: `spec.http.allowedHosts`.
    pub allowed: Grant,
    /// The CAs in place of the public ones: `spec.http.caBundleSecretName`.
    pub roots: Option<Roots>,
    /// Who it is to servers that ask: `spec.http.clientCertSecretName`.
    pub client_identity: Option<ClientIdentity>,
    /// What the operator's policy allows this Issuer.
    pub addresses: AddressPolicy,
}

/// What a call may take of the network, and what a session may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Requests in a call, denied ones included.
    pub requests: usize,
    /// Requests of a call at a time: from sending one to the end of its response.
    pub concurrent: usize,
    /// Bytes in a request's body.
    pub request_body: usize,
    /// Bytes in the header fields of a request or of a response.
    pub header_bytes: usize,
    /// Header fields in a response.
    pub headers: usize,
    /// Bytes in a response's body.
    pub response_body: usize,
    /// To make a connection, from resolving the name to the end of the TLS handshake.
    pub connect_timeout: Duration,
    /// Open connections of a session, idle ones included.
    pub connections: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            requests: 32,
            concurrent: 8,
            request_body: 1 << 20,
            header_bytes: 64 << 10,
            headers: 100,
            response_body: 4 << 20,
            connect_timeout: Duration::from_secs(5),
            connections: 128,
        }
    }
}

/// The HTTP side of one session. Its client, its connections and its TLS sessions are its own, and end with it, so a
/// change of the grant, the Secrets or the plugin (which makes a new session) leaves no connection behind that was made
/// under the old ones.
pub struct HttpSession {
    pub(super) grant: HttpGrant,
    pub(super) limits: HttpLimits,
    owner: Owner,
    config: EgressConfig,
    client: OnceLock<Result<Client<Dialer, RequestBody>, rustls::Error>>,
    tasks: Tasks,
    _ends_tasks: DropGuard,
}

impl HttpSession {
    /// A session that has not connected to anything yet.
    pub fn new(config: EgressConfig, owner: Owner, grant: HttpGrant, limits: HttpLimits) -> Arc<Self> {
        let tasks = Tasks(CancellationToken::new());
        let ends_tasks = tasks.0.clone().drop_guard();
        Arc::new(Self {
            grant,
            limits,
            owner,
            config,
            client: OnceLock::new(),
            tasks,
            _ends_tasks: ends_tasks,
        })
    }

    /// The client, made at the first request.
    pub(super) fn client(&self) -> Result<&Client<Dialer, RequestBody>, &rustls::Error> {
        self.client.get_or_init(|| self.new_client()).as_ref()
    }

    fn new_client(&self) -> Result<Client<Dialer, RequestBody>, rustls::Error> {
        let tls = tls::config(self.grant.roots.as_ref(), self.grant.client_identity.as_ref())?;
        let limits = &self.limits;
        let dial = Dial {
            config: self.config.clone(),
            owner: self.owner.clone(),
            addresses: self.grant.addresses.clone(),
            tls: TlsConnector::from(Arc::new(tls)),
            limit: limits.connect_timeout,
            slots: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))),
            max_connections: limits.connections,
        };
        let client = Client::builder(self.tasks.clone())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .http1_max_buf_size(limits.header_bytes.max(8 << 10))
            .http1_max_headers(limits.headers)
            .http2_max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .build(Dialer(Arc::new(dial)));
        Ok(client)
    }
}

/// Runs what drives the connections, until the session ends. A call that runs in the background has its new ones driven there:
/// of a server that sends without end they are as busy as the plugin that reads.
#[derive(Clone)]
struct Tasks(CancellationToken);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, task: F) {
        spawn_along(self.0.clone().run_until_cancelled_owned(task));
    }
}

#[cfg(test)]
mod tests {
    use hyper::rt::Executor as _;

    use super::*;

    /// Dropping the client lets its connections end in good order, which a server that does not read can put off.
    #[tokio::test]
    async fn nothing_runs_on_when_the_session_ends() {
        let session = HttpSession::new(
            EgressConfig::default(),
            Owner::new("team-a", "ca"),
            HttpGrant::default(),
            HttpLimits::default(),
        );
        let (running, ended) = tokio::sync::oneshot::channel::<()>();
        session.tasks.execute(async move {
            let _running = running;
            std::future::pending().await
        });
        tokio::task::yield_now().await;
        drop(session);
        assert!(ended.await.is_err());
    }
}

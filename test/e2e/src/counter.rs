//! A server that the plugin `counted-ca` asks before each call: it knows which process asked, when and for what.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::Process;

/// How long a sign takes, by how many calls there were before it.
type Takes = Arc<dyn Fn(usize) -> Duration + Send + Sync>;

/// A call of the plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The uid of the request that was to be signed; none of a check.
    pub request: Option<String>,
    /// The process that asked; none if it had gone before it could be looked up.
    pub pid: Option<u32>,
    /// When it asked.
    pub asked: Timestamp,
    /// When it was answered; none before, and where it did not wait for that.
    pub answered: Option<Timestamp>,
}

/// The server. It answers until the executor ends.
#[derive(Clone)]
pub struct Counter {
    address: SocketAddr,
    calls: Arc<Mutex<Calls>>,
    takes: Takes,
}

#[derive(Default)]
struct Calls {
    all: Vec<Call>,
    /// How many signs are neither answered nor given up.
    in_flight: usize,
}

/// A sign that is under way, until this is dropped.
struct InFlight<'a>(&'a Counter);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.calls.lock().expect("no panic").in_flight -= 1;
    }
}

impl Counter {
    /// Listens. `takes` says how long each sign is to take, by how many calls there were before it; a check takes no time.
    pub async fn start(takes: impl Fn(usize) -> Duration + Send + Sync + 'static) -> Self {
        Self::listen(Arc::new(takes), true).await
    }

    /// One that does not find out who asks, which takes a while for each connection: for measurements.
    pub async fn anonymous(takes: impl Fn(usize) -> Duration + Send + Sync + 'static) -> Self {
        Self::listen(Arc::new(takes), false).await
    }

    async fn listen(takes: Takes, identifies: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let counter = Self { address, calls: Arc::default(), takes };
        let server = counter.clone();
        tokio::spawn(async move {
            while let Ok((connection, its)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move {
                    let asks = identifies.then(|| Process::of_connection(its, address)).flatten();
                    let pid = asks.map(|process| process.pid);
                    let service = service_fn(|request| server.answer(request, pid));
                    // It ends with an error where the process does.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
                });
            }
        });
        counter
    }

    /// `spec` of a WasmIssuer that is served by the plugin from there, and signs with the CA in this Secret.
    pub fn issuer(&self, plugin: &Value, secret: &str) -> Value {
        let url = format!("http://{}", self.address);
        json!({
            "plugin": plugin, "config": {"counter": url}, "authSecretName": secret,
            "http": {"allowedHosts": [url]}, "limits": {"timeout": "30s"},
        })
    }

    /// All calls so far, in the order in which they were asked.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("no panic").all.clone()
    }

    /// The signs among them.
    pub fn signs(&self) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.request.is_some()).collect()
    }

    /// How many signs are under way.
    pub fn in_flight(&self) -> usize {
        self.calls.lock().expect("no panic").in_flight
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        pid: Option<u32>,
    ) -> Result<Response<Empty<Bytes>>, Infallible> {
        let request = request.uri().path().strip_prefix("/sign/").map(str::to_owned);
        let is_sign = request.is_some();
        let call = Call { request, pid, asked: Timestamp::now(), answered: None };
        let number = {
            let mut calls = self.calls.lock().expect("no panic");
            calls.all.push(call);
            calls.in_flight += usize::from(is_sign);
            calls.all.len() - 1
        };
        if is_sign {
            let _in_flight = InFlight(self);
            sleep((self.takes)(number)).await;
        }
        self.calls.lock().expect("no panic").all[number].answered = Some(Timestamp::now());
        Ok(Response::new(Empty::new()))
    }
}

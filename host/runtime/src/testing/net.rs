//! A network of the test's own, and a plugin's side of it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Full};
use tokio::net::TcpStream;
use tokio::time::Instant;
use wasmtime_wasi_http::{Error as Code, RequestOptions, WasiBody, WasiHttpHooks as _};

use super::AGES;
use crate::egress::{
    Connector, Denial, EgressConfig, Grant, HttpCall, HttpFailure, HttpGrant, HttpLimits, HttpSession,
    Observer, Resolver, Stream,
};
use crate::fair::Owner;

/// Resolves names and opens connections as it was told, and remembers what it was asked for.
#[derive(Default)]
pub struct Net {
    names: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    servers: Mutex<HashMap<SocketAddr, SocketAddr>>,
    pub resolved: Mutex<Vec<String>>,
    pub dialed: Mutex<Vec<SocketAddr>>,
}

impl Net {
    /// What a name resolves to: one answer after the other, the last one for good.
    pub fn name(&self, name: &str, answers: &[&[&str]]) {
        let answer = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        self.names.lock().unwrap().insert(name.to_owned(), answers.iter().map(answer).collect());
    }

    /// A name is not found any more.
    pub fn forget(&self, name: &str) {
        self.names.lock().unwrap().remove(name);
    }

    /// Where a connection to an address leads.
    pub fn server(&self, address: &str, to: SocketAddr) {
        assert!(to.ip().is_loopback());
        self.servers.lock().unwrap().insert(address.parse().unwrap(), to);
    }

    /// A name at a public address with a server behind it.
    pub fn public(&self, name: &str, port: u16, to: SocketAddr) {
        self.name(name, &[&["93.184.215.14"]]);
        self.server(&format!("93.184.215.14:{port}"), to);
    }

    pub fn dialed(&self) -> Vec<String> {
        self.dialed.lock().unwrap().iter().map(ToString::to_string).collect()
    }

    pub fn config(self: &Arc<Self>) -> EgressConfig {
        EgressConfig { resolver: self.clone(), connector: self.clone(), ..EgressConfig::default() }
    }
}

#[async_trait]
impl Resolver for Net {
    async fn resolve(&self, _owner: &Owner, name: &str) -> io::Result<Vec<IpAddr>> {
        self.resolved.lock().unwrap().push(name.to_owned());
        let mut names = self.names.lock().unwrap();
        let answers = names.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() })
    }
}

#[async_trait]
impl Connector for Net {
    async fn connect(&self, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        self.dialed.lock().unwrap().push(address);
        let server = self.servers.lock().unwrap().get(&address).copied();
        let server = server.ok_or(io::ErrorKind::ConnectionRefused)?;
        Ok(Box::new(TcpStream::connect(server).await?))
    }
}

/// Remembers what it is told.
#[derive(Default)]
pub struct Watcher {
    pub denials: Mutex<Vec<Denial>>,
    pub failures: Mutex<Vec<HttpFailure>>,
}

impl Observer for Watcher {
    fn denied(&self, denial: &Denial) {
        self.denials.lock().unwrap().push(denial.clone());
    }

    fn failed(&self, failure: &HttpFailure) {
        self.failures.lock().unwrap().push(failure.clone());
    }
}

/// One session with one call.
pub struct Plugin {
    pub watcher: Arc<Watcher>,
    pub session: Arc<HttpSession>,
    pub call: HttpCall,
}

pub fn granted(hosts: &[&str]) -> HttpGrant {
    HttpGrant { allowed: Grant::parse(hosts).unwrap(), ..HttpGrant::default() }
}

/// A plugin to which these servers are granted.
pub fn plugin(net: &Arc<Net>, hosts: &[&str]) -> Plugin {
    plugin_with(net.config(), granted(hosts), HttpLimits::default())
}

pub fn plugin_with(config: EgressConfig, grant: HttpGrant, limits: HttpLimits) -> Plugin {
    let session = HttpSession::new(config, Owner::new("team-a", "ca"), grant, limits);
    let watcher = Arc::new(Watcher::default());
    let call = call(&session, &watcher, AGES);
    Plugin { watcher, session, call }
}

pub fn call(session: &Arc<HttpSession>, watcher: &Arc<Watcher>, time: Duration) -> HttpCall {
    HttpCall::new(session.clone(), watcher.clone(), Instant::now() + time)
}

pub fn empty() -> WasiBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub fn full(bytes: impl Into<Bytes>) -> WasiBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A request as `wasi:http` makes it of a plugin's raw parts.
pub fn raw(scheme: &str, authority: &str, path: &str) -> Option<Request<WasiBody>> {
    let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build().ok()?;
    Some(Request::builder().uri(uri).body(empty()).unwrap())
}

pub fn get(url: &str) -> Request<WasiBody> {
    Request::builder().uri(url).body(empty()).unwrap()
}

/// A response read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

pub async fn send(call: &mut HttpCall, request: Request<WasiBody>) -> Result<Answer, Code> {
    send_with(call, request, None).await
}

pub async fn send_with(
    call: &mut HttpCall,
    request: Request<WasiBody>,
    options: Option<RequestOptions>,
) -> Result<Answer, Code> {
    let sent = call.send_request(request, options, Box::new(async { Ok(()) }));
    let (response, _) = Box::into_pin(sent).await?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Answer { status: parts.status, headers: parts.headers, body })
}

impl Plugin {
    pub async fn get(&mut self, url: &str) -> Result<Answer, Code> {
        send(&mut self.call, get(url)).await
    }

    /// The error that a request ends with, by its name.
    pub async fn error(&mut self, url: &str) -> String {
        error(self.get(url).await)
    }

    pub fn denials(&self) -> Vec<Denial> {
        self.watcher.denials.lock().unwrap().clone()
    }

    pub fn failures(&self) -> Vec<String> {
        self.watcher.failures.lock().unwrap().iter().map(|failure| failure.message.clone()).collect()
    }
}

/// The name of an error code.
pub fn error(result: Result<Answer, Code>) -> String {
    let debug = format!("{:?}", result.unwrap_err());
    debug.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned()
}

//! Stands between the operator and the API server, and has the trouble that a test wants: for each request, and for each
//! piece of an answer that is under way, a plan says what becomes of it.
//!
//! It speaks plain HTTP on loopback to the operator, and to the API server with the operator's own credentials.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, stream};
use http::{HeaderName, Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use kube::Client;
use kube::client::Body;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::Operator;

/// What becomes of a request, and of what is under way of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing happens to it.
    None,
    /// Each piece of the answer comes so much later.
    Delay(Duration),
    /// Nothing comes until the plan is another.
    Hang,
    /// The connection is closed.
    Break,
    /// The answer is this status. Answers that are under way go on.
    Status(u16),
}

/// A request of the operator.
#[derive(Clone, Debug)]
pub struct Call {
    /// The verb of HTTP.
    pub method: Method,
    /// The URL's path.
    pub path: String,
    /// Whether it is a watch.
    pub is_watch: bool,
}

type Plan = Arc<dyn Fn(&Call) -> Fault + Send + Sync>;
type Piece = Result<Frame<Bytes>, Broken>;

/// Why a connection to the operator is closed.
#[derive(Debug)]
pub struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the plan, or the API server, breaks the connection")
    }
}

impl std::error::Error for Broken {}

/// The proxy. It serves until the executor ends.
pub struct Proxy {
    /// With which a client gets here.
    pub kubeconfig: PathBuf,
    plan: watch::Sender<Plan>,
    hurt: Arc<AtomicUsize>,
}

impl Proxy {
    /// Listens, and lets everything pass. `workdir` is where the operator's kubeconfig is.
    pub async fn start(workdir: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let kubeconfig = workdir.join(format!("proxy-{}.kubeconfig", address.port()));
        std::fs::write(&kubeconfig, plain_kubeconfig(&format!("http://{address}"))).expect("a file");
        let (plan, plans) = watch::channel::<Plan>(Arc::new(|_| Fault::None));
        let hurt = Arc::new(AtomicUsize::new(0));
        let upstream = Upstream { client: Operator::client(workdir).await, plans, hurt: hurt.clone() };
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, upstream.clone()));
            }
        });
        Self { kubeconfig, plan, hurt }
    }

    /// From now on this happens to requests, and to the answers that are under way.
    pub fn plan(&self, plan: impl Fn(&Call) -> Fault + Send + Sync + 'static) {
        self.plan.send_replace(Arc::new(plan));
    }

    /// From now on everything passes.
    pub fn heal(&self) {
        self.plan(|_| Fault::None);
    }

    /// How many requests something has happened to so far.
    pub fn hurt(&self) -> usize {
        self.hurt.load(Ordering::Relaxed)
    }
}

fn plain_kubeconfig(server: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
clusters: [{{name: proxy, cluster: {{server: '{server}'}}}}]
users: [{{name: nobody, user: {{}}}}]
contexts: [{{name: proxy, context: {{cluster: proxy, user: nobody}}}}]
current-context: proxy
"
    )
}

/// The way to the API server, under the plan.
#[derive(Clone)]
struct Upstream {
    client: Client,
    plans: watch::Receiver<Plan>,
    hurt: Arc<AtomicUsize>,
}

async fn serve(connection: TcpStream, upstream: Upstream) {
    let service = service_fn(move |request| {
        let upstream = upstream.clone();
        async move { upstream.answer(request).await }
    });
    // It ends with an error where the plan says so.
    let _ =
        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(connection), service).await;
}

impl Upstream {
    fn fault(&mut self, call: &Call) -> Fault {
        (self.plans.borrow_and_update())(call)
    }

    /// Until there is another plan. There is none any more when the test is over.
    async fn replanned(&mut self) {
        if self.plans.changed().await.is_err() {
            std::future::pending().await
        }
    }

    async fn answer(
        mut self,
        request: Request<Incoming>,
    ) -> Result<Response<UnsyncBoxBody<Bytes, Broken>>, Broken> {
        let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default());
        let is_watch = query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1");
        let call = Call { method: request.method().clone(), path, is_watch };
        let mut is_hurt = false;
        loop {
            let fault = self.fault(&call);
            if fault != Fault::None && !is_hurt {
                is_hurt = true;
                self.hurt.fetch_add(1, Ordering::Relaxed);
            }
            match fault {
                Fault::None | Fault::Delay(_) => break,
                Fault::Hang => self.replanned().await,
                Fault::Break => return Err(Broken),
                Fault::Status(code) => return Ok(status(code)),
            }
        }
        let response = self.client.send(forwarded(request).await?).await.map_err(|_| Broken)?;
        let (mut head, body) = response.into_parts();
        HOP.iter().for_each(|name| drop(head.headers.remove(name)));
        let pieces = pieces(body, call, self);
        Ok(Response::from_parts(head, StreamBody::new(pieces).boxed_unsync()))
    }
}

/// Header fields that belong to a connection.
const HOP: [HeaderName; 3] = [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE];

async fn forwarded(request: Request<Incoming>) -> Result<Request<Body>, Broken> {
    let (mut head, body) = request.into_parts();
    HOP.iter().chain([&header::HOST]).for_each(|name| drop(head.headers.remove(name)));
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    Ok(Request::from_parts(head, Body::from(body)))
}

fn status(code: u16) -> Response<UnsyncBoxBody<Bytes, Broken>> {
    let body = format!(
        r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":"the test's plan","reason":"InternalError","code":{code}}}"#
    );
    let body = Full::from(body).map_err(|never: Infallible| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).expect("a status");
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// An answer's body on its way through the plan.
fn pieces(mut body: Body, call: Call, upstream: Upstream) -> impl Stream<Item = Piece> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                frame = body.frame() => {
                    let Some(frame) = frame else { return };
                    // It is dropped where nobody waits any more.
                    let _ = sender.send((Instant::now(), frame.map_err(|_| Broken)));
                }
                () = sender.closed() => return,
            }
        }
    });
    let way = Way { call, upstream, receiver, next: None };
    stream::unfold(way, |mut way| async move { Some((way.piece().await?, way)) })
}

struct Way {
    call: Call,
    upstream: Upstream,
    receiver: mpsc::UnboundedReceiver<(Instant, Piece)>,
    next: Option<(Instant, Piece)>,
}

impl Way {
    /// The next piece, once the plan lets it pass.
    async fn piece(&mut self) -> Option<Piece> {
        loop {
            let delay = match self.upstream.fault(&self.call) {
                Fault::None | Fault::Status(_) => Duration::ZERO,
                Fault::Delay(delay) => delay,
                Fault::Hang => {
                    self.upstream.replanned().await;
                    continue;
                }
                Fault::Break => return Some(Err(Broken)),
            };
            let due = match &self.next {
                Some((came, _)) => *came + delay,
                None => {
                    tokio::select! {
                        piece = self.receiver.recv() => self.next = Some(piece?),
                        () = self.upstream.replanned() => {}
                    }
                    continue;
                }
            };
            tokio::select! {
                () = sleep_until(due) => return self.next.take().map(|(_, piece)| piece),
                () = self.upstream.replanned() => {}
            }
        }
    }
}

//! The API server in memory as a client sees it.

use std::convert::Infallible;
use std::str::FromStr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, stream};
use kube::Client;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::api_server::{Call, Fault, ScriptedApi};
use super::line::Line;
use super::objects::{Object, SIGNING_REQUESTS};
use super::rights::{Right, in_group};
use super::store::Target;

/// How long the real client waits for the next byte.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);

impl ScriptedApi {
    pub fn client(&self) -> Client {
        let router: Router = Router::new().fallback(handle).with_state(self.clone());
        Client::new(router, "default")
    }

    /// A client that reaches it over a line that may be cut.
    pub fn client_over(&self, line: &Line) -> Client {
        let router: Router = Router::new().fallback(handle_over).with_state((self.clone(), line.clone()));
        Client::new(router, "default")
    }

    /// What happens to these objects after that version, for so long.
    fn watch(&self, target: Target, since: u64, time: Duration) -> Body {
        let (server, changed, open) = (self.clone(), self.changes(), self.open_watch(&target));
        let (breaks, deaths) = (self.breaks(), self.store().deaths_of(&target.plural));
        let end = Instant::now() + time;
        let events = stream::unfold((changed, open, since), move |(mut changed, open, since)| {
            let (server, target) = (server.clone(), target.clone());
            let next = async move {
                loop {
                    if server.breaks() != breaks {
                        return None;
                    }
                    if server.store().deaths_of(&target.plural) > deaths {
                        std::future::pending::<()>().await;
                    }
                    if let Some((at, line)) = server.event_after(&target, since) {
                        return Some((Ok::<_, Infallible>(line), (changed, open, at)));
                    }
                    changed.changed().await.ok()?;
                }
            };
            async move { timeout_at(end, next).await.ok().flatten() }
        });
        Body::from_stream(events)
    }
}

fn target(uri: &Uri) -> Target {
    let mut path: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    path.drain(..if path[0] == "api" { 2 } else { 3 });
    let namespace = (path[0] == "namespaces").then(|| path[1].to_owned());
    if namespace.is_some() {
        path.drain(..2);
    }
    let selected =
        query(uri, "fieldSelector").and_then(|s| s.strip_prefix("metadata.name=").map(str::to_owned));
    let name = path.get(1).map(|&name| unescaped(name)).or(selected);
    let labels = query(uri, "labelSelector").unwrap_or_default();
    let labels = labels.split(',').filter_map(|label| label.split_once('='));
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Target { plural: path[0].to_owned(), namespace, name, labels }
}

/// A segment of a path.
fn unescaped(segment: &str) -> String {
    let mut parts = segment.split('%');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}

/// A parameter of a URL.
fn query(uri: &Uri, name: &str) -> Option<String> {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()?;
    let escaped = [("%3D", "="), ("%3A", ":"), ("%2F", "/"), ("%2C", ",")];
    Some(escaped.iter().fold(value.to_owned(), |value, (escaped, plain)| value.replace(escaped, plain)))
}

fn number<T: FromStr>(uri: &Uri, name: &str) -> Option<T> {
    query(uri, name)?.parse().ok()
}

/// Over a line that is cut, the question or the answer is not heard of before it is mended.
async fn handle_over(
    State((server, line)): State<(ScriptedApi, Line)>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let exchange = async {
        line.is_whole().await;
        let answer = handle(State(server), method, uri, body).await;
        line.is_whole().await;
        answer
    };
    let Ok(answer) = timeout(CLIENT_TIMEOUT, exchange).await else { return failure(504) };
    answer.map(|body| {
        Body::from_stream(body.into_data_stream().then(move |frame| {
            let line = line.clone();
            async move {
                line.is_whole().await;
                frame
            }
        }))
    })
}

/// The name of the object in a request's body.
fn name(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap();
    body["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

async fn handle(State(server): State<ScriptedApi>, method: Method, uri: Uri, body: Bytes) -> Response {
    let target = target(&uri);
    let is_watch = query(&uri, "watch").is_some();
    let is_single = uri.path().rsplit('/').next() != Some(target.plural.as_str());
    let call = match method {
        _ if target.plural == "events" => Call::Event,
        _ if target.plural == "subjectaccessreviews" => Call::Review,
        Method::PATCH => Call::WriteStatus(target.object()),
        Method::PUT => Call::WriteLease(target.object()),
        Method::POST => Call::WriteLease(Object { name: name(&body), ..target.object() }),
        _ if is_watch => Call::Watch(target.plural.clone()),
        _ if is_single => Call::Get(target.object()),
        _ => match (&target.namespace, &target.name) {
            (Some(namespace), None) => Call::ListNamespace(target.plural.clone(), namespace.clone()),
            _ => Call::List(target.plural.clone()),
        },
    };
    let fault = server.begin(&call);
    if !server.allows(&right(&method, &uri, &target, is_watch, is_single)) || !may_sign(&server, &call) {
        return failure(403);
    }
    match &fault {
        Some(Fault::Code(410)) if is_watch => return expired(),
        Some(Fault::Code(code)) => return failure(*code),
        Some(Fault::Hang) if matches!(call, Call::List(_) | Call::Watch(_)) => {
            sleep(CLIENT_TIMEOUT).await;
            return failure(504);
        }
        Some(Fault::Late(delay)) => sleep(*delay).await,
        Some(Fault::Hang) => std::future::pending::<()>().await,
        Some(Fault::Overtaken(act)) => act(&server),
        Some(Fault::AnswerLost) | None => {}
    }
    let answer = answer(&server, &call, &method, target, &uri, &body);
    server.tell();
    if matches!(fault, Some(Fault::AnswerLost)) {
        std::future::pending::<()>().await;
    }
    answer
}

/// Whether the status of a CertificateSigningRequest may be written, which takes the right to sign by its signer's name, or
/// by that of all signers of its domain.
fn may_sign(server: &ScriptedApi, call: &Call) -> bool {
    let Call::WriteStatus(object) = call else { return true };
    if object.plural != SIGNING_REQUESTS {
        return true;
    }
    let signer = server.get(object).and_then(|value| value["spec"]["signerName"].as_str().map(str::to_owned));
    let Some(signer) = signer else { return true };
    let all = signer.split_once('/').map(|(domain, _)| format!("{domain}/*"));
    let right = |name| Right {
        verb: "sign".to_owned(),
        resource: "signers.certificates.k8s.io".to_owned(),
        namespace: None,
        name: Some(name),
    };
    [Some(signer), all].into_iter().flatten().any(|name| server.allows(&right(name)))
}

/// What RBAC is asked whether it allows it.
fn right(method: &Method, uri: &Uri, target: &Target, is_watch: bool, is_single: bool) -> Right {
    let path: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    let group = if path[0] == "api" { "" } else { path[1] };
    let subresource = if path.last() == Some(&"status") { "/status" } else { "" };
    let verb = match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        _ if is_watch => "watch",
        _ if is_single => "get",
        _ => "list",
    };
    Right {
        verb: verb.to_owned(),
        resource: in_group(&format!("{}{subresource}", target.plural), group),
        namespace: target.namespace.clone(),
        name: target.name.clone(),
    }
}

fn answer(
    server: &ScriptedApi,
    call: &Call,
    method: &Method,
    target: Target,
    uri: &Uri,
    body: &[u8],
) -> Response {
    let mut store = server.store();
    match call {
        Call::Get(object) => match store.objects.get(object) {
            Some(value) => success(value),
            None => failure(404),
        },
        Call::List(plural) | Call::ListNamespace(plural, _) => {
            let selected =
                |(object, value): &(&Object, &Value)| target.selects(object) && target.selects_labels(value);
            let all = store.objects.iter().filter(selected).map(|(_, v)| v);
            let (from, limit) = (number(uri, "continue"), number(uri, "limit"));
            let items: Vec<&Value> = all.skip(from.unwrap_or(0)).take(limit.unwrap_or(usize::MAX)).collect();
            let next = from.unwrap_or(0) + items.len();
            let more = limit.is_some_and(|limit| items.len() == limit).then(|| next.to_string());
            let version = store.version.to_string();
            success(&json!({
                "apiVersion": "v1", "kind": format!("{plural}List"),
                "metadata": {"resourceVersion": version, "continue": more}, "items": items,
            }))
        }
        Call::Watch(_) => {
            drop(store);
            let since = number(uri, "resourceVersion").unwrap_or_default();
            let seconds = number(uri, "timeoutSeconds").unwrap_or(u64::MAX >> 32);
            Response::new(server.watch(target, since, Duration::from_secs(seconds)))
        }
        Call::WriteStatus(object) | Call::WriteLease(object) => {
            let body: Value = serde_json::from_slice(body).unwrap();
            let written = match call {
                Call::WriteStatus(_) => store.apply_status(object, &body),
                _ => store.write(object, body),
            };
            match written {
                Ok(value) => success(&value),
                Err(code) => failure(code),
            }
        }
        Call::Review => {
            let mut review: Value = serde_json::from_slice(body).unwrap();
            let attributes = &review["spec"]["resourceAttributes"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let [user, namespace, name] =
                [&review["spec"]["user"], &attributes["namespace"], &attributes["name"]].map(text);
            let allowed = store.references.contains(&format!("{user} {namespace}/{name}"));
            store.reviews.push(review["spec"].clone());
            review["status"] = json!({"allowed": allowed});
            success(&review)
        }
        Call::Event => {
            let event: Value = serde_json::from_slice(body).unwrap();
            let mut object = target.object();
            if let Some(name) = event["metadata"]["name"].as_str() {
                name.clone_into(&mut object.name);
            }
            let old = store.objects.get(&object).cloned();
            let mut value = match (method, old) {
                (&Method::POST, Some(_)) => return refusal(409, "AlreadyExists"),
                (&Method::POST, None) => json!({"metadata": {}}),
                (_, Some(old)) => old,
                (_, None) => return failure(404),
            };
            for (field, given) in event.as_object().into_iter().flatten().filter(|(f, _)| *f != "metadata") {
                value[field] = given.clone();
            }
            store.commit(&object, value, "MODIFIED");
            success(&store.objects[&object])
        }
    }
}

/// A watch whose version is too old: it says so, and whoever watches lists anew.
fn expired() -> Response {
    let status = json!({"kind": "Status", "code": 410, "reason": "Expired", "status": "Failure", "message": "too old"});
    (StatusCode::OK, json!({"type": "ERROR", "object": status}).to_string() + "\n").into_response()
}

fn success(value: &Value) -> Response {
    (StatusCode::OK, value.to_string()).into_response()
}

fn failure(code: u16) -> Response {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        403 => "Forbidden",
        _ => "InternalError",
    };
    refusal(code, reason)
}

fn refusal(code: u16, reason: &str) -> Response {
    let status = StatusCode::from_u16(code).unwrap();
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": format!("scripted {code}"), "reason": reason, "code": code,
    });
    (status, body.to_string()).into_response()
}

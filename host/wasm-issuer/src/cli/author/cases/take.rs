//! Makes a recording of what was said, without what varies from run to run and without what is secret.

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName, Request, Response, header};
use serde_json::Value;
use wasm_issuer_runtime::egress::Recorded;

use super::case::Rules;
use super::recording::{Body, Exchange, Header, Received, Sent};

/// What stands for a value that is not compared.
const ANY: &str = "*";
/// Fields of requests that say nothing about the plugin's logic, and change with a library's version.
static UNIMPORTANT: [HeaderName; 3] = [header::ACCEPT_ENCODING, header::CONTENT_LENGTH, header::USER_AGENT];
/// Fields of responses that are about the connection, or that no plugin may keep.
static DROPPED: [HeaderName; 5] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::SET_COOKIE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
/// Names of strings in responses that are secrets by themselves: tokens of OAuth (RFC 6749, RFC 8693) and of Vault.
const SECRET_NAMES: [&str; 4] = ["access_token", "client_token", "id_token", "refresh_token"];
/// A shorter text is likely to stand elsewhere by chance, where it would be replaced too.
pub const MIN_HIDDEN: usize = 8;

/// The exchanges of a call as a recording keeps them, and the values that were taken out of them.
#[derive(Debug)]
pub struct Take {
    pub exchanges: Vec<Exchange>,
    pub hidden: Vec<Hidden>,
}

/// A secret that a server gave, and the name that stands for it in a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    pub name: String,
    pub value: String,
}

/// Why nothing is recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTake {
    #[error(
        "request {0} got no whole answer: it broke off, was longer than may be read, or did not come while the call lasted; only \
         what can be replayed is recorded"
    )]
    Unfinished(usize),
    #[error(
        "`hide` names {pointer} in the answer to request {request}, which has fewer than {MIN_HIDDEN} characters: too short to \
         be replaced wherever it stands"
    )]
    TooShort { pointer: String, request: usize },
}

/// The fields of a request that are recorded and compared, sorted by name.
pub fn important(fields: &HeaderMap) -> Vec<Header> {
    let mut headers: Vec<_> = fields
        .iter()
        .filter(|(name, _)| !UNIMPORTANT.contains(name))
        .map(|(name, value)| Header { name: name.clone(), value: value.clone() })
        .collect();
    headers.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
    headers
}

impl Take {
    /// What the case's rules leave of the exchanges of a call.
    pub fn of(recorded: &[Recorded], rules: &Rules) -> Result<Self, NoTake> {
        let mut exchanges = Vec::new();
        let mut hidden = Vec::new();
        for (at, Recorded { request, answer }) in recorded.iter().enumerate() {
            let answer = match answer.as_ref().ok_or(NoTake::Unfinished(at + 1))? {
                Ok(response) => {
                    secrets(response.body(), rules, at + 1, &mut hidden)?;
                    Ok(received(response))
                }
                Err(failed) => Err(failed.clone().into()),
            };
            exchanges.push(Exchange { request: sent(request, rules), answer });
        }
        let mut take = Self { exchanges, hidden };
        take.hide();
        Ok(take)
    }

    /// Puts names in place of the secrets, wherever they stand.
    fn hide(&mut self) {
        // The longest first: a part of a value would leave the rest of it.
        self.hidden.sort_by_key(|hidden| std::cmp::Reverse(hidden.value.len()));
        for Exchange { request, answer } in &mut self.exchanges {
            request.url = hide(&request.url, &self.hidden);
            hide_in(&mut request.headers, &mut request.body, &self.hidden);
            if let Ok(Received { headers, body, .. }) = answer {
                hide_in(headers, body, &self.hidden);
            }
        }
    }
}

fn sent(request: &Request<bytes::Bytes>, rules: &Rules) -> Sent {
    let mut headers = important(request.headers());
    for Header { name, value } in &mut headers {
        if rules.ignore.headers.iter().any(|ignored| ignored.eq_ignore_ascii_case(name.as_str())) {
            *value = header::HeaderValue::from_static(ANY);
        }
    }
    Sent {
        method: request.method().to_string(),
        url: request.uri().to_string(),
        headers,
        body: Body(without(request.body(), &rules.ignore.body)),
    }
}

/// A body with `*` at these JSON Pointers; as it is where it has none of them.
fn without(body: &bytes::Bytes, pointers: &[String]) -> bytes::Bytes {
    let Ok(mut value) = serde_json::from_slice::<Value>(body) else { return body.clone() };
    let mut is_changed = false;
    for pointer in pointers {
        if let Some(ignored) = value.pointer_mut(pointer) {
            *ignored = ANY.into();
            is_changed = true;
        }
    }
    if is_changed { value.to_string().into() } else { body.clone() }
}

fn received(response: &Response<bytes::Bytes>) -> Received {
    let fields = response.headers().iter().filter(|(name, _)| !DROPPED.contains(name));
    Received {
        status: super::recording::Status(response.status()),
        headers: fields.map(|(name, value)| Header { name: name.clone(), value: value.clone() }).collect(),
        body: Body(response.body().clone()),
    }
}

/// Collects what is secret in a response, each value once.
fn secrets(body: &[u8], rules: &Rules, request: usize, hidden: &mut Vec<Hidden>) -> Result<(), NoTake> {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return Ok(()) };
    let mut found = Vec::new();
    by_name(&body, &mut found);
    for pointer in &rules.hide {
        if let Some(value) = body.pointer(pointer).and_then(Value::as_str) {
            if value.len() < MIN_HIDDEN {
                return Err(NoTake::TooShort { pointer: pointer.clone(), request });
            }
            found.push((pointer.as_str(), value));
        }
    }
    for (name, value) in found {
        if value.len() >= MIN_HIDDEN && hidden.iter().all(|known| known.value != value) {
            let names: BTreeSet<&str> = hidden.iter().map(|hidden| hidden.name.as_str()).collect();
            let numbered = |n: usize| {
                if n == 1 { format!("{{hidden:{name}}}") } else { format!("{{hidden:{name} {n}}}") }
            };
            let name = (1..).map(numbered).find(|name| !names.contains(name.as_str())).unwrap_or_default();
            hidden.push(Hidden { name, value: value.to_owned() });
        }
    }
    Ok(())
}

fn by_name<'a>(value: &'a Value, found: &mut Vec<(&'a str, &'a str)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if SECRET_NAMES.contains(&name.as_str()) => found.push((name, text)),
                    value => by_name(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| by_name(item, found)),
        _ => {}
    }
}

fn hide_in(headers: &mut [Header], body: &mut Body, hidden: &[Hidden]) {
    for Header { value, .. } in headers {
        if let Ok(text) = value.to_str()
            && let Ok(without) = hide(text, hidden).parse()
        {
            *value = without;
        }
    }
    if let Ok(text) = std::str::from_utf8(&body.0) {
        let without = hide(text, hidden);
        if without != text {
            body.0 = without.into();
        }
    }
}

fn hide(text: &str, hidden: &[Hidden]) -> String {
    hidden.iter().fold(text.to_owned(), |text, Hidden { name, value }| text.replace(value.as_str(), name))
}

#[cfg(test)]
mod tests {
    use super::super::case::Ignored;
    use super::*;

    fn recorded(request: (&[(&str, &str)], &str), response: &str) -> Recorded {
        let mut sent = Request::builder().method("POST").uri("https://ca.example/x");
        for (name, value) in request.0 {
            sent = sent.header(*name, *value);
        }
        let response = Response::builder()
            .header("set-cookie", "a=b")
            .header("x-id", "1")
            .body(response.to_owned().into());
        let request = sent.body(request.1.to_owned().into()).unwrap();
        Recorded { request, answer: Some(Ok(response.unwrap())) }
    }

    fn rules(headers: &[&str], body: &[&str], hide: &[&str]) -> Rules {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Rules { ignore: Ignored { headers: owned(headers), body: owned(body) }, hide: owned(hide) }
    }

    fn lines(headers: &[Header]) -> Vec<String> {
        headers.iter().cloned().map(String::from).collect()
    }

    #[test]
    fn what_varies_is_left_out() {
        let headers = [("x-date", "now"), ("user-agent", "a/1"), ("accept", "*/*"), ("content-length", "9")];
        let recorded = recorded((&headers, r#"{"token":"abc","n":{"iat":7},"label":"a"}"#), "");
        let take = Take::of(
            std::slice::from_ref(&recorded),
            &rules(&["X-Date"], &["/token", "/n/iat", "/none"], &[]),
        )
        .unwrap();
        let request = &take.exchanges[0].request;
        assert_eq!(lines(&request.headers), ["accept: */*", "x-date: *"]);
        assert_eq!(request.body.0, r#"{"label":"a","n":{"iat":"*"},"token":"*"}"#);
        let take = Take::of(std::slice::from_ref(&recorded), &rules(&[], &["/none"], &[])).unwrap();
        assert_eq!(take.exchanges[0].request.body.0, *recorded.request.body());
        let response = take.exchanges[0].answer.as_ref().unwrap();
        assert_eq!(lines(&response.headers), ["x-id: 1"]);
    }

    #[test]
    fn what_a_server_gives_in_secret_has_a_name_wherever_it_is_used() {
        let login = recorded((&[], ""), r#"{"auth": {"client_token": "hvs.0123", "lease": "lease-0123"}}"#);
        let again = recorded((&[], ""), r#"[{"client_token": "hvs.4567", "access_token": "short"}]"#);
        let used = recorded((&[("x-vault-token", "hvs.0123")], "lease=lease-0123&token=hvs.4567"), "");
        let take = Take::of(&[login, again, used], &rules(&[], &[], &["/auth/lease"])).unwrap();
        let said = format!("{:?}", take.exchanges);
        assert!(!said.contains("0123") && !said.contains("4567"), "{said}");
        let [login, again, used] = &take.exchanges[..] else { panic!("{said}") };
        let received = |exchange: &Exchange| exchange.answer.as_ref().unwrap().body.0.clone();
        assert_eq!(
            received(login),
            r#"{"auth": {"client_token": "{hidden:client_token}", "lease": "{hidden:/auth/lease}"}}"#
        );
        assert_eq!(
            received(again),
            r#"[{"client_token": "{hidden:client_token 2}", "access_token": "short"}]"#
        );
        assert_eq!(lines(&used.request.headers), ["x-vault-token: {hidden:client_token}"]);
        assert_eq!(used.request.body.0, "lease={hidden:/auth/lease}&token={hidden:client_token 2}");
    }

    #[test]
    fn what_cannot_be_replayed_is_not_recorded() {
        let whole = recorded((&[], ""), r#"{"pin": "1234"}"#);
        let cut = Recorded { answer: None, ..whole.clone() };
        assert_eq!(
            Take::of(&[whole.clone(), cut], &rules(&[], &[], &[])).unwrap_err(),
            NoTake::Unfinished(2)
        );
        let error = Take::of(&[whole], &rules(&[], &[], &["/pin"])).unwrap_err();
        assert_eq!(error, NoTake::TooShort { pointer: "/pin".into(), request: 1 });
    }
}

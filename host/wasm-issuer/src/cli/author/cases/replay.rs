//! Stands for the servers of a case: answers its requests from the recording, in order, and notes where they differ from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use wasm_issuer_runtime::egress::{NoResponse, Replay};

use super::compare;
use super::difference::Difference;
use super::recording::{Exchange, Header, Sent};
use super::take::important;

/// Answers the requests of one call.
pub struct Replayer {
    exchanges: Vec<Exchange>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    answered: usize,
    differences: Vec<Difference>,
}

impl Replayer {
    /// From these exchanges, the first one first.
    pub fn new(exchanges: Vec<Exchange>) -> Self {
        Self { exchanges, state: Mutex::default() }
    }

    /// Where what was sent is not what was recorded, once the call is over. After the first request that differs nothing is
    /// compared: the others follow from what it was answered.
    pub fn differences(&self) -> Vec<Difference> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.differences.is_empty() {
            return state.differences.clone();
        }
        let missing = self.exchanges.iter().enumerate().skip(state.answered);
        missing
            .map(|(at, Exchange { request, .. })| {
                Difference::new(
                    request_at(at),
                    &format!("{} {}", request.method, request.url),
                    "it was not sent",
                )
            })
            .collect()
    }
}

impl Replay for Replayer {
    fn answer(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, NoResponse> {
        let state = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.differences.is_empty() {
            return Err(NoResponse::unrecorded());
        }
        let at = state.answered;
        let Some(recorded) = self.exchanges.get(at) else {
            let sent = format!("{} {}", request.method(), request.uri());
            state.differences.push(Difference::new(request_at(at), "no further request", &sent));
            return Err(NoResponse::unrecorded());
        };
        let differences = differences(&recorded.request, request);
        if differences.is_empty() {
            state.answered += 1;
            return recorded.answer.clone().map(Into::into).map_err(Into::into);
        }
        state
            .differences
            .extend(differences.into_iter().map(|difference| difference.within(&request_at(at))));
        Err(NoResponse::unrecorded())
    }
}

fn request_at(at: usize) -> String {
    format!("request {}", at + 1)
}

fn differences(recorded: &Sent, sent: &Request<Bytes>) -> Vec<Difference> {
    let url = sent.uri().to_string();
    let (recorded_fields, sent_fields) = (by_name(&recorded.headers), by_name(&important(sent.headers())));
    let names: BTreeSet<&String> = recorded_fields.keys().chain(sent_fields.keys()).collect();
    let of_field = |name: &String| {
        let (recorded, sent) = (recorded_fields.get(name), sent_fields.get(name));
        text(&format!("header {name}"), recorded.map(String::as_str), sent.map(String::as_str))
    };
    let mut differences = Vec::new();
    differences.extend(text("method", Some(&recorded.method), Some(sent.method().as_str())));
    differences.extend(text("url", Some(&recorded.url), Some(&url)));
    differences.extend(names.into_iter().filter_map(of_field));
    differences.extend(compare::bodies(&recorded.body.0, sent.body(), "body"));
    differences
}

fn text(place: &str, recorded: Option<&str>, sent: Option<&str>) -> Option<Difference> {
    const ABSENT: &str = "it is not there";
    match (recorded, sent) {
        (Some(recorded), Some(sent)) if compare::matches(recorded, sent) => None,
        _ => Some(Difference::new(place, recorded.unwrap_or(ABSENT), sent.unwrap_or(ABSENT))),
    }
}

/// The values of each field, several in their order.
fn by_name(headers: &[Header]) -> BTreeMap<String, String> {
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    for header in headers {
        let value = values.entry(header.name.to_string()).or_default();
        if !value.is_empty() {
            value.push_str(", ");
        }
        value.push_str(&header.text());
    }
    values
}

#[cfg(test)]
mod tests {
    use super::super::recording::Recording;
    use super::*;

    const RECORDED: &str = "
exchanges:
- request: {method: GET, url: 'https://ca.example/nonce/*'}
  response: {status: 204, headers: ['replay-nonce: n1']}
- request:
    method: POST
    url: https://ca.example/sign
    headers: ['authorization: Bearer {secret:token}', 'x-date: *']
    body: '{\"profile\": \"server\", \"token\": \"*\"}'
  failure: {code: connection-refused, hint: 'https://ca.example: no'}
";

    fn replayer() -> Replayer {
        Replayer::new(serde_saphyr::from_str::<Recording>(RECORDED).unwrap().exchanges)
    }

    fn nonce() -> Request<Bytes> {
        Request::get("https://ca.example/nonce/7").header("user-agent", "a/1").body(Bytes::new()).unwrap()
    }

    fn sign() -> http::request::Builder {
        Request::post("https://ca.example/sign")
            .header("x-date", "now")
            .header("authorization", "Bearer {secret:token}")
    }

    fn body(profile: &str) -> Bytes {
        format!("{{\"token\":\"x\",\"profile\":\"{profile}\"}}").into()
    }

    fn places(replayer: &Replayer) -> Vec<String> {
        replayer.differences().into_iter().map(|difference| difference.place).collect()
    }

    #[test]
    fn what_was_recorded_is_answered_in_order() {
        let replayer = replayer();
        let answer = replayer.answer(&nonce()).unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["replay-nonce"]),
            (204, &"n1".parse().unwrap())
        );
        assert_eq!(replayer.differences()[0].expected, "POST https://ca.example/sign");
        let failed = replayer.answer(&sign().body(body("server")).unwrap()).unwrap_err();
        assert_eq!((failed.code(), failed.hint()), ("connection-refused", Some("https://ca.example: no")));
        assert_eq!(replayer.differences(), []);
        assert_eq!(replayer.answer(&nonce()).unwrap_err(), NoResponse::unrecorded());
        let differences = replayer.differences();
        assert_eq!(
            differences,
            [Difference::new("request 3", "no further request", "GET https://ca.example/nonce/7")]
        );
    }

    #[test]
    fn each_difference_is_named_and_what_follows_is_not() {
        let wrong = [
            (Request::put("https://ca.example/nonce/7").body(Bytes::new()), vec!["request 1, method"]),
            (Request::get("https://ca.example/sign").body(Bytes::new()), vec!["request 1, url"]),
            (
                Request::get("https://ca.example/nonce/7").header("a", "b").body(Bytes::new()),
                vec!["request 1, header a"],
            ),
            (Request::get("https://ca.example/nonce/7").body("x".into()), vec!["request 1, body"]),
        ];
        for (request, places_of_it) in wrong {
            let replayer = replayer();
            assert_eq!(replayer.answer(&request.unwrap()).unwrap_err(), NoResponse::unrecorded());
            assert_eq!(replayer.answer(&nonce()).unwrap_err(), NoResponse::unrecorded());
            assert_eq!(places(&replayer), places_of_it);
        }
        let wrong = [
            (sign().body(body("client")), vec!["request 2, body /profile"]),
            (sign().header("x-date", "again").body(body("server")), vec![]),
            (
                Request::post("https://ca.example/sign")
                    .header("authorization", "Bearer other")
                    .body(body("server")),
                vec!["request 2, header authorization", "request 2, header x-date"],
            ),
        ];
        for (request, places_of_it) in wrong {
            let replayer = replayer();
            replayer.answer(&nonce()).unwrap();
            assert!(replayer.answer(&request.unwrap()).is_err());
            assert_eq!(places(&replayer), places_of_it);
        }
    }
}

//! Where the requests of a call go: to servers, to servers and a record of what was said, or to such a record alone. The
//! latter two are for tests of plugins; an operator's calls go to servers.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{Request, Response, response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use ipnet::IpNet;
use wasmtime_wasi_http::{Error as Code, WasiBody};

use super::observer::{Denial, HttpFailure, Observer};
use crate::lock::lock;

/// Where the requests of a call go. Each is judged by the grant and the limits before.
#[derive(Clone, Default)]
pub enum Traffic {
    /// To servers.
    #[default]
    Network,
    /// To servers, and what is said is noted.
    Recorded(Arc<Recorder>),
    /// To nobody: no name is looked up and nothing is connected to.
    Replayed(Arc<dyn Replay>),
}

/// Answers in the place of servers.
pub trait Replay: Send + Sync {
    /// What a server answers, or why none does. In the request, as in what a [`Recorder`] notes, each token for a value of
    /// the Secret is replaced by its name, such as `{secret:token}`.
    fn answer(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, NoResponse>;
}

/// Why a request got no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoResponse {
    code: &'static str,
    hint: Option<String>,
}

/// The name of a code, and what makes one.
type NamedCode = (&'static str, fn() -> Code);

/// What can be replayed, by the names of the `error-code`s of `wasi:http`.
const CODES: [NamedCode; 17] = [
    ("configuration-error", || Code::ConfigurationError),
    ("connection-limit-reached", || Code::ConnectionLimitReached),
    ("connection-read-timeout", || Code::ConnectionReadTimeout),
    ("connection-refused", || Code::ConnectionRefused),
    ("connection-terminated", || Code::ConnectionTerminated),
    ("connection-timeout", || Code::ConnectionTimeout),
    ("destination-ip-prohibited", || Code::DestinationIpProhibited),
    ("destination-ip-unroutable", || Code::DestinationIpUnroutable),
    ("destination-unavailable", || Code::DestinationUnavailable),
    ("dns-error", || Code::DnsError { rcode: None, info_code: None }),
    ("http-protocol-error", || Code::HttpProtocolError),
    ("http-response-incomplete", || Code::HttpResponseIncomplete),
    ("http-response-timeout", || Code::HttpResponseTimeout),
    ("internal-error", || Code::InternalError(None)),
    ("tls-alert-received", || Code::TlsAlertReceived { alert_id: None, alert_message: None }),
    ("tls-certificate-error", || Code::TlsCertificateError),
    ("tls-protocol-error", || Code::TlsProtocolError),
];

impl NoResponse {
    /// One by its name, such as `connection-refused`; none for a name that [`NoResponse::codes`] does not have.
    pub fn named(code: &str) -> Option<Self> {
        Self::codes().find(|known| *known == code).map(|code| Self { code, hint: None })
    }

    /// What a request gets that no recording has.
    pub fn unrecorded() -> Self {
        Self { code: "internal-error", hint: None }
    }

    /// All names.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        CODES.iter().map(|(name, _)| *name)
    }

    /// With what the host adds to the plugin's own message about it.
    #[must_use]
    pub fn with_hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }

    /// What the host adds to the plugin's own message about it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Its name.
    pub fn code(&self) -> &'static str {
        self.code
    }

    fn of(code: &Code) -> Option<Self> {
        let is_it = |known: &Code| std::mem::discriminant(known) == std::mem::discriminant(code);
        let (code, _) = CODES.iter().find(|(_, make)| is_it(&make()))?;
        Some(Self { code, hint: None })
    }

    pub(super) fn to_code(&self) -> Code {
        let known = CODES.iter().find(|(name, _)| *name == self.code);
        known.map_or(Code::InternalError(None), |(_, make)| make())
    }
}

/// Notes what the requests of a session say, and what is answered.
#[derive(Default)]
pub struct Recorder(Mutex<Vec<Kept>>);

/// A request as the plugin wrote it, and what came of it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The whole request, with names in place of tokens.
    pub request: Request<Bytes>,
    /// As much of the answer as the plugin read. None where it broke off or did not come while the call lasted: that cannot
    /// be replayed.
    pub answer: Option<Result<Response<Bytes>, NoResponse>>,
}

struct Kept {
    request: Request<Bytes>,
    answer: Answer,
}

enum Answer {
    /// None yet, or none that could be replayed.
    None,
    Response(response::Parts, BytesMut),
    Failed(NoResponse),
}

impl Recorder {
    /// What was said so far, in the order of the requests.
    pub fn recorded(&self) -> Vec<Recorded> {
        let recorded = |Kept { request, answer }: &Kept| Recorded {
            request: request.clone(),
            answer: match answer {
                Answer::None => None,
                Answer::Response(parts, body) => {
                    Some(Ok(Response::from_parts(parts.clone(), body.clone().freeze())))
                }
                Answer::Failed(failed) => Some(Err(failed.clone())),
            },
        };
        lock(&self.0).iter().map(recorded).collect()
    }

    /// Note a request that is about to be sent.
    pub(super) fn begin(self: &Arc<Self>, request: Request<Bytes>) -> Entry {
        let mut kept = lock(&self.0);
        kept.push(Kept { request, answer: Answer::None });
        Entry { recorder: self.clone(), at: kept.len() - 1 }
    }
}

/// What a recorder has of one request.
#[derive(Clone)]
pub struct Entry {
    recorder: Arc<Recorder>,
    at: usize,
}

impl Entry {
    fn note(&self, note: impl FnOnce(&mut Answer)) {
        if let Some(kept) = lock(&self.recorder.0).get_mut(self.at) {
            note(&mut kept.answer);
        }
    }

    /// Note an answer, and its body as the plugin reads it. `hint` is what the host has to say where there is none.
    pub fn answered(
        self,
        answer: Result<Response<WasiBody>, Code>,
        hint: Option<String>,
    ) -> Result<Response<WasiBody>, Code> {
        match answer {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                self.note(|answer| *answer = Answer::Response(parts.clone(), BytesMut::new()));
                let body = RecordedBody { body, entry: self };
                Ok(Response::from_parts(parts, body.boxed_unsync()))
            }
            Err(code) => {
                if let Some(failed) = NoResponse::of(&code) {
                    self.note(|answer| *answer = Answer::Failed(failed.with_hint(hint)));
                }
                Err(code)
            }
        }
    }
}

/// A response's body that is noted while it is read. How long it may be is up to what is in it.
struct RecordedBody {
    body: WasiBody,
    entry: Entry,
}

impl Body for RecordedBody {
    type Data = Bytes;
    type Error = Code;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Code>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.entry.note(|answer| match (&frame, &mut *answer) {
            (Some(Err(_)), _) => *answer = Answer::None,
            (Some(Ok(frame)), Answer::Response(_, body)) => {
                body.extend_from_slice(frame.data_ref().map_or(&[], |data| data.as_ref()));
            }
            _ => {}
        });
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Passes on what an observer is told, and keeps the hint of it.
pub struct Hinted {
    observer: Arc<dyn Observer>,
    hint: Mutex<Option<String>>,
}

impl Hinted {
    pub fn new(observer: Arc<dyn Observer>) -> Arc<Self> {
        Arc::new(Self { observer, hint: Mutex::default() })
    }

    /// The last hint, if there was one.
    pub fn hint(&self) -> Option<String> {
        lock(&self.hint).take()
    }
}

impl Observer for Hinted {
    fn denied(&self, denial: &Denial) {
        *lock(&self.hint) = Some(denial.in_short());
        self.observer.denied(denial);
    }

    fn failed(&self, failure: &HttpFailure) {
        lock(&self.hint).clone_from(&failure.hint);
        self.observer.failed(failure);
    }

    fn policy_for(&self, network: Option<IpNet>) -> String {
        self.observer.policy_for(network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_for_one_code() {
        for code in NoResponse::codes() {
            let named = NoResponse::named(code).unwrap();
            assert_eq!(NoResponse::of(&named.to_code()), Some(named));
        }
        assert_eq!(NoResponse::named("http-200"), None);
        assert_eq!(NoResponse::of(&Code::HttpResponseBodySize(Some(1))), None);
    }
}

//! Bodies on their way out and in, counted and timed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use wasmtime_wasi_http::{Error as Code, WasiBody};

use super::cause::find;
use super::error::{RequestBodyError, code};
use super::origin::Origin;
use super::placeholder::{MAX_BODY, Placeholders, TooLong};
use super::waits::{Waiting, Waits};

/// A request's body, broken off when the call ends.
pub struct RequestBody {
    source: Source,
    /// Whether the call is over.
    ended: CancellationToken,
}

enum Source {
    /// As the plugin writes it.
    Plugin(Counted),
    /// None once it is sent.
    Whole(Option<Bytes>),
}

/// No longer than it may be.
struct Counted {
    body: WasiBody,
    limit: usize,
    sent: usize,
}

impl RequestBody {
    /// What the plugin writes, up to so many bytes.
    pub fn new(body: WasiBody, limit: usize, ended: CancellationToken) -> Self {
        Self { source: Source::Plugin(Counted { body, limit, sent: 0 }), ended }
    }

    /// Wait for the end of it, and replace the tokens in it. Its trailers are dropped.
    pub async fn replaced(self, placeholders: &Placeholders) -> Result<Self, RequestBodyError> {
        let ended = self.ended.clone();
        let written = Limited::new(self, MAX_BODY).collect().await;
        let written = written.map_err(|error| match error.downcast::<RequestBodyError>() {
            Ok(error) => *error,
            Err(_longer) => RequestBodyError::TooLarge(MAX_BODY),
        })?;
        let written = written.to_bytes();
        let replaced = placeholders.replace_in_body(&written);
        let whole = replaced.map_err(|TooLong| RequestBodyError::TooLarge(MAX_BODY))?.unwrap_or(written);
        Ok(Self { source: Source::Whole(Some(whole)), ended })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let frame = match &mut self.source {
            Source::Plugin(counted) => ready!(counted.poll(context)),
            Source::Whole(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
        };
        // When a call is broken off its half of the body is dropped, which looks like an end from here. To the server it
        // must not: half a request could be a valid one.
        if self.ended.is_cancelled() {
            return Poll::Ready(Some(Err(RequestBodyError::Aborted)));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Plugin(counted) => counted.body.is_end_stream(),
            Source::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Plugin(counted) => counted.body.size_hint(),
            Source::Whole(bytes) => {
                let length = bytes.as_ref().map_or(0, Bytes::len);
                u64::try_from(length).map_or_else(|_| SizeHint::default(), SizeHint::with_exact)
            }
        }
    }
}

impl Counted {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            None => return Poll::Ready(None),
            Some(Err(_)) => return Poll::Ready(Some(Err(RequestBodyError::Aborted))),
            Some(Ok(frame)) => frame,
        };
        self.sent += frame.data_ref().map_or(0, Bytes::len);
        let is_too_large = self.sent > self.limit;
        Poll::Ready(Some(if is_too_large { Err(RequestBodyError::TooLarge(self.limit)) } else { Ok(frame) }))
    }
}

/// A response's body: bounded, timed, and broken off when the call ends.
pub struct ResponseBody {
    /// None after the end, so that the connection is free, or closed.
    incoming: Option<Incoming>,
    left: usize,
    limits: ResponseLimits,
    pace: Pace,
    /// As long as nothing comes.
    waiting: Option<Waiting>,
    timer: Pin<Box<Sleep>>,
    ended: CancellationToken,
    slot: Option<OwnedSemaphorePermit>,
}

/// What a response may take.
#[derive(Clone, Copy)]
pub struct ResponseLimits {
    pub body: usize,
    pub header_bytes: usize,
    pub headers: usize,
}

/// How fast a response must come, and who is told if it does not.
pub struct Pace {
    pub between_bytes: Duration,
    pub deadline: Instant,
    pub waits: Waits,
    pub origin: Origin,
}

impl Pace {
    fn next(&self) -> Instant {
        (Instant::now() + self.between_bytes).min(self.deadline)
    }
}

impl ResponseLimits {
    /// Refuse a response that is larger than it may be, as far as that is known before its body is read.
    pub fn judge<B: Body>(&self, response: &Response<B>) -> Result<(), Code> {
        if !self.hold(response.headers()) {
            let bytes = u32::try_from(size(response.headers())).ok();
            return Err(Code::HttpResponseHeaderSectionSize(bytes));
        }
        // What the server announces, which a response to HEAD has no body of.
        let announced = response.body().size_hint().lower();
        let is_longer = usize::try_from(announced).map_or(true, |length| length > self.body);
        if is_longer && !response.body().is_end_stream() { Err(too_large(self.body)) } else { Ok(()) }
    }

    /// Whether header fields, or trailer fields, are within the limits.
    pub fn hold(&self, fields: &HeaderMap) -> bool {
        fields.len() <= self.headers && size(fields) <= self.header_bytes
    }
}

/// The bytes of header fields, as HTTP/1 writes them.
pub fn size(fields: &HeaderMap) -> usize {
    fields.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

impl ResponseBody {
    pub fn new(
        incoming: Incoming,
        limits: ResponseLimits,
        pace: Pace,
        ended: CancellationToken,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        let timer = Box::pin(sleep_until(pace.next()));
        let (incoming, slot) = (Some(incoming), Some(slot));
        Self { incoming, left: limits.body, limits, pace, waiting: None, timer, ended, slot }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Code>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        if self.ended.is_cancelled() {
            return Poll::Ready(Some(Err(Code::ConnectionTerminated)));
        }
        let frame = match Pin::new(incoming).poll_frame(context) {
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => {
                let is_cut =
                    find(&error).is_some_and(|e: &io::Error| e.kind() == io::ErrorKind::UnexpectedEof);
                let is_cut = is_cut || error.is_incomplete_message();
                let code = if is_cut { Code::HttpResponseIncomplete } else { code(&error) };
                return Poll::Ready(Some(Err(code)));
            }
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Pending => {
                let Pace { waits, origin, deadline, .. } = &self.pace;
                let waiting = self.waiting.get_or_insert_with(|| waits.begin(origin));
                ready!(self.timer.as_mut().poll(context));
                let is_over = Instant::now() >= *deadline;
                if is_over {
                    waiting.is_late();
                }
                let code = if is_over { Code::HttpResponseTimeout } else { Code::ConnectionReadTimeout };
                return Poll::Ready(Some(Err(code)));
            }
        };
        self.waiting = None;
        if let Some(trailers) = frame.trailers_ref()
            && !self.limits.hold(trailers)
        {
            let size = u32::try_from(size(trailers)).ok();
            return Poll::Ready(Some(Err(Code::HttpResponseTrailerSectionSize(size))));
        }
        let length = frame.data_ref().map_or(0, Bytes::len);
        match self.left.checked_sub(length) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Some(Err(too_large(self.limits.body)))),
        }
        self.timer.as_mut().reset(self.pace.next());
        Poll::Ready(Some(Ok(frame)))
    }
}

pub fn too_large(limit: usize) -> Code {
    Code::HttpResponseBodySize(u64::try_from(limit).ok())
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Code;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Code>>> {
        let frame = ready!(self.poll(context));
        if !matches!(frame, Some(Ok(_))) {
            self.incoming = None;
            self.slot = None;
            self.waiting = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map(Incoming::size_hint).unwrap_or_else(|| SizeHint::with_exact(0))
    }
}

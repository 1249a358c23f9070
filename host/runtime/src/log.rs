//! The text that a call writes: records that say which Issuer and which request they belong to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio_util::bytes::Bytes;
use tracing::Level;
use wasm_issuer_core::text::clean;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::fair::Owner;
use super::lock::lock;
use super::redact::{Redactor, presentable};
use super::session::Session;

/// The target of log records that plugins write, or that tell of their calls.
pub const PLUGIN_RECORDS: &str = module_path!();

const MAX_RECORD: usize = 2048;
const MAX_RECORDS: usize = 64;
/// How many of the last lines go into the message about a call that was broken off, and how much of each.
const LAST_LINES: usize = 3;
const MAX_LAST_LINE: usize = 512;
/// How many hints are given about what did not get through.
const MAX_HINTS: usize = 3;
/// What a plugin may write to stdout or stderr at a time.
const WRITE_SIZE: usize = 4096;

/// Which call the records belong to: the function, and the request that it is about.
#[derive(Clone, Debug)]
pub enum CallName {
    Check,
    Sign { namespace: Option<String>, name: String },
}

impl CallName {
    /// On whose account the call runs: of whoever asks for a certificate, or of the Issuer's own namespace.
    pub fn owner(&self, session: &Session) -> Owner {
        match self {
            Self::Check => session.owner(),
            Self::Sign { namespace, .. } => session.owner_in(namespace.as_deref()),
        }
    }
}

/// A stream that a plugin writes lines to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// All text that one call writes. Ends with a record of how many were left out, however the call ends.
pub struct CallLog {
    session: Arc<Session>,
    call: CallName,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    records: usize,
    /// Records over the limit that were not written, and not reported yet.
    dropped: usize,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// The last of what it complained about: lines on stderr, and records of that level. As they were written.
    last_lines: VecDeque<Vec<u8>>,
    /// What the host has to say to whoever reads why the call failed, each once.
    hints: Vec<String>,
    /// Secrets of this call: placeholders and what they stand for.
    secrets: Redactor,
}

impl CallLog {
    /// On whose account the call runs.
    pub fn owner(&self) -> Owner {
        self.call.owner(&self.session)
    }

    pub fn new(session: Arc<Session>, call: CallName) -> Arc<Self> {
        Arc::new(Self { session, call, inner: Mutex::default() })
    }

    /// Keep a value out of everything that this call writes or returns from now on.
    pub fn hide(&self, value: &[u8]) {
        lock(&self.inner).secrets.add(value);
    }

    /// Whether a text shows a secret.
    pub fn finds_secret(&self, text: &str) -> bool {
        self.session.redactor().finds(text) || lock(&self.inner).secrets.finds(text)
    }

    /// Text from the plugin as it may be shown: cleaned, without secrets, at most `max` bytes.
    pub fn presentable(&self, text: &str, max: usize) -> String {
        presentable(text, max, &[self.session.redactor(), &lock(&self.inner).secrets])
    }

    /// What the plugin complained about last: after a panic, where that was and what it was about.
    pub fn last_lines(&self) -> Option<String> {
        let inner = lock(&self.inner);
        let secrets = [self.session.redactor(), &inner.secrets];
        let shown = |line: &Vec<u8>| presentable(&String::from_utf8_lossy(line), MAX_LAST_LINE, &secrets);
        let lines: Vec<String> = inner.last_lines.iter().map(shown).collect();
        (!lines.is_empty()).then(|| lines.join(" / "))
    }

    /// Something that the host knows about what the plugin tried. It is presentable.
    pub fn hint(&self, hint: String) {
        let hints = &mut lock(&self.inner).hints;
        if hints.len() < MAX_HINTS && !hints.contains(&hint) {
            hints.push(hint);
        }
    }

    /// A text that may be shown with the hints that it does not give itself, at most `max` bytes.
    pub fn with_hints(&self, text: &str, max: usize) -> String {
        let inner = lock(&self.inner);
        let missing = inner.hints.iter().filter(|hint| !text.contains(hint.as_str()));
        let more: String = missing.map(|hint| format!("; {hint}")).collect();
        // What the plugin says comes first, however long the hints are.
        let more = clean(&more, max / 2);
        format!("{}{more}", clean(text, max.saturating_sub(more.len())))
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Write a record, unless the call has written as many as it may. `source` says who wrote the text.
    pub fn record(&self, level: Level, source: &'static str, text: &str) {
        self.record_with(&mut lock(&self.inner), level, source, text);
    }

    /// Write a record of the plugin's own.
    pub fn plugin_record(&self, level: Level, text: &str) {
        let inner = &mut *lock(&self.inner);
        if level <= Level::WARN {
            let mut line = Vec::new();
            push_line(&mut line, text.as_bytes());
            inner.keep_last(line);
        }
        self.record_with(inner, level, "log", text);
    }

    fn record_with(&self, inner: &mut Inner, level: Level, source: &'static str, text: &str) {
        if inner.records >= MAX_RECORDS {
            inner.dropped += 1;
            return;
        }
        inner.records += 1;
        self.emit(level, source, &presentable(text, MAX_RECORD, &[self.session.redactor(), &inner.secrets]));
    }

    /// Say, for whoever looks for a fault, why the call was broken off. Not among the call's own records.
    pub fn broken_off(&self, error: &wasmtime::Error) {
        if tracing::enabled!(Level::DEBUG) {
            let error = self.presentable(&format!("{error:?}"), 2 * MAX_RECORD);
            self.emit(Level::DEBUG, "host", &format!("the call was broken off: {error}"));
        }
    }

    /// Say what went wrong in the host itself. Not among the call's own records.
    pub fn fault(&self, error: &str) {
        let error = self.presentable(error, MAX_RECORD);
        self.emit(Level::ERROR, "host", &format!("internal error: {error}"));
    }

    fn emit(&self, level: Level, source: &'static str, text: &str) {
        let issuer = &self.session.issuer;
        let (call, namespace, name) = match &self.call {
            CallName::Check => ("check", None, None),
            CallName::Sign { namespace, name } => ("sign", namespace.as_deref(), Some(name.as_str())),
        };
        macro_rules! emit {
            ($level:ident) => {
                tracing::event!(
                    target: PLUGIN_RECORDS,
                    // It says by itself what a span around the call would.
                    parent: None,
                    tracing::Level::$level,
                    kind = issuer.kind,
                    namespace = issuer.namespace,
                    issuer = issuer.name,
                    call,
                    request.namespace = namespace,
                    request.name = name,
                    source,
                    "{text}"
                )
            };
        }
        match level {
            Level::TRACE | Level::DEBUG => emit!(DEBUG),
            Level::INFO => emit!(INFO),
            Level::WARN => emit!(WARN),
            Level::ERROR => emit!(ERROR),
        }
    }

    fn write(&self, stream: Stream, bytes: &[u8]) {
        let inner = &mut *lock(&self.inner);
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(at);
            push_line(inner.buffer(stream), line);
            self.end_line(inner, stream);
            rest = after.get(1..).unwrap_or_default();
        }
        push_line(inner.buffer(stream), rest);
    }

    fn end_line(&self, inner: &mut Inner, stream: Stream) {
        let line = std::mem::take(inner.buffer(stream));
        // A panic in Rust ends with that note, which would hide what the panic was about.
        if line.trim_ascii().is_empty() || line.starts_with(b"note: run with `RUST_BACKTRACE=") {
            return;
        }
        let (level, source) = match stream {
            Stream::Stdout => (Level::INFO, "stdout"),
            Stream::Stderr => (Level::WARN, "stderr"),
        };
        self.record_with(inner, level, source, &String::from_utf8_lossy(&line));
        if stream == Stream::Stderr {
            inner.keep_last(line);
        }
    }

    /// The plugin writes no more: take in what has no line end, and say how much was left out.
    pub fn finish(&self) {
        let inner = &mut *lock(&self.inner);
        self.end_line(inner, Stream::Stdout);
        self.end_line(inner, Stream::Stderr);
        if inner.dropped > 0 {
            self.emit(Level::WARN, "host", &format!("{} more log records were dropped", inner.dropped));
            inner.dropped = 0;
        }
    }
}

/// A call that is dropped in the middle has an end as well.
impl Drop for CallLog {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Inner {
    fn keep_last(&mut self, line: Vec<u8>) {
        if self.last_lines.len() == LAST_LINES {
            self.last_lines.pop_front();
        }
        self.last_lines.push_back(line);
    }

    fn buffer(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }
}

/// Lines are kept longer than they are shown, so that what a cut leaves of a secret is still recognised.
fn push_line(line: &mut Vec<u8>, bytes: &[u8]) {
    let room = (2 * MAX_RECORD).saturating_sub(line.len());
    line.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
}

/// stdout or stderr of a call.
#[derive(Clone)]
pub struct LineStream {
    pub log: Arc<CallLog>,
    pub stream: Stream,
}

impl IsTerminal for LineStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LineStream {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink()) // WASI 0.3 would use it
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for LineStream {
    async fn ready(&mut self) {}
}

#[async_trait::async_trait]
impl OutputStream for LineStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.log.write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_SIZE)
    }
}

//! `/metrics`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::access::{Access, Verdict};
use crate::operator::leadership::Leadership;
use crate::operator::metrics::{Format, Metrics};
use crate::operator::registry::Registry;

/// A text is answered for so many times as long as it took to make: whoever asks how often, that takes a twentieth of a
/// processor.
const SPARING: u32 = 20;

/// What `/metrics` answers.
pub struct Scrape {
    metrics: Arc<Metrics>,
    registry: Arc<Registry>,
    leadership: Leadership,
    log_records_dropped: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// The text that was made last in each format.
    made: Mutex<[Option<Made>; 2]>,
}

struct Made {
    text: Bytes,
    until: Instant,
}

/// The clock, and in tests another one.
type Clock<'a> = &'a dyn Fn() -> Instant;

impl Scrape {
    pub fn new(
        metrics: Arc<Metrics>,
        registry: Arc<Registry>,
        leadership: Leadership,
        log_records_dropped: Arc<dyn Fn() -> u64 + Send + Sync>,
    ) -> Arc<Self> {
        Arc::new(Self { metrics, registry, leadership, log_records_dropped, made: Mutex::default() })
    }

    /// All metrics. Readers that are slow share one text.
    fn text(&self, format: Format, now: Clock<'_>) -> Bytes {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let [classic, open_metrics] = &mut *made;
        let made = if format == Format::Classic { classic } else { open_metrics };
        let started = now();
        if let Some(made) = made.as_ref().filter(|made| started < made.until) {
            return made.text.clone();
        }
        let text = Bytes::from(self.make(format));
        let ended = now();
        *made = Some(Made { text: text.clone(), until: ended + (ended - started) * SPARING });
        text
    }

    fn make(&self, format: Format) -> String {
        let counter = &self.metrics.log_records_dropped;
        counter.inc_by((self.log_records_dropped)().saturating_sub(counter.get()));
        self.metrics.set_issuers(&self.registry.issuers());
        self.metrics.set_shards_held(self.leadership.held());
        self.metrics.text(format)
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let format = Format::accepted(headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()));
        ([(CONTENT_TYPE, format.content_type())], self.text(format, &Instant::now)).into_response()
    }
}

/// For anybody.
pub fn open(scrape: Arc<Scrape>) -> Router {
    Router::new().route("/metrics", get(async move |headers: HeaderMap| scrape.answer(&headers)))
}

/// For whoever may.
pub fn authorized(scrape: Arc<Scrape>, access: Arc<Access>) -> Router {
    let answer = async move |headers: HeaderMap| {
        let bearer =
            headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let verdict = match bearer.map(str::trim).filter(|token| !token.is_empty()) {
            Some(token) => access.of(token).await,
            None => Verdict::Unknown,
        };
        match verdict {
            Verdict::Allowed => scrape.answer(&headers),
            Verdict::Unknown => {
                let challenge = [(WWW_AUTHENTICATE, "Bearer")];
                (StatusCode::UNAUTHORIZED, challenge, "a token of this cluster is needed\n").into_response()
            }
            Verdict::Forbidden => {
                let help = "this needs the verb get of the nonResourceURL /metrics (deploy/monitoring/secure-metrics.yaml)\n";
                (StatusCode::FORBIDDEN, help).into_response()
            }
            Verdict::Unanswered => {
                let help = "the API server does not say whether this token may; see the operator's log\n";
                (StatusCode::SERVICE_UNAVAILABLE, help).into_response()
            }
        }
    };
    Router::new().route("/metrics", get(answer))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_replica_that_stands_by_does_not_lead() {
        let held = |leadership| {
            let scrape = Scrape::new(Arc::new(Metrics::new()), Registry::new().0, leadership, Arc::new(|| 0));
            let text = String::from_utf8(scrape.text(Format::Classic, &Instant::now).to_vec()).unwrap();
            let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            ["wasm_issuer_leader ", "wasm_issuer_shards_held "].map(|name| value(name).unwrap())
        };
        assert_eq!(held(Leadership::alone()), ["1", "1"]);
        assert_eq!(held(Leadership::none_of(1)), ["0", "0"]);
        assert_eq!(held(Leadership::none_of(4)), ["0", "0"]);
    }

    #[test]
    fn a_text_is_made_no_more_often_than_it_is_worth() {
        let made = Arc::new(AtomicU64::new(0));
        let count = made.clone();
        let dropped = Arc::new(move || count.fetch_add(1, Ordering::Relaxed) + 1);
        let scrape = Scrape::new(Arc::new(Metrics::new()), Registry::new().0, Leadership::alone(), dropped);
        // To look at the clock takes a second.
        let time = Cell::new(Instant::now());
        let clock = || time.replace(time.get() + Duration::from_secs(1));
        let first = scrape.text(Format::Classic, &clock);
        assert_eq!(scrape.text(Format::Classic, &clock), first);
        assert_eq!(made.load(Ordering::Relaxed), 1);
        scrape.text(Format::OpenMetrics, &clock);
        assert_eq!(made.load(Ordering::Relaxed), 2, "the other format");
        time.set(time.get() + Duration::from_secs(20));
        let newer = scrape.text(Format::Classic, &clock);
        assert!(String::from_utf8_lossy(&newer).contains("wasm_issuer_log_records_dropped_total 3\n"));
    }
}

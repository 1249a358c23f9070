//! What tokens are worth, and what those who send many of them cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::http::{Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::time::sleep;
use tower::ServiceExt;

use super::*;
use crate::operator::leadership::Leadership;
use crate::operator::metrics::Metrics;
use crate::operator::registry::Registry;
use crate::operator::web::{Scrape, authorized};

/// An API server that knows the tokens `prometheus` and `visitor`, and lets the first one in. It counts reviews.
#[derive(Clone, Default)]
struct Reviewer {
    token_reviews: Arc<AtomicUsize>,
    is_slow: bool,
    is_down: bool,
}

impl Reviewer {
    fn access(&self) -> Arc<Access> {
        let reviewer = self.clone();
        let review = async move |uri: Uri, body: Bytes| reviewer.review(&uri, &body).await;
        Arc::new(Access::new(Client::new(Router::new().fallback(review), "default")))
    }

    async fn review(&self, uri: &Uri, body: &[u8]) -> Response {
        let review: Value = serde_json::from_slice(body).unwrap();
        if self.is_down {
            return (StatusCode::INTERNAL_SERVER_ERROR, "{}").into_response();
        }
        let spec = &review["spec"];
        let status = if uri.path() == "/apis/authentication.k8s.io/v1/tokenreviews" {
            self.token_reviews.fetch_add(1, Ordering::Relaxed);
            if self.is_slow {
                sleep(Duration::from_secs(3)).await;
            }
            match spec["token"].as_str().unwrap() {
                name @ ("prometheus" | "visitor") => {
                    let user = json!({"username": name, "uid": "7", "groups": ["g"], "extra": {"e": ["v"]}});
                    json!({"authenticated": true, "user": user})
                }
                _ => json!({"authenticated": false, "error": "no such token"}),
            }
        } else {
            assert_eq!(uri.path(), "/apis/authorization.k8s.io/v1/subjectaccessreviews");
            let asked = json!({"path": "/metrics", "verb": "get"});
            assert_eq!((&spec["nonResourceAttributes"], &spec["uid"]), (&asked, &json!("7")));
            assert_eq!((&spec["groups"], &spec["extra"]), (&json!(["g"]), &json!({"e": ["v"]})));
            json!({"allowed": spec["user"] == "prometheus"})
        };
        let mut answer = review.clone();
        answer["status"] = status;
        answer.to_string().into_response()
    }

    fn count(&self) -> usize {
        self.token_reviews.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn only_whoever_may_gets_metrics() {
    let scrape =
        Scrape::new(Arc::new(Metrics::new()), Registry::new().0, Leadership::alone(), Arc::new(|| 0));
    let app = authorized(scrape.clone(), Reviewer::default().access());
    let down = authorized(scrape, Reviewer { is_down: true, ..Reviewer::default() }.access());
    for (app, header, code) in [
        (&app, None, StatusCode::UNAUTHORIZED),
        (&app, Some("Basic cHJvbWV0aGV1cw=="), StatusCode::UNAUTHORIZED),
        (&app, Some("Bearer "), StatusCode::UNAUTHORIZED),
        (&app, Some("Bearer stolen"), StatusCode::UNAUTHORIZED),
        (&app, Some("Bearer visitor"), StatusCode::FORBIDDEN),
        (&app, Some("Bearer prometheus"), StatusCode::OK),
        (&down, Some("Bearer prometheus"), StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let mut request = Request::get("/metrics").body(axum::body::Body::empty()).unwrap();
        if let Some(header) = header {
            request.headers_mut().insert("authorization", header.parse().unwrap());
        }
        let answer = app.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), code, "{header:?}");
        let text = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let has_metrics = String::from_utf8(text.to_vec()).unwrap().contains("wasm_issuer_signs_total");
        assert_eq!(has_metrics, code == StatusCode::OK, "{header:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_verdict_is_remembered_for_a_while() {
    let reviewer = Reviewer::default();
    let access = reviewer.access();
    for _ in 0..10 {
        assert_eq!(access.of("prometheus").await, Verdict::Allowed);
        assert_eq!(access.of("visitor").await, Verdict::Forbidden);
        assert_eq!(access.of("stolen").await, Verdict::Unknown);
    }
    assert_eq!(reviewer.count(), 3);
    tokio::time::advance(ALLOWED_FOR).await;
    access.of("prometheus").await;
    access.of("visitor").await;
    assert_eq!(reviewer.count(), 5);
}

#[tokio::test(start_paused = true)]
async fn strangers_who_flood_neither_delay_nor_forget_those_who_are_known() {
    let reviewer = Reviewer { is_slow: true, ..Reviewer::default() };
    let access = reviewer.access();
    assert_eq!(access.of("prometheus").await, Verdict::Allowed);
    tokio::time::advance(ALLOWED_FOR).await;
    let before = reviewer.count();
    for n in 0..500 {
        let access = access.clone();
        tokio::spawn(async move { access.of(&format!("stolen-{n}")).await });
    }
    sleep(Duration::from_millis(1)).await;
    let started = Instant::now();
    assert_eq!(access.of("prometheus").await, Verdict::Allowed);
    assert!(started.elapsed() < Duration::from_secs(4), "it waited for strangers");
    sleep(Duration::from_secs(60)).await;
    assert!(reviewer.count() - before <= 6, "{} reviews", reviewer.count() - before);
}

#[tokio::test(start_paused = true)]
async fn few_tokens_are_remembered_and_those_that_are_used_among_them() {
    let access = Reviewer::default().access();
    let digest = |n: usize| {
        let mut digest = Digest::default();
        digest[..8].copy_from_slice(&n.to_be_bytes());
        digest
    };
    for n in 0..2 * MAX_REFUSED {
        access.remember(digest(n), Verdict::Unknown);
        access.remember(digest(n), Verdict::Forbidden);
    }
    assert_eq!(lock(&access.refused).len(), MAX_REFUSED);
    for n in 0..2 * MAX_ALLOWED {
        access.remember(digest(n), Verdict::Allowed);
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    assert_eq!(lock(&access.allowed).len(), MAX_ALLOWED);
    assert_eq!(access.remembered(&digest(2 * MAX_ALLOWED - 1)), Some(Verdict::Allowed));
    access.remember(digest(2 * MAX_ALLOWED - 1), Verdict::Forbidden);
    assert_ne!(access.remembered(&digest(2 * MAX_ALLOWED - 1)), Some(Verdict::Allowed), "taken back");
}

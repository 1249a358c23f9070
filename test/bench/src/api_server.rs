//! What the API server counts.

use kube::Client;
use wasm_issuer_e2e::Kind;

/// Writes so far: of CertificateRequests, and of Events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Writes {
    pub requests: u64,
    pub events: u64,
}

impl Writes {
    /// All writes since the API server started, whoever made them.
    pub async fn so_far(client: &Client) -> Self {
        let ask = http::Request::get("/metrics").body(vec![]).expect("a request");
        let metrics = client.request_text(ask).await;
        Self::of(&metrics.expect("the API server's metrics"))
    }

    fn of(metrics: &str) -> Self {
        let count = |kind: Kind| {
            let plural = format!("resource=\"{}s\"", kind.name().to_lowercase());
            let lines = metrics.lines().filter(|line| {
                line.starts_with("apiserver_request_total{")
                    && line.contains(&plural)
                    && VERBS.iter().any(|verb| line.contains(verb))
            });
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
        };
        Self { requests: count(Kind::CertificateRequest), events: count(Kind::Event) }
    }

    /// Those since an earlier look.
    pub fn since(self, before: Self) -> Self {
        Self { requests: self.requests - before.requests, events: self.events - before.events }
    }
}

const VERBS: [&str; 5] =
    [r#"verb="POST""#, r#"verb="PUT""#, r#"verb="PATCH""#, r#"verb="APPLY""#, r#"verb="DELETE""#];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_counted_whoever_they_failed_for() {
        let metrics = r#"
# TYPE apiserver_request_total counter
apiserver_request_total{code="0",group="cert-manager.io",resource="certificaterequests",verb="WATCH"} 7
apiserver_request_total{code="200",group="cert-manager.io",resource="certificaterequests",subresource="status",verb="APPLY"} 1000
apiserver_request_total{code="409",group="cert-manager.io",resource="certificaterequests",subresource="status",verb="APPLY"} 2
apiserver_request_total{code="200",group="cert-manager.io",resource="certificates",verb="PUT"} 3
apiserver_request_total{code="201",group="events.k8s.io",resource="events",verb="POST"} 5
apiserver_request_duration_seconds_count{resource="events",verb="POST"} 9
"#;
        let writes = Writes::of(metrics);
        assert_eq!(writes, Writes { requests: 1002, events: 5 });
        assert_eq!(writes.since(Writes { requests: 2, events: 5 }), Writes { requests: 1000, events: 0 });
    }
}

//! The way to the API server.

use std::time::Duration;

use anyhow::Context;
use kube::client::ClientBuilder;
use kube::client::retry::RetryPolicy;
use kube::config::KubeConfigOptions;
use kube::{Client, Config};
use tower::buffer::BufferLayer;
use tower::retry::RetryLayer;

const CONNECT: Duration = Duration::from_secs(10);

/// How long a connection may be silent while something is expected of it. A watch is never silent for so long: it ends
/// before that, and begins anew.
const SILENCE: Duration = Duration::from_secs(30);

/// How often a call is made again that the API server is too busy for (429, 503, 504), and after which delays where it
/// does not name one. For a few seconds in all: whoever called has delays of its own for an API server that stays away,
/// and kube's would grow to a quarter of an hour.
const RETRIES: u32 = 5;
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// How many calls may wait to be sent: as many as in a client of kube's own.
const WAITING: usize = 1024;

/// Where the API server is: as this context of the kubeconfig says, or, where none is named, as its current one does or in this
/// cluster.
pub async fn config(context: Option<&str>) -> anyhow::Result<Config> {
    if let Some(context) = context {
        let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
        let config = Config::from_kubeconfig(&options).await;
        return config.with_context(|| format!("no API server to talk to: --context {context}"));
    }
    Config::infer()
        .await
        .context("no API server to talk to: neither in a cluster nor with a readable kubeconfig")
}

/// A client that notices a dead connection within 30 s, and that does not wait for a dead API server.
pub fn client(mut config: Config) -> anyhow::Result<Client> {
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    config.write_timeout = Some(SILENCE);
    // Else a connection that nobody needed for 29 s would have a second left for its next answer.
    config.reset_reader_on_write = true;
    config.default_retry = false;
    let retry = RetryPolicy::new(RETRY_MIN, RETRY_MAX, RETRIES, true).context("delays that cannot be")?;
    let client = ClientBuilder::try_from(config).context("cannot make a client for the API server")?;
    Ok(client.with_layer(&BufferLayer::new(WAITING)).with_layer(&RetryLayer::new(retry)).build())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::http::StatusCode;
    use tokio::net::TcpListener;
    use tokio::time::{Instant, sleep, timeout};

    use super::*;

    /// A client of an API server that answers the n-th call, beginning with 0, after `delay(n)` with `code(n)`.
    async fn client_of(
        delay: impl Fn(usize) -> Duration + Clone + Send + Sync + 'static,
        code: impl Fn(usize) -> StatusCode + Clone + Send + Sync + 'static,
    ) -> (Client, Arc<AtomicUsize>) {
        let calls = Arc::new(AtomicUsize::new(0));
        let count = calls.clone();
        let handler = async move || {
            let n = count.fetch_add(1, Ordering::Relaxed);
            sleep(delay(n)).await;
            (code(n), "{}")
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, Router::new().fallback(handler)).into_future());
        let config = Config::new(format!("http://{address}").parse().unwrap());
        (client(config).unwrap(), calls)
    }

    async fn call(client: &Client) -> kube::Result<String> {
        client.request_text(http::Request::get("/version").body(Vec::new()).unwrap()).await
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_falls_silent_is_noticed_in_thirty_seconds() {
        let (client, _) = client_of(|_| Duration::from_secs(3600), |_| StatusCode::OK).await;
        let called = timeout(SILENCE + Duration::from_secs(1), call(&client)).await;
        assert!(called.is_ok_and(|answer| answer.is_err()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_nobody_needed_has_all_the_time_for_its_next_answer() {
        let slow = |n| Duration::from_secs(if n == 0 { 0 } else { 5 });
        let (client, _) = client_of(slow, |_| StatusCode::OK).await;
        call(&client).await.unwrap();
        sleep(SILENCE - Duration::from_secs(2)).await;
        call(&client).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_is_busy_is_asked_again_for_a_few_seconds() {
        let busy = |n| if n < 3 { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK };
        let (client, calls) = client_of(|_| Duration::ZERO, busy).await;
        call(&client).await.unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 4);

        let (client, _) = client_of(|_| Duration::ZERO, |_| StatusCode::SERVICE_UNAVAILABLE).await;
        let began = Instant::now();
        assert!(call(&client).await.is_err());
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}

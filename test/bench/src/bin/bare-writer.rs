//! The limit as a process of its own, with the rights of the kubeconfig in `KUBECONFIG`.

#![allow(clippy::expect_used, reason = "a benchmark may end at once when it cannot measure")]

#[tokio::main]
async fn main() {
    let client = kube::Client::try_default().await.expect("KUBECONFIG");
    wasm_issuer_bench::writer::run(client).await;
}

//! What all tests of the process share, and how one gets hold of it.

use std::io::Write;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::PathBuf;
use std::sync::LazyLock;

use futures::FutureExt;
use kube::Client;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OnceCell, RwLock};

use crate::{Kind, Operator, Test, test};

/// The API server and the operator.
pub struct Cluster {
    /// Speaks as the cluster's admin.
    pub admin: Client,
    /// Where the operator and the API server write their logs.
    pub workdir: PathBuf,
    operator: RwLock<Operator>,
}

// One for all tests: a client's connections belong to the runtime that opened them.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().enable_all().build().expect("an executor"));
static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

/// Run a test beside others, in a namespace of its own.
pub fn e2e(body: impl AsyncFnOnce(&Test)) {
    RUNTIME.block_on(async {
        let cluster = Cluster::get().await;
        let _runs = cluster.operator.read().await;
        let test = Test::begin(cluster).await;
        body(&test).await;
        test.clean_up().await;
    });
}

/// Run a test that stops the operator, or looks at what it does for all: no other runs meanwhile.
pub fn e2e_alone(body: impl AsyncFnOnce(&Test, &mut Operator)) {
    RUNTIME.block_on(async {
        let cluster = Cluster::get().await;
        let mut operator = cluster.operator.write().await;
        let test = Test::begin(cluster).await;
        let outcome = AssertUnwindSafe(body(&test, &mut operator)).catch_unwind().await;
        operator.restore().await;
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
        test.clean_up().await;
    });
}

/// Whether this is the cluster of `test/cluster/run.sh`.
pub fn is_our_cluster() -> bool {
    std::env::var("WASM_ISSUER_TEST_CLUSTER").is_ok_and(|v| v == "1")
}

/// Whether cert-manager's controllers run in it.
pub fn cert_manager_runs() -> bool {
    std::env::var("WASM_ISSUER_CERT_MANAGER").is_ok_and(|v| v == "1")
}

/// Tell that this test has nothing to do here, past the harness, which shows only what failed tests print.
/// `test/summary.sh` counts these lines, so each is written whole.
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let line = format!("test {} is skipped: {why}\n", thread.name().unwrap_or_default());
    let _ = std::io::stderr().write_all(line.as_bytes());
}

impl Cluster {
    async fn get() -> &'static Self {
        assert!(is_our_cluster(), "this test needs a cluster of its own: run `make test-cluster`");
        CLUSTER.get_or_init(Self::start).await
    }

    async fn start() -> Self {
        let admin = Client::try_default().await.expect("the kubeconfig of test/cluster/run.sh");
        let workdir = PathBuf::from(std::env::var_os("CLUSTER_WORKDIR").expect("CLUSTER_WORKDIR is set"));
        let operator = Operator::install(&workdir).await;
        // A plugin stays compiled while an Issuer uses it.
        for (name, config) in
            [("in-memory-ca", json!({})), ("hostile", json!({"behaviour": "good"})), ("minimal", json!({}))]
        {
            let spec = json!({"plugin": {"builtin": name}, "config": config});
            test::apply(&admin, Kind::WasmClusterIssuer, "", &format!("all-{name}"), json!({"spec": spec}))
                .await;
        }
        Self { admin, workdir, operator: RwLock::new(operator) }
    }
}

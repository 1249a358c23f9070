//! The way of plugins to the network, and what it never leads to.

use http::Uri;
use kube::Client;
use wasm_issuer_runtime::egress::EgressConfig;

use crate::operator::ControlPlane;

/// Put the API server out of reach of this way: at `cluster_url`, where the environment says that it is, and where the
/// cluster does. It has been looked for once when this returns.
pub async fn without_api_server(
    egress: &EgressConfig,
    client: Client,
    cluster_url: &Uri,
    env: impl Fn(&str) -> Option<String>,
) -> ControlPlane {
    let service = env("KUBERNETES_SERVICE_HOST");
    let in_cluster = service.is_some();
    let port = env("KUBERNETES_SERVICE_PORT").and_then(|port| port.parse().ok()).unwrap_or(443);
    let hosts = [
        cluster_url.host().map(|host| (host.to_owned(), cluster_url.port_u16().unwrap_or(443))),
        service.map(|host| (host, port)),
        Some(("kubernetes.default.svc".to_owned(), 443)),
    ];
    let mut control_plane = ControlPlane::new(client, egress, hosts.into_iter().flatten(), in_cluster);
    control_plane.look().await;
    control_plane
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use wasm_issuer_runtime::egress::{AddressPolicy, HttpLimits};
    use wasm_issuer_runtime::testing::net::{Net, Plugin, granted, plugin_with};

    use super::*;
    use crate::operator::testing::{Call, Fault, Object, ScriptedApi};

    fn slice(name: &str, addresses: &[&str]) -> (Object, Value) {
        let endpoints: Vec<Value> = addresses.iter().map(|address| json!({"addresses": [address]})).collect();
        let object = Object {
            plural: "endpointslices".to_owned(),
            namespace: Some("default".to_owned()),
            name: name.to_owned(),
        };
        let value = json!({
            "metadata": {"labels": {"kubernetes.io/service-name": "kubernetes"}},
            "addressType": "IPv4", "endpoints": endpoints, "ports": [{"port": 6443}],
        });
        (object, value)
    }

    fn put(api: &ScriptedApi, (object, value): (Object, Value)) {
        api.put(&object, value);
    }

    struct Bench {
        api: ScriptedApi,
        net: Arc<Net>,
        egress: EgressConfig,
        control_plane: ControlPlane,
    }

    impl Bench {
        /// What `run` makes of a kubeconfig, the environment of a pod and a cluster with two API servers.
        async fn new() -> Self {
            Self::with(|_| ()).await
        }

        /// The same, where the API server is prepared like this.
        async fn with(prepare: impl FnOnce(&ScriptedApi)) -> Self {
            let (api, net) = (ScriptedApi::new(), Arc::new(Net::default()));
            prepare(&api);
            net.name("api.example.com", &[&["93.184.215.14"]]);
            net.name("kubernetes.default.svc", &[&["10.96.0.1"]]);
            put(&api, slice("kubernetes", &["172.18.0.2", "172.18.0.3"]));
            put(&api, slice("kubernetes-ipv6", &["fd00:18::2"]));
            let env = |name: &str| match name {
                "KUBERNETES_SERVICE_HOST" => Some("10.100.0.1".to_owned()),
                "KUBERNETES_SERVICE_PORT" => Some("6443".to_owned()),
                _ => None,
            };
            let egress = net.config();
            let url = "https://api.example.com:6443".parse().unwrap();
            let control_plane = without_api_server(&egress, api.client(), &url, env).await;
            Self { api, net, egress, control_plane }
        }

        /// A plugin to which this is granted, under a policy that allows everything.
        fn plugin(&self, url: &str) -> Plugin {
            let mut grant = granted(&[url]);
            grant.addresses = AddressPolicy {
                private: true,
                allow: vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()],
                deny: vec![],
            };
            plugin_with(self.egress.clone(), grant, HttpLimits::default())
        }

        async fn tries(&self, url: &str) -> String {
            self.plugin(url).error(url).await
        }
    }

    #[tokio::test]
    async fn the_api_server_is_out_of_reach_under_every_policy() {
        let bench = Bench::new().await;
        for url in [
            "https://api.example.com:6443",
            "https://93.184.215.14",
            "https://10.100.0.1:6443",
            "https://kubernetes.default.svc",
            "https://10.96.0.1",
            "http://10.96.0.1:10250",
            "https://172.18.0.2:6443",
            "https://172.18.0.3:2379",
            "https://[fd00:18::2]:6443",
            "https://[::ffff:172.18.0.2]:6443",
        ] {
            assert_eq!(bench.tries(url).await, "DestinationIpProhibited", "{url}");
        }
        assert!(bench.net.dialed().is_empty());
        assert_eq!(bench.tries("https://172.18.0.4:6443").await, "ConnectionRefused");
        assert_eq!(bench.net.dialed(), ["172.18.0.4:6443"], "what is not the API server's is reached");
    }

    #[tokio::test]
    async fn without_rights_on_the_cluster_the_addresses_of_the_environment_are_out_of_reach() {
        let forbid = |api: &ScriptedApi| {
            let list = Call::ListNamespace("endpointslices".to_owned(), "default".to_owned());
            api.every(list, Fault::Code(403));
        };
        let bench = Bench::with(forbid).await;
        for url in ["https://10.100.0.1:6443", "https://10.96.0.1", "https://93.184.215.14:6443"] {
            assert_eq!(bench.tries(url).await, "DestinationIpProhibited", "{url}");
        }
        assert!(bench.net.dialed().is_empty());
        // What is behind them is not known.
        assert_eq!(bench.tries("https://172.18.0.2:6443").await, "ConnectionRefused");
    }

    #[tokio::test]
    async fn an_api_server_that_moves_is_out_of_reach_where_it_is_now() {
        let mut bench = Bench::new().await;
        put(&bench.api, slice("kubernetes", &["172.18.0.7"]));
        bench.net.name("api.example.com", &[&["93.184.215.15"]]);
        bench.control_plane.look().await;
        for url in ["https://172.18.0.7:6443", "https://93.184.215.15:6443"] {
            assert_eq!(bench.tries(url).await, "DestinationIpProhibited", "{url}");
        }
        // What is not found this time is not forgotten.
        let list = Call::ListNamespace("endpointslices".to_owned(), "default".to_owned());
        bench.api.every(list, Fault::Code(403));
        bench.net.forget("kubernetes.default.svc");
        bench.control_plane.look().await;
        for url in ["https://172.18.0.7:6443", "https://10.96.0.1"] {
            assert_eq!(bench.tries(url).await, "DestinationIpProhibited", "{url}");
        }
        assert!(bench.net.dialed().is_empty());
    }
}

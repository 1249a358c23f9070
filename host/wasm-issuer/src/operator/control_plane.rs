//! Where the API server is: addresses that no plugin reaches, whatever its Issuer and the policy say.
//!
//! Its names lead to some of them, the endpoints of the Service `kubernetes` are the others. Both change while the
//! operator runs, so they are looked for again and again. What cannot be found keeps what was found last.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client};
use tokio::time::sleep;
use tracing::{debug, info, warn};
use wasm_issuer_runtime::Owner;
use wasm_issuer_runtime::egress::{ApiServer, ApiServers, EgressConfig, Resolver};

use super::read::{ReadError, in_time};

const INTERVAL: Duration = Duration::from_secs(30);

/// Where the Service `kubernetes` is.
const NAMESPACE: &str = "default";
const SELECTOR: &str = "kubernetes.io/service-name=kubernetes";

/// What a team's own operator, which has no rights in that namespace, cannot know.
const FORBIDDEN: &str = "the ServiceAccount may not list the EndpointSlices of the namespace default (the Role for that is in \
    deploy/install.yaml); plugins are kept from the addresses that KUBERNETES_SERVICE_HOST and the API server's names \
    lead to, and not from those behind them";

/// Looks for the addresses of the API server, and puts them out of the reach of plugins.
pub struct ControlPlane {
    client: Client,
    resolver: Arc<dyn Resolver>,
    servers: ApiServers,
    hosts: Vec<Known>,
    endpoints: Known,
}

/// Something that leads to addresses.
struct Known {
    name: String,
    /// Where it leads to what has no port of its own.
    port: u16,
    found: Vec<ApiServer>,
    /// Whether it is a fault if nothing is found.
    is_expected: bool,
    is_failing: bool,
}

impl ControlPlane {
    /// Nothing is looked for yet. `hosts` are names or addresses with their ports; `in_cluster` says whether names that
    /// cannot be resolved are a fault.
    pub fn new(
        client: Client,
        egress: &EgressConfig,
        hosts: impl IntoIterator<Item = (String, u16)>,
        in_cluster: bool,
    ) -> Self {
        let known = |name: String, port, is_expected| Known {
            name,
            port,
            found: Vec::new(),
            is_expected,
            is_failing: false,
        };
        Self {
            client,
            resolver: egress.resolver.clone(),
            servers: egress.api_servers.clone(),
            hosts: hosts.into_iter().map(|(host, port)| known(host, port, in_cluster)).collect(),
            endpoints: known("the EndpointSlices of the Service default/kubernetes".to_owned(), 443, true),
        }
    }

    /// Look once: everything that is found is out of reach from then on.
    pub async fn look(&mut self) {
        let addresses = join_all(self.hosts.iter().map(|host| resolve(&*self.resolver, host)));
        let (addresses, endpoints) = tokio::join!(addresses, endpoints(&self.client));
        for (host, found) in self.hosts.iter_mut().zip(addresses) {
            host.learn(found);
        }
        self.endpoints.learn(endpoints);
        let all = self.hosts.iter().chain([&self.endpoints]);
        self.servers.set(all.flat_map(|known| known.found.iter().copied()).collect());
    }

    /// Look again and again, until the future is dropped.
    pub async fn follow(mut self) {
        loop {
            sleep(INTERVAL).await;
            self.look().await;
        }
    }
}

impl Known {
    fn learn(&mut self, found: Result<Vec<ApiServer>, String>) {
        let was_failing = std::mem::replace(&mut self.is_failing, found.is_err());
        match found {
            Ok(found) => {
                if self.found != found {
                    info!(from = self.name, addresses = ?found, "found the API server, which plugins never reach");
                }
                self.found = found;
            }
            Err(_) if was_failing => {}
            Err(error) if self.is_expected => {
                warn!(
                    from = self.name,
                    error, "cannot find the API server's addresses, which plugins must not reach"
                );
            }
            // Outside a cluster the Service has no address.
            Err(error) => debug!(from = self.name, error, "not an address of the API server"),
        }
    }
}

async fn resolve(resolver: &dyn Resolver, host: &Known) -> Result<Vec<ApiServer>, String> {
    let name = host.name.trim_start_matches('[').trim_end_matches(']');
    let addresses = match name.parse() {
        Ok(address) => vec![address],
        Err(_) => in_time(resolver.resolve(&Owner::new("", ""), name)).await.map_err(|e| e.to_string())?,
    };
    Ok(addresses.into_iter().map(|address| ApiServer(SocketAddr::new(address, host.port))).collect())
}

async fn endpoints(client: &Client) -> Result<Vec<ApiServer>, String> {
    let api: Api<EndpointSlice> = Api::namespaced(client.clone(), NAMESPACE);
    let slices = in_time(api.list(&ListParams::default().labels(SELECTOR))).await;
    let slices = slices.map_err(|error| match error {
        ReadError::Failed(kube::Error::Api(status)) if status.is_forbidden() => FORBIDDEN.to_owned(),
        error => error.to_string(),
    })?;
    Ok(slices.items.iter().flat_map(servers).collect())
}

fn servers(slice: &EndpointSlice) -> Vec<ApiServer> {
    let ports = slice.ports.iter().flatten().filter_map(|port| u16::try_from(port.port?).ok());
    let ports: Vec<u16> = ports.collect();
    let addresses = slice.endpoints.iter().flat_map(|endpoint| &endpoint.addresses);
    let addresses = addresses.filter_map(|address| address.parse::<IpAddr>().ok());
    addresses
        .flat_map(|address| ports.iter().map(move |port| ApiServer(SocketAddr::new(address, *port))))
        .collect()
}

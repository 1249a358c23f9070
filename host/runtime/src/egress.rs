//! Outgoing HTTP of plugins: stock `wasi:http`, as far as the Issuer grants it and the operator lets it. What the host
//! sends for an Issuer goes the same way ([`HostClient`]).
//!
//! A request passes these points, and each holds by itself:
//! 1. [`Grant`]: scheme, host and port must be granted. The request that is sent is made anew from what was judged, so no
//!    second reading of the plugin's text can lead elsewhere.
//! 2. [`AddressPolicy`]: the name is resolved once for a connection, each address is vetted, and the connection goes to
//!    an address that passed. A name that changes its address (DNS rebinding) gains nothing.
//! 3. TLS to the granted name, with the Issuer's CAs and client certificate.
//! 4. [`HttpLimits`]: counts, sizes and times. No redirect is followed, nothing is decompressed, no cookie is kept: what
//!    a response asks for is the plugin's affair, and a request of its own.
//!
//! Where a plugin is tested, [`Traffic`] puts a recording in the place of servers, after 1.
//!
//! Connections belong to an [`HttpSession`]: one Issuer, one grant, one set of Secrets. A request ends with its call. An
//! HTTP/1 connection that it still holds is closed then, an HTTP/2 stream reset; connections that wait for their next
//! request stay for other calls of the session.

mod address;
mod body;
mod call;
mod cause;
mod dial;
mod error;
mod exchange;
mod grant;
mod net;
mod observer;
mod origin;
mod own;
mod placeholder;
mod proxy;
mod session;
mod tls;
mod tls_fault;
mod traffic;
mod waits;

#[cfg(test)]
mod tests;

pub use address::{AddressPolicy, ApiServer, ApiServers, Prohibition};
pub use call::{HttpCall, MAX_METHOD, MAX_PATH};
pub use grant::{Grant, GrantEntry, GrantError, Hosts};
pub use hyper_util::client::proxy::matcher::Matcher;
pub use net::{Connector, EgressConfig, Resolver, Stream, SystemResolver, TcpConnector};
pub use observer::{Denial, DenialReason, HttpFailure, Observer};
pub use origin::{Host, InvalidAuthority, InvalidOrigin, Origin, Scheme};
pub use own::{HostBody, HostClient, HostError, HostTimes};
pub use placeholder::{Place, Placeholders};
pub use session::{HttpGrant, HttpLimits, HttpSession};
pub use tls::{ClientIdentity, Roots, TlsInputError, ValueLocation};
pub use traffic::{NoResponse, Recorded, Recorder, Replay, Traffic};
pub use waits::{Wait, Waits};

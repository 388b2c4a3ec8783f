//! The edge: connections, and what is the same for every request before routing and after the answer.

pub(crate) mod cors;
pub(crate) mod envelope;
mod events;
mod hygiene;
mod io;
pub(crate) mod listener;
pub(crate) mod proxies;
mod request_id;
mod sending;
mod taking;
mod timer;
pub(crate) mod tls;
pub(crate) mod told;
pub(crate) mod watch;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub(crate) use self::envelope::Edge;

/// The other end of a connection; put into each request by the listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) tls: bool,
}

/// Who sent a request, as far as addresses and headers tell.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// The client's own address, behind at most one trusted proxy.
    pub(crate) address: IpAddr,
    /// The `User-Agent` header, at most 256 bytes.
    pub(crate) user_agent: String,
}

impl Default for Client {
    fn default() -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), user_agent: String::new() }
    }
}

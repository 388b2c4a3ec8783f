//! Where a service listens.

use std::net::{Ipv4Addr, SocketAddr};

use mesh_config::{Reader, Reported};
use mesh_error::Error;
use tokio::net::TcpListener;

/// The two addresses of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenConfig {
    /// The address of the service itself (mTLS gRPC, or the gateway's HTTP).
    pub listen: SocketAddr,
    /// The plain address for probes and metrics.
    pub admin_listen: SocketAddr,
}

impl ListenConfig {
    /// Reads `QUIPU_LISTEN` and `QUIPU_ADMIN_LISTEN`; by default all addresses of the host at the given ports.
    ///
    /// # Errors
    /// When a value is no address; the reader has recorded it.
    pub fn read(reader: &mut Reader, default_port: u16, default_admin_port: u16) -> Result<Self, Reported> {
        let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let listen = reader.or("QUIPU_LISTEN", any(default_port), "address and port of the service");
        let admin = reader.or(
            "QUIPU_ADMIN_LISTEN",
            any(default_admin_port),
            "address and port of probes and metrics (plain HTTP)",
        );
        Ok(Self { listen: listen?, admin_listen: admin? })
    }

    /// Both on the loopback address at ports that the system chooses: for a local mesh and for tests.
    #[must_use]
    pub fn loopback() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { listen: any, admin_listen: any }
    }
}

/// Binds a port. The error names the address, which is what whoever reads it must change.
///
/// # Errors
/// When it is taken, or not the host's.
pub async fn listen(addr: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(addr)
        .await
        .map_err(|error| Error::unavailable("CANNOT_LISTEN", format!("cannot listen on {addr}: {error}")))
}

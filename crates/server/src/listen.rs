//! Where a service listens.

use std::net::{Ipv4Addr, SocketAddr};

use mesh_config::{Reader, Reported};
use mesh_error::Error;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted; the system's own limit counts too (`net.core.somaxconn`). With the usual 128 a burst of new
/// connections loses some, and whoever is lost tries again after a second.
const BACKLOG: u32 = 4096;

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

/// Binds a port, within a runtime. The error names the address, which is what whoever reads it must change.
///
/// # Errors
/// When it is taken, or not the host's.
pub fn listen(addr: SocketAddr) -> Result<TcpListener, Error> {
    bind(addr)
        .map_err(|error| Error::unavailable("CANNOT_LISTEN", format!("cannot listen on {addr}: {error}")))
}

fn bind(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A port whose last connections are still closing can be taken again at once.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_burst_of_connections_is_not_lost() {
        let listener = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let at = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        // Nobody accepts: what the backlog does not hold is never connected.
        for number in 0..400 {
            let connected = tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(at)).await;
            waiting.push(connected.unwrap_or_else(|_| panic!("connection {number}")).unwrap());
        }
    }
}

//! Whom a process is connected to, as the kernel says.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use quipu_e2e::Process;
use tokio::{sync::oneshot, task::JoinHandle, time::sleep};

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(2);

/// A process that is looked at.
pub(crate) struct Watched {
    stop: oneshot::Sender<()>,
    seen: JoinHandle<BTreeSet<SocketAddr>>,
}

/// Looks at a process again and again.
pub(crate) fn watch(process: &Process) -> Watched {
    let (stop, mut stopped) = oneshot::channel();
    let (pid, own) = (process.pid(), [process.address().port(), process.admin().port()]);
    let seen = tokio::spawn(async move {
        let mut seen = BTreeSet::new();
        while stopped.try_recv().is_err() {
            seen.extend(peers(pid, &own));
            sleep(EVERY).await;
        }
        seen
    });
    Watched { stop, seen }
}

impl Watched {
    /// All whom it was connected to.
    pub(crate) async fn end(self) -> BTreeSet<SocketAddr> {
        self.stop.send(()).unwrap();
        self.seen.await.unwrap()
    }
}

/// The other ends of a process's sockets, but for those of connections to its own ports: TCP, and UDP, by which names are
/// asked for.
fn peers(pid: u32, own: &[u16]) -> BTreeSet<SocketAddr> {
    let sockets = sockets(pid);
    let mut peers = BTreeSet::new();
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<_> = line.split_whitespace().collect();
            let (local, remote) = (address(fields[1]), address(fields[2]));
            if sockets.contains(fields[9]) && remote.port() != 0 && !own.contains(&local.port()) {
                peers.insert(remote);
            }
        }
    }
    peers
}

/// The inodes of a process's sockets.
fn sockets(pid: u32) -> BTreeSet<String> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    // A file may be closed while it is looked at.
    let links = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    let inode = |link: PathBuf| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
    links.filter_map(inode).collect()
}

/// An address as the kernel writes it: words of 32 bits in the machine's own order, in hexadecimal.
fn address(text: &str) -> SocketAddr {
    let (ip, port) = text.split_once(':').unwrap();
    let words =
        (0..ip.len() / 8).map(|n| u32::from_str_radix(&ip[n * 8..n * 8 + 8], 16).unwrap().to_ne_bytes());
    let bytes: Vec<u8> = words.flatten().collect();
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(bytes) => IpAddr::from(Ipv4Addr::from(bytes)),
        Err(_) => {
            IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).unwrap())).to_canonical()
        }
    };
    SocketAddr::new(ip, u16::from_str_radix(port, 16).unwrap())
}

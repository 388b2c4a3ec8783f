//! A TCP proxy that misbehaves on demand.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::Result;

/// What the proxy does, also to the connections that are open already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing: bytes go through.
    #[default]
    None,
    /// Each piece waits so long before it goes on, in both directions.
    Latency(Duration),
    /// Connections are reset, new ones too.
    Reset,
    /// Connections are accepted and stay open, and nothing goes through any more.
    BlackHole,
    /// A connection is reset after so many bytes of the upstream's answer.
    CutAfter(u64),
}

/// A proxy before one upstream; it ends when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    addr: SocketAddr,
    fault: watch::Sender<Fault>,
    connections: Arc<AtomicU64>,
    _accepting: AbortOnDropHandle<()>,
}

impl FaultProxy {
    /// A proxy without any fault yet.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let fault = watch::Sender::new(Fault::None);
        let connections = Arc::new(AtomicU64::new(0));
        let accepting = accept(listener, upstream, fault.subscribe(), Arc::clone(&connections));
        Ok(Self { addr, fault, connections, _accepting: AbortOnDropHandle::new(tokio::spawn(accepting)) })
    }

    /// Where to connect to.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on the proxy does this.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn accept(
    listener: TcpListener,
    upstream: SocketAddr,
    fault: watch::Receiver<Fault>,
    count: Arc<AtomicU64>,
) {
    let mut open = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { return };
                count.fetch_add(1, Ordering::SeqCst);
                open.spawn(connection(client, upstream, fault.clone()));
            }
            Some(_) = open.join_next() => {}
        }
    }
}

async fn connection(mut client: TcpStream, upstream: SocketAddr, fault: watch::Receiver<Fault>) {
    // The upstream is gone or refuses: so does the proxy.
    let Ok(mut server) = TcpStream::connect(upstream).await else { return reset(&client) };
    let mut watched = fault.clone();
    let ended = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        tokio::select! {
            _ = watched.wait_for(|fault| *fault == Fault::Reset) => Ended::Reset,
            ended = pipe(client_read, server_write, fault.clone(), false) => ended,
            ended = pipe(server_read, client_write, fault, true) => ended,
        }
    };
    if ended == Ended::Reset {
        reset(&client);
        reset(&server);
    }
}

/// Closing without lingering sends RST instead of FIN.
fn reset(stream: &TcpStream) {
    // Without it the peer sees an ordinary end, which the test then notices.
    let _ = stream.set_zero_linger();
}

#[derive(PartialEq, Eq)]
enum Ended {
    Closed,
    Reset,
}

async fn pipe<R, W>(mut from: R, mut to: W, mut fault: watch::Receiver<Fault>, answers: bool) -> Ended
where
    R: AsyncReadExt + Unpin,
    W: AsyncWriteExt + Unpin,
{
    let mut buffer = vec![0; 16 * 1024];
    let mut sent = 0_u64;
    loop {
        let read = match from.read(&mut buffer).await {
            Ok(0) => {
                let _ = to.shutdown().await;
                // The other direction decides when the connection ends.
                return if answers { Ended::Closed } else { std::future::pending().await };
            }
            Ok(read) => read,
            Err(_) => return Ended::Reset,
        };
        let mut bytes = buffer.get(..read).unwrap_or_default();
        let present = *fault.borrow_and_update();
        match present {
            Fault::None => {}
            Fault::Latency(latency) => sleep(latency).await,
            Fault::Reset => return Ended::Reset,
            // The bytes that were read are lost on purpose when the hole closes again.
            Fault::BlackHole => {
                let _ = fault.wait_for(|fault| *fault != Fault::BlackHole).await;
                continue;
            }
            Fault::CutAfter(limit) if answers => {
                let left = usize::try_from(limit.saturating_sub(sent)).unwrap_or(usize::MAX);
                bytes = bytes.get(..left.min(bytes.len())).unwrap_or_default();
            }
            Fault::CutAfter(_) => {}
        }
        if write(&mut to, bytes).await.is_err() || bytes.len() < read {
            return Ended::Reset;
        }
        sent = sent.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
}

async fn write(to: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

//! A wire that can swallow everything without a word, as a dead network does.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A proxy before one server.
pub(crate) struct Hole {
    address: SocketAddr,
    open: Arc<watch::Sender<u64>>,
}

impl Hole {
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let open = Arc::new(watch::Sender::new(0));
        let epoch = Arc::clone(&open);
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                let to = TcpStream::connect(server).await.expect("the server listens");
                let (from, to) = (from.into_split(), to.into_split());
                tokio::spawn(pump(from.0, to.1, epoch.subscribe()));
                tokio::spawn(pump(to.0, from.1, epoch.subscribe()));
            }
        });
        Self { address, open }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing passes over the present connections, and they stay open.
    pub(crate) fn swallow(&self) {
        self.open.send_modify(|epoch| *epoch += 1);
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut epoch: watch::Receiver<u64>,
) {
    epoch.mark_unchanged();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            _ = epoch.changed() => return std::future::pending().await,
        };
        match read {
            Ok(count) if count > 0 => {
                if to.write_all(buffer.get(..count).unwrap_or_default()).await.is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

//! A private Redis, in memory only.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;
use crate::child::{Server, free_port, until};

/// How long a start may take on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running Redis; dropping it stops it.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    _server: Server,
}

impl Redis {
    /// Starts one.
    ///
    /// # Errors
    /// When Redis is not installed or does not start.
    pub async fn start() -> Result<Self> {
        let (port, server) = tokio::task::spawn_blocking(launch).await??;
        let redis = Self { port, _server: server };
        until(START_LIMIT, "Redis does not answer", || ping(port)).await?;
        Ok(redis)
    }

    /// `redis://…`, as the setting `QUIPU_REDIS_URL` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// The TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn launch() -> Result<(u16, Server)> {
    let port = free_port()?;
    let folder = tempfile::Builder::new().prefix("quipu-redis.").tempdir()?.keep();
    let command = [
        "redis-server",
        "--port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
    ];
    let command: Vec<String> = command.into_iter().map(str::to_owned).collect();
    Ok((port, Server::start(&[], "TERM", &folder, &command)?))
}

async fn ping(port: u16) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await?;
    if answer == *b"+PONG\r\n" { Ok(()) } else { Err("an unexpected answer".into()) }
}

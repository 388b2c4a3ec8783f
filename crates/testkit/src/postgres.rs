//! A private Postgres cluster, and a database of its own for each test.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::Result;
use crate::child::{Server, free_port, search_path, until};

/// The one superuser of a cluster; it needs no password on loopback.
const USER: &str = "quipu";
/// How long a start may take on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Whom a cluster runs as when the tests run as root, whom Postgres refuses.
const UNPRIVILEGED: [&str; 4] = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"];

/// Durability of a test's data is worth nothing, its speed much.
const HASTY: [&str; 3] = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];

/// One cluster for a whole test process, since making one takes longer than most tests.
static SHARED: OnceCell<Postgres> = OnceCell::const_new();

/// A running cluster.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    folder: PathBuf,
    _server: Server,
}

impl Postgres {
    /// The cluster that the tests of this process share.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn shared() -> Result<&'static Self> {
        SHARED.get_or_try_init(Self::start).await
    }

    /// A cluster of one's own, for tests that stop it.
    ///
    /// # Errors
    /// When Postgres is not installed or does not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(&HASTY).await
    }

    /// A cluster that writes what it acknowledges through to the disk, as in production.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn durable() -> Result<Self> {
        Self::start_with(&[]).await
    }

    async fn start_with(settings: &'static [&'static str]) -> Result<Self> {
        let mut last = None;
        // Between finding a port and using it another process may take it.
        for _ in 0..3 {
            match Self::try_start(settings).await {
                Ok(cluster) => return Ok(cluster),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| "Postgres was not started".into()))
    }

    async fn try_start(settings: &'static [&'static str]) -> Result<Self> {
        let (port, folder, server) = tokio::task::spawn_blocking(|| launch(settings)).await??;
        let cluster = Self { port, folder, _server: server };
        until(START_LIMIT, "Postgres does not answer", || async {
            Ok(PgConnection::connect(&cluster.url("postgres")).await?.close().await?)
        })
        .await?;
        Ok(cluster)
    }

    /// An empty database with a name of its own. It goes with the cluster.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn database(&self) -> Result<PostgresDatabase> {
        let name = format!("test_{}", Uuid::new_v4().simple());
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        // The name is made here, of letters and digits.
        connection.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
        connection.close().await?;
        Ok(PostgresDatabase { url: self.url(&name) })
    }

    /// The TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the Unix socket, and of the data.
    #[must_use]
    pub fn socket_folder(&self) -> &Path {
        &self.folder
    }

    /// The process whose children are all others of the cluster.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pid(&self) -> Result<u32> {
        let text = std::fs::read_to_string(self.folder.join("data/postmaster.pid"))?;
        Ok(text.lines().next().unwrap_or_default().trim().parse()?)
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }
}

/// An empty database.
#[derive(Debug, Clone)]
pub struct PostgresDatabase {
    url: String,
}

impl PostgresDatabase {
    /// `postgres://…`, as the setting `QUIPU_DATABASE_URL` takes it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Makes a cluster in a new folder and starts it with these settings.
fn launch(settings: &[&str]) -> Result<(u16, PathBuf, Server)> {
    let programs = programs()?;
    let prefix: &[&str] = if is_root()? { &UNPRIVILEGED } else { &[] };
    let made =
        output(prefix, &["mktemp".into(), "-d".into(), "-t".into(), "quipu-postgres.XXXXXXXX".into()])?;
    let folder = PathBuf::from(String::from_utf8(made.stdout)?.trim());
    let data = folder.join("data").display().to_string();
    let initdb = [
        program(&programs, "initdb"),
        format!("--pgdata={data}"),
        format!("--username={USER}"),
        "--auth=trust".into(),
        "--encoding=UTF8".into(),
        "--locale=C".into(),
        "--no-sync".into(),
    ];
    if let Err(error) = output(prefix, &initdb) {
        let _ = output(prefix, &["rm".into(), "-rf".into(), "--".into(), folder.display().to_string()]);
        return Err(error);
    }
    let port = free_port()?;
    let mut command = vec![program(&programs, "postgres"), "-D".into(), data];
    let own = [
        format!("port={port}"),
        format!("unix_socket_directories={}", folder.display()),
        "listen_addresses=127.0.0.1".into(),
        "max_connections=300".into(),
        "shared_buffers=32MB".into(),
        "logging_collector=off".into(),
    ];
    for setting in own.into_iter().chain(settings.iter().map(|setting| (*setting).to_owned())) {
        command.extend(["-c".into(), setting]);
    }
    let server = Server::start(prefix, "INT", &folder, &command)?;
    Ok((port, folder, server))
}

fn program(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

/// The folder that holds both `initdb` and `postgres`: one of `PATH`, or where Debian puts them.
fn programs() -> Result<PathBuf> {
    let mut folders = search_path();
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    debian.sort();
    folders.extend(debian.into_iter().rev());
    let complete = |folder: &PathBuf| folder.join("initdb").exists() && folder.join("postgres").exists();
    folders
        .into_iter()
        .find(complete)
        .ok_or_else(|| "Postgres is not installed: `cargo xtask tools` says how".into())
}

fn is_root() -> io::Result<bool> {
    Ok(Command::new("id").arg("-u").output()?.stdout.trim_ascii() == b"0")
}

/// Runs a command to its end.
fn output(prefix: &[&str], command: &[String]) -> Result<Output> {
    let words: Vec<&str> = prefix.iter().copied().chain(command.iter().map(String::as_str)).collect();
    let (program, arguments) = words.split_first().ok_or("no command")?;
    let output = Command::new(program).args(arguments).current_dir("/").output()?;
    if output.status.success() {
        Ok(output)
    } else {
        Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
    }
}

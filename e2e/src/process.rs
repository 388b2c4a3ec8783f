//! A program of the mesh in a process of its own.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{LIMIT, eventually};

/// A program of the mesh that runs; it is killed with the test.
#[derive(Debug)]
pub struct Process {
    name: String,
    launch: Launch,
    child: Child,
    log: PathBuf,
}

/// How it is started, and started again.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) program: String,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Process {
    /// Starts it; what it logs goes to the end of `log`.
    pub(crate) fn start(name: &str, launch: Launch, log: PathBuf) -> Self {
        let child = launch.spawn(&log);
        Self { name: name.to_owned(), launch, child, log }
    }

    /// Starts it again after its end, with the same settings on the same ports.
    pub(crate) fn start_again(&mut self) {
        self.child = self.launch.spawn(&self.log);
    }

    /// Changes a setting for the next start.
    pub(crate) fn change(&mut self, key: &str, value: &str) {
        self.launch.env.retain(|(k, _)| k != key);
        self.launch.env.push((key.to_owned(), value.to_owned()));
    }

    /// Its name in the mesh: `auth`, `gateway-2`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it serves.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.launch.listen
    }

    /// Its admin port: `/readyz`, `/metrics`.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.launch.admin
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Resident memory now and at its peak, bytes.
    #[must_use]
    pub fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let kib = |key: &str| {
            let line = status.lines().find(|l| l.starts_with(key)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
        };
        (kib("VmRSS:") * 1024, kib("VmHWM:") * 1024)
    }

    /// Its metrics in the text format of Prometheus.
    pub async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.launch.admin);
        reqwest::get(url).await.unwrap().text().await.unwrap()
    }

    /// Sends a signal: `TERM`, `KILL`, `STOP`, `CONT`.
    pub fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
    }

    /// Waits for its end and gives its exit code; killed after [`LIMIT`].
    pub async fn ended(&mut self) -> Option<i32> {
        let mut code = None;
        let ended = eventually(LIMIT, || {
            let status = self.child.try_wait().unwrap();
            code = status.map(|s| s.code());
            std::future::ready(status.is_some())
        });
        assert!(ended.await, "{} does not end:\n{}", self.name, self.log());
        code.flatten()
    }

    pub(crate) async fn wait_until_ready(&self) {
        let url = format!("http://{}/readyz", self.launch.admin);
        let ready = || async { reqwest::get(&url).await.is_ok_and(|r| r.status().is_success()) };
        assert!(eventually(LIMIT, ready).await, "{} is not ready:\n{}", self.name, self.log());
    }
}

impl Launch {
    fn spawn(&self, log: &Path) -> Child {
        let path = programs().join(&self.program);
        assert!(path.exists(), "{} is missing: run `cargo build --workspace` first", path.display());
        let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(path);
        command.env_clear().envs(self.env.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder with the programs of the workspace.
#[must_use]
pub fn programs() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().to_owned()
}

//! Processes of a target: their start, their end, and what `/proc` says of them.

use std::{
    ffi::OsString,
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{time::clock_getcpuclockid, unistd::Pid};

use crate::{Result, http};

/// Nothing takes longer to start, or to end.
const LIMIT: Duration = Duration::from_secs(20);

/// How often one looks whether something is ready.
const LOOK: Duration = Duration::from_millis(2);

/// The kernel's clock tick in `/proc/<pid>/stat`: 100 a second on every Linux there is.
const TICK_MICROS: u64 = 10_000;

/// Tokio's own setting of how many workers a runtime has, else as many as there are processors. It goes on to every process.
const WORKERS: &str = "TOKIO_WORKER_THREADS";

#[expect(clippy::disallowed_methods, reason = "a setting of tokio's and none of ours")]
fn workers() -> Option<(&'static str, OsString)> {
    std::env::var_os(WORKERS).map(|workers| (WORKERS, workers))
}

/// What uses processor time.
pub trait Clock {
    /// Processor time that it has used, user and system, in microseconds.
    ///
    /// # Errors
    /// When it has ended.
    fn cpu_micros(&self) -> Result<u64>;
}

/// A process that ends with this value.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    began: Instant,
}

impl Process {
    /// Starts a program with exactly this environment, and as many workers as this one has; what it logs goes to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        program: &Path,
        arguments: &[String],
        env: &[(String, String)],
        log: Option<&Path>,
    ) -> Result<Self> {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let log = match log {
            Some(log) => Stdio::from(fs::File::create(log)?),
            None => Stdio::null(),
        };
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(env.iter().map(|(k, v)| (k, v)));
        command.envs(workers());
        let began = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let child = child.map_err(|e| format!("{}: {e}", program.display()))?;
        Ok(Self { name, child, began })
    }

    /// The name of its program.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits until `GET` of the path at the address answers 200; the time since its start.
    ///
    /// # Errors
    /// When it does not within a limit.
    pub async fn ready(&self, address: SocketAddr, path: &str) -> Result<Duration> {
        while self.began.elapsed() < LIMIT {
            let mut connection = http::Connection::to(address, http::get(path));
            if connection.call().await.is_ok() {
                return Ok(self.began.elapsed());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(format!("{} is not ready", self.name).into())
    }

    /// Waits until something listens at the address.
    ///
    /// # Errors
    /// When nothing does within a limit.
    pub async fn listens(&self, address: SocketAddr) -> Result<()> {
        while self.began.elapsed() < LIMIT {
            if TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(format!("{} does not listen", self.name).into())
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: u64 = line.and_then(|l| l.split_whitespace().next()).ok_or("no VmRSS")?.parse()?;
        Ok(kib * 1024)
    }

    /// Waits for its end by itself; the processor time of its whole life.
    ///
    /// # Errors
    /// When it fails or does not end.
    pub async fn ended(mut self) -> Result<()> {
        while self.began.elapsed() < 3 * LIMIT {
            if let Some(status) = self.child.try_wait()? {
                return if status.success() { Ok(()) } else { Err(format!("{} failed", self.name).into()) };
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(format!("{} does not end", self.name).into())
    }
}

impl Clock for Process {
    fn cpu_micros(&self) -> Result<u64> {
        cpu_micros(self.child.id())
    }
}

impl<C: Clock + ?Sized> Clock for &C {
    fn cpu_micros(&self) -> Result<u64> {
        (*self).cpu_micros()
    }
}

/// A process that others look after, together with its children, as the processes of a database server.
#[derive(Clone, Copy, Debug)]
pub struct Family(pub u32);

impl Clock for Family {
    /// Of children that have ended in steps of 10 ms.
    fn cpu_micros(&self) -> Result<u64> {
        let Self(parent) = *self;
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
        let children = children.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>()?;
        // One that ends meanwhile is among those that have ended the next time.
        let living: u64 = children.into_iter().filter_map(|child| cpu_micros(child).ok()).sum();
        Ok(cpu_micros(parent)? + living + ended_children_micros(&parent.to_string())?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time of a process and all of its threads, also those that have ended, in microseconds.
///
/// # Errors
/// When there is no such process.
pub fn cpu_micros(pid: u32) -> Result<u64> {
    let clock = clock_getcpuclockid(Pid::from_raw(pid.try_into()?))?;
    Ok(Duration::from(clock.now()?).as_micros().try_into()?)
}

/// Processor time that the children of this process that ended have used, in microseconds.
///
/// # Errors
/// When `/proc` is missing.
pub fn children_cpu_micros() -> Result<u64> {
    ended_children_micros("self")
}

fn ended_children_micros(parent: &str) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{parent}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in stat")?;
    let times: Vec<u64> =
        fields.split_whitespace().skip(13).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(times.iter().sum::<u64>() * TICK_MICROS)
}

/// Ports that were free a moment ago.
///
/// # Errors
/// When there is none.
pub fn free_ports<const N: usize>() -> Result<[SocketAddr; N]> {
    let mut ports = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    let mut held = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind(*port)?;
        *port = listener.local_addr()?;
        held.push(listener);
    }
    Ok(ports)
}

//! A server process that ends with the test process, however that ends.
//!
//! A shell stands between: it starts the server and reads its standard input, which only the test process holds open.
//! When that closes (drop, exit, even SIGKILL), the shell stops its own child and removes the folder.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use crate::Result;

/// `$1` is the signal, `$2` the folder to remove, the rest the command.
const GUARD: &str = r#"signal=$1; folder=$2; shift 2
"$@" & child=$!
cat > /dev/null
kill -"$signal" "$child" 2> /dev/null; wait "$child"
rm -rf -- "$folder""#;

/// A running server; dropping it stops the server and removes its folder.
#[derive(Debug)]
pub(crate) struct Server {
    /// Closed first, which tells the shell to stop its child.
    input: Option<ChildStdin>,
    shell: Child,
}

impl Server {
    /// Starts `command` (a program and its arguments); `prefix` goes before the shell, for another user.
    pub(crate) fn start(
        prefix: &[&str],
        signal: &str,
        folder: &Path,
        command: &[String],
    ) -> io::Result<Self> {
        let mut words: Vec<String> = prefix.iter().map(|word| (*word).to_owned()).collect();
        words.extend(["sh", "-c", GUARD, "sh", signal].map(str::to_owned));
        words.push(folder.display().to_string());
        words.extend_from_slice(command);
        let (program, arguments) = words.split_first().ok_or_else(|| io::Error::other("no command"))?;
        let mut shell = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let input = shell.stdin.take();
        Ok(Self { input, shell })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        // The shell ends as soon as its child has; a child of ours that is not waited for would stay a zombie.
        let _ = self.shell.wait();
    }
}

/// A port that is free now. Whoever uses it must be ready to try another one.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Tries until it works or the time is up.
pub(crate) async fn until<T, F>(limit: Duration, what: &str, mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let end = tokio::time::Instant::now() + limit;
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if tokio::time::Instant::now() >= end => return Err(format!("{what}: {error}").into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(30)).await,
        }
    }
}

/// Where programs are: the folders of `PATH`.
#[expect(clippy::disallowed_methods, reason = "programs are found as a shell finds them; it is no setting")]
pub(crate) fn search_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

//! The one shape of a service's program.

use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;

use mesh_config::{Reader, Reported};
use mesh_error::Result;
use mesh_lifecycle::Lifecycle;
use mesh_telemetry::Sink;

use crate::process;

/// A program of the mesh: settings, what is built from them, and what it does until the process closes.
pub trait Application: Sized + Send + 'static {
    /// The name of the program and of the service in traces.
    const NAME: &'static str;
    /// What it is, in one line for `--help`.
    const ABOUT: &'static str = "A service of the Quipu mesh.";
    /// Its version.
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    /// Its settings.
    type Config: Send;

    /// Reads the settings; the process's own (drain, telemetry) are read already.
    ///
    /// # Errors
    /// When a setting is faulty; the reader has recorded each.
    fn read(reader: &mut Reader) -> Result<Self::Config, Reported>;

    /// Further places for spans, beside the collector.
    ///
    /// # Errors
    /// When one cannot be used.
    fn sinks(_config: &Self::Config) -> Result<Vec<Sink>> {
        Ok(Vec::new())
    }

    /// Connects and binds. Nothing is served yet.
    fn build(config: Self::Config, lifecycle: Lifecycle) -> impl Future<Output = Result<Self>> + Send;

    /// Serves until the process closes.
    fn run(self) -> impl Future<Output = Result<()>> + Send;
}

/// The whole `main` of a program: flags, settings, telemetry, signals, drain.
///
/// Exit codes: 0 after an orderly end, 1 after a failure, 64 for a faulty command line or configuration.
#[must_use]
pub fn main<A: Application>() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    process::run::<A>(&arguments, Reader::from_env())
}

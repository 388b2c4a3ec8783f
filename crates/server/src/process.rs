//! From the command line to the exit code.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use mesh_config::{EXIT_CONFIG, Effective, Faults, Reader};
use mesh_error::{BoxError, Result};
use mesh_lifecycle::{Drain, Lifecycle, Outcome};
use mesh_telemetry::{Telemetry, TelemetryConfig};
use tokio::runtime::Runtime;

use crate::Application;

/// What blocking threads get after everything else has ended.
const LAST_GRACE: Duration = Duration::from_millis(200);

/// The settings of a program with those of its process.
struct Settings<C> {
    drain: Drain,
    telemetry: TelemetryConfig,
    application: C,
    effective: Effective,
}

/// Does what the arguments ask for.
pub(crate) fn run<A: Application>(arguments: &[OsString], reader: Reader) -> ExitCode {
    let flag = match arguments {
        [] => None,
        [only] => Some(only.to_string_lossy()),
        _ => return usage("expected one option at most"),
    };
    match flag.as_deref() {
        Some("--help" | "-h") => say(&help::<A>()),
        Some("--version" | "-V") => say(&format!("{} {}\n", A::NAME, A::VERSION)),
        None | Some("--check-config") => match settings::<A>(reader) {
            Err(faults) => configuration_fault(&faults),
            Ok(settings) if flag.is_some() => say(&settings.effective.to_string()),
            Ok(settings) => start::<A>(settings),
        },
        Some(other) => usage(&format!("unknown option {other:?}")),
    }
}

fn settings<A: Application>(mut reader: Reader) -> Result<Settings<A::Config>, Faults> {
    let drain = Drain::read(&mut reader);
    let telemetry = TelemetryConfig::read(&mut reader);
    let application = A::read(&mut reader);
    let effective = reader.finish()?;
    match (drain, telemetry, application) {
        (Ok(drain), Ok(telemetry), Ok(application)) => {
            Ok(Settings { drain, telemetry, application, effective })
        }
        // Cannot be: whoever reports a fault has recorded it, and then `finish` fails.
        _ => Err(Faults(Vec::new())),
    }
}

/// Every setting with its default and what it does.
fn help<A: Application>() -> String {
    let mut reader = Reader::from_pairs::<String, String>([]);
    // Only what was asked for matters here; what is missing is no fault.
    let _ = (Drain::read(&mut reader), TelemetryConfig::read(&mut reader), A::read(&mut reader));
    let mut text = format!(
        "{}\n\nUsage: {} [--help | --version | --check-config]\n\nSettings, from the environment:\n",
        A::ABOUT,
        A::NAME
    );
    let mut settings = reader.settings().to_vec();
    settings.sort_by(|a, b| (!a.required, &a.name).cmp(&(!b.required, &b.name)));
    for setting in settings {
        let more = match (&setting.default, setting.required) {
            (Some(default), _) => format!(" [default: {default}]"),
            (None, true) => " [required]".to_owned(),
            (None, false) => String::new(),
        };
        let file = if setting.secret { "[_FILE]" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {}{file}\n      {}{more}", setting.name, setting.help);
    }
    text
}

fn start<A: Application>(settings: Settings<A::Config>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("cannot start: {error}")),
    };
    // Libraries that ask for a default find the one provider that is linked; a second call changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let outcome = runtime.block_on(live::<A>(settings));
    end(runtime);
    match outcome {
        Ok(outcome) => outcome.into(),
        Err(error) => failed(&error.to_string()),
    }
}

/// Threads that block cannot be stopped; they get a moment and are left behind.
fn end(runtime: Runtime) {
    runtime.shutdown_timeout(LAST_GRACE);
}

/// The life of the process: build, serve, drain, flush.
async fn live<A: Application>(settings: Settings<A::Config>) -> Result<Outcome, BoxError> {
    let sinks = A::sinks(&settings.application)?;
    let telemetry = Telemetry::init_with(A::NAME, &settings.telemetry, sinks)?;
    let lifecycle = Lifecycle::new(settings.drain);
    lifecycle.trap_signals()?;
    tracing::info!(service = A::NAME, version = A::VERSION, "starting");
    lifecycle.spawn_critical("start", serve::<A>(settings.application, lifecycle.clone()));
    let outcome = lifecycle.run_to_completion().await;
    tracing::info!(?outcome, "stopped");
    telemetry.shutdown(settings.drain.flush).await;
    Ok(outcome)
}

/// Builds the application and runs it as a part of the process; a signal during the build ends it.
async fn serve<A: Application>(config: A::Config, lifecycle: Lifecycle) -> Result<()> {
    let application = tokio::select! {
        built = A::build(config, lifecycle.clone()) => built?,
        () = lifecycle.draining() => return Ok(()),
    };
    let ended = lifecycle.clone();
    lifecycle.spawn_critical(A::NAME, async move {
        let result = application.run().await;
        // Whether it failed or not: a process without its application is over.
        ended.shutdown();
        result
    });
    Ok(())
}

fn usage(problem: &str) -> ExitCode {
    complain(&format!("{problem}; try --help\n"));
    EXIT_CONFIG.into()
}

fn configuration_fault(faults: &Faults) -> ExitCode {
    complain(&faults.to_string());
    EXIT_CONFIG.into()
}

fn failed(problem: &str) -> ExitCode {
    complain(&format!("{problem}\n"));
    ExitCode::FAILURE
}

/// Prints; a closed pipe is no failure of the program.
fn say(text: &str) -> ExitCode {
    let _ = io::stdout().lock().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;

//! Signals of the operating system as requests to the lifecycle.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

use crate::Lifecycle;

/// The first SIGTERM or SIGINT asks for a shutdown, the second forces it.
///
/// # Errors
/// When the operating system refuses a handler.
pub(crate) fn trap(lifecycle: &Lifecycle) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let lifecycle = lifecycle.clone();
    // Not tracked: it listens for the second signal until the process is gone.
    tokio::spawn(async move {
        let mut asked = false;
        loop {
            let name = tokio::select! {
                Some(()) = terminate.recv() => "SIGTERM",
                Some(()) = interrupt.recv() => "SIGINT",
                else => return,
            };
            if asked {
                tracing::warn!(signal = name, "second signal: forcing the end");
                lifecycle.force();
            } else {
                tracing::info!(signal = name, "signal received");
                lifecycle.shutdown();
            }
            asked = true;
        }
    });
    Ok(())
}

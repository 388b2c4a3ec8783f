//! Panics go to the log like every other fault, with their place, in one line.

use std::panic::{self, PanicHookInfo};

use crate::neutral::neutralise;

/// Replaces the default hook, which prints to stderr without the trace.
pub(crate) fn install() {
    panic::set_hook(Box::new(report));
}

fn report(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(target: "panic", place, panic = %neutralise(text), "panicked");
}

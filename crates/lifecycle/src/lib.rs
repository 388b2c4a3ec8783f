//! Signals, readiness and the bounded drain of a process.

//! Signals, readiness and the bounded drain of a process.
//!
//! Owns the one order in which a process stops: readiness goes false, the endpoints get time to notice, listeners say
//! goodbye (GOAWAY) and work in flight finishes, whatever is left is cut, closers run. Every step is bounded, so that no
//! silent peer and no stuck task can hold the process. It never stops anything by itself: the parts watch the phases
//! ([`Lifecycle::draining`], [`Lifecycle::closing`], [`Lifecycle::aborting`]) and end.

mod drain;
mod outcome;
mod phase;
mod readiness;
mod signals;
mod tasks;

pub use drain::Drain;
pub use outcome::Outcome;
pub use phase::Lifecycle;
pub use readiness::{Gate, Readiness};

//! Typed settings and secrets from the environment, with every fault reported at once.
//!
//! A process reads its settings once, before it binds a port. [`Reader`] records what was asked for, so that `--help`
//! can list it, and every fault, so that the operator mends all of them in one go. A secret never appears in an error,
//! in the effective configuration or in `Debug` output. What lies in files and may change while a process runs is followed
//! by [`follow()`].

mod follow;
mod loopback;
mod reader;
mod secret;
mod units;

pub use follow::follow;
pub use loopback::is_loopback;
pub use reader::{Effective, Fault, Faults, Reader, Reported, Setting};
pub use secret::Secret;
pub use units::Seconds;

/// Exit code for a faulty configuration: `EX_USAGE` of `sysexits.h`.
pub const EXIT_CONFIG: u8 = 64;

//! Wrappers of bodies: each keeps one promise until the last byte of a call.

mod caught;
mod fields;
mod limited;
mod scoped;
mod until;

pub(crate) use caught::{Caught, panicked};
pub(crate) use limited::Limited;
pub(crate) use scoped::Scoped;
pub(crate) use until::Until;

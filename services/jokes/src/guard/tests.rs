//! The guards as a whole: streams, corpora, random texts.

mod corpus;
mod fuzz;
mod samples;
mod stream;

use super::{GuardPolicy, Guards};

pub(super) fn guards() -> Guards {
    Guards::new(&GuardPolicy::default()).unwrap()
}

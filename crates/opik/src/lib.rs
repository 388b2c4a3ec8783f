//! Opik, where people look at what language models were asked and how their answers were liked.
//!
//! Owns everything that is said to it: answers as its traces over OTLP/HTTP ([`Answers`]), feedback as scores of those
//! traces and evaluations as experiments over its REST API ([`Opik`]). Nothing here can slow an answer down: what Opik
//! does not take in time is dropped and counted. It is connected to as the configuration says and nowhere else: no
//! redirect is followed and no proxy of the environment is used. What a trace holds of a prompt or an answer is decided by
//! whoever makes its spans; the key is in no error, no log line and no `Debug` output.

mod answers;
mod client;
mod config;
mod experiment;
mod groups;
mod post;

pub use answers::{Answers, CONVERSATION, INVOKE_AGENT, OPERATION};
pub use client::{Opik, OpikError, Score};
pub use config::OpikConfig;
pub use experiment::{Experiment, Item};

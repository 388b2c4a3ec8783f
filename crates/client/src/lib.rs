//! The one outbound stack: resolution, balancing, ejection, deadlines, retries, identity, telemetry.
//!
//! A [`Mesh`] is what a workload knows of the others: its own identity, the call policy and where they listen.
//! [`Mesh::channel`] gives a [`Channel`] to one of them, which generated clients take as it is. No service builds a
//! connection of its own. What a channel keeps for every call:
//!
//! - no byte of a request goes to anyone but the workload that was meant;
//! - every call has a deadline, never later than that of the call it belongs to, and ends with it;
//! - a request is sent again only if it was surely never handled or may be handled twice, and only within the budget;
//! - a failure of the transport is UNAVAILABLE and an expired deadline DEADLINE_EXCEEDED, never CANCELLED.

pub mod auth;
mod balance;
mod body;
mod call;
mod channel;
mod connect;
mod context;
mod endpoint;
mod failure;
mod mesh;
mod outgoing;
mod record;
mod resolve;
mod retry;
mod settings;
mod stream;
mod target;

pub use channel::Channel;
pub use context::{CallContext, Carrier};
pub use failure::{CALL_NOT_ALLOWED, UPSTREAM_LOST, UPSTREAM_UNREACHABLE, is_own_denial};
pub use mesh::{Mesh, MeshConfig, MeshError};
pub use settings::Settings;
pub use target::{Endpoints, InvalidTarget, Target};

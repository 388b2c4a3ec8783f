//! The one inbound stack: TLS, limits, policy, deadlines, telemetry, health, the admin port.
//!
//! No service builds its own server. [`Server`] owns every connection from the accept to the cut: mutual TLS with live
//! certificates, the limits of HTTP/2, the age of a connection, and a drain that no silent peer can hold. Around every
//! call stands the same stack (see the module `stack`), so that authentication and policy are on for every method,
//! health and reflection and unknown paths included, and decide before the body is read. [`main`] is the whole `main`
//! of a service: settings, telemetry, signals, drain, exit code.

mod admin;
mod application;
mod bodies;
mod connection;
mod context;
mod fitness;
mod grpc;
mod health;
mod limits;
mod listen;
mod process;
mod reflection;
mod server;
mod stack;

pub use admin::Admin;
pub use application::{Application, main};
pub use context::{RemoteAddr, go_on, principal, refuse, run_to_end, user};
pub use limits::Limits;
pub use listen::{ListenConfig, listen};
pub use server::{Bound, Server};
pub use stack::GrpcService;

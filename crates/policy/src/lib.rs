//! Who may call what: the reviewed policy file, its decision and everything rendered from it.
//!
//! One file (`policies/mesh.yaml`) says which workload may call which method of which other workload, for which user
//! and within what time. This crate reads it strictly ([`Policy::parse`] reports every fault at once, each with its
//! line and column), answers each call from it ([`Policy::decide`]: hash look-ups, default deny), follows its changes
//! ([`PolicyHandle::watch`]) and renders what must never drift from it: Kubernetes NetworkPolicies and
//! PodDisruptionBudgets and the call graph ([`render`]).
//!
//! It never opens a connection and never looks at a token: it only says what a call needs.

pub mod render;

mod check;
mod contract;
mod decision;
mod explain;
mod fault;
mod file;
mod handle;
mod nearest;
mod policy;
mod yaml;

pub use contract::{Contract, ContractError, Method};
pub use decision::{Decision, Denial, Pair, Rule, UserRule};
pub use explain::Explanation;
pub use fault::{Fault, Faults};
pub use handle::PolicyHandle;
pub use policy::{Call, Grpc, Http, Monitoring, Policy, Reach, Resource, Role, Scope, Workload};

//! What a request costs, as a ratio against a bare hop in the same run.
//!
//! [`load`] makes the load, [`process`] reads what the processes of a target used, [`bare`] are the targets that do nothing
//! but answer, [`mesh`] is the product as it runs in production, and [`rows`] are the figures that are compared.

pub mod bare;
pub mod grpc;
pub mod http;
pub mod load;
pub mod mesh;
pub mod process;
pub mod rows;
pub mod table;

/// A failure of the benchmark itself.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A result of the benchmark itself.
pub type Result<T, E = Error> = std::result::Result<T, E>;

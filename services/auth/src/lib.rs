#![doc = include_str!("../README.md")]

mod app;
mod audit;
mod config;
mod domain;
mod error;
mod grpc;
mod hashing;
mod keys;
mod metrics;
#[doc(hidden)]
pub mod parsers;
mod ports;
mod revocations;
mod service;
mod store;
#[cfg(test)]
mod tests;
mod tokens;
mod upkeep;

pub use app::App;
pub use config::{AdminSeed, Config, KeyStore};
pub use hashing::HashSettings;

#![doc = include_str!("../README.md")]

mod app;
mod budget;
mod cache;
mod config;
pub mod domain;
mod error;
pub mod eval;
mod feelings;
mod grpc;
pub mod guard;
mod metrics;
mod models;
pub mod openai;
pub mod ports;
pub mod puns;
pub mod replay;
mod scores;
mod service;
mod store;
mod structured;
mod upkeep;

pub use app::App;
pub use budget::{Budgets, Limits, Price};
pub use cache::Mode as CacheMode;
pub use config::{CacheConfig, Config, ModelsConfig, Names, ObservedConfig, OpenAiConfig, PriceList};

#[cfg(test)]
mod tests;

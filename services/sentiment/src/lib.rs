#![doc = include_str!("../README.md")]

mod app;
mod config;
pub mod domain;
pub mod engine;
pub mod error;
pub mod grpc;
pub mod linear;
mod metrics;
pub mod models;
#[cfg(feature = "onnx")]
pub mod onnx;
pub mod pool;
pub mod ports;
pub mod report;

pub use app::App;
pub use config::Config;

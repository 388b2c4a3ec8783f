#![doc = include_str!("../README.md")]

mod accept;
mod access;
mod api;
mod app;
mod body;
mod config;
mod edge;
mod guard;
mod held;
mod idempotency;
mod json;
mod openapi;
mod params;
#[doc(hidden)]
pub mod parsers;
mod problem;
mod rate;
mod route;
mod routes;
mod state;

pub use app::App;
pub use config::{Config, Listener, Rates};
pub use edge::{cors::Origin, proxies::TrustedProxies};
pub use openapi::openapi;
pub use rate::Quota;

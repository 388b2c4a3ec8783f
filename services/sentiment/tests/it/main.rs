//! The service from outside: its quality on labelled data, and its contract over mutual TLS.

mod pool;
mod quality;
mod start;
mod stream;
mod support;
mod unary;

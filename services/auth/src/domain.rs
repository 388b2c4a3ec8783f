//! The rules of accounts: what a valid address, password, key or role is, who is slowed down, when a refresh token is good.
//!
//! Pure: no database, no network, no clock and no randomness of its own; what varies is handed in.

pub(crate) mod api_key;
pub(crate) mod base62;
pub(crate) mod client;
pub(crate) mod email;
pub(crate) mod password;
pub(crate) mod refresh;
pub(crate) mod role;
pub(crate) mod text;
pub(crate) mod throttle;

pub(crate) use client::{Client, Source};
pub(crate) use email::Email;
pub(crate) use password::Password;
pub(crate) use role::Roles;

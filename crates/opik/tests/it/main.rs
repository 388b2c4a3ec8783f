//! What Opik receives, by a server that speaks its protocol.

mod answers;
mod calls;

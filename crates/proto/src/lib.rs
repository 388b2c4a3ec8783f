//! Generated bindings and descriptor sets of the contract in `proto/`; nothing else lives here.
//!
//! Made by `cargo xtask codegen` and never edited by hand. These types do not travel inward: a service turns them into
//! its own domain types at its gRPC edge.

/// The file descriptor set of every package (with its imports), for reflection and for the call policy.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("gen/descriptors.bin");

/// Accounts, credentials, tokens, sessions, API keys and roles.
pub mod auth {
    /// `quipu.auth.v1`.
    pub mod v1 {
        include!("gen/quipu.auth.v1.rs");
    }
}

/// Jokes and chat from a language model.
pub mod jokes {
    /// `quipu.jokes.v1`.
    pub mod v1 {
        include!("gen/quipu.jokes.v1.rs");
    }
}

/// Sentiment of texts.
pub mod sentiment {
    /// `quipu.sentiment.v1`.
    pub mod v1 {
        include!("gen/quipu.sentiment.v1.rs");
    }
}

//! Accounts, credentials, tokens, sessions, API keys and roles.

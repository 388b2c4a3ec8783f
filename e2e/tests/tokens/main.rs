//! Tokens and keys: what a forger can try, as rows of the reliability plan.

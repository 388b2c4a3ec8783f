//! Tests of the whole mesh live in `tests/`; this crate has no code of its own.

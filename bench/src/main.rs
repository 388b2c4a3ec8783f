//! What a request costs, as a ratio against a bare hop in the same run.

fn main() {}

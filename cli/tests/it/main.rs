//! The `quipu` program as its user runs it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod eval;
mod tools;
mod up;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Runs the program to its end.
fn quipu(args: &[&str]) -> Output {
    program().args(args).output().unwrap()
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quipu"));
    command.env_clear();
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A path of the checkout.
fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

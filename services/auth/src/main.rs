//! The auth service as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    mesh_server::main::<quipu_auth::App>()
}

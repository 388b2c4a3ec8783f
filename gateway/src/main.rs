//! `quipu-gateway`: the gateway as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    mesh_alloc::give_back_soon();
    mesh_server::main::<quipu_gateway::App>()
}

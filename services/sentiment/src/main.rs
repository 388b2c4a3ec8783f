//! The program `quipu-sentiment`.

use std::process::ExitCode;

fn main() -> ExitCode {
    mesh_alloc::give_back_soon();
    mesh_server::main::<quipu_sentiment::App>()
}

//! The program `quipu-jokes`.

use std::process::ExitCode;

fn main() -> ExitCode {
    mesh_alloc::give_back_soon();
    mesh_server::main::<quipu_jokes::App>()
}

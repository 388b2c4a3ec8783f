//! Every command that people and CI run: `cargo xtask --help`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its user")]

mod bench;
mod checks;
mod codegen;
mod fuzz;
mod layers;
mod proofs;
mod tools;

use std::{
    path::{Path, PathBuf},
    process::{Command as Process, ExitCode},
};

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Every command that people and CI run")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what the tests need, then run every check and every test.
    Test,
    /// Run every check and every test with what is installed: fmt, clippy, docs, codegen, buf, deny, layers, tests.
    Ci {
        /// Leave the tests out.
        #[arg(long)]
        checks_only: bool,
    },
    /// Measure what a request costs, as a ratio against a bare hop in the same run.
    Bench(bench::Args),
    /// Generate the protobuf bindings and descriptor sets in crates/proto.
    Codegen {
        /// Change nothing; fail when the committed files differ.
        #[arg(long)]
        check: bool,
    },
    /// Fuzz the targets of fuzz/, all without a name, one after the other; needs a nightly tool chain.
    Fuzz {
        /// Names.
        targets: Vec<String>,
        /// For each target.
        #[arg(long, default_value_t = 10)]
        minutes: u64,
    },
    /// Fail on a dependency between the workspace's crates that points up.
    Layers,
    /// Run the rows of the reliability plan: the full campaign, `--short`, or `--broken`.
    Proofs(proofs::Args),
    /// Install pinned external tools into .tools; without a name, those that the tests need.
    Tools {
        /// Names, or "list".
        names: Vec<String>,
    },
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Test => tools::install_for_tests().and_then(|()| checks::run(false)),
        Command::Ci { checks_only } => checks::run(checks_only),
        Command::Bench(args) => bench::run(&args),
        Command::Codegen { check } => codegen::run(check),
        Command::Fuzz { targets, minutes } => fuzz::run(&targets, minutes),
        Command::Layers => layers::run(),
        Command::Proofs(args) => proofs::run(&args),
        Command::Tools { names } => tools::run_tools(&names),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Into::into).unwrap_or_default()
}

/// Runs a command in the checkout, its output shown; fails when it fails.
fn run(program: &str, args: &[&str]) -> Result<(), String> {
    run_with(program, args, &[])
}

/// [`run`] with environment variables.
fn run_with(program: &str, args: &[&str], env: &[(&str, &str)]) -> Result<(), String> {
    println!("$ {program} {}", args.join(" "));
    let mut command = Process::new(program);
    command.args(args).current_dir(root()).envs(env.iter().copied());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{program} {}` failed: {status}", args.join(" "))),
        Err(e) => Err(format!("`{program}` cannot be started: {e}")),
    }
}

/// What a command prints, or an error with what it printed as errors.
fn output(program: &str, args: &[&str]) -> Result<String, String> {
    let out = Process::new(program).args(args).current_dir(root()).output();
    let out = out.map_err(|e| format!("`{program}` cannot be started: {e}"))?;
    if out.status.success() {
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    } else {
        Err(format!("`{program} {}`: {}", args.join(" "), String::from_utf8_lossy(&out.stderr)))
    }
}

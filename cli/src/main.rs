//! The `quipu` program: `quipu up` starts the whole mesh in one process, the other commands are its tools.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its user")]

mod certs;
mod eval;
mod policy;
mod sentiment;
mod up_command;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mesh_config::EXIT_CONFIG;

/// A production-grade gRPC service mesh in one program.
#[derive(Parser)]
#[command(name = "quipu", version, about, args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: up_command::UpArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Start the whole mesh in this process (the default).
    Up(up_command::UpArgs),
    /// Check, render, explain or draw the call policy.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Issue identities from the local mesh's certificate authority.
    #[command(subcommand)]
    Certs(certs::Command),
    /// Measure sentiment models.
    #[command(subcommand)]
    Sentiment(sentiment::Command),
    /// Have a language model tell jokes about the topics of a file, and score them.
    ///
    /// Models and guards are those of the jokes service, by the same variables (OPENAI_*, QUIPU_JOKES_*); without a key
    /// the embedded engine `puns` answers. Scores are 0 to 1. Exit code 0: every joke was told; 1: one was not, a mean is
    /// below --min-score, or Opik did not take it; 64: arguments, settings or the file are faulty; 130: it was stopped.
    Eval(eval::EvalArgs),
    /// Print the OpenAPI description of the REST API.
    Openapi,
}

fn main() -> ExitCode {
    let Args { command, up } = match Args::try_parse() {
        Ok(args) => args,
        Err(fault) => return said(&fault),
    };
    let result = match command.unwrap_or(Command::Up(up)) {
        Command::Up(args) => return up_command::run(&args),
        Command::Policy(command) => policy::run(command),
        Command::Certs(command) => certs::run(command),
        Command::Sentiment(command) => sentiment::run(command),
        Command::Eval(args) => return eval::run(&args),
        Command::Openapi => openapi(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Help and versions are an answer; everything else is a fault of the arguments.
fn said(fault: &clap::Error) -> ExitCode {
    // Nobody reads it if the terminal is gone.
    let _ = fault.print();
    if fault.use_stderr() { ExitCode::from(EXIT_CONFIG) } else { ExitCode::SUCCESS }
}

fn openapi() -> Result<(), String> {
    let text = quipu_gateway::openapi().to_pretty_json().map_err(|e| e.to_string())?;
    println!("{text}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_up_is_the_default() {
        Args::command().debug_assert();
        assert!(Args::try_parse_from(["quipu"]).unwrap().command.is_none());
        let Some(Command::Up(up)) = Args::try_parse_from(["quipu", "up"]).unwrap().command else { panic!() };
        assert_eq!(format!("{up:?}"), format!("{:?}", Args::try_parse_from(["quipu"]).unwrap().up));
    }
}

//! The program `quipu-bench`: the benchmark, and the bare targets that it starts.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its user")]

use std::{net::SocketAddr, process::ExitCode};

use clap::{Parser, Subcommand};
use quipu_bench::{Result, bare, rows, rows::Plan, table};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(about = "What a request costs, as a ratio against a bare hop in the same run")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure every row and print the table.
    Run {
        /// Fewer and shorter rounds.
        #[arg(long)]
        short: bool,
        /// Write the table into bench/README.md.
        #[arg(long)]
        write: bool,
        /// Only the rows whose name has one of these words in it.
        rows: Vec<String>,
    },
    /// A bare target: axum with constant answers; with `--upstream` it asks a bare tonic service first.
    #[command(hide = true)]
    Axum { listen: SocketAddr, upstream: Option<SocketAddr> },
    /// A bare target: tonic with a constant answer.
    #[command(hide = true)]
    Tonic { listen: SocketAddr },
    /// A collector of traces that forgets them.
    #[command(hide = true)]
    Sink { listen: SocketAddr },
    /// Hashes a password so many times, with the parameters of `auth`.
    #[command(hide = true)]
    Argon2 { times: u32 },
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = tokio::select! {
        outcome = run(Args::parse().command) => outcome,
        // Whatever was started ends with what holds it.
        () = stopped() => Err("stopped".into()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Ctrl-C, or the request to end.
async fn stopped() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

async fn run(command: Command) -> Result<bool> {
    match command {
        Command::Run { short, write, rows: wanted } => {
            let plan = if short { Plan::short() } else { Plan::full() };
            let rows = rows::all(&plan, &wanted, |line| eprintln!("{line}")).await?;
            let table = table::render(&rows);
            println!("{table}");
            if write {
                table::write(&table)?;
            }
            return Ok(rows.iter().all(rows::Row::passes));
        }
        Command::Axum { listen, upstream } => bare::axum(listen, upstream).await?,
        Command::Tonic { listen } => bare::tonic(listen).await?,
        Command::Sink { listen } => bare::sink(listen).await?,
        Command::Argon2 { times } => bare::argon2(times)?,
    }
    Ok(true)
}

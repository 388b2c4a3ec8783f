//! The benchmark: builds what production runs, then measures it.

use crate::run_with;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Fewer and shorter rounds.
    #[arg(long)]
    short: bool,
    /// Write the table into bench/README.md.
    #[arg(long)]
    write: bool,
    /// Only the rows whose name has one of these words in it: start idle healthz hop grpc login connections jokes-added jokes-held jokes-first.
    rows: Vec<String>,
}

/// All programs are built together and with every default feature, as they are released.
pub(crate) fn run(args: &Args) -> Result<(), String> {
    let build = ["build", "--release", "--locked", "--workspace", "--bins"];
    run_with("cargo", &build, &[])?;
    let mut command = vec!["run"];
    command.extend(args.short.then_some("--short"));
    command.extend(args.write.then_some("--write"));
    command.extend(args.rows.iter().map(String::as_str));
    run_with("target/release/quipu-bench", &command, &[])
}

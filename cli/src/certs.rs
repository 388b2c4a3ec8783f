//! `quipu certs`: identities for people and programs that call the local mesh directly.

use std::{path::PathBuf, time::Duration};

use clap::Subcommand;
use mesh_config::Seconds;
use mesh_error::chain;
use quipu::up::Authority;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Write NAME.crt, NAME.key and ca.crt: the identity of one workload of the policy, for example an operator's.
    Issue {
        /// A workload of the policy file, for example "operator".
        name: String,
        /// Folder to write to.
        #[arg(long, default_value = ".")]
        out: PathBuf,
        /// Data folder of the local mesh, which holds its certificate authority.
        #[arg(long, default_value = ".quipu")]
        data: PathBuf,
        /// Policy file that the mesh was started with [default: the built-in policy].
        #[arg(long)]
        policy: Option<PathBuf>,
        /// How long the identity is good.
        #[arg(long, default_value = "24h")]
        ttl: Seconds,
    },
}

pub(crate) fn run(command: Command) -> Result<(), String> {
    let Command::Issue { name, out, data, policy, ttl } = command;
    if ttl.0 > MAX_TTL {
        return Err(format!("--ttl: at most {} days", MAX_TTL.as_secs() / 86_400));
    }
    let authority = Authority::open(&data, policy.as_deref()).map_err(|e| chain(&e))?;
    let files = authority.write_identity(&name, &out, ttl.0).map_err(|e| chain(&e))?;
    for file in files {
        println!("wrote {}", file.display());
    }
    Ok(())
}

/// An operator's identity is renewed, not kept for ever.
const MAX_TTL: Duration = Duration::from_secs(30 * 24 * 60 * 60);

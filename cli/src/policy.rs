//! `quipu policy`: the reviewed file and what is derived from it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use mesh_error::chain;
use mesh_policy::{Policy, render};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Check the file against the contract; every fault is named with its line.
    Check(File),
    /// Print the NetworkPolicies and PodDisruptionBudgets, or write one file for each.
    Render {
        #[command(flatten)]
        file: File,
        /// Folder to write the objects to, one file each.
        #[arg(long, conflicts_with = "checkout")]
        out: Option<PathBuf>,
        /// Checkout of the project: bring its committed objects and call graph up to date.
        #[arg(long)]
        checkout: Option<PathBuf>,
    },
    /// Say whether CALLER may call METHOD, and which line decides.
    Explain {
        /// A workload, or a whole SPIFFE id.
        caller: String,
        /// For example quipu.sentiment.v1.SentimentService/Analyze.
        method: String,
        #[command(flatten)]
        file: File,
    },
    /// Print the call graph in Mermaid.
    Graph(File),
}

#[derive(Args)]
pub(crate) struct File {
    /// The policy file; without it, the one that is built in.
    #[arg(long = "file", value_name = "FILE")]
    path: Option<PathBuf>,
}

impl File {
    fn load(&self) -> Result<Policy, String> {
        quipu::policy(self.path.as_deref()).map_err(|faults| faults.to_string())
    }
}

pub(crate) fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Check(file) => {
            let policy = file.load()?;
            println!("ok: {} workloads, {} rules", policy.workloads().len(), policy.calls().len());
        }
        Command::Render { file, out: Some(folder), .. } => write(&file.load()?, &folder)?,
        Command::Render { file, checkout: Some(root), .. } => update(&file.load()?, &root)?,
        Command::Render { file, .. } => {
            for (_, text) in render::manifests(&file.load()?) {
                print!("---\n{text}");
            }
        }
        Command::Explain { caller, method, file } => println!("{}", file.load()?.explain(&caller, &method)),
        Command::Graph(file) => print!("{}", render::mermaid(&file.load()?)),
    }
    Ok(())
}

fn write(policy: &Policy, folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|e| format!("{}: {}", folder.display(), chain(&e)))?;
    for (name, text) in render::manifests(policy) {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|e| format!("{}: {}", path.display(), chain(&e)))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

fn update(policy: &Policy, root: &Path) -> Result<(), String> {
    let changed = render::write(root, policy).map_err(|e| format!("{}: {}", root.display(), chain(&e)))?;
    for path in &changed {
        println!("changed {}", path.display());
    }
    println!("{} files changed", changed.len());
    Ok(())
}

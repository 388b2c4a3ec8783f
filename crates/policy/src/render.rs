//! What is derived from the policy and must never drift from it: Kubernetes objects and the call graph.
//!
//! The rendered files are committed, and a test compares them with a fresh rendering. The output depends on the policy
//! alone: same file, same bytes.

mod disruption;
mod graph;
mod manifest;
mod network;

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

pub use self::graph::{mermaid, page};
use crate::Policy;

/// Where the Kubernetes objects are committed, from the root of the repository.
pub const MANIFESTS: &str = "policies/rendered";
/// Where the page with the call graph is committed, from the root of the repository.
pub const PAGE: &str = "docs/call-graph.md";

/// The Kubernetes objects, one per file: file name and YAML, in order of the names.
pub fn manifests(policy: &Policy) -> Vec<(String, String)> {
    let mut files = network::policies(policy);
    files.extend(disruption::budgets(policy));
    files.sort();
    files
}

/// Every derived file: its path from the root of the repository, and its text.
pub fn files(policy: &Policy) -> Vec<(PathBuf, String)> {
    let manifests = manifests(policy).into_iter().map(|(name, text)| (Path::new(MANIFESTS).join(name), text));
    manifests.chain([(PathBuf::from(PAGE), page(policy))]).collect()
}

/// What differs between the committed files below `root` and a fresh rendering: one line each, empty when nothing.
///
/// # Errors
/// When the folder of the rendered objects cannot be listed.
pub fn drift(root: &Path, policy: &Policy) -> io::Result<Vec<String>> {
    let files = files(policy);
    let mut drift = Vec::new();
    for (path, text) in &files {
        match fs::read_to_string(root.join(path)) {
            Ok(committed) if committed == *text => {}
            Ok(_) => drift.push(format!("{} is out of date", path.display())),
            Err(error) => drift.push(format!("{} cannot be read: {error}", path.display())),
        }
    }
    for path in leftovers(root, &files)? {
        drift.push(format!("{} is rendered no more", path.display()));
    }
    Ok(drift)
}

/// Writes every derived file below `root` and removes rendered objects that exist no more. Answers the paths, from
/// `root`, that were changed.
///
/// # Errors
/// When a file or folder cannot be read, written or removed.
pub fn write(root: &Path, policy: &Policy) -> io::Result<Vec<PathBuf>> {
    let files = files(policy);
    let mut changed = Vec::new();
    for (path, text) in &files {
        let target = root.join(path);
        if fs::read_to_string(&target).is_ok_and(|committed| committed == *text) {
            continue;
        }
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&target, text)?;
        changed.push(path.clone());
    }
    for path in leftovers(root, &files)? {
        fs::remove_file(root.join(&path))?;
        changed.push(path);
    }
    Ok(changed)
}

/// YAML files in the folder of the rendered objects that are not among `files`.
fn leftovers(root: &Path, files: &[(PathBuf, String)]) -> io::Result<Vec<PathBuf>> {
    let folder = root.join(MANIFESTS);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let wanted: BTreeSet<&Path> = files.iter().map(|(path, _)| path.as_path()).collect();
    let mut leftovers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = Path::new(MANIFESTS).join(entry?.file_name());
        if path.extension().is_some_and(|extension| extension == "yaml") && !wanted.contains(path.as_path()) {
            leftovers.push(path);
        }
    }
    leftovers.sort();
    Ok(leftovers)
}

//! Protobuf bindings and the descriptor set, generated with protox (no protoc) and committed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use prost::Message as _;

/// Generates into `crates/proto/src/gen`; with `check`, compares instead and fails on a difference.
pub(crate) fn run(check: bool) -> Result<(), String> {
    let root = crate::root();
    let target = root.join("crates/proto/src/gen");
    let scratch = root.join("target/codegen");
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).map_err(|e| format!("{}: {e}", scratch.display()))?;
    generate(&root, &scratch)?;
    let wanted = files(&scratch)?;
    let stale: Vec<_> = files(&target)?.into_iter().filter(|f| !wanted.contains(f)).collect();
    let mut differing = stale.clone();
    for name in &wanted {
        let new = fs::read(scratch.join(name)).map_err(|e| e.to_string())?;
        if fs::read(target.join(name)).ok().as_ref() == Some(&new) {
            continue;
        }
        differing.push(name.clone());
        if !check {
            fs::create_dir_all(&target).map_err(|e| e.to_string())?;
            fs::write(target.join(name), new).map_err(|e| e.to_string())?;
        }
    }
    if check && !differing.is_empty() {
        return Err(format!("generated files differ: {}; run `cargo xtask codegen`", differing.join(", ")));
    }
    for name in stale {
        fs::remove_file(target.join(name)).map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn generate(root: &Path, out: &Path) -> Result<(), String> {
    let include = root.join("proto");
    let mut protos = Vec::new();
    find(&include, &mut protos)?;
    protos.sort();
    let set = protox::compile(&protos, [&include]).map_err(|e| format!("{e:?}"))?;
    fs::write(out.join("descriptors.bin"), set.encode_to_vec()).map_err(|e| e.to_string())?;
    tonic_prost_build::configure()
        .out_dir(out)
        .emit_rerun_if_changed(false)
        .compile_fds(set)
        .map_err(|e| format!("code generation: {e}"))
}

fn find(folder: &Path, into: &mut Vec<PathBuf>) -> Result<(), String> {
    for entry in fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let path = entry.map_err(|e| e.to_string())?.path();
        if path.is_dir() {
            find(&path, into)?;
        } else if path.extension().is_some_and(|e| e == "proto") {
            into.push(path);
        }
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<String>, String> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut names: Vec<_> = entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

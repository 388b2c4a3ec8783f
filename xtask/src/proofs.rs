//! The rows of the reliability plan: the whole campaign, its short form, and the proof that each row can fail.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{root, run_with, tools};

/// Test binaries of `quipu-e2e` that hold rows.
const AREAS: &[&str] = &["identity", "tokens", "sessions", "edge", "objects", "guards", "models", "replay"];

/// Where the table of the last full campaign stands, and between which lines.
const TABLE: (&str, &str, &str) = ("docs/reliability.md", "<!-- rows: begin -->", "<!-- rows: end -->");

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A tenth of the counts, in a debug build: what the tests run.
    #[arg(long)]
    short: bool,
    /// Show that rows can fail: apply each patch of e2e/broken to a copy of HEAD and run its row there.
    #[arg(long, conflicts_with = "short")]
    broken: bool,
    /// Rows, such as `F1 G5`; all without one.
    ids: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<(), String> {
    tools::install_for_tests()?;
    if args.broken { broken(&args.ids) } else { campaign(args) }
}

fn campaign(args: &Args) -> Result<(), String> {
    let lines = root().join("target/proofs.jsonl");
    let _ = fs::remove_file(&lines);
    let out = lines.display().to_string();
    let env =
        [("QUIPU_PROOFS_OUT", out.as_str()), ("QUIPU_PROOFS", if args.short { "short" } else { "full" })];
    let profile: &[&str] = if args.short { &[] } else { &["--profile", "proofs"] };
    run_with("cargo", &[&["build", "--workspace", "--bins", "--locked"], profile].concat(), &env)?;
    let filters: Vec<_> = args.ids.iter().map(|id| test_prefix(id)).collect();
    let mut command = [&["test", "--workspace", "--locked", "--no-fail-fast"], profile].concat();
    command.extend(AREAS.iter().flat_map(|area| ["--test", area]));
    command.extend(["--", "--test-threads=1", "--nocapture"]);
    command.extend(filters.iter().map(String::as_str));
    let ran = run_with("cargo", &command, &env);
    let rows = rows(&lines)?;
    let failed: Vec<_> = rows.iter().filter(|row| row["pass"] != true).map(|row| text(row, "id")).collect();
    println!("{} rows, {} passed", rows.len(), rows.len() - failed.len());
    if !args.short && args.ids.is_empty() {
        write_table(&rows)?;
    }
    match (ran, failed.is_empty()) {
        (Err(e), true) => Err(e),
        (_, false) => Err(format!("did not pass: {}", failed.join(", "))),
        (Ok(()), true) => Ok(()),
    }
}

/// Names of a row's tests begin with this.
fn test_prefix(id: &str) -> String {
    format!("{}_", id.to_lowercase().replace('.', "_"))
}

fn rows(lines: &Path) -> Result<Vec<Value>, String> {
    let written = fs::read_to_string(lines).map_err(|e| format!("no row was printed: {e}"))?;
    let mut rows = written.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
    if let Ok(rows) = &mut rows {
        rows.sort_by_key(|row| sort_key(&text(row, "id")));
    }
    rows.map_err(|e| e.to_string())
}

/// `F10` after `F2`, parts after their row.
fn sort_key(id: &str) -> (String, u32, String) {
    let (row, part) = id.split_once('.').unwrap_or((id, ""));
    let letters = row.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = row.trim_start_matches(letters).parse().unwrap_or(0);
    (letters.to_owned(), number, part.to_owned())
}

fn text(row: &Value, key: &str) -> String {
    row.get(key).map_or_else(String::new, |v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
}

fn write_table(rows: &[Value]) -> Result<(), String> {
    let (file, begin, end) = TABLE;
    let path = root().join(file);
    let page = fs::read_to_string(&path).map_err(|e| format!("{file}: {e}"))?;
    let missing = || format!("{file}: the lines {begin} and {end} are missing");
    let (before, rest) = page.split_once(begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(end).ok_or_else(missing)?;
    let mut table = String::from(
        "| row | what holds | n | failed | figure | limit | pass |\n| --- | --- | ---: | ---: | --- | --- | --- |\n",
    );
    for row in rows {
        let cell = |key| text(row, key).replace('|', "\\|");
        let pass = if row["pass"] == true { "yes" } else { "**no**" };
        table.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} | {pass} |\n",
            cell("id"),
            cell("what"),
            cell("n"),
            cell("failed"),
            cell("figure"),
            cell("limit")
        ));
    }
    let page = format!("{before}{begin}\n{table}{end}{after}");
    fs::write(&path, page).map_err(|e| format!("{file}: {e}"))?;
    println!("wrote the table of {file}");
    Ok(())
}

/// Each patch in a copy of HEAD: it must build, and its row must fail there.
fn broken(ids: &[String]) -> Result<(), String> {
    let patches = patches(ids)?;
    let tree = root().join("target/broken/tree");
    let mut survived = Vec::new();
    for (n, patch) in patches.iter().enumerate() {
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        println!("== {name} ({} of {})", n + 1, patches.len());
        fresh_tree(&tree)?;
        match row_fails(&tree, patch, &name) {
            Ok(true) => println!("== {name}: the row fails, as it must"),
            Ok(false) => survived.push(format!("{name}: the row still passes")),
            Err(e) => survived.push(format!("{name}: {e}")),
        }
    }
    println!("{} of {} broken builds are noticed", patches.len() - survived.len(), patches.len());
    if survived.is_empty() { Ok(()) } else { Err(survived.join("\n       ")) }
}

fn patches(ids: &[String]) -> Result<Vec<PathBuf>, String> {
    let folder = root().join("e2e/broken");
    let entries = fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut patches: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    patches.retain(|path| path.extension().is_some_and(|e| e == "patch"));
    patches.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        ids.is_empty() || ids.iter().any(|id| name.starts_with(&format!("{id}-")))
    });
    patches.sort();
    Ok(patches)
}

/// HEAD without a trace of the last patch; files that did not change keep their times, so little is built again.
fn fresh_tree(tree: &Path) -> Result<(), String> {
    let at = tree.display().to_string();
    if tree.join(".git").exists() {
        let head = crate::output("git", &["rev-parse", "HEAD"])?;
        return run_with("git", &["-C", &at, "checkout", "--quiet", "--force", "--detach", head.trim()], &[]);
    }
    run_with("git", &["worktree", "prune"], &[])?;
    run_with("git", &["worktree", "add", "--quiet", "--force", "--detach", &at, "HEAD"], &[])?;
    let tools = root().join(".tools");
    std::os::unix::fs::symlink(tools, tree.join(".tools")).map_err(|e| e.to_string())
}

/// Whether the row of a patch fails in the tree with that patch. A patch that does not apply or build is an error.
fn row_fails(tree: &Path, patch: &Path, name: &str) -> Result<bool, String> {
    let (at, patch) = (tree.display().to_string(), patch.display().to_string());
    run_with("git", &["-C", &at, "apply", &patch], &[])?;
    let manifest = format!("{at}/Cargo.toml");
    let target = root().join("target/broken/target").display().to_string();
    let env = [("CARGO_TARGET_DIR", target.as_str())];
    let common = ["--workspace", "--quiet", "--manifest-path", &manifest];
    run_with("cargo", &[&["build", "--bins"], &common[..]].concat(), &env)?;
    let prefix = test_prefix(name.split('-').next().unwrap_or_default());
    let area = area_of(tree, &prefix).ok_or_else(|| format!("no test is named {prefix}…"))?;
    let mut test = [&["test", "--no-fail-fast"], &common[..]].concat();
    test.extend(["--test", area]);
    run_with("cargo", &[&test[..], &["--no-run"]].concat(), &env)?;
    test.extend(["--", "--test-threads=1", &prefix]);
    Ok(run_with("cargo", &test, &env).is_err())
}

/// The test binary with the tests of a row, so that no other is linked.
fn area_of(tree: &Path, prefix: &str) -> Option<&'static str> {
    let declares =
        |file: PathBuf| fs::read_to_string(file).is_ok_and(|t| t.contains(&format!("fn {prefix}")));
    let holds = |area: &&&str| {
        let files = fs::read_dir(tree.join("e2e/tests").join(area)).into_iter().flatten().flatten();
        files.map(|file| file.path()).any(declares)
    };
    AREAS.iter().find(holds).copied()
}

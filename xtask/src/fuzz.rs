//! Fuzzing with libFuzzer: `cargo xtask fuzz [TARGET…] [--minutes N]`; what there is to know stands in `fuzz/README.md`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use serde_json::json;

use crate::{root, tools};

/// Where cargo-fuzz puts the programs, from the root of the checkout.
const PROGRAMS: &str = "fuzz/target/x86_64-unknown-linux-gnu/release";
/// What no input may do when it runs alone: take longer than a second, or more memory than this.
const LIMITS: [&str; 2] = ["-timeout=1", "-rss_limit_mb=512"];
/// The same in a campaign, which goes on after an input that took longer: a busy machine stands still at times.
const WATCHED: [&str; 3] = ["-report_slow_units=1", "-timeout=20", "-rss_limit_mb=512"];
/// Longer than any limit of what is read, but for the policy file's.
const LONGEST: &str = "-max_len=16384";

/// Runs the targets, all without a name, one after the other and each for so many minutes; fails when one crashes.
pub(crate) fn run(names: &[String], minutes: u64) -> Result<(), String> {
    let all = targets()?;
    if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
        return Err(format!("no target {unknown:?}; there are {}", all.join(", ")));
    }
    build()?;
    let mut failed = Vec::new();
    for name in all.iter().filter(|name| names.is_empty() || names.contains(name)) {
        if !campaign(name, minutes)? {
            failed.push(name.as_str());
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

/// A file of `fuzz_targets` for each.
fn targets() -> Result<Vec<String>, String> {
    let mut names: Vec<_> = files(&root().join("fuzz/fuzz_targets"))?
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// Without a sanitizer of memory: the code under test holds no `unsafe`, and it is twice as fast.
fn build() -> Result<(), String> {
    let fuzzer = tools::path("cargo-fuzz")?;
    let mut command = Command::new("rustup");
    // Cargo tells its children which cargo they are run by; here it has to be the other one.
    command.args(["run", "nightly", &fuzzer, "fuzz", "build", "--sanitizer", "none"]).env_remove("CARGO");
    let status =
        command.current_dir(root()).status().map_err(|e| format!("rustup cannot be started: {e}"))?;
    if status.success() { Ok(()) } else { Err("the fuzz targets do not build; they need nightly".into()) }
}

/// What libFuzzer counts.
struct Seen {
    executions: u64,
    crashes: usize,
    memory: u64,
    edges: u64,
    inputs: u64,
}

/// Runs one target, prints its row and answers whether it passed.
fn campaign(name: &str, minutes: u64) -> Result<bool, String> {
    let artifacts = root().join("fuzz/artifacts").join(name);
    let found = root().join("fuzz/target/corpus").join(name);
    for folder in [&artifacts, &found] {
        fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    let before = files(&artifacts)?;
    let program = root().join(PROGRAMS).join(name);
    let began = Instant::now();
    let mut seen =
        campaign_for(&program, &[&found, &root().join("fuzz/corpus").join(name)], &artifacts, minutes)?;
    let odd = files(&artifacts)?.into_iter().filter(|file| !before.contains(file)).collect();
    seen.crashes = confirmed(&program, odd)?;
    let passed = seen.crashes == 0 && seen.executions > 0 && seen.memory <= 512;
    println!("{}", row(name, &seen, passed, began.elapsed().as_secs().max(1)));
    Ok(passed)
}

/// Runs a target and counts.
fn campaign_for(program: &Path, corpora: &[&Path], artifacts: &Path, minutes: u64) -> Result<Seen, String> {
    let out = Command::new(program)
        .args(WATCHED)
        .args([LONGEST, "-print_final_stats=1", &format!("-max_total_time={}", minutes * 60)])
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(corpora)
        .output()
        .map_err(|e| format!("{} cannot be started: {e}", program.display()))?;
    let log = String::from_utf8_lossy(&out.stderr);
    if !out.status.success() {
        let lines: Vec<_> = log.lines().filter(|line| !line.starts_with(['#', '\t'])).take(40).collect();
        println!("{}", lines.join("\n"));
    }
    Ok(Seen {
        executions: number(&log, "stat::number_of_executed_units:"),
        crashes: 0,
        memory: number(&log, "stat::peak_rss_mb:"),
        edges: number(&log, " cov: "),
        inputs: number(&log, " corp: "),
    })
}

/// How many of these inputs fail each of three times that they run alone; one that was only slow is forgotten.
fn confirmed(program: &Path, inputs: Vec<PathBuf>) -> Result<usize, String> {
    let mut failed = 0;
    for input in inputs {
        let alone = || Command::new(program).args(LIMITS).arg(&input).output();
        if (0..3).any(|_| alone().is_ok_and(|out| out.status.success())) {
            println!("{} passes alone", input.display());
            fs::remove_file(&input).map_err(|e| e.to_string())?;
        } else {
            println!("{} fails again", input.display());
            failed += 1;
        }
    }
    Ok(failed)
}

/// As the rows of the proofs.
fn row(name: &str, seen: &Seen, passed: bool, seconds: u64) -> serde_json::Value {
    let figure = format!(
        "{} s, {} a second, {} edges, {} inputs, {} MiB",
        seconds,
        seen.executions / seconds,
        seen.edges,
        seen.inputs,
        seen.memory
    );
    json!({
        "id": format!("K2.{name}"), "n": seen.executions, "failed": seen.crashes, "figure": figure,
        "limit": "no crash, no input over 1 s, at most 512 MiB",
        "pass": passed,
        "what": format!("whatever bytes the target `{name}` reads, it keeps its promises"),
    })
}

/// The number behind the last `label`.
fn number(log: &str, label: &str) -> u64 {
    let behind = log.rsplit_once(label).map(|(_, behind)| behind.trim_start()).unwrap_or_default();
    behind
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_default()
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(|e| e.to_string())).collect()
}

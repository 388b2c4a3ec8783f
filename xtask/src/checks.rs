//! What CI runs, in the order in which it fails fastest.

use std::time::Instant;

use crate::{codegen, layers, run as command, run_with, tools};

type Check = (&'static str, fn() -> Result<(), String>);

const CHECKS: &[Check] = &[
    ("fmt", || command("cargo", &["fmt", "--all", "--check"])),
    ("codegen", || codegen::run(true)),
    ("layers", layers::run),
    ("buf", buf),
    ("clippy", || {
        command("cargo", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
    }),
    ("docs", || {
        let args = ["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"];
        run_with("cargo", &args, &[("RUSTDOCFLAGS", "-D warnings")])
    }),
    ("deny", deny),
];

/// Runs the checks, then the tests unless `checks_only`; stops at the first that fails.
pub(crate) fn run(checks_only: bool) -> Result<(), String> {
    let began = Instant::now();
    for (name, check) in CHECKS {
        timed(name, *check)?;
    }
    if !checks_only {
        timed("tests", tests)?;
    }
    println!("all checks passed in {} s", began.elapsed().as_secs());
    Ok(())
}

/// Tests start programs of the workspace, and `cargo test` builds only those whose own package has integration tests.
fn tests() -> Result<(), String> {
    command("cargo", &["build", "--workspace", "--bins", "--tests", "--locked"])?;
    command("cargo", &["test", "--workspace", "--locked", "--no-fail-fast"])
}

fn timed(name: &str, check: impl Fn() -> Result<(), String>) -> Result<(), String> {
    let began = Instant::now();
    println!("== {name}");
    check().map_err(|e| format!("{name}: {e}"))?;
    println!("== {name}: passed in {} s", began.elapsed().as_secs());
    Ok(())
}

/// Lint, format, and compatibility with the newest release tag, if there is one.
fn buf() -> Result<(), String> {
    let buf = tools::path("buf")?;
    command(&buf, &["lint"])?;
    command(&buf, &["format", "--diff", "--exit-code"])?;
    match crate::output("git", &["describe", "--tags", "--abbrev=0", "--match", "v*"]) {
        Ok(tag) => command(&buf, &["breaking", "--against", &format!(".git#tag={}", tag.trim())]),
        Err(_) => {
            println!("buf breaking: no release tag to compare with");
            Ok(())
        }
    }
}

/// Bans, licences and sources here; advisories in the hosted workflow, where the database can be fetched.
fn deny() -> Result<(), String> {
    let deny = tools::path("cargo-deny")?;
    command(&deny, &["--locked", "check", "bans", "licenses", "sources"])
}

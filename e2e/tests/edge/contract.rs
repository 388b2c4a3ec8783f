//! K1: schemathesis, an independent reader of the contract, asks for what the contract allows and for what it does not.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
};

use quipu_e2e::{ADMIN_EMAIL, ADMIN_PASSWORD, PASSWORD, Proof, Setup, is_full};
use serde_json::Value;
use tokio::process::{Child, Command};

/// One run: its name, who asks, and the operations, if not all.
struct Asker {
    name: &'static str,
    account: Option<(&'static str, &'static str)>,
    only: Option<&'static str>,
}

/// Nobody and somebody at once; then the administrator where somebody may not, who disables whom it finds.
const ASKERS: [Asker; 3] = [
    Asker { name: "nobody", account: None, only: None },
    Asker { name: "a user", account: Some(("ada@example.com", PASSWORD)), only: None },
    Asker {
        name: "the administrator",
        account: Some((ADMIN_EMAIL, ADMIN_PASSWORD)),
        only: Some("^/v1/(users|mesh|traces)"),
    },
];

/// What a run found.
#[derive(Default)]
struct Found {
    cases: u64,
    statuses: BTreeMap<u64, u64>,
    failures: Vec<String>,
    errors: Vec<String>,
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// From `.tools`, else from the PATH; `cargo xtask tools schemathesis` installs it.
fn program() -> PathBuf {
    let own = here("../.tools/bin/schemathesis");
    if own.exists() { own } else { "schemathesis".into() }
}

fn run(asker: &Asker, base: &str, folder: &Path) -> Child {
    let mut command = Command::new(program());
    command.current_dir(folder).env("QUIPU_URL", base).kill_on_drop(true);
    command.env("QUIPU_HOOKS", here("tests/edge/schemathesis/hooks.py"));
    if let Some((email, password)) = asker.account {
        command.env("QUIPU_EMAIL", email).env("QUIPU_PASSWORD", password);
    }
    command.arg("--no-color").arg("--config-file").arg(here("tests/edge/schemathesis/schemathesis.toml"));
    command.arg("run").arg(format!("{base}/openapi.json"));
    command.arg("--max-examples").arg(if is_full() { "350" } else { "11" });
    command.arg("--phases").arg("examples,coverage,fuzzing,stateful");
    command.arg("--report").arg("ndjson").arg("--report-ndjson-path").arg(folder.join("report.ndjson"));
    if let Some(only) = asker.only {
        command.arg("--include-path-regex").arg(only);
    }
    let log = File::create(folder.join("log")).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    command.spawn().expect("schemathesis is missing: run `cargo xtask tools schemathesis`")
}

/// Reads what a run has noted of each case.
fn read(folder: &Path) -> Found {
    let mut found = Found::default();
    let Ok(report) = File::open(folder.join("report.ndjson")) else {
        found.errors.push("there is no report".into());
        return found;
    };
    for line in BufReader::new(report).lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if let Some(error) = event.get("NonFatalError").or(event.get("FatalError")) {
            found.errors.push(error.to_string());
        }
        let recorder = &event["ScenarioFinished"]["recorder"];
        for interaction in recorder["interactions"].as_object().into_iter().flatten().map(|(_, i)| i) {
            let status = interaction["response"]["status_code"].as_u64();
            found.cases += 1;
            *found.statuses.entry(status.unwrap_or_default()).or_default() += 1;
        }
        let checks = recorder["checks"].as_object().into_iter().flatten().map(|(_, c)| c);
        for check in checks.flat_map(|c| c.as_array().into_iter().flatten()) {
            if check["status"] != "success" {
                found.failures.push(check.to_string());
            }
        }
    }
    found
}

/// Runs to its end.
async fn ask(asker: &Asker, base: &str) -> Found {
    let folder = tempfile::tempdir().unwrap();
    let status = run(asker, base, folder.path()).wait().await.unwrap();
    let mut found = read(folder.path());
    if !status.success() {
        found.errors.push(std::fs::read_to_string(folder.path().join("log")).unwrap());
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k1_the_contract_holds_for_whatever_is_asked() {
    let mut proof =
        Proof::new("K1", "no input makes a fault of the mesh, and every answer is one of the contract");
    let mesh = Setup::new().without_rates().start().await;
    mesh.signed_in("ada").await;
    let base = format!("http://{}", mesh.process("gateway").address());
    let [nobody, user, administrator] = &ASKERS;
    let (first, second) = tokio::join!(ask(nobody, &base), ask(user, &base));
    let third = ask(administrator, &base).await;
    let (mut figures, mut cases) = (Vec::new(), 0);
    for (asker, found) in ASKERS.iter().zip([first, second, third]) {
        let faults: u64 = found.statuses.iter().filter(|(s, _)| **s >= 500 || **s == 0).map(|(_, n)| n).sum();
        proof.add(found.cases, faults.max(u64::try_from(found.failures.len()).unwrap()));
        cases += found.cases;
        let sound = found.failures.is_empty() && found.errors.is_empty();
        proof.require(sound, || format!("{}: {:?}\n{}", asker.name, found.failures, found.errors.join("\n")));
        // Whoever signs in stays signed in: the cases are not all about credentials.
        let refused = found.statuses.get(&401).copied().unwrap_or_default();
        let is_in = asker.account.is_none() || refused * 4 < found.cases;
        proof.require(is_in, || format!("{}: {refused} of {} are 401", asker.name, found.cases));
        figures.push(format!("{}: {} cases {:?}", asker.name, found.cases, found.statuses));
    }
    let least = if is_full() { 20_000 } else { 2_000 };
    proof.require(cases >= least, || format!("only {cases} cases"));
    proof.figure(format!("{cases} cases; {}", figures.join("; ")));
    proof.limit(format!("at least {least}; 0 of 5xx, 0 outside the contract"));
    proof.finish();
}

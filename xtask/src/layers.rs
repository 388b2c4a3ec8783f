//! Arrows between the workspace's crates point down only; a crate that is not in the table is refused.

use serde_json::Value;

/// Rank of each crate; a crate may depend on crates of a lower rank. Ranks: vocabulary, identity and telemetry, building blocks,
/// outbound and databases, inbound, test tools, services, program, whole-mesh tests.
const RANKS: &[(&str, u8)] = &[
    ("mesh-alloc", 0),
    ("mesh-proto", 0),
    ("mesh-error", 0),
    ("mesh-config", 0),
    ("mesh-identity", 1),
    ("mesh-opik", 1),
    ("mesh-policy", 2),
    ("mesh-resilience", 2),
    ("mesh-telemetry", 1),
    ("mesh-lifecycle", 2),
    ("mesh-redis", 2),
    ("mesh-store", 3),
    ("mesh-client", 3),
    ("mesh-server", 4),
    ("mesh-testkit", 5),
    ("quipu-auth", 6),
    ("quipu-jokes", 6),
    ("quipu-sentiment", 6),
    ("quipu-gateway", 6),
    ("quipu", 7),
    ("quipu-e2e", 8),
    ("quipu-bench", 8),
    ("xtask", 0),
];

/// The crate that only tests and what measures the whole mesh may use; those of any rank.
const TESTKIT: &str = "mesh-testkit";

/// Fails on an arrow that goes up or sideways, and on product code that uses the test tools.
pub(crate) fn run() -> Result<(), String> {
    let metadata = crate::output("cargo", &["metadata", "--format-version", "1", "--no-deps", "--offline"])?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|e| e.to_string())?;
    let mut faults = Vec::new();
    let mut arrows = 0;
    for package in list(&metadata, "packages") {
        let name = text(package, "name");
        let Some(rank) = rank_of(name) else {
            faults.push(format!("{name} has no rank in xtask/src/layers.rs"));
            continue;
        };
        for dependency in list(package, "dependencies").filter(|d| d.get("path").is_some()) {
            arrows += 1;
            let target = text(dependency, "name");
            let in_tests = text(dependency, "kind") == "dev" || matches!(name, "quipu-e2e" | "quipu-bench");
            if target == TESTKIT {
                if !in_tests {
                    faults.push(format!("{name} → {target}: only tests may use it"));
                }
                continue;
            }
            if rank_of(target).is_none_or(|t| t >= rank) {
                faults.push(format!("{name} → {target} does not point down"));
            }
        }
    }
    if faults.is_empty() {
        println!("layers: {arrows} arrows, all point down");
        return Ok(());
    }
    Err(faults.join("\n       "))
}

fn rank_of(name: &str) -> Option<u8> {
    RANKS.iter().find(|(n, _)| *n == name).map(|(_, rank)| *rank)
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

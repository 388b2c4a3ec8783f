//! The commands that need no running mesh.

use std::fs;

use crate::{checkout, quipu, text};

#[test]
fn the_built_in_policy_is_good_and_a_faulty_one_is_refused_with_its_line() {
    let good = quipu(&["policy", "check"]);
    assert!(good.status.success() && text(&good.stdout).starts_with("ok: 5 workloads"), "{good:?}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mesh.yaml");
    let faulty = fs::read_to_string(checkout("policies/mesh.yaml"))
        .unwrap()
        .replace("[gateway, jokes, sentiment]", "[gatewai]");
    let line = faulty.lines().position(|l| l.contains("gatewai")).unwrap() + 1;
    fs::write(&path, faulty).unwrap();
    let refused = quipu(&["policy", "check", "--file", path.to_str().unwrap()]);
    let errors = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains(&format!(":{line}:")) && errors.contains("gatewai") && errors.contains("gateway"),
        "{errors}"
    );
}

#[test]
fn explain_says_which_line_decides() {
    let allowed = quipu(&["policy", "explain", "operator", "quipu.sentiment.v1.SentimentService/Analyze"]);
    assert!(text(&allowed.stdout).starts_with("allowed: operator may call"), "{allowed:?}");
    let denied = quipu(&["policy", "explain", "operator", "quipu.auth.v1.AuthService/Login"]);
    assert!(text(&denied.stdout).starts_with("denied: operator may not call"), "{denied:?}");
}

#[test]
fn rendering_gives_what_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    assert!(quipu(&["policy", "render", "--out", out]).status.success());
    let mut files = 0;
    for entry in fs::read_dir(checkout("policies/rendered")).unwrap() {
        let path = entry.unwrap().path();
        let rendered = fs::read_to_string(folder.path().join(path.file_name().unwrap())).unwrap();
        assert_eq!(rendered, fs::read_to_string(&path).unwrap(), "{}", path.display());
        files += 1;
    }
    assert!(files >= 9, "{files} files");
    let graph = text(&quipu(&["policy", "graph"]).stdout);
    assert!(fs::read_to_string(checkout("docs/call-graph.md")).unwrap().contains(&graph), "{graph}");
}

#[test]
fn an_identity_is_issued_for_a_workload_of_the_policy_and_for_nobody_else() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let args = ["certs", "issue", "operator", "--data", &at("data"), "--out", &at("out")];
    let issued = quipu(&args);
    assert!(issued.status.success(), "{issued:?}");
    for name in ["operator.crt", "operator.key", "ca.crt"] {
        assert!(folder.path().join("out").join(name).exists(), "{name}");
    }
    let key = fs::metadata(folder.path().join("out/operator.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o077, 0, "the key is readable by others");
    let refused = quipu(&["certs", "issue", "nobody", "--data", &at("data"), "--out", &at("out")]);
    assert!(
        !refused.status.success() && text(&refused.stderr).contains("it knows gateway, auth"),
        "{refused:?}"
    );
}

#[test]
fn the_openapi_description_is_the_committed_one() {
    let printed = text(&quipu(&["openapi"]).stdout);
    assert_eq!(printed, fs::read_to_string(checkout("gateway/openapi.json")).unwrap());
}

#[test]
fn a_report_measures_a_model_on_a_labelled_file() {
    let file = checkout("services/sentiment/tests/data/behaviour.tsv");
    let report = quipu(&["sentiment", "report", file.to_str().unwrap()]);
    let table = text(&report.stdout);
    assert!(report.status.success() && table.contains("493 texts"), "{table}");
    for column in ["accuracy", "macro-F1", "ECE", "us per text"] {
        assert!(table.contains(column), "{column} is missing in\n{table}");
    }
    let missing = quipu(&["sentiment", "report", "/nowhere.tsv"]);
    assert!(!missing.status.success() && text(&missing.stderr).contains("/nowhere.tsv"), "{missing:?}");
}

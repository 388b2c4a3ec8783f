//! `quipu policy explain` names the rule that decided.

use crate::support::{demo, mesh};

#[test]
fn an_allowed_call_is_explained_by_its_rule() {
    let explanation = demo().explain("edge", "/demo.v1.Alpha/Read");
    assert!(explanation.allowed);
    assert_eq!(
        explanation.to_string(),
        "allowed: edge may call /demo.v1.Alpha/Read on alpha, by mesh.yaml:32:19; for a user with scope alpha:read; \
         within 2s; may be retried"
    );
    let stream = demo().explain("spiffe://demo.local/ns/demo/sa/beta", "Watch");
    assert!(!stream.allowed, "two methods are called Watch: {stream}");
    let stream = demo().explain("spiffe://demo.local/ns/demo/sa/beta", "Alpha.Watch").to_string();
    assert!(stream.contains("within 1h, at most 30s of silence"), "{stream}");
}

#[test]
fn a_denied_call_is_explained_by_who_may() {
    let explanation = demo().explain("beta", "demo.v1.Alpha/Read");
    assert!(!explanation.allowed);
    assert_eq!(
        explanation.to_string(),
        "denied: beta may not call /demo.v1.Alpha/Read on alpha: no rule allows this caller this method; \
         it may be called by edge (line 32), person (line 32)"
    );
    let nobody = demo().explain("edge", "Purge").to_string();
    assert!(nobody.ends_with("it may be called by nobody"), "{nobody}");
}

#[test]
fn unknown_names_come_with_the_nearest() {
    assert!(demo().explain("egde", "Read").to_string().contains("did you mean \"edge\"?"));
    assert!(demo().explain("edge", "Raed").to_string().contains("did you mean \"Read\"?"));
    for method in ["", "/", "ead", "v1", "demo.v1.Alpha"] {
        assert!(!demo().explain("edge", method).allowed, "{method}");
    }
}

#[test]
fn health_is_explained_for_each_workload() {
    let explanation = demo().explain("edge", "Check").to_string();
    assert!(
        explanation.contains("allowed: edge may call /grpc.health.v1.Health/Check on alpha"),
        "{explanation}"
    );
    assert!(
        explanation.contains("denied: edge may not call /grpc.health.v1.Health/Check on beta"),
        "{explanation}"
    );
}

#[test]
fn every_rule_of_the_present_mesh_is_explained_by_its_line() {
    let policy = mesh();
    let source: Vec<&str> = policy.source().lines().collect();
    for call in policy.calls() {
        let explanation = policy.explain(&call.caller, &call.method.path);
        assert!(explanation.allowed, "{explanation}");
        let place = format!("by policies/mesh.yaml:{}:{};", call.rule.line, call.rule.column);
        assert!(explanation.to_string().contains(&place), "{explanation}");
        let written = &source[call.rule.line - 1][call.rule.column - 1..];
        assert!(written.starts_with(&*call.caller), "line {} does not name {}", call.rule.line, call.caller);
    }
    for (_, caller, path, decision) in policy.pairs() {
        if policy.callees(path).count() == 1 && !decision.is_allowed() {
            let single = policy.callees(path).next().unwrap();
            let id = policy.id_of(caller).unwrap();
            assert_eq!(policy.explain(caller, path).allowed, policy.decide(single, &id, path).is_allowed());
        }
    }
}

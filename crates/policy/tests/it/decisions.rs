//! The decision: every pair of the matrix, and every other spelling of a method.

use std::{collections::BTreeSet, time::Duration};

use mesh_policy::{Decision, Denial, UserRule};

use crate::support::{demo, mesh};

const READ: &str = "/demo.v1.Alpha/Read";
const CHECK: &str = "/grpc.health.v1.Health/Check";
const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";
const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const REFLECT_ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

#[test]
fn every_pair_of_the_small_mesh_is_as_its_file_says() {
    let policy = demo();
    let allowed: BTreeSet<_> = policy
        .pairs()
        .filter(|(.., decision)| decision.is_allowed())
        .map(|(callee, caller, path, _)| (callee, caller, path))
        .collect();
    let expected = BTreeSet::from([
        ("alpha", "edge", READ),
        ("alpha", "person", READ),
        ("alpha", "edge", "/demo.v1.Alpha/Write"),
        ("alpha", "beta", "/demo.v1.Alpha/Watch"),
        ("alpha", "edge", CHECK),
        ("alpha", "edge", HEALTH_WATCH),
        ("alpha", "person", REFLECT),
        ("alpha", "person", REFLECT_ALPHA),
        ("beta", "edge", "/demo.v1.Beta/Do"),
        ("beta", "person", "/demo.v1.Beta/Do"),
    ]);
    assert_eq!(allowed, expected);
    // Two callees, four callers, five methods of the services and four of health and reflection.
    assert_eq!(policy.pairs().count(), 2 * 4 * 9);
}

#[test]
fn every_pair_of_the_present_mesh_is_as_planned() {
    let policy = mesh();
    let auth = |name: &str| format!("/quipu.auth.v1.AuthService/{name}");
    let sentiment = |name: &str| format!("/quipu.sentiment.v1.SentimentService/{name}");
    let mut expected = BTreeSet::new();
    let mut allow = |callee: &str, caller: &str, path: String| {
        expected.insert((callee.to_owned(), caller.to_owned(), path));
    };
    for method in policy.contract().methods() {
        let callee = method.service.split('.').nth(1).unwrap();
        allow(callee, "gateway", method.path.to_string());
        if callee == "jokes" {
            allow(callee, "operator", method.path.to_string());
        }
    }
    allow("auth", "operator", auth("GetJwks"));
    for name in ["GetJwks", "WatchRevocations", "CheckSession"] {
        allow("auth", "sentiment", auth(name));
        allow("auth", "jokes", auth(name));
    }
    allow("sentiment", "jokes", sentiment("Analyze"));
    for name in ["Analyze", "AnalyzeBatch", "AnalyzeStream", "ListModels"] {
        allow("sentiment", "operator", sentiment(name));
    }
    for callee in ["auth", "jokes", "sentiment"] {
        for (caller, paths) in [
            ("gateway", &[CHECK, HEALTH_WATCH][..]),
            ("operator", &[CHECK, HEALTH_WATCH, REFLECT, REFLECT_ALPHA]),
        ] {
            for path in paths {
                allow(callee, caller, (*path).to_owned());
            }
        }
    }
    let mut denied = 0;
    for (callee, caller, path, decision) in policy.pairs() {
        let wanted = expected.remove(&(callee.to_owned(), caller.to_owned(), path.to_owned()));
        assert_eq!(decision.is_allowed(), wanted, "{caller} → {callee} {path}");
        denied += usize::from(!decision.is_allowed());
        // The matrix is what the decision by identity answers.
        assert_eq!(policy.decide(callee, &policy.id_of(caller).unwrap(), path), decision);
    }
    assert!(expected.is_empty(), "{expected:?}");
    assert!(denied > 100, "{denied}");
}

#[test]
fn users_of_the_present_mesh_are_asked_for_their_scopes() {
    let policy = mesh();
    let gateway = policy.id_of("gateway").unwrap();
    let scope = |path: &str| match &policy.rule(&gateway, path).unwrap().user {
        UserRule::None => "no user".to_owned(),
        UserRule::Required { scope } => scope.clone().unwrap_or_default(),
    };
    assert_eq!(scope("/quipu.auth.v1.AuthService/Login"), "no user");
    assert_eq!(scope("/quipu.auth.v1.AuthService/GetMe"), "profile:read");
    assert_eq!(scope("/quipu.auth.v1.AuthService/UpdateUser"), "users:admin");
    assert_eq!(scope("/quipu.sentiment.v1.SentimentService/AnalyzeStream"), "sentiment:analyze");
    let operator = policy.id_of("operator").unwrap();
    let rule = policy.rule(&operator, "/quipu.sentiment.v1.SentimentService/Analyze").unwrap();
    assert_eq!(rule.user, UserRule::None);
}

#[test]
fn a_path_is_matched_byte_for_byte() {
    let policy = demo();
    let edge = policy.id_of("edge").unwrap();
    assert!(policy.decide("alpha", &edge, READ).is_allowed());
    let long = format!("{READ}{}", "x".repeat(8192));
    for path in [
        "",
        "/",
        "//",
        "demo.v1.Alpha/Read",
        "//demo.v1.Alpha/Read",
        "/demo.v1.Alpha//Read",
        "/demo.v1.Alpha/Read/",
        "/demo.v1.Alpha/Read?x=1",
        "/demo.v1.Alpha/Read#x",
        "/demo.v1.Alpha/Read;x",
        "/demo.v1.Alpha/./Read",
        "/demo.v1.Alpha/../demo.v1.Alpha/Read",
        "/demo.v1.Alpha/%52ead",
        "/demo.v1.Alpha%2fRead",
        "/demo.v1.alpha/Read",
        "/demo.v1.Alpha/read",
        "/DEMO.V1.ALPHA/READ",
        "/demo.v1.Alpha/Read ",
        " /demo.v1.Alpha/Read",
        "/demo.v1.Alpha/Read\0",
        "/demo.v1.Alpha/Rea\u{0301}d",
        "/demo.v1.Alpha",
        "/demo.v1.Alpha/",
        "/demo.v1.Alpha/*",
        "/Alpha/Read",
        "http://alpha/demo.v1.Alpha/Read",
        "*",
        long.as_str(),
    ] {
        assert_eq!(policy.decide("alpha", &edge, path), Decision::Deny(Denial::UnknownMethod), "{path:?}");
    }
}

#[test]
fn the_reason_of_a_denial_is_told_apart() {
    let policy = demo();
    let id = |name: &str| policy.id_of(name).unwrap();
    assert_eq!(policy.decide("alpha", &id("beta"), READ), Decision::Deny(Denial::NoRule));
    assert_eq!(policy.decide("alpha", &id("alpha"), READ), Decision::Deny(Denial::NoRule), "itself");
    assert_eq!(
        policy.decide("beta", &id("edge"), READ),
        Decision::Deny(Denial::UnknownMethod),
        "another's method"
    );
    assert_eq!(
        policy.decide("gamma", &id("edge"), READ),
        Decision::Deny(Denial::UnknownMethod),
        "no such callee"
    );
    assert_eq!(
        policy.decide("alpha", &id("edge"), "/demo.v1.Alpha/Purge"),
        Decision::Deny(Denial::NoRule),
        "nobody"
    );
    for stranger in [
        "spiffe://demo.local/ns/demo/sa/stranger",
        "spiffe://demo.local/ns/other/sa/edge",
        "spiffe://demo.local.evil/ns/demo/sa/edge",
        "spiffe://demo.local/ns/demo/sa/edge2",
        "spiffe://demo.local/edge",
    ] {
        let decision = policy.decide("alpha", &stranger.parse().unwrap(), READ);
        assert_eq!(decision, Decision::Deny(Denial::UnknownCaller), "{stranger}");
    }
}

#[test]
fn the_terms_are_those_of_the_rule_that_names_the_caller() {
    let policy = demo();
    let rule = |caller: &str, path: &str| policy.rule(&policy.id_of(caller).unwrap(), path).cloned();
    let edge = rule("edge", "/demo.v1.Beta/Do").unwrap();
    assert_eq!(edge.deadline, Duration::from_secs(5));
    assert_eq!(edge.user, UserRule::Required { scope: Some("alpha:write".into()) });
    assert_eq!((edge.line, edge.column), (38, 17));
    let person = rule("person", "/demo.v1.Beta/Do").unwrap();
    assert_eq!(person.deadline, Duration::from_millis(500));
    assert_eq!(person.user, UserRule::None);
    assert_eq!(person.line, 39);
    assert_eq!(rule("edge", "/demo.v1.Alpha/Write").unwrap().user, UserRule::Required { scope: None });
    let watch = rule("beta", "/demo.v1.Alpha/Watch").unwrap();
    assert_eq!((watch.deadline, watch.idle), (Duration::from_secs(3600), Some(Duration::from_secs(30))));
    assert_eq!(rule("beta", "/demo.v1.Beta/Do"), None);
    let deadline = policy.deadline(&policy.id_of("edge").unwrap(), CHECK);
    assert_eq!(deadline, Some(Duration::from_secs(2)));
    let hour = Duration::from_secs(3600);
    let watch = rule("edge", "/grpc.health.v1.Health/Watch").unwrap();
    assert_eq!((watch.deadline, watch.idle), (hour, Some(hour)));
    // These take a place of admission, so nobody may sit on them.
    for path in [REFLECT, REFLECT_ALPHA] {
        let session = rule("person", path).unwrap();
        assert_eq!((session.deadline, session.idle), (hour / 6, Some(Duration::from_secs(30))));
    }
}

#[test]
fn names_and_identities_lead_to_each_other() {
    let policy = demo();
    let id = policy.id_of("alpha").unwrap();
    assert_eq!(id.to_string(), "spiffe://demo.local/ns/demo/sa/alpha");
    assert_eq!(&*policy.workload_of(&id).unwrap().name, "alpha");
    assert_eq!(policy.id_of("gamma"), None);
    assert_eq!(policy.callees("/demo.v1.Beta/Do").collect::<Vec<_>>(), ["beta"]);
    assert_eq!(policy.callees(CHECK).collect::<Vec<_>>(), ["alpha", "beta"]);
}

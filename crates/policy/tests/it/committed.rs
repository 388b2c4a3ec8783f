//! The committed files are what the committed policy yields.

use mesh_policy::render;

use crate::support::{mesh, root};

#[test]
fn the_committed_renderings_are_fresh() {
    let drift = render::drift(&root(), &mesh()).unwrap();
    assert!(drift.is_empty(), "run `cargo run -- policy render --checkout .`:\n{}", drift.join("\n"));
}

#[test]
fn the_present_mesh_has_the_ports_and_callers_that_the_docs_name() {
    let policy = mesh();
    let port = |name: &str| policy.workload(name).unwrap().grpc.as_ref().map(|grpc| grpc.port);
    let ports = ["auth", "jokes", "sentiment", "gateway"].map(port);
    assert_eq!(ports, [Some(50051), Some(50053), Some(50054), None]);
    let admin = |name: &str| policy.workload(name).unwrap().admin;
    let ports = ["gateway", "auth", "jokes", "sentiment"].map(admin);
    assert_eq!(ports, [Some(9100), Some(9101), Some(9103), Some(9104)]);
    assert_eq!(admin("operator"), None);
    assert!(
        policy
            .workload("gateway")
            .unwrap()
            .http
            .as_ref()
            .is_some_and(|http| http.internet && http.port == 8080)
    );
    assert_eq!(policy.id_of("auth").unwrap().to_string(), "spiffe://quipu.local/ns/quipu/sa/auth");
    let role = |name: &str| policy.roles().iter().find(|role| role.name == name).unwrap().scopes.len();
    assert_eq!((role("user"), role("admin"), policy.scopes().len()), (7, 9, 9));
}

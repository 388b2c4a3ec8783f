//! What does not start.

use mesh_client::Endpoints;
use mesh_testkit::TestMesh;
use quipu_sentiment::{App, Config};

const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/linear18.ksl");
const BERT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/onnx/tiny-bert-2");

async fn fault(models: &str, default: &str) -> String {
    let mesh = TestMesh::start().unwrap();
    let auth = Endpoints::new().with("auth", std::net::SocketAddr::from(([127, 0, 0, 1], 9)));
    let own = mesh.mesh_as("sentiment", auth).unwrap();
    let config = Config { models: models.parse().unwrap(), default_model: default.into(), ..Config::local() };
    let app = App::build(config, own, mesh.lifecycle().clone()).await;
    app.err().expect("it started").message().to_owned()
}

/// Row J3 of the test plan.
#[tokio::test]
async fn a_model_that_is_not_the_declared_one_does_not_start() {
    let wrong = "0".repeat(64);
    let told = fault(&format!("own={OWN}#{wrong}"), "own").await;
    assert!(told.contains("linear18.ksl: its SHA-256 is 6913"), "{told}");
    let told = fault(&format!("bert={BERT}#{wrong}"), "bert").await;
    assert!(told.contains("model.onnx: its SHA-256 is"), "{told}");
}

#[tokio::test]
async fn a_broken_file_a_missing_file_and_a_missing_default_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.ksl");
    std::fs::write(&cut, &std::fs::read(OWN).unwrap()[..1_000]).unwrap();
    let told = fault(&format!("own={}", cut.display()), "own").await;
    assert!(told.contains("cut.ksl") && told.contains("the file is incomplete"), "{told}");
    assert!(fault("own=no/such.ksl", "own").await.contains("no/such.ksl: cannot be read"));
    assert!(fault("", "bert").await.contains("`bert` is not loaded"));
}

/// Row A5 of the test plan: without the keys of `auth` no user can be let in, so the service is not ready; an operator,
/// who needs none, is answered all the same.
#[tokio::test]
async fn it_is_not_ready_before_it_has_the_keys() {
    let running = crate::support::Running::embedded().await;
    crate::support::analyze(&mut running.operator(), crate::support::ask("great")).await;
    let readiness = running.mesh.lifecycle().readiness();
    assert!(!readiness.is_ready());
    assert!(
        readiness.report().iter().any(|(gate, reason)| gate == "sentiment token keys" && reason.is_some())
    );
}

//! The local mode: everything in a folder, and a second start that finds it.

use mesh_client::Endpoints;
use mesh_proto::auth::v1 as pb;
use mesh_server::ListenConfig;
use mesh_testkit::TestMesh;
use quipu_auth::{App, Config, HashSettings};

use crate::support::{client, home};

async fn local(folder: &std::path::Path) -> (TestMesh, App) {
    let mut config = Config::local(folder, ListenConfig::loopback());
    config.hashing = HashSettings { memory_kib: 64, iterations: 1, ..HashSettings::default() };
    let mesh = TestMesh::start().unwrap();
    let own = mesh.mesh_as("auth", Endpoints::new()).unwrap();
    let app = App::build(config, own, mesh.lifecycle().clone()).await.unwrap();
    (mesh, app)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_administrator_is_shown_once_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (mesh, app) = local(folder.path()).await;
    let (email, password) = app.initial_admin().unwrap();
    let addr = app.grpc_addr();
    mesh.lifecycle().spawn("auth", async move { app.run().await.unwrap() });
    let login = || pb::LoginRequest {
        email: email.clone(),
        password: password.expose().to_owned(),
        client: Some(home()),
    };
    let tokens = client(&mesh, "gateway", addr).login(login()).await.unwrap().into_inner().tokens.unwrap();
    mesh.stop().await;

    let (mesh, app) = local(folder.path()).await;
    assert!(app.initial_admin().is_none());
    let addr = app.grpc_addr();
    mesh.lifecycle().spawn("auth", async move { app.run().await.unwrap() });
    let mut gateway = client(&mesh, "gateway", addr);
    gateway.login(login()).await.unwrap();
    let refresh = pb::RefreshRequest { refresh_token: tokens.refresh_token, client: None };
    gateway.refresh(refresh).await.unwrap();
    mesh.stop().await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mesh = TestMesh::start().unwrap();
    let own = mesh.mesh_as("auth", Endpoints::new()).unwrap();
    let config = Config::local(file.path(), ListenConfig::loopback());
    assert!(App::build(config, own, mesh.lifecycle().clone()).await.is_err());
}

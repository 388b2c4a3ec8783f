//! A local mesh on free ports in a folder of its own, in the process of the test.

use std::{path::Path, time::Duration};

use mesh_lifecycle::{Drain, Lifecycle, Outcome};
use quipu::up::{LocalMesh, Options};
use tempfile::TempDir;

use crate::{LIMIT, Person};

/// A running mesh; its data folder goes away with it.
pub struct Mesh {
    /// Base URL of the REST API.
    pub rest: String,
    /// The services and where they listen.
    pub parts: Vec<quipu::up::Part>,
    /// Issues identities of the mesh.
    pub authority: quipu::up::Authority,
    /// The first administrator's address and password, when this start made the account.
    pub admin: Option<(String, String)>,
    lifecycle: Lifecycle,
    ended: tokio::task::JoinHandle<Outcome>,
    data: TempDir,
}

impl Mesh {
    /// A mesh on free ports in a new folder.
    pub async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    /// A mesh on the data of an earlier one.
    pub async fn start_in(data: TempDir) -> Self {
        let lifecycle = Lifecycle::new(Drain::default().without_endpoints());
        let options = Options {
            data: data.path().to_owned(),
            listen: ([127, 0, 0, 1], 0).into(),
            policy: None,
            free_ports: true,
            sentiment_models: None,
            joke_models: quipu_jokes::ModelsConfig::default(),
            observed: quipu_jokes::ObservedConfig::default(),
            recent_traces: None,
        };
        let mesh = LocalMesh::start(&options, &lifecycle).await.unwrap();
        let rest = format!("http://{}", mesh.part("gateway").unwrap().address);
        let parts = mesh.parts().to_vec();
        let authority = mesh.authority().clone();
        let admin = mesh.first_admin().map(|(email, secret)| (email.clone(), secret.expose().to_owned()));
        mesh.serve(&lifecycle);
        let ended = tokio::spawn(lifecycle.clone().run_to_completion());
        let mesh = Self { rest, parts, authority, admin, lifecycle, ended, data };
        mesh.wait_until_ready().await;
        mesh
    }

    async fn wait_until_ready(&self) {
        let admin = format!("http://{}/readyz", self.part("gateway").admin);
        for _ in 0..200 {
            if reqwest::get(&admin).await.is_ok_and(|r| r.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the mesh is not ready");
    }

    /// A part by its workload.
    #[must_use]
    pub fn part(&self, name: &str) -> &quipu::up::Part {
        self.parts.iter().find(|p| p.name == name).unwrap()
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Stops the mesh and gives its data folder back.
    pub async fn stop(self) -> (Outcome, TempDir) {
        self.lifecycle.shutdown();
        let outcome = tokio::time::timeout(LIMIT, self.ended).await.unwrap().unwrap();
        (outcome, self.data)
    }

    /// Somebody without an account.
    #[must_use]
    pub fn person(&self) -> Person {
        Person::at(&self.rest)
    }

    /// A person with an account who has signed in.
    pub async fn signed_in(&self, name: &str) -> Person {
        self.person().join(name).await
    }

    /// The first administrator, signed in.
    pub async fn administrator(&self) -> Person {
        let (email, password) = self.admin.clone().expect("a first start shows the administrator");
        let mut person = self.person();
        person.sign_in_as(&email, &password).await;
        person
    }
}

//! A local mesh on free ports in a folder of its own, and a person who calls it over REST.

use std::{path::Path, time::Duration};

use mesh_lifecycle::{Drain, Lifecycle, Outcome};
use quipu::up::{LocalMesh, Options};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Nothing in these tests takes longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A running mesh; its data folder goes away with it.
pub(crate) struct Mesh {
    pub(crate) rest: String,
    pub(crate) parts: Vec<quipu::up::Part>,
    pub(crate) authority: quipu::up::Authority,
    pub(crate) admin: Option<(String, String)>,
    lifecycle: Lifecycle,
    ended: tokio::task::JoinHandle<Outcome>,
    data: TempDir,
}

impl Mesh {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    pub(crate) async fn start_in(data: TempDir) -> Self {
        let lifecycle = Lifecycle::new(Drain::default().without_endpoints());
        let options = Options {
            data: data.path().to_owned(),
            listen: ([127, 0, 0, 1], 0).into(),
            policy: None,
            free_ports: true,
            sentiment_models: None,
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

    pub(crate) fn part(&self, name: &str) -> &quipu::up::Part {
        self.parts.iter().find(|p| p.name == name).unwrap()
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// Stops the mesh and gives its data folder back.
    pub(crate) async fn stop(self) -> (Outcome, TempDir) {
        self.lifecycle.shutdown();
        let outcome = tokio::time::timeout(LIMIT, self.ended).await.unwrap().unwrap();
        (outcome, self.data)
    }

    pub(crate) fn person(&self) -> Person {
        Person::at(&self.rest)
    }

    /// A person with an account who has signed in.
    pub(crate) async fn signed_in(&self, name: &str) -> Person {
        let mut person = self.person();
        person.register(name).await;
        person.sign_in(name, PASSWORD).await;
        person
    }

    pub(crate) async fn administrator(&self) -> Person {
        let (email, password) = self.admin.clone().expect("a first start shows the administrator");
        let mut person = self.person();
        person.sign_in_as(&email, &password).await;
        person
    }
}

/// Long enough and on no list.
pub(crate) const PASSWORD: &str = "seven knotted cords";

/// Somebody who calls the REST API.
#[derive(Clone)]
pub(crate) struct Person {
    base: String,
    pub(crate) token: Option<String>,
    pub(crate) http: reqwest::Client,
}

impl Person {
    pub(crate) fn at(base: &str) -> Self {
        let http = reqwest::Client::builder().timeout(LIMIT).build().unwrap();
        Self { base: base.to_owned(), token: None, http }
    }

    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    pub(crate) async fn register(&self, name: &str) -> Value {
        let body =
            json!({"email": format!("{name}@example.com"), "password": PASSWORD, "display_name": name});
        let (status, answer) = self.post("/v1/auth/register", &body).await;
        assert_eq!(status, 201, "{answer}");
        answer
    }

    pub(crate) async fn sign_in(&mut self, name: &str, password: &str) -> Value {
        self.sign_in_as(&format!("{name}@example.com"), password).await
    }

    pub(crate) async fn sign_in_as(&mut self, email: &str, password: &str) -> Value {
        let (status, answer) =
            self.post("/v1/auth/login", &json!({"email": email, "password": password})).await;
        assert_eq!(status, 200, "{answer}");
        self.token = Some(answer["access_token"].as_str().unwrap().to_owned());
        answer
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::DELETE, path)).await
    }
}

/// Sends; an empty body reads as null.
pub(crate) async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    let value = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
    (status, value)
}

/// Tries until it holds; the limit is the one that the mesh promises.
pub(crate) async fn eventually<F: Future<Output = bool>>(
    limit: Duration,
    mut holds: impl FnMut() -> F,
) -> bool {
    let end = tokio::time::Instant::now() + limit;
    while tokio::time::Instant::now() < end {
        if holds().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

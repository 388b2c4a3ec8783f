//! A gateway with fake services behind it, and a client before it.

use std::net::SocketAddr;

use mesh_client::Endpoints;
use mesh_config::Secret;
use mesh_proto::{
    auth::v1::auth_service_server::AuthServiceServer, jokes::v1::joke_service_server::JokeServiceServer,
    sentiment::v1::sentiment_service_server::SentimentServiceServer,
};
use mesh_server::Server;
use mesh_testkit::{Redis, TestMesh};
use quipu_gateway::{App, Config, Rates};
use reqwest::{Method, RequestBuilder, Response, header::HeaderMap};
use serde_json::Value;

use crate::{
    fake_jokes::FakeJokes,
    fakes::{FakeAuth, FakeSentiment, Key},
};

/// Every scope there is.
pub(crate) const ALL_SCOPES: &str = "profile:read profile:write keys:manage sentiment:analyze \
     sentiment:read jokes:write jokes:read mesh:read users:admin";

/// One test's world.
pub(crate) struct World {
    pub(crate) mesh: TestMesh,
    pub(crate) auth: FakeAuth,
    pub(crate) address: SocketAddr,
    pub(crate) jokes: FakeJokes,
    services: (SocketAddr, SocketAddr, SocketAddr),
    http: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl World {
    /// Without limits, everything in process.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With settings of its own.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mesh = TestMesh::start().unwrap();
        let auth = FakeAuth::new(mesh.mint());
        let jokes = FakeJokes::default();
        let services =
            (serve_auth(&mesh, &auth).await, serve_jokes(&mesh, &jokes).await, serve_sentiment(&mesh).await);
        let mut world = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            http: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
            mesh,
            auth,
            jokes,
            services,
        };
        world.address = world.gateway(change).await;
        world.mesh.lifecycle().readiness().ready().await;
        world
    }

    /// One more replica of the gateway.
    pub(crate) async fn gateway(&self, change: impl FnOnce(&mut Config)) -> SocketAddr {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = Config {
            listen: loopback,
            admin_listen: loopback,
            rates: Rates::unlimited(),
            ..Config::default()
        };
        change(&mut config);
        let (auth, jokes, sentiment) = self.services;
        let endpoints = Endpoints::new().with("auth", auth).with("jokes", jokes).with("sentiment", sentiment);
        let mesh = self.mesh.mesh_as("gateway", endpoints).unwrap();
        let app = App::build(config, mesh, self.mesh.lifecycle().clone()).await.unwrap();
        let address = app.http_addr();
        tokio::spawn(app.run());
        address
    }

    /// A token of user "u1" with these scopes.
    pub(crate) fn token(&self, scopes: &str) -> String {
        self.token_of("u1", scopes)
    }

    /// A token of a user with these scopes.
    pub(crate) fn token_of(&self, user: &str, scopes: &str) -> String {
        self.mesh.mint().user(user).scopes(scopes).unwrap().sign().unwrap()
    }

    /// Makes `auth` know an API key.
    pub(crate) fn add_key(&self, key: &str, scopes: &str) {
        let known =
            Key { user: "u1".into(), scopes: scopes.into(), sid: format!("sid-{}", key.replace('_', "-")) };
        self.auth.0.keys.lock().unwrap().insert(key.to_owned(), known);
    }

    /// A request to be sent.
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    /// `GET` with a token of all scopes.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        send(self.request("GET", path).bearer_auth(self.token(ALL_SCOPES))).await
    }

    /// A `POST` of JSON with nobody signed in.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        send(self.request("POST", path).json(&body)).await
    }

    /// A `POST` of JSON with a token of all scopes.
    pub(crate) async fn post_signed_in(&self, path: &str, body: Value) -> Reply {
        send(self.request("POST", path).bearer_auth(self.token(ALL_SCOPES)).json(&body)).await
    }
}

/// Sends and reads it all.
pub(crate) async fn send(request: RequestBuilder) -> Reply {
    read(request.send().await.unwrap()).await
}

async fn read(response: Response) -> Reply {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Reply { status, headers, text: response.text().await.unwrap() }
}

impl Reply {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// A header as text, empty if absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body of a failure, which must have its form.
    pub(crate) fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        for member in ["title", "detail", "reason"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {problem}");
        }
        problem
    }

    /// The reason of a failure.
    pub(crate) fn reason(&self) -> String {
        self.problem()["reason"].as_str().unwrap().to_owned()
    }
}

/// A Redis of its own for a test.
pub(crate) async fn redis() -> (Redis, Secret) {
    let redis = Redis::start().await.unwrap();
    let url = Secret::from(redis.url());
    (redis, url)
}

async fn serve_auth(mesh: &TestMesh, auth: &FakeAuth) -> SocketAddr {
    let own = mesh.mesh_as("auth", Endpoints::new()).unwrap();
    let bound = Server::new("auth", &own, mesh.lifecycle())
        .verifier(mesh.mint().verifier())
        .service(AuthServiceServer::new(auth.clone()))
        .watch("/quipu.auth.v1.AuthService/WatchRevocations")
        .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .unwrap();
    let address = bound.local_addr();
    tokio::spawn(bound.serve());
    address
}

async fn serve_jokes(mesh: &TestMesh, jokes: &FakeJokes) -> SocketAddr {
    let own = mesh.mesh_as("jokes", Endpoints::new()).unwrap();
    let bound = Server::new("jokes", &own, mesh.lifecycle())
        .verifier(mesh.mint().verifier())
        .service(JokeServiceServer::new(jokes.clone()))
        .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .unwrap();
    let address = bound.local_addr();
    tokio::spawn(bound.serve());
    address
}

async fn serve_sentiment(mesh: &TestMesh) -> SocketAddr {
    let own = mesh.mesh_as("sentiment", Endpoints::new()).unwrap();
    let bound = Server::new("sentiment", &own, mesh.lifecycle())
        .verifier(mesh.mint().verifier())
        .service_with_limit(SentimentServiceServer::new(FakeSentiment), 4 << 20)
        .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .unwrap();
    let address = bound.local_addr();
    tokio::spawn(bound.serve());
    address
}

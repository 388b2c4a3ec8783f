//! The service on a port of its own, and clients with identities of their own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh_client::{CallContext, Channel, Endpoints};
use mesh_config::Secret;
use mesh_error::Error;
use mesh_identity::{SigningKey, User};
use mesh_proto::auth::v1 as pb;
use mesh_proto::auth::v1::auth_service_client::AuthServiceClient;
use mesh_server::ListenConfig;
use mesh_store::{Db, StoreConfig};
use mesh_testkit::{Postgres, SqliteFile, TestMesh};
use quipu_auth::{AdminSeed, App, Config, HashSettings, KeyStore};
use tonic::{Request, Status};

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const PASSWORD: &str = "violet-anchor-42";
pub(crate) const ADMIN: &str = "root@example.com";

pub(crate) type Client = AuthServiceClient<Channel>;

/// A running service.
pub(crate) struct Fixture {
    pub(crate) mesh: TestMesh,
    /// Of a workload that may call nearly everything.
    pub(crate) gateway: Client,
    /// The service's database, for looking behind it.
    pub(crate) db: Db,
    pub(crate) addr: SocketAddr,
    pub(crate) admin_addr: SocketAddr,
    _file: Option<SqliteFile>,
}

/// Settings with a database, cheap hashing and an administrator.
pub(crate) fn config(url: &str) -> Config {
    let pem = SigningKey::generate().unwrap().to_pkcs8_pem().unwrap().to_string();
    let admin = AdminSeed::Given { email: ADMIN.to_owned(), password: Secret::from(PASSWORD.to_owned()) };
    let mut store = StoreConfig::new(url.parse().unwrap());
    // The machine that tests may be busy; what happens when there is no connection in time is tested with the store.
    store.acquire_timeout = PATIENCE;
    let mut config = Config::new(ListenConfig::loopback(), store, KeyStore::Given(Secret::from(pem)), admin);
    config.hashing = HashSettings { memory_kib: 64, iterations: 1, lanes: 1, threads: 2, queue: 200 };
    config
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        let file = SqliteFile::new().unwrap();
        let url = file.url();
        Self::start(config(&url), &url, Some(file)).await
    }

    pub(crate) async fn postgres() -> Self {
        let cluster = Postgres::shared().await.expect("these tests need the programs of a Postgres server");
        let database = cluster.database().await.unwrap();
        Self::start(config(database.url()), database.url(), None).await
    }

    /// `behind` is the database without what stands before it.
    pub(crate) async fn start(config: Config, behind: &str, file: Option<SqliteFile>) -> Self {
        let mesh = TestMesh::start().unwrap();
        let own = mesh.mesh_as("auth", Endpoints::new()).unwrap();
        let app = App::build(config, own, mesh.lifecycle().clone()).await.unwrap();
        let (addr, admin_addr) = (app.grpc_addr(), app.admin_addr());
        mesh.lifecycle().spawn("auth", async move { app.run().await.unwrap() });
        let db = Db::connect(&StoreConfig::new(behind.parse().unwrap())).await.unwrap();
        let gateway = client(&mesh, "gateway", addr);
        Self { mesh, gateway, db, addr, admin_addr, _file: file }
    }

    /// A client of another workload.
    pub(crate) fn as_workload(&self, workload: &str) -> Client {
        client(&self.mesh, workload, self.addr)
    }

    pub(crate) async fn register(&self, name: &str) -> Result<pb::User, Status> {
        let request = pb::RegisterRequest {
            email: format!("{name}@example.com"),
            password: PASSWORD.to_owned(),
            display_name: name.to_owned(),
            client: Some(home()),
        };
        let answer = self.gateway.clone().register(request).await?;
        Ok(answer.into_inner().user.unwrap())
    }

    pub(crate) async fn login(&self, name: &str, password: &str) -> Result<pb::TokenPair, Status> {
        let request = pb::LoginRequest {
            email: format!("{name}@example.com"),
            password: password.to_owned(),
            client: Some(home()),
        };
        let answer = self.gateway.clone().login(request).await?;
        Ok(answer.into_inner().tokens.unwrap())
    }

    pub(crate) async fn refresh(&self, token: &str) -> Result<pb::TokenPair, Status> {
        let request = pb::RefreshRequest { refresh_token: token.to_owned(), client: Some(home()) };
        let answer = self.gateway.clone().refresh(request).await?;
        Ok(answer.into_inner().tokens.unwrap())
    }

    /// Registers somebody and signs her in.
    pub(crate) async fn signed_in(&self, name: &str) -> pb::TokenPair {
        self.register(name).await.unwrap();
        self.login(name, PASSWORD).await.unwrap()
    }

    /// A request in the name of whoever owns a token.
    pub(crate) fn with_token<T>(&self, token: &str, message: T) -> Request<T> {
        // What the claims say matters to nobody here: the receiver reads the token.
        let claims = Arc::new(self.mesh.mint().user("somebody").claims.clone());
        let user = Some(User { claims, token: Arc::from(token) });
        CallContext { user, deadline: None }.request(message)
    }

    pub(crate) async fn me(&self, token: &str) -> Result<pb::User, Status> {
        let request = self.with_token(token, pb::GetMeRequest {});
        let answer = self.gateway.clone().get_me(request).await?;
        Ok(answer.into_inner().user.unwrap())
    }

    /// A number that a statement gives.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        mesh_store::on!(self.db.read(), "SELECT", |e| sqlx::query_scalar(sql).fetch_one(e).await).unwrap()
    }
}

pub(crate) fn client(mesh: &TestMesh, workload: &str, addr: SocketAddr) -> Client {
    let endpoints = Endpoints::new().with("auth", addr);
    AuthServiceClient::new(mesh.mesh_as(workload, endpoints).unwrap().channel("auth").unwrap())
}

pub(crate) fn home() -> pb::Client {
    pb::Client { address: "203.0.113.7".to_owned(), user_agent: "Test/1.0".to_owned() }
}

/// The reason of a failure.
pub(crate) fn reason(status: &Status) -> String {
    Error::from_status(status).reason().to_owned()
}

/// Waits until something is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what}");
}

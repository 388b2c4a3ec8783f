//! The composition: database, keys and hashing → service → gRPC → bound server.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use mesh_client::{Mesh, MeshConfig};
use mesh_config::{Reader, Reported, Secret};
use mesh_error::{Error, Result};
use mesh_identity::{Revocations, TokenVerifier, follow_revocations};
use mesh_lifecycle::Lifecycle;
use mesh_proto::auth::v1::auth_service_server::AuthServiceServer;
use mesh_server::{Admin, Application, Bound, Server};
use mesh_store::{Db, Presence, outage};

use crate::config::{AdminSeed, Config};
use crate::error::AuthError;
use crate::grpc::Grpc;
use crate::hashing::HashPool;
use crate::keys::KeyRing;
use crate::ports::{Clock, Random, SystemClock, SystemRandom};
use crate::revocations::{Feed, OwnFeed};
use crate::service::{Auth, Parts};
use crate::store::Store;
use crate::upkeep::Upkeep;

const WORKLOAD: &str = "auth";
const REQUEST_BYTES: usize = 64 * 1024;
const WATCH: &str = "/quipu.auth.v1.AuthService/WatchRevocations";

/// The service, bound and ready to run.
pub struct App {
    server: Bound,
    admin: Admin,
    start: Start,
    revocations: Revocations,
    lifecycle: Lifecycle,
    initial_admin: Option<(String, Secret)>,
}

/// What is still to be done when the database answers.
struct Start {
    parts: Parts,
    seed: AdminSeed,
    auth: Arc<OnceLock<Arc<Auth>>>,
    database: Presence,
}

impl App {
    /// Opens the database and the keys and binds both ports. A Postgres server that is not there yet is waited for by
    /// [`App::run`]; until then the service is not ready.
    ///
    /// # Errors
    ///
    /// Anything that waiting does not mend: a bad key, a port that is taken, a schema from the future.
    pub async fn build(config: Config, mesh: Mesh, lifecycle: Lifecycle) -> Result<Self> {
        let (parts, revocations) = open(&config, &lifecycle).await?;
        let database = Presence::new("auth database", parts.store.db(), lifecycle.readiness());
        let start = Start { parts, seed: config.admin, auth: Arc::default(), database };
        let grpc = Grpc::new(Arc::clone(&start.auth), lifecycle.stop_token());
        let server = Server::new(WORKLOAD, &mesh, &lifecycle)
            .verifier(start.parts.verifier.clone())
            .service_with_limit(AuthServiceServer::new(grpc), REQUEST_BYTES)
            .watch(WATCH)
            .bind(config.listen.listen)
            .await?;
        let admin = Admin::bind(config.listen.admin_listen, &lifecycle, env!("CARGO_PKG_VERSION")).await?;
        let initial_admin = match start.database.try_start(start.once()).await {
            Err(error) if outage(&error).is_some() && start.can_wait() => None,
            started => started?,
        };
        Ok(Self { server, admin, start, revocations, lifecycle, initial_admin })
    }

    /// Where it serves gRPC.
    #[must_use]
    pub fn grpc_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Where it serves probes and metrics.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin.local_addr()
    }

    /// The address and password of the administrator that was made just now, with [`AdminSeed::Generated`] and at the first
    /// start only. Nobody can learn the password later.
    #[must_use]
    pub fn initial_admin(&self) -> Option<(String, Secret)> {
        self.initial_admin.clone()
    }

    /// Serves until the process closes.
    ///
    /// # Errors
    ///
    /// None of its own; a database that turns out to be unusable ends the process as a failure.
    pub async fn run(self) -> Result<()> {
        let Self { server, admin, start, revocations, lifecycle, .. } = self;
        let (feed, stop) = (Arc::clone(&start.parts.feed), lifecycle.stop_token());
        lifecycle.spawn("revocation feed", async move { feed.run(stop).await });
        lifecycle.spawn("own revocations", follow_revocations(revocations, lifecycle.stop_token()));
        lifecycle.at_end("auth database", start.database.clone().close());
        let stop = lifecycle.stop_token();
        lifecycle.spawn_critical("upkeep", async move {
            start.database.attend(&stop, || start.once(), start.upkeep().run(stop.clone())).await
        });
        tokio::join!(server.serve(), admin.serve());
        Ok(())
    }
}

impl Application for App {
    const NAME: &'static str = "quipu-auth";
    const ABOUT: &'static str =
        "Accounts, credentials, tokens, sessions, API keys and roles of the Quipu mesh.";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    type Config = (Config, MeshConfig);

    fn read(reader: &mut Reader) -> std::result::Result<Self::Config, Reported> {
        let (config, mesh) = (Config::read(reader), MeshConfig::read(reader, &[]));
        Ok((config?, mesh?))
    }

    async fn build((config, mesh): Self::Config, lifecycle: Lifecycle) -> Result<Self> {
        let mesh = Mesh::load(&mesh, &lifecycle)?;
        Self::build(config, mesh, lifecycle).await
    }

    async fn run(self) -> Result<()> {
        Self::run(self).await
    }
}

impl Start {
    /// Brings the database up to date and puts the service in its place. Doing it again does no harm.
    async fn once(&self) -> std::result::Result<Option<(String, Secret)>, AuthError> {
        if self.auth.get().is_some() {
            return Ok(None);
        }
        self.parts.store.migrate().await?;
        self.parts.feed.refresh().await?;
        let auth = Auth::open(self.parts.clone()).await?;
        let initial_admin = auth.seed_admin(&self.seed).await?;
        // Nobody else sets it.
        let _already = self.auth.set(Arc::new(auth));
        Ok(initial_admin)
    }

    /// A password that is made up must be shown by whoever builds the service, so it has to be made then.
    fn can_wait(&self) -> bool {
        !matches!(self.seed, AdminSeed::Generated { .. })
    }

    fn upkeep(&self) -> Upkeep {
        Upkeep {
            store: self.parts.store.clone(),
            keys: Arc::clone(&self.parts.keys),
            clock: Arc::clone(&self.parts.clock),
            audit_life: self.parts.rules.audit_life,
        }
    }
}

async fn open(config: &Config, lifecycle: &Lifecycle) -> Result<(Parts, Revocations)> {
    let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    let store = Store::new(Db::connect(&config.store).await?);
    let rules = config.rules();
    let rotate_after = chrono::Duration::from_std(config.key_life).map_err(Error::internal)?;
    let keys = KeyRing::open(config.keys.clone(), Arc::clone(&clock), rules.access_life, rotate_after);
    let keys = Arc::new(keys.map_err(Error::from)?);
    let hasher = HashPool::new(config.hashing, Arc::clone(&random));
    let hasher = Arc::new(hasher.map_err(Error::from)?);
    let feed = Feed::new(store.clone(), Arc::clone(&clock));
    let source = OwnFeed { feed: Arc::clone(&feed), stop: lifecycle.stop_token() };
    let revocations = Revocations::watched(Arc::new(source));
    let profile = config.profile.clone();
    let verifier = TokenVerifier::new(profile.clone(), Arc::<KeyRing>::clone(&keys), revocations.clone());
    Ok((Parts { store, keys, hasher, feed, verifier, profile, clock, random, rules }, revocations))
}

//! The composition: database, models, guards and cache → service → gRPC → bound server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mesh_client::auth::token_verifier;
use mesh_client::{Mesh, MeshConfig};
use mesh_config::{Reader, Reported};
use mesh_error::Result;
use mesh_lifecycle::Lifecycle;
use mesh_proto::jokes::v1::joke_service_server::JokeServiceServer;
use mesh_proto::sentiment::v1::sentiment_service_client::SentimentServiceClient;
use mesh_server::{Admin, Application, Bound, Limits, Server};
use mesh_store::{Db, Presence, outage};
use mesh_telemetry::Sink;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::error::JokesError;
use crate::feelings::OverMesh;
use crate::grpc::Grpc;
use crate::ports::{Clock, SystemClock};
use crate::scores::Scores;
use crate::service::{Jokes, Parts};
use crate::store::Store;
use crate::upkeep::Upkeep;

/// Name of the workload in the policy.
const WORKLOAD: &str = "jokes";
/// A conversation of 16,000 characters beyond the basic plane, and its framing.
const REQUEST_BYTES: usize = 96 * 1024;
/// Calls at once on one connection: all that the gate admits and all that may wait before it. A gateway has one connection, and
/// what waits for a free stream on it waits for long and is refused by nobody.
const STREAMS: u32 = 512;

/// The service, bound and ready to run.
pub struct App {
    server: Bound,
    admin: Admin,
    start: Start,
    lifecycle: Lifecycle,
}

/// What is still to be done when the database answers.
struct Start {
    store: Store,
    clock: Arc<dyn Clock>,
    /// Taken by the first start that succeeds.
    parts: Mutex<Option<Parts>>,
    jokes: Arc<OnceLock<Arc<Jokes>>>,
    database: Presence,
    scores: Option<Scores>,
}

impl App {
    /// Opens the database and binds both ports. A Postgres server that is not there yet is waited for by [`App::run`]; until
    /// then the service is not ready.
    ///
    /// # Errors
    /// Anything that waiting does not mend: a port that is taken, a schema from the future.
    pub async fn build(config: Config, mesh: Mesh, lifecycle: Lifecycle) -> Result<Self> {
        let store = Store::new(Db::connect(&config.store).await?);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let verifier = token_verifier(&mesh, config.profile.clone(), &lifecycle)?;
        let feelings = Arc::new(OverMesh(SentimentServiceClient::new(mesh.channel("sentiment")?)));
        let parts = Parts {
            store: store.clone(),
            models: config.models.build()?,
            guards: config.guards()?,
            cache: config.cache.build()?,
            budgets: config.budgets,
            feelings,
            clock: Arc::clone(&clock),
            rules: config.rules(),
        };
        let scores = config.observed.opik()?.map(|opik| Scores {
            store: store.clone(),
            clock: Arc::clone(&clock),
            opik,
            with_comments: config.observed.captures,
        });
        let database = Presence::new("jokes database", store.db(), lifecycle.readiness());
        let (parts, jokes) = (Mutex::new(Some(parts)), Arc::default());
        let start = Start { store, clock, parts, jokes, database, scores };
        let service = JokeServiceServer::new(Grpc::new(Arc::clone(&start.jokes)));
        let server = Server::new(WORKLOAD, &mesh, &lifecycle)
            .verifier(verifier)
            .limits(Limits { streams: STREAMS, ..Limits::default() })
            .service_with_limit(service, REQUEST_BYTES)
            .bind(config.listen.listen)
            .await?;
        let admin = Admin::bind(config.listen.admin_listen, &lifecycle, Self::VERSION).await?;
        match start.database.try_start(start.once()).await {
            Err(error) if outage(&error).is_some() => {}
            started => started?,
        }
        Ok(Self { server, admin, start, lifecycle })
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

    /// Serves until the process closes.
    ///
    /// # Errors
    /// None of its own; a database that turns out to be unusable ends the process as a failure.
    pub async fn run(self) -> Result<()> {
        let Self { server, admin, mut start, lifecycle } = self;
        let scores = start.scores.take();
        lifecycle.at_end("jokes database", start.database.clone().close());
        let stop = lifecycle.stop_token();
        let upkeep = Upkeep { store: start.store.clone(), clock: Arc::clone(&start.clock) };
        lifecycle.spawn_critical("upkeep", async move {
            let work = async {
                tokio::join!(upkeep.run(stop.clone()), tell(scores, stop.clone()));
            };
            start.database.attend(&stop, || start.once(), work).await
        });
        tokio::join!(server.serve(), admin.serve());
        Ok(())
    }
}

impl Application for App {
    const NAME: &'static str = "quipu-jokes";
    const ABOUT: &'static str = "Jokes and chat from a language model: guarded, budgeted, bounded in time.";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    type Config = (Config, MeshConfig);

    fn read(reader: &mut Reader) -> std::result::Result<Self::Config, Reported> {
        let (config, mesh) = (Config::read(reader), MeshConfig::read(reader, &["auth", "sentiment"]));
        Ok((config?, mesh?))
    }

    fn sinks((config, _): &Self::Config) -> Result<Vec<Sink>> {
        config.observed.sinks()
    }

    async fn build((config, mesh): Self::Config, lifecycle: Lifecycle) -> Result<Self> {
        let mesh = Mesh::load(&mesh, &lifecycle)?;
        Self::build(config, mesh, lifecycle).await
    }

    async fn run(self) -> Result<()> {
        Self::run(self).await
    }
}

/// Tells ratings, where there is somebody to tell them to.
async fn tell(scores: Option<Scores>, stop: CancellationToken) {
    if let Some(scores) = scores {
        scores.run(stop).await;
    }
}

impl Start {
    /// Brings the database up to date and puts the service in its place. Doing it again does no harm.
    async fn once(&self) -> std::result::Result<(), JokesError> {
        if self.jokes.get().is_some() {
            return Ok(());
        }
        self.store.migrate().await?;
        let root = self.store.db().root_key().await?;
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(parts) = parts {
            // Nobody else sets it.
            let _already = self.jokes.set(Arc::new(Jokes::new(parts, &root)));
        }
        Ok(())
    }
}

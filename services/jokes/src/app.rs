//! The composition: database, models, guards and cache → service → gRPC → bound server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use mesh_client::auth::token_verifier;
use mesh_client::{Mesh, MeshConfig};
use mesh_config::{Reader, Reported};
use mesh_error::{Error, Result};
use mesh_lifecycle::{Gate, Lifecycle};
use mesh_proto::jokes::v1::joke_service_server::JokeServiceServer;
use mesh_proto::sentiment::v1::sentiment_service_client::SentimentServiceClient;
use mesh_server::{Admin, Application, Bound, Limits, Server};
use mesh_store::Db;

use crate::config::Config;
use crate::error::JokesError;
use crate::feelings::OverMesh;
use crate::grpc::Grpc;
use crate::ports::{Clock, SystemClock};
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
/// Between two tries to reach a database that is not there yet.
const AGAIN: Duration = Duration::from_secs(1);

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
    gate: Gate,
}

impl App {
    /// Opens the database and binds both ports. A Postgres server that is not there yet is waited for by [`App::run`]; until
    /// then the service is not ready.
    ///
    /// # Errors
    /// Anything that waiting does not mend: a port that is taken, a schema from the future.
    pub async fn build(config: Config, mesh: Mesh, lifecycle: Lifecycle) -> Result<Self> {
        let gate = lifecycle.readiness().gate("jokes database");
        gate.close("not asked yet");
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
        let start = Start { store, clock, parts: Mutex::new(Some(parts)), jokes: Arc::default(), gate };
        let service = JokeServiceServer::new(Grpc::new(Arc::clone(&start.jokes)));
        let server = Server::new(WORKLOAD, &mesh, &lifecycle)
            .verifier(verifier)
            .limits(Limits { streams: STREAMS, ..Limits::default() })
            .service_with_limit(service, REQUEST_BYTES)
            .bind(config.listen.listen)
            .await?;
        let admin = Admin::bind(config.listen.admin_listen, &lifecycle, Self::VERSION).await?;
        match start.once().await {
            Err(JokesError::Store(error)) if error.is_outage() => {}
            prepared => prepared?,
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
        let Self { server, admin, start, lifecycle } = self;
        let store = start.store.clone();
        lifecycle.at_end("jokes database", async move { store.close().await });
        let stop = lifecycle.stop_token();
        lifecycle.spawn_critical("upkeep", async move {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                prepared = start.until_done() => prepared?,
            }
            let Start { store, clock, gate, .. } = start;
            Upkeep { store, clock, gate }.run(stop).await;
            Ok::<(), Error>(())
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
    async fn once(&self) -> std::result::Result<(), JokesError> {
        if self.jokes.get().is_some() {
            return Ok(());
        }
        self.store.migrate().await?;
        let root = self.store.root_key().await?;
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(parts) = parts {
            // Nobody else sets it.
            let _already = self.jokes.set(Arc::new(Jokes::new(parts, &root)));
        }
        self.gate.open();
        Ok(())
    }

    /// As long as the database is away, again and again.
    async fn until_done(&self) -> Result<()> {
        loop {
            match self.once().await {
                Err(JokesError::Store(error)) if error.is_outage() => {
                    self.gate.close(error.to_string());
                    tracing::warn!(error = Error::from(error).chain(), "waiting for the database");
                }
                prepared => return Ok(prepared?),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

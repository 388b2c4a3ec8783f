//! The composition root: models and pool → engine → gRPC → bound server.

use std::net::SocketAddr;

use mesh_client::auth::token_verifier;
use mesh_client::{Mesh, MeshConfig};
use mesh_config::{Reader, Reported};
use mesh_error::{Error, Kind, Result};
use mesh_lifecycle::Lifecycle;
use mesh_proto::sentiment::v1::sentiment_service_server::SentimentServiceServer;
use mesh_server::{Admin, Application, Bound, Server};

use crate::config::Config;
use crate::engine::Engine;
use crate::grpc::{MAX_REQUEST_BYTES, SentimentGrpc};
use crate::models::{LoadFault, Models};
use crate::pool::Pool;

/// Name of the workload in the policy.
const WORKLOAD: &str = "sentiment";

/// The service, bound to its ports.
pub struct App {
    server: Bound,
    admin: Admin,
}

impl App {
    /// Loads the models and binds the ports.
    ///
    /// # Errors
    /// When a model cannot be loaded or a port is taken.
    pub async fn build(config: Config, mesh: Mesh, lifecycle: Lifecycle) -> Result<Self> {
        let (specs, default) = (config.models.0, config.default_model);
        let loaded = tokio::task::spawn_blocking(move || Models::load(&specs, &default)).await;
        let models = loaded.map_err(Error::internal)?.map_err(|fault| cannot_load(&fault))?;
        for model in models.iter() {
            let info = model.info();
            tracing::info!(model = info.name, version = info.version, sha256 = info.sha256, "model loaded");
        }
        let verifier = token_verifier(&mesh, config.profile, &lifecycle)?;
        let grpc = SentimentGrpc::new(Engine::new(models, Pool::new(config.pool)), lifecycle.stop_token());
        let service = SentimentServiceServer::new(grpc).max_decoding_message_size(MAX_REQUEST_BYTES);
        let server = Server::new(WORKLOAD, &mesh, &lifecycle)
            .verifier(verifier)
            .service_with_limit(service, MAX_REQUEST_BYTES)
            .bind(config.listen.listen)
            .await?;
        let admin = Admin::bind(config.listen.admin_listen, &lifecycle, Self::VERSION).await?;
        Ok(Self { server, admin })
    }

    /// Where the service listens.
    #[must_use]
    pub fn grpc_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Where probes and metrics are served.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin.local_addr()
    }

    /// Serves until the process closes.
    ///
    /// # Errors
    /// None today; the signature is that of every service.
    pub async fn run(self) -> Result<()> {
        tokio::join!(self.server.serve(), self.admin.serve());
        Ok(())
    }
}

/// The message is for the operator who starts the service: it names the file or the setting.
fn cannot_load(fault: &LoadFault) -> Error {
    Error::new(Kind::FailedPrecondition, "MODEL_NOT_LOADED", format!("cannot load a model: {fault}"))
}

impl Application for App {
    const NAME: &'static str = "quipu-sentiment";
    const ABOUT: &'static str = "Text to label, score and explanation.";
    type Config = (Config, MeshConfig);

    fn read(reader: &mut Reader) -> Result<Self::Config, Reported> {
        let config = Config::read(reader);
        let mesh = MeshConfig::read(reader, &["auth"]);
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

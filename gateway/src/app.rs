//! The composition root: settings and mesh in, a bound gateway out.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use chrono::Utc;
use mesh_client::{Mesh, MeshConfig, auth::token_verifier};
use mesh_config::{Reader, Reported};
use mesh_error::Error;
use mesh_lifecycle::{Gate, Lifecycle};
use mesh_proto::{
    auth::v1::auth_service_client::AuthServiceClient, jokes::v1::joke_service_client::JokeServiceClient,
    sentiment::v1::sentiment_service_client::SentimentServiceClient,
};
use mesh_redis::Link;
use mesh_server::{Admin, Application};

use crate::{
    Config,
    access::KeyExchange,
    config,
    edge::{Edge, cors::Cors, listener::Listener, tls::PublicTls, watch::Times},
    idempotency::{MemoryStore, RedisStore, Store},
    rate::{Buckets, RateLimits, RedisBuckets},
    routes,
    state::Gateway,
};

/// This build's version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Redis answers in well under a millisecond; what takes longer than this is away.
const REDIS_LIMIT: Duration = Duration::from_millis(250);

/// A gateway that is bound and not yet serving.
pub struct App {
    listener: Listener,
    admin: Admin,
    http_addr: SocketAddr,
    admin_addr: SocketAddr,
    gate: Gate,
}

impl App {
    /// Binds both ports; services and Redis are connected to when first needed.
    ///
    /// # Errors
    /// When a port is taken, a certificate cannot be read, or the mesh does not know the services.
    pub async fn build(config: Config, mesh: Mesh, lifecycle: Lifecycle) -> mesh_error::Result<Self> {
        let gateway = Arc::new(gateway(&config, &mesh, &lifecycle)?);
        let edge = Edge::new(Cors::new(config.cors_origins), config.trusted_proxies);
        let router = routes::router(&gateway, &edge);
        let tls = match config.tls_dir.as_deref() {
            Some(dir) => Some(PublicTls::from_dir(dir).await?),
            None => None,
        };
        if let Some(tls) = tls.clone() {
            lifecycle.spawn("certificate watch", tls.watch(lifecycle.stop_token()));
        }
        let limits = (config.listener.max_connections, times(&config.listener, &gateway));
        let listener = Listener::bind(config.listen, limits, tls, router, lifecycle.clone()).await?;
        let admin = Admin::bind(config.admin_listen, &lifecycle, VERSION).await?;
        // Closed until it serves, so that the process is not ready before.
        let gate = lifecycle.readiness().gate("gateway listener");
        Ok(Self { http_addr: listener.local_addr()?, admin_addr: admin.local_addr(), listener, admin, gate })
    }

    /// Where REST is served.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Where probes and metrics are served.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    /// Serves until the process drains.
    ///
    /// # Errors
    /// None today; a part that fails later would end the process by it.
    pub async fn run(self) -> mesh_error::Result<()> {
        self.gate.open();
        tokio::join!(self.listener.serve(), self.admin.serve());
        Ok(())
    }
}

impl Application for App {
    type Config = (Config, MeshConfig);

    const NAME: &'static str = "quipu-gateway";
    const ABOUT: &'static str = "The REST gateway of the Quipu mesh.";

    fn read(reader: &mut Reader) -> Result<Self::Config, Reported> {
        let config = Config::read(reader);
        let mesh = MeshConfig::read(reader, &["auth", "jokes", "sentiment"]);
        Ok((config?, mesh?))
    }

    async fn build((config, mesh): Self::Config, lifecycle: Lifecycle) -> mesh_error::Result<Self> {
        let mesh = Mesh::load(&mesh, &lifecycle)?;
        Self::build(config, mesh, lifecycle).await
    }

    async fn run(self) -> mesh_error::Result<()> {
        Self::run(self).await
    }
}

/// How long connections may take what, the longest call of any route included.
fn times(limits: &config::Listener, gateway: &Gateway) -> Times {
    let calls = routes::all().into_iter().map(|route| gateway.limit(&route.info));
    Times {
        headers: limits.header_timeout,
        idle: limits.idle_timeout,
        unread: limits.unread_timeout,
        age: limits.max_age,
        longest: calls.max().unwrap_or_default(),
    }
}

pub(crate) fn gateway(config: &Config, mesh: &Mesh, lifecycle: &Lifecycle) -> Result<Gateway, Error> {
    let link = config.redis_url.as_ref().map(|url| Link::new(url, REDIS_LIMIT)).transpose()?;
    let buckets = link.clone().map(|link| Arc::new(RedisBuckets::new(link)) as Arc<dyn Buckets>);
    let idempotency: Arc<dyn Store> = match link {
        Some(link) => Arc::new(RedisStore::new(link)),
        None => Arc::new(MemoryStore::default()),
    };
    Ok(Gateway {
        auth: AuthServiceClient::new(mesh.channel("auth")?),
        jokes: JokeServiceClient::new(mesh.channel("jokes")?),
        sentiment: SentimentServiceClient::new(mesh.channel("sentiment")?),
        verifier: token_verifier(mesh, config.profile.clone(), lifecycle)?,
        keys: KeyExchange::default(),
        limits: RateLimits::new(config.rates, buckets),
        idempotency,
        health: Default::default(),
        jwks: Default::default(),
        held: Default::default(),
        traces: config.recent_traces.clone(),
        mesh: mesh.clone(),
        lifecycle: lifecycle.clone(),
        started: Utc::now(),
    })
}

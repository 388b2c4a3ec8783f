//! The services of the local mesh: how each is configured here, and how each is kept running.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use mesh_client::{Endpoints, Mesh};
use mesh_config::Secret;
use mesh_error::Error;
use mesh_identity::Tls;
use mesh_lifecycle::Lifecycle;
use mesh_server::ListenConfig;

use super::{Authority, Options, Part, UpError};

/// Identities of a local mesh are short, and renewed at half their life.
pub(super) const SVID_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a policy file is looked at.
pub(super) const RELOAD: Duration = Duration::from_secs(1);

/// The built services.
pub(super) struct Apps {
    auth: quipu_auth::App,
    sentiment: quipu_sentiment::App,
    gateway: quipu_gateway::App,
}

/// What [`build`] gives: the services, where they listen, and the administrator that was made.
pub(super) type Built = (Apps, Vec<Part>, Option<(String, Secret)>);

/// Builds every service, callees first, so that a caller knows its callees' ports.
pub(super) async fn build(
    options: &Options,
    authority: &Authority,
    lifecycle: &Lifecycle,
) -> Result<Built, UpError> {
    let member = |name: &'static str, endpoints: Endpoints| {
        let tls = authority.identity(name, SVID_TTL)?;
        keep_fresh(authority, tls.clone(), lifecycle);
        Ok::<_, UpError>(Mesh::new(tls, authority.policy().clone(), endpoints, lifecycle))
    };
    let listen =
        |grpc, admin| if options.free_ports { ListenConfig::loopback() } else { loopback(grpc, admin) };

    let config = auth_config(options, listen(quipu_auth::GRPC_PORT, quipu_auth::ADMIN_PORT));
    let mesh = member("auth", Endpoints::new())?;
    let mut auth = quipu_auth::App::build(config, mesh, lifecycle.clone()).await.map_err(part("auth"))?;
    let endpoints = Endpoints::new().with("auth", auth.grpc_addr());

    let ports = listen(quipu_sentiment::GRPC_PORT, quipu_sentiment::ADMIN_PORT);
    let config = sentiment_config(options, ports)?;
    let mesh = member("sentiment", endpoints.clone())?;
    let sentiment =
        quipu_sentiment::App::build(config, mesh, lifecycle.clone()).await.map_err(part("sentiment"))?;

    let config = gateway_config(options);
    let mesh = member("gateway", endpoints.with("sentiment", sentiment.grpc_addr()))?;
    let gateway =
        quipu_gateway::App::build(config, mesh, lifecycle.clone()).await.map_err(part("gateway"))?;

    let parts = vec![
        Part { name: "gateway", address: gateway.http_addr(), admin: gateway.admin_addr() },
        Part { name: "auth", address: auth.grpc_addr(), admin: auth.admin_addr() },
        Part { name: "sentiment", address: sentiment.grpc_addr(), admin: sentiment.admin_addr() },
    ];
    let admin = auth.initial_admin();
    Ok((Apps { auth, sentiment, gateway }, parts, admin))
}

impl Apps {
    /// Serves all until the lifecycle closes; the failure of one ends the mesh.
    pub(super) fn serve(self, lifecycle: &Lifecycle) {
        lifecycle.spawn_critical("auth", self.auth.run());
        lifecycle.spawn_critical("sentiment", self.sentiment.run());
        lifecycle.spawn_critical("gateway", self.gateway.run());
    }
}

fn auth_config(options: &Options, listen: ListenConfig) -> quipu_auth::Config {
    quipu_auth::Config { listen, ..quipu_auth::Config::local(&options.data.join("auth")) }
}

fn sentiment_config(options: &Options, listen: ListenConfig) -> Result<quipu_sentiment::Config, UpError> {
    let models = options.sentiment_models.as_deref().unwrap_or_default();
    let models = models.parse().map_err(|e: String| Error::invalid_field("--sentiment-models", e));
    Ok(quipu_sentiment::Config {
        listen,
        models: models.map_err(part("sentiment"))?,
        ..quipu_sentiment::Config::local()
    })
}

fn gateway_config(options: &Options) -> quipu_gateway::Config {
    let admin = if options.free_ports { 0 } else { 9100 };
    quipu_gateway::Config {
        listen: options.listen,
        admin_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, admin)),
        recent_traces: options.recent_traces.clone(),
        ..quipu_gateway::Config::default()
    }
}

fn loopback(grpc: u16, admin: u16) -> ListenConfig {
    ListenConfig {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, grpc)),
        admin_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, admin)),
    }
}

/// Renews an identity at half its life for as long as the process runs.
fn keep_fresh(authority: &Authority, tls: Tls, lifecycle: &Lifecycle) {
    let (authority, stop) = (authority.clone(), lifecycle.stop_token());
    lifecycle.spawn("identity renewal", async move {
        while stop.run_until_cancelled(tokio::time::sleep(SVID_TTL / 2)).await.is_some() {
            if let Err(error) = authority.renew(&tls, SVID_TTL) {
                tracing::error!(%error, "an identity is not renewed");
            }
        }
    });
}

fn part(part: &'static str) -> impl Fn(Error) -> UpError {
    move |source| UpError::Part { part, source }
}

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
    jokes: quipu_jokes::App,
    gateway: quipu_gateway::App,
}

/// What [`build`] gives: the services, where they listen, and the administrator that was made.
pub(super) type Built = (Apps, Vec<Part>, Option<(String, Secret)>);

/// Builds every service, callees first, so that a caller knows its callees' ports. Each build is boxed: nested in one another their
/// futures are deeper than the compiler follows.
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
        |name| if options.free_ports { ListenConfig::loopback() } else { usual_ports(authority, name) };

    let config = quipu_auth::Config::local(&options.data.join("auth"), listen("auth"));
    let mesh = member("auth", Endpoints::new())?;
    let auth =
        Box::pin(quipu_auth::App::build(config, mesh, lifecycle.clone())).await.map_err(part("auth"))?;
    let endpoints = Endpoints::new().with("auth", auth.grpc_addr());

    let config = sentiment_config(options, listen("sentiment"))?;
    let mesh = member("sentiment", endpoints.clone())?;
    let sentiment = Box::pin(quipu_sentiment::App::build(config, mesh, lifecycle.clone()))
        .await
        .map_err(part("sentiment"))?;

    let endpoints = endpoints.with("sentiment", sentiment.grpc_addr());
    let config = quipu_jokes::Config {
        models: options.joke_models.clone(),
        observed: options.observed.clone(),
        ..quipu_jokes::Config::local(&options.data.join("jokes"), listen("jokes"))
    };
    let mesh = member("jokes", endpoints.clone())?;
    let jokes =
        Box::pin(quipu_jokes::App::build(config, mesh, lifecycle.clone())).await.map_err(part("jokes"))?;

    let config = gateway_config(options, &listen("gateway"));
    let mesh = member("gateway", endpoints.with("jokes", jokes.grpc_addr()))?;
    let gateway = Box::pin(quipu_gateway::App::build(config, mesh, lifecycle.clone()))
        .await
        .map_err(part("gateway"))?;

    let parts = vec![
        Part { name: "gateway", address: gateway.http_addr(), admin: gateway.admin_addr() },
        Part { name: "auth", address: auth.grpc_addr(), admin: auth.admin_addr() },
        Part { name: "jokes", address: jokes.grpc_addr(), admin: jokes.admin_addr() },
        Part { name: "sentiment", address: sentiment.grpc_addr(), admin: sentiment.admin_addr() },
    ];
    let admin = auth.initial_admin();
    Ok((Apps { auth, sentiment, jokes, gateway }, parts, admin))
}

impl Apps {
    /// Serves all until the lifecycle closes; the failure of one ends the mesh.
    pub(super) fn serve(self, lifecycle: &Lifecycle) {
        lifecycle.spawn_critical("auth", self.auth.run());
        lifecycle.spawn_critical("sentiment", self.sentiment.run());
        lifecycle.spawn_critical("jokes", self.jokes.run());
        lifecycle.spawn_critical("gateway", self.gateway.run());
    }
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

fn gateway_config(options: &Options, usual: &ListenConfig) -> quipu_gateway::Config {
    quipu_gateway::Config {
        listen: options.listen,
        admin_listen: usual.admin_listen,
        recent_traces: options.recent_traces.clone(),
        ..quipu_gateway::Config::default()
    }
}

/// The ports that the policy names, on loopback; any free one where it names none.
fn usual_ports(authority: &Authority, workload: &str) -> ListenConfig {
    let policy = authority.policy().load();
    let workload = policy.workload(workload);
    let grpc = workload.and_then(|w| w.grpc.as_ref()).map_or(0, |g| g.port);
    let admin = workload.and_then(|w| w.admin).unwrap_or(0);
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    ListenConfig { listen: loopback(grpc), admin_listen: loopback(admin) }
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

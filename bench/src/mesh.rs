//! The product as it runs in production: every service its own process, mutual TLS, the policy, tokens, limits, metrics, and a
//! tenth of all traces sent to a collector.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use mesh_identity::{DevCa, SpiffeId, Tls};
use mesh_policy::{Contract, Policy};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    Result, http,
    process::{Process, free_ports},
};

/// The policy of the repository.
const POLICY: &str = include_str!("../../policies/mesh.yaml");

/// Long enough for any run.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Everybody's password.
pub const PASSWORD: &str = "seven knotted cords";

/// So high that nobody is refused; the limiter counts every request all the same.
const RATE: &str = "1000000/1s";

/// The mesh as processes.
pub struct Mesh {
    /// The users' service.
    pub auth: Service,
    /// The texts' service.
    pub sentiment: Service,
    /// `quipu-jokes`, with the embedded engine.
    pub jokes: Service,
    /// The REST API.
    pub gateway: Service,
    ca: DevCa,
    policy: Policy,
    _sink: Process,
    _folder: TempDir,
}

/// One service of it.
#[derive(Debug)]
pub struct Service {
    /// Its process.
    pub process: Process,
    /// Where it serves.
    pub address: SocketAddr,
    /// From its start until it was ready.
    pub ready: Duration,
}

/// What every service is told.
struct Common<'a> {
    folder: &'a Path,
    collector: SocketAddr,
}

impl Common<'_> {
    async fn start(&self, workload: &str, own: &[(&str, String)]) -> Result<Service> {
        let [listen, admin] = free_ports()?;
        let path = |name: &str| self.folder.join(name).display().to_string();
        let common = [
            ("QUIPU_LISTEN", listen.to_string()),
            ("QUIPU_ADMIN_LISTEN", admin.to_string()),
            ("QUIPU_TLS_DIR", path(workload)),
            ("QUIPU_POLICY_FILE", path("mesh.yaml")),
            ("QUIPU_DRAIN_ENDPOINTS", "0s".to_owned()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", self.collector)),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio".to_owned()),
            ("OTEL_TRACES_SAMPLER_ARG", "0.1".to_owned()),
        ];
        let env = common.iter().chain(own).map(|(key, value)| ((*key).to_owned(), value.clone()));
        let env: Vec<_> = env.collect();
        let log = self.folder.join(format!("{workload}.log"));
        let process = Process::start(&program(&format!("quipu-{workload}"))?, &[], &env, Some(&log))?;
        let ready = process.ready(admin, "/readyz").await;
        let ready = ready.map_err(|e| format!("{e}: {}", fs::read_to_string(&log).unwrap_or_default()))?;
        Ok(Service { process, address: listen, ready })
    }
}

impl Mesh {
    /// Starts every service and waits until all are ready: first `auth`, then those that ask it for keys.
    ///
    /// # Errors
    /// When a program is missing or does not become ready.
    pub async fn start() -> Result<Self> {
        Self::with_jokes(&[]).await
    }

    /// As [`Self::start`], with these settings of `jokes`, which go before the usual ones.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn with_jokes(settings: &[(&str, String)]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("quipu-bench.").tempdir()?;
        let at = folder.path();
        fs::write(at.join("mesh.yaml"), POLICY)?;
        let policy = Policy::parse("mesh.yaml", POLICY, Contract::quipu()).map_err(|e| e.to_string())?;
        let ca = DevCa::new(policy.trust_domain())?;
        for workload in ["auth", "sentiment", "jokes", "gateway"] {
            let id = policy.id_of(workload).ok_or("not a workload")?;
            fs::create_dir_all(at.join(workload))?;
            ca.issue(&id, DAY)?.write(&at.join(workload), "tls")?;
        }
        let [collector] = free_ports()?;
        let sink = bare(&["sink".to_owned(), collector.to_string()])?;
        sink.listens(collector).await?;
        let common = Common { folder: at, collector };
        let path = |name: &str| at.join(name).display().to_string();
        let own = [
            ("QUIPU_DATABASE_URL", format!("sqlite://{}", path("auth.db"))),
            ("QUIPU_AUTH_KEY_DIR", path("keys")),
        ];
        let auth = common.start("auth", &own).await?;
        let to_auth = ("QUIPU_ENDPOINT_AUTH", auth.address.to_string());
        let sentiment = common.start("sentiment", std::slice::from_ref(&to_auth)).await?;
        let to_sentiment = ("QUIPU_ENDPOINT_SENTIMENT", sentiment.address.to_string());
        let database = ("QUIPU_DATABASE_URL", format!("sqlite://{}", path("jokes.db")));
        // The last value of a setting counts.
        let own = [&[to_auth.clone(), to_sentiment.clone(), database], settings].concat();
        let jokes = common.start("jokes", &own).await?;
        let to_jokes = ("QUIPU_ENDPOINT_JOKES", jokes.address.to_string());
        let rate = |class: &'static str| (class, RATE.to_owned());
        let own = [
            to_auth,
            to_sentiment,
            to_jokes,
            rate("QUIPU_GATEWAY_RATE_ANONYMOUS"),
            rate("QUIPU_GATEWAY_RATE_USER"),
            rate("QUIPU_GATEWAY_RATE_LOGIN"),
            rate("QUIPU_GATEWAY_RATE_EXCHANGE"),
            rate("QUIPU_GATEWAY_RATE_GENERATION"),
        ];
        let gateway = common.start("gateway", &own).await?;
        Ok(Self { auth, sentiment, jokes, gateway, ca, policy, _sink: sink, _folder: folder })
    }

    /// Every process of it.
    #[must_use]
    pub fn processes(&self) -> [&Process; 4] {
        [&self.auth, &self.sentiment, &self.jokes, &self.gateway].map(|service| &service.process)
    }

    /// The identity of a workload.
    ///
    /// # Errors
    /// When the policy does not know it.
    pub fn tls(&self, workload: &str) -> Result<Tls> {
        Ok(Tls::new(self.ca.issue(&self.id(workload)?, DAY)?.material())?)
    }

    /// The id of a workload.
    ///
    /// # Errors
    /// When the policy does not know it.
    pub fn id(&self, workload: &str) -> Result<SpiffeId> {
        Ok(self.policy.id_of(workload).ok_or("not a workload")?)
    }

    /// Makes an account; the request that signs in with it.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn register(&self, name: &str) -> Result<http::Connection> {
        let email = format!("{name}@example.com");
        let body = json!({"email": email, "password": PASSWORD, "display_name": name}).to_string();
        let request = http::post("/v1/auth/register", None, &body);
        http::Connection::to(self.gateway.address, request).call().await?;
        let body = json!({"email": email, "password": PASSWORD}).to_string();
        Ok(http::Connection::to(self.gateway.address, http::post("/v1/auth/login", None, &body)))
    }
}

/// Signs in; the access token, which is good for ten minutes.
///
/// # Errors
/// When it is refused.
pub async fn token(login: &mut http::Connection) -> Result<String> {
    let answer: Value = serde_json::from_slice(login.call().await?)?;
    let token = answer.get("access_token").and_then(Value::as_str);
    Ok(token.ok_or("no access token")?.to_owned())
}

/// A program beside this one.
///
/// # Errors
/// When it is not there.
pub fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let mut folder = own.parent().ok_or("no folder")?;
    if folder.ends_with("deps") {
        // A test.
        folder = folder.parent().ok_or("no folder")?;
    }
    let path = folder.join(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("{} is missing: build it first", path.display()).into())
    }
}

/// This program as a bare target.
///
/// # Errors
/// When it is not built or cannot be started.
pub fn bare(arguments: &[String]) -> Result<Process> {
    Process::start(&program("quipu-bench")?, arguments, &[], None)
}

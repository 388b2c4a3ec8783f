//! Every service as its own process, as in production: certificates in files, Postgres or `SQLite`, Redis or none, traces to a
//! collector.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use mesh_identity::{DevCa, Tls};
use mesh_policy::{Contract, Policy};
use mesh_testkit::{FaultProxy, OtlpReceiver, Postgres, PostgresDatabase, Redis};
use tempfile::TempDir;

use crate::{Person, Process, ports::free_ports, process::Launch};

/// The first administrator of such a mesh.
pub const ADMIN_EMAIL: &str = "root@example.com";

/// The administrator's password, from a file as in production.
pub const ADMIN_PASSWORD: &str = "administrators knot their own cords";

/// Life of the certificates of a test.
const HOUR: Duration = Duration::from_secs(3600);

/// How a mesh of processes is started.
#[derive(Debug, Clone)]
pub struct Setup {
    postgres: bool,
    redis: bool,
    proxied: bool,
    gateways: usize,
    env: Vec<(&'static str, &'static str, String)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Setup {
    /// `SQLite`, no Redis, one gateway, everything else as the services' own defaults have it.
    #[must_use]
    pub const fn new() -> Self {
        Self { postgres: false, redis: false, proxied: false, gateways: 1, env: Vec::new() }
    }

    /// With Postgres and Redis.
    #[must_use]
    pub const fn servers(mut self) -> Self {
        (self.postgres, self.redis) = (true, true);
        self
    }

    /// With so many gateways, named `gateway`, `gateway-2`, ….
    #[must_use]
    pub const fn gateways(mut self, gateways: usize) -> Self {
        self.gateways = gateways;
        self
    }

    /// With [`ProcessMesh::proxy`] between `auth` and those who call it.
    #[must_use]
    pub const fn proxied(mut self) -> Self {
        self.proxied = true;
        self
    }

    /// With a setting of a workload.
    #[must_use]
    pub fn with(mut self, workload: &'static str, key: &'static str, value: impl Into<String>) -> Self {
        self.env.push((workload, key, value.into()));
        self
    }

    /// Without the gateway's limits of rate, for tests that ask more in a minute than people do.
    #[must_use]
    pub fn without_rates(self) -> Self {
        self.with("gateway", "QUIPU_GATEWAY_RATE_ANONYMOUS", "off")
            .with("gateway", "QUIPU_GATEWAY_RATE_USER", "off")
            .with("gateway", "QUIPU_GATEWAY_RATE_LOGIN", "off")
            .with("gateway", "QUIPU_GATEWAY_RATE_EXCHANGE", "off")
            .with("gateway", "QUIPU_GATEWAY_RATE_GENERATION", "off")
    }

    /// Starts the programs and waits until they are ready.
    pub async fn start(self) -> ProcessMesh {
        ProcessMesh::start(self).await
    }
}

/// The mesh as processes.
#[derive(Debug)]
pub struct ProcessMesh {
    /// In the order of their start: `auth`, `sentiment`, `jokes`, `gateway`, `gateway-2`, ….
    pub processes: Vec<Process>,
    /// Where all spans go.
    pub collector: OtlpReceiver,
    /// Between `auth` and its callers, when asked for.
    pub proxy: Option<FaultProxy>,
    /// The users' database, when it is Postgres.
    pub database: Option<PostgresDatabase>,
    /// The jokes' database, when it is Postgres.
    pub jokes_database: Option<PostgresDatabase>,
    redis: Option<Redis>,
    folder: TempDir,
}

impl ProcessMesh {
    async fn start(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let (mut database, mut jokes_database) = (None, None);
        if setup.postgres {
            let cluster = Postgres::shared().await.unwrap();
            database = Some(cluster.database().await.unwrap());
            jokes_database = Some(cluster.database().await.unwrap());
        }
        let redis = if setup.redis { Some(Redis::start().await.unwrap()) } else { None };
        let collector = OtlpReceiver::start().await.unwrap();
        identities(at);
        fs::write(at.join("admin-password"), ADMIN_PASSWORD).unwrap();
        fs::write(at.join("mesh.yaml"), quipu::POLICY).unwrap();
        let [auth, sentiment, jokes] = free_ports();
        let proxy = if setup.proxied { Some(FaultProxy::start(auth).await.unwrap()) } else { None };
        let mut mesh =
            Self { processes: Vec::new(), collector, proxy, database, jokes_database, redis, folder };
        let auth_at = mesh.proxy.as_ref().map_or(auth, FaultProxy::addr);
        mesh.launch(&setup, "auth", auth, mesh.auth_env());
        let auth_at = ("QUIPU_ENDPOINT_AUTH", auth_at.to_string());
        mesh.launch(&setup, "sentiment", sentiment, vec![auth_at.clone()]);
        let sentiment_at = ("QUIPU_ENDPOINT_SENTIMENT", sentiment.to_string());
        let redis_at: Vec<_> = mesh.redis.iter().map(|redis| ("QUIPU_REDIS_URL", redis.url())).collect();
        let url = ("QUIPU_DATABASE_URL", mesh.database_url(mesh.jokes_database.as_ref(), "jokes.db"));
        let env = [&[auth_at.clone(), sentiment_at.clone(), url], redis_at.as_slice()].concat();
        mesh.launch(&setup, "jokes", jokes, env);
        let jokes_at = ("QUIPU_ENDPOINT_JOKES", jokes.to_string());
        for n in 1..=setup.gateways {
            let name = if n == 1 { "gateway".to_owned() } else { format!("gateway-{n}") };
            let [listen] = free_ports();
            let others = [auth_at.clone(), sentiment_at.clone(), jokes_at.clone()];
            let env = [others.as_slice(), redis_at.as_slice()].concat();
            mesh.launch(&setup, &name, listen, env);
        }
        for process in &mesh.processes {
            process.wait_until_ready().await;
        }
        mesh
    }

    fn database_url(&self, server: Option<&PostgresDatabase>, file: &str) -> String {
        let sqlite = || format!("sqlite://{}", self.folder.path().join(file).display());
        server.map_or_else(sqlite, |database| database.url().to_owned())
    }

    fn auth_env(&self) -> Vec<(&'static str, String)> {
        let at = self.folder.path();
        vec![
            ("QUIPU_DATABASE_URL", self.database_url(self.database.as_ref(), "auth.db")),
            ("QUIPU_AUTH_KEY_DIR", at.join("keys").display().to_string()),
            ("QUIPU_AUTH_ADMIN_EMAIL", ADMIN_EMAIL.into()),
            ("QUIPU_AUTH_ADMIN_PASSWORD_FILE", at.join("admin-password").display().to_string()),
        ]
    }

    fn launch(&mut self, setup: &Setup, name: &str, listen: SocketAddr, own: Vec<(&'static str, String)>) {
        let [admin] = free_ports();
        let workload = name.split('-').next().unwrap();
        let at = self.folder.path();
        let mut env = vec![
            ("QUIPU_LISTEN", listen.to_string()),
            ("QUIPU_ADMIN_LISTEN", admin.to_string()),
            ("QUIPU_TLS_DIR", at.join(workload).display().to_string()),
            ("QUIPU_POLICY_FILE", at.join("mesh.yaml").display().to_string()),
            ("QUIPU_DRAIN_ENDPOINTS", "0s".into()),
            ("QUIPU_LOG", "debug".into()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.collector.endpoint()),
        ];
        env.extend(own);
        for (_, key, value) in setup.env.iter().filter(|(w, ..)| *w == workload) {
            env.retain(|(k, _)| k != key);
            env.push((key, value.clone()));
        }
        let env: Vec<_> = env.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let (program, log) = (format!("quipu-{workload}"), at.join(format!("{name}.log")));
        self.processes.push(Process::start(name, Launch { program, env, listen, admin }, log));
    }

    /// A program by name.
    #[must_use]
    pub fn process(&self, name: &str) -> &Process {
        self.processes.iter().find(|p| p.name() == name).unwrap()
    }

    fn process_mut(&mut self, name: &str) -> &mut Process {
        self.processes.iter_mut().find(|p| p.name() == name).unwrap()
    }

    /// Asks every program to end; their exit codes.
    pub async fn end(mut self) -> Vec<Option<i32>> {
        let mut codes = Vec::new();
        for process in &mut self.processes {
            process.signal("TERM");
            codes.push(process.ended().await);
        }
        codes
    }

    /// Sends a signal that ends a program (`TERM`, `KILL`) and waits for its end.
    pub async fn stop(&mut self, name: &str, signal: &str) {
        let process = self.process_mut(name);
        process.signal(signal);
        process.ended().await;
    }

    /// Changes a setting of a program for when it is started again.
    pub fn change(&mut self, name: &str, key: &str, value: &str) {
        self.process_mut(name).change(key, value);
    }

    /// Starts a stopped program again, with the same settings on the same ports, and waits until it is ready.
    pub async fn start_again(&mut self, name: &str) {
        let process = self.process_mut(name);
        process.start_again();
        process.wait_until_ready().await;
    }

    /// Where Redis is, when there is one.
    #[must_use]
    pub fn redis_url(&self) -> Option<String> {
        self.redis.as_ref().map(Redis::url)
    }

    /// The folder of certificates, policy, keys and logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The policy that the programs read.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy::load(&self.folder.path().join("mesh.yaml"), Contract::quipu()).unwrap()
    }

    /// The certificate authority of the mesh.
    #[must_use]
    pub fn ca(&self) -> DevCa {
        DevCa::open_or_create(&self.folder.path().join("ca"), self.policy().trust_domain()).unwrap()
    }

    /// The identity of a workload, from the mesh's own authority.
    #[must_use]
    pub fn tls(&self, workload: &str) -> Tls {
        let id = self.policy().id_of(workload).unwrap();
        Tls::new(self.ca().issue(&id, HOUR).unwrap().material()).unwrap()
    }

    /// Somebody at the first gateway.
    #[must_use]
    pub fn person(&self) -> Person {
        self.person_at("gateway")
    }

    /// Somebody at a gateway by name.
    #[must_use]
    pub fn person_at(&self, gateway: &str) -> Person {
        Person::at(&format!("http://{}", self.process(gateway).address()))
    }

    /// A person with an account who has signed in.
    pub async fn signed_in(&self, name: &str) -> Person {
        self.person().join(name).await
    }

    /// The first administrator, signed in.
    pub async fn administrator(&self) -> Person {
        let mut person = self.person();
        person.sign_in_as(ADMIN_EMAIL, ADMIN_PASSWORD).await;
        person
    }
}

fn identities(at: &Path) {
    let policy = Policy::parse("mesh.yaml", quipu::POLICY, Contract::quipu()).unwrap();
    let ca = DevCa::open_or_create(&at.join("ca"), policy.trust_domain()).unwrap();
    for workload in ["gateway", "auth", "sentiment", "jokes"] {
        let id = policy.id_of(workload).unwrap();
        ca.issue(&id, HOUR).unwrap().write(&at.join(workload), "tls").unwrap();
    }
}

//! What requests cost.

use std::net::SocketAddr;

use bytes::Bytes;
use mesh_proto::sentiment::v1::AnalyzeRequest;

use super::{Plan, Row, median, sound, spread};
use crate::{
    Result, grpc, http,
    load::{self, Caller, Measured, Mode, Turns},
    mesh::{self, Mesh},
    process::{Process, children_cpu_micros, free_ports},
};

/// Connections of a closed loop.
const CONNECTIONS: usize = 64;

/// What is asked about.
const TEXT: &str =
    "The delivery was late, but the people at the counter were kind and the soup was wonderful.";

/// The method of the service alone.
const ANALYZE: &str = "/quipu.sentiment.v1.SentimentService/Analyze";

/// The bare targets.
struct Bare {
    axum: Process,
    tonic: Process,
    rest: SocketAddr,
    grpc: SocketAddr,
}

impl Bare {
    async fn start() -> Result<Self> {
        let [rest, grpc] = free_ports()?;
        let tonic = mesh::bare(&["tonic".to_owned(), grpc.to_string()])?;
        let axum = mesh::bare(&["axum".to_owned(), rest.to_string(), grpc.to_string()])?;
        axum.ready(rest, "/healthz").await?;
        tonic.listens(grpc).await?;
        Ok(Self { axum, tonic, rest, grpc })
    }
}

/// The rounds of a product and of what it is compared with.
struct Rounds(Vec<(Measured, Measured)>);

impl Rounds {
    fn of(&self, value: impl Fn(&Measured) -> f64) -> (f64, f64) {
        (median(self.0.iter().map(|(a, _)| value(a))), median(self.0.iter().map(|(_, b)| value(b))))
    }

    fn ratios(&self, value: impl Fn(&Measured) -> f64) -> Vec<f64> {
        self.0.iter().map(|(a, b)| value(a) / value(b)).collect()
    }

    fn describe(&self) -> String {
        let (cpu, bare) = self.of(|m| m.cpu);
        let (p50, bare50) = self.of(|m| m.percentile(50.0));
        let (p99, bare99) = self.of(|m| m.percentile(99.0));
        let (rate, bare_rate) = self.of(|m| m.rate);
        let spread = spread(self.ratios(|m| m.cpu));
        format!(
            "{cpu:.1} against {bare:.1} µs of processor a request ({spread}); {rate:.0} against {bare_rate:.0} a second; p50 {p50:.0} against {bare50:.0} µs, p99 {p99:.0} against {bare99:.0} µs"
        )
    }
}

async fn connected(count: usize, address: SocketAddr, request: &Bytes) -> Result<Vec<http::Connection>> {
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let mut connection = http::Connection::to(address, request.clone());
        connection.connect().await?;
        all.push(connection);
    }
    Ok(all)
}

async fn rest(
    plan: &Plan,
    (count, mode): (usize, Mode),
    (address, request): (SocketAddr, &Bytes),
    target: &[&Process],
) -> Result<Measured> {
    sound(load::run(connected(count, address, request).await?, mode, plan.times, target).await?)
}

/// `GET /healthz` against bare axum.
pub(super) async fn healthz(plan: &Plan) -> Result<Row> {
    let (mesh, bare, request) = (Mesh::start().await?, Bare::start().await?, http::get("/healthz"));
    let mut rounds = Rounds(Vec::new());
    for _ in 0..plan.rounds {
        let closed = (CONNECTIONS, Mode::Closed);
        let a = rest(plan, closed, (mesh.gateway.address, &request), &[&mesh.gateway.process]).await?;
        let b = rest(plan, closed, (bare.rest, &request), &[&bare.axum]).await?;
        rounds.0.push((a, b));
    }
    let ratio = median(rounds.ratios(|m| m.cpu));
    Ok(Row::most("healthz: `GET /healthz` against bare axum", ratio, 2.0, "×", rounds.describe()))
}

fn sentiment(token: Option<&str>) -> Bytes {
    http::post("/v1/sentiment", token, &serde_json::json!({ "text": TEXT }).to_string())
}

/// `POST /v1/sentiment` against the bare hop: as fast as they can, and both at the same rate.
pub(super) async fn hop(plan: &Plan) -> Result<Vec<Row>> {
    let (mesh, bare) = (Mesh::start().await?, Bare::start().await?);
    let mut login = mesh.register("ada").await?;
    let mut rows = Vec::new();
    for (mode, name) in [(Mode::Closed, "as fast as it goes"), (Mode::Open(1000), "1,000 a second")] {
        let mut rounds = Rounds(Vec::new());
        for _ in 0..plan.rounds {
            let request = sentiment(Some(&mesh::token(&mut login).await?));
            let how = (CONNECTIONS, mode);
            let a = rest(plan, how, (mesh.gateway.address, &request), &mesh.processes()).await?;
            let target = [&bare.axum, &bare.tonic];
            let b = rest(plan, how, (bare.rest, &sentiment(None)), &target).await?;
            rounds.0.push((a, b));
        }
        let ratio = median(rounds.ratios(|m| m.cpu));
        let what = format!("hop: `POST /v1/sentiment` against the bare hop, {name}");
        rows.push(Row::most(what, ratio, 1.7, "×", rounds.describe()));
    }
    Ok(rows)
}

/// `Analyze` of the service alone, over mutual TLS, against a bare tonic service.
pub(super) async fn grpc(plan: &Plan) -> Result<Vec<Row>> {
    let (mesh, bare) = (Mesh::start().await?, Bare::start().await?);
    let mut login = mesh.register("ada").await?;
    let (tls, id) = (mesh.tls("gateway")?, mesh.id("sentiment")?);
    let message = AnalyzeRequest { text: TEXT.to_owned(), ..Default::default() };
    let mut rounds = Rounds(Vec::new());
    for _ in 0..plan.rounds {
        let unary = grpc::Unary::new(ANALYZE, Some(&mesh::token(&mut login).await?), &message)?;
        let connection = grpc::Connection::mutual(mesh.sentiment.address, &tls, &id, unary).await?;
        let target = [&mesh.sentiment.process];
        let a = load::run(vec![connection; CONNECTIONS], Mode::Closed, plan.times, &target).await?;
        let unary = grpc::Unary::new(ANALYZE, None, &message)?;
        let connection = grpc::Connection::plain(bare.grpc, unary).await?;
        let target = [&bare.tonic];
        let b = load::run(vec![connection; CONNECTIONS], Mode::Closed, plan.times, &target).await?;
        rounds.0.push((sound(a)?, sound(b)?));
    }
    let (rate, cpu) = (median(rounds.ratios(|m| m.rate)), median(rounds.ratios(|m| 1.0 / m.cpu)));
    let name = |by: &str| format!("grpc: `Analyze` over mTLS against bare tonic, {by}");
    Ok(vec![
        Row::least(name("by rate"), rate, 0.6, "×", rounds.describe()),
        Row::least(name("by processor"), cpu, 0.6, "×", rounds.describe()),
    ])
}

/// A sign-in against one hash of argon2 with the same parameters.
pub(super) async fn login(plan: &Plan) -> Result<Row> {
    /// Nobody's sessions become too many.
    const USERS: usize = 8;
    /// In processes of their own, so that their start does not matter.
    const HASHES: u32 = 60;
    /// As many as `auth` hashes at once: alone, each would mostly be told what it costs to wake a processor that sleeps.
    const AT_ONCE: usize = 2;
    let mesh = Mesh::start().await?;
    let (mut logins, mut hashes) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        let mut users = Vec::new();
        for user in 0..USERS {
            users.push(mesh.register(&format!("user-{round}-{user}")).await?);
        }
        let mut callers = Vec::new();
        while !users.is_empty() {
            callers.push(Turns::of(users.drain(..USERS / AT_ONCE)));
        }
        let measured = load::run(callers, Mode::Closed, plan.times, &mesh.processes()).await?;
        logins.push(sound(measured)?.cpu / 1000.0);
        let before = children_cpu_micros()?;
        let hash = |_| mesh::bare(&["argon2".to_owned(), HASHES.to_string()]);
        let hashing = (0..AT_ONCE).map(hash).collect::<Result<Vec<_>>>()?;
        for process in hashing {
            process.ended().await?;
        }
        let used = u32::try_from(children_cpu_micros()? - before)?;
        hashes.push(f64::from(used) / f64::from(HASHES * u32::try_from(AT_ONCE)?) / 1000.0);
    }
    let ratios: Vec<_> = logins.iter().zip(&hashes).map(|(login, hash)| login / hash).collect();
    let (login, hash) = (median(logins), median(hashes));
    let spread = spread(ratios.iter().copied());
    let from = format!("{login:.2} against {hash:.2} ms of processor ({spread})");
    Ok(Row::most("login: `POST /v1/auth/login` against one argon2", median(ratios), 1.10, "×", from))
}

/// The cost of a request at the same rate over few and many open connections, and what it is for the bare target.
pub(super) async fn connections(plan: &Plan) -> Result<Vec<Row>> {
    let (mesh, bare) = (Mesh::start().await?, Bare::start().await?);
    let mut login = mesh.register("ada").await?;
    let mut rows = Vec::new();
    for (name, rate) in [("`GET /healthz`", 2000), ("`POST /v1/sentiment`", 1000)] {
        const COUNTS: [usize; 4] = [1, 10, 100, 1000];
        let mut costs = COUNTS.map(|_| (Vec::new(), Vec::new()));
        for _ in 0..plan.rounds {
            let (request, bare_request) = match rate {
                2000 => (http::get("/healthz"), http::get("/healthz")),
                _ => (sentiment(Some(&mesh::token(&mut login).await?)), sentiment(None)),
            };
            for (count, (own, other)) in COUNTS.into_iter().zip(&mut costs) {
                let how = (count, Mode::Open(rate));
                let target = (mesh.gateway.address, &request);
                own.push(rest(plan, how, target, &mesh.processes()).await?.cpu);
                let target = [&bare.axum, &bare.tonic];
                other.push(rest(plan, how, (bare.rest, &bare_request), &target).await?.cpu);
            }
        }
        let costs = costs.map(|(own, other)| (median(own), median(other)));
        rows.push(sweep(name, rate, &costs));
    }
    Ok(rows)
}

/// How far the costs are from that of one connection.
fn sweep(name: &str, rate: u32, costs: &[(f64, f64)]) -> Row {
    let first = costs.first().copied().unwrap_or_default();
    let change = |of: fn(&(f64, f64)) -> f64| {
        costs
            .iter()
            .map(|cost| of(cost) / of(&first) - 1.0)
            .fold(0.0_f64, |most, c| if c.abs() > most.abs() { c } else { most })
    };
    let (own, other) = (change(|c| c.0) * 100.0, change(|c| c.1) * 100.0);
    let list = |of: fn(&(f64, f64)) -> f64| {
        costs.iter().map(|cost| format!("{:.1}", of(cost))).collect::<Vec<_>>().join(", ")
    };
    let from = format!(
        "1, 10, 100, 1,000 connections at {rate} a second: {} µs; bare {} µs ({other:+.0} %)",
        list(|c| c.0),
        list(|c| c.1)
    );
    Row::most(format!("connections: {name}, farthest from one connection"), own.abs(), 10.0, " %", from)
}

/// Callers of a closed loop are all alike.
const _: fn() = || {
    fn is_caller<C: Caller>() {}
    is_caller::<http::Connection>();
};

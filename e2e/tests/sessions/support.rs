//! What the rows share: the mesh they run on, answers with their headers, tokens, metrics and the database.

use std::time::Duration;

use aws_lc_rs::digest;
use http::HeaderMap;
use quipu_e2e::{PASSWORD, Person, Process, ProcessMesh, Setup, is_full};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;

/// Where owners of accounts are at home.
pub(crate) const HOME: &str = "203.0.113.7";

/// Two gateways over Postgres and Redis. A proxy on loopback is believed, so that people come from where the test says;
/// the gateway's own limits are off, so that it is `auth` that refuses.
pub(crate) fn setup() -> Setup {
    let setup = Setup::new().servers().gateways(2).without_rates();
    let setup = setup.with("gateway", "QUIPU_GATEWAY_TRUSTED_PROXIES", "127.0.0.0/8");
    // The short form runs beside other tests, on a machine that is busy with them.
    let setup = match is_full() {
        true => setup,
        false => setup.with("auth", "QUIPU_DATABASE_ACQUIRE_TIMEOUT", "3s"),
    };
    ["auth", "sentiment", "jokes", "gateway"]
        .into_iter()
        .fold(setup, |setup, w| setup.with(w, "QUIPU_LOG", "info"))
}

/// Somebody at each gateway.
pub(crate) fn gates(mesh: &ProcessMesh) -> [Person; 2] {
    ["gateway", "gateway-2"].map(|name| mesh.person_at(name))
}

/// The users' database.
pub(crate) async fn database(mesh: &ProcessMesh) -> PgPool {
    PgPool::connect(mesh.database.as_ref().unwrap().url()).await.unwrap()
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    /// The stable word of a problem.
    pub(crate) fn reason(&self) -> &str {
        self.body["reason"].as_str().unwrap_or_default()
    }

    /// Seconds to wait, when it says so.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.headers.get("retry-after")?.to_str().ok()?.parse().ok()
    }

    /// Everything that somebody could tell answers apart by, without what differs from request to request.
    pub(crate) fn shape(&self) -> String {
        let mut body = self.body.clone();
        if let Some(members) = body.as_object_mut() {
            members.retain(|name, _| !matches!(name.as_str(), "trace_id" | "request_id"));
        }
        let passing = ["date", "x-request-id", "traceparent"];
        let mut headers: Vec<_> =
            self.headers.iter().filter(|(name, _)| !passing.contains(&name.as_str())).collect();
        headers.sort_by_key(|(name, _)| name.as_str());
        format!("{} {headers:?} {body}", self.status)
    }
}

/// A POST of JSON by somebody at an address.
pub(crate) async fn post_from(person: &Person, address: &str, path: &str, body: &Value) -> Reply {
    let request = person.request(Method::POST, path).header("x-forwarded-for", address).json(body);
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    Reply { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null) }
}

/// Makes an account with the usual password, from [`HOME`].
pub(crate) async fn register(person: &Person, email: &str) -> String {
    let body = json!({"email": email, "password": PASSWORD});
    for _ in 0..50 {
        let made = post_from(person, HOME, "/v1/auth/register", &body).await;
        match made.status.as_u16() {
            201 => return made.body["user"]["id"].as_str().unwrap().to_owned(),
            // The pool of hashes is small, and other tests of this process share the machine.
            429 | 503 => tokio::time::sleep(Duration::from_millis(200)).await,
            _ => panic!("{made:?}"),
        }
    }
    panic!("no place to hash for {email}");
}

/// A try to sign in.
pub(crate) async fn login(person: &Person, address: &str, email: &str, password: &str) -> Reply {
    post_from(person, address, "/v1/auth/login", &json!({"email": email, "password": password})).await
}

/// The tokens of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Tokens {
    /// From an answer of sign-in or refresh.
    pub(crate) fn of(answer: &Value) -> Self {
        let text = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }

    /// Those of a new session, of the owner at home, who comes again when there was no place.
    pub(crate) async fn sign_in(person: &Person, email: &str) -> Self {
        for _ in 0..20 {
            let reply = login(person, HOME, email, PASSWORD).await;
            if reply.status == 200 {
                return Self::of(&reply.body);
            }
            assert!(matches!(reply.status.as_u16(), 429 | 503), "{reply:?}");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        panic!("no place to hash for {email}");
    }

    /// The session's id: `qr_<session id>_<secret><mark>`.
    pub(crate) fn session(&self) -> &str {
        self.refresh.split('_').nth(1).unwrap()
    }

    /// The hash that the session's row keeps of the refresh token.
    pub(crate) fn hash(&self) -> Vec<u8> {
        let rest = self.refresh.split('_').nth(2).unwrap();
        digest::digest(&digest::SHA256, &rest.as_bytes()[..SECRET]).as_ref().to_vec()
    }
}

/// Digits of a refresh token's secret: 256 bits to the base 62.
const SECRET: usize = 43;

/// The sum of a metric over all its label sets that have these labels.
pub(crate) async fn metric(process: &Process, name: &str, labels: &[&str]) -> u64 {
    let text = process.metrics().await;
    let of_name = |line: &&str| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '))
    };
    let lines = text.lines().filter(of_name).filter(|line| labels.iter().all(|label| line.contains(label)));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// Passwords hashed or verified so far.
pub(crate) async fn hashes(mesh: &ProcessMesh) -> u64 {
    metric(mesh.process("auth"), "quipu_auth_hash_duration_seconds_count", &[]).await
}

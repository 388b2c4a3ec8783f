//! The fixture: the service over a real database.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use chrono::{DateTime, Duration, Utc};
use mesh_config::Secret;
use mesh_identity::{Claims, Profile, Revocations, SigningKey, TokenVerifier};
use mesh_store::page::PageRequest;
use mesh_store::{Db, StoreConfig};
use mesh_testkit::{Postgres, SqliteFile};
use tokio_util::sync::CancellationToken;

use crate::audit::Actor;
use crate::config::{AdminSeed, Config, KeyStore};
use crate::domain::{Client, Email, Password};
use crate::error::Result;
use crate::hashing::{HashPool, HashSettings};
use crate::keys::KeyRing;
use crate::ports::{Clock, SystemRandom};
use crate::revocations::{Feed, OwnFeed};
use crate::service::{Auth, Caller, NewAccount, Parts, TokenPair};
use crate::store::Store;
use crate::store::users::User;

/// A place of which nothing is known.
pub(crate) const ELSEWHERE: &str = "198.51.100.7";
/// Where people of the tests live.
pub(crate) const HOME: &str = "203.0.113.7";
/// The password of everybody who is not asked for another.
pub(crate) const PASSWORD: &str = "violet-anchor-42";

/// A clock that stands still.
pub(crate) struct TestClock(Mutex<DateTime<Utc>>);

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

impl TestClock {
    pub(crate) fn forward(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

/// A service and its database.
pub(crate) struct Fixture {
    pub(crate) auth: Arc<Auth>,
    pub(crate) parts: Parts,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) db: Db,
    pub(crate) stop: CancellationToken,
    url: String,
    keys: KeyStore,
    _file: Option<Arc<SqliteFile>>,
}

/// Cheap, so that tests take no time; their strength is another test's matter.
pub(crate) fn hashing() -> HashSettings {
    HashSettings { memory_kib: 64, iterations: 1, lanes: 1, threads: 2, queue: 200 }
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        let file = Arc::new(SqliteFile::new().unwrap());
        Self::first(file.url(), Some(file)).await
    }

    /// Fails when Postgres is not installed: both databases are always tested.
    pub(crate) async fn postgres() -> Self {
        let cluster = Postgres::shared().await.expect("these tests need the programs of a Postgres server");
        Self::first(cluster.database().await.unwrap().url().to_owned(), None).await
    }

    async fn first(url: String, file: Option<Arc<SqliteFile>>) -> Self {
        let now = DateTime::from_timestamp(1_790_000_000, 123_456_000).unwrap();
        let clock = Arc::new(TestClock(Mutex::new(now)));
        let pem = SigningKey::generate().unwrap().to_pkcs8_pem().unwrap().to_string();
        Self::start(url, file, clock, KeyStore::Given(Secret::from(pem)), hashing()).await
    }

    /// One more replica on the same database.
    pub(crate) async fn replica(&self) -> Self {
        self.replica_with(hashing(), self.keys.clone()).await
    }

    /// One more replica, set up differently.
    pub(crate) async fn replica_with(&self, hashing: HashSettings, keys: KeyStore) -> Self {
        Self::start(self.url.clone(), self._file.clone(), Arc::clone(&self.clock), keys, hashing).await
    }

    async fn start(
        url: String,
        file: Option<Arc<SqliteFile>>,
        clock: Arc<TestClock>,
        keys: KeyStore,
        hashing: HashSettings,
    ) -> Self {
        let mut config = StoreConfig::new(url.parse().unwrap());
        // The machine that tests may be busy; what happens when there is no connection in time is tested with the store.
        config.acquire_timeout = std::time::Duration::from_secs(20);
        config.lock_timeout = std::time::Duration::from_secs(20);
        config.statement_timeout = std::time::Duration::from_secs(20);
        let db = Db::connect(&config).await.unwrap();
        let store = Store::new(db.clone());
        store.migrate().await.unwrap();
        let stop = CancellationToken::new();
        let parts = parts(store, &clock, keys.clone(), hashing, &stop);
        parts.feed.refresh().await.unwrap();
        let (feed, feed_stop) = (Arc::clone(&parts.feed), stop.clone());
        tokio::spawn(async move { feed.run(feed_stop).await });
        let auth = Arc::new(Auth::open(parts.clone()).await.unwrap());
        Self { auth, parts, clock, db, stop, url, keys, _file: file }
    }

    /// Registers somebody.
    pub(crate) async fn person(&self, name: &str) -> User {
        self.auth.register(&at(HOME), account(name)).await.unwrap()
    }

    /// Makes somebody an administrator and signs her in.
    pub(crate) async fn admin(&self, name: &str) -> Caller {
        let seed = AdminSeed::Given {
            email: format!("{name}@example.com"),
            password: Secret::from(PASSWORD.to_owned()),
        };
        self.auth.seed_admin(&seed).await.unwrap();
        let tokens = self.login(name, HOME).await.unwrap();
        self.caller(&tokens).await
    }

    /// Signs somebody in with the password of everybody.
    pub(crate) async fn login(&self, name: &str, from: &str) -> Result<TokenPair> {
        self.login_with(name, PASSWORD, from).await
    }

    pub(crate) async fn login_with(&self, name: &str, password: &str, from: &str) -> Result<TokenPair> {
        let email = Email::parse(&format!("{name}@example.com")).unwrap();
        self.auth.login(&at(from), &email, Password::attempt(password).unwrap()).await
    }

    /// Registers somebody and signs her in.
    pub(crate) async fn signed_in(&self, name: &str) -> (Caller, TokenPair) {
        self.person(name).await;
        let tokens = self.login(name, HOME).await.unwrap();
        (self.caller(&tokens).await, tokens)
    }

    /// What a token says, after the signature and the profile were checked.
    pub(crate) async fn claims(&self, access: &str) -> Arc<Claims> {
        self.parts.verifier.verify(access).await.unwrap()
    }

    /// Whether a token is good, by the database.
    pub(crate) async fn is_good(&self, access: &str) -> bool {
        let claims = payload(access);
        let (sid, sub) = (claims["sid"].as_str().unwrap(), claims["sub"].as_str().unwrap());
        self.parts.feed.is_active(sid, sub, claims["iat"].as_i64().unwrap()).await.unwrap()
    }

    pub(crate) async fn caller(&self, tokens: &TokenPair) -> Caller {
        let claims = self.claims(&tokens.access).await;
        Caller {
            user_id: claims.sub.clone(),
            session_id: claims.sid.clone(),
            scopes: claims.scope.clone(),
            actor: Actor { name: claims.sub.clone(), client: Client::default() },
        }
    }

    /// Whether the tokens of a session are good, by the database.
    pub(crate) async fn is_active(&self, caller: &Caller, access: &str) -> bool {
        let issued_at = i64::try_from(issued_at(access)).unwrap();
        self.parts.feed.is_active(&caller.session_id, &caller.user_id, issued_at).await.unwrap()
    }

    /// A number that a statement gives.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        mesh_store::on!(self.db.read(), "SELECT", |e| sqlx::query_scalar(sql).fetch_one(e).await).unwrap()
    }

    /// Does something to the database behind the service's back.
    pub(crate) async fn execute(&self, sql: &'static str) {
        mesh_store::on!(self.db.write(), "EXECUTE", |e| sqlx::query(sql).execute(e).await.map(|_| ()))
            .unwrap();
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn parts(
    store: Store,
    clock: &Arc<TestClock>,
    keys: KeyStore,
    hashing: HashSettings,
    stop: &CancellationToken,
) -> Parts {
    let rules = Config::local(std::path::Path::new("unused"), mesh_server::ListenConfig::loopback()).rules();
    let clock_of: Arc<dyn Clock> = Arc::<TestClock>::clone(clock);
    let random: Arc<dyn crate::ports::Random> = Arc::new(SystemRandom);
    let ring = KeyRing::open(keys, Arc::clone(&clock_of), rules.access_life, Duration::days(30)).unwrap();
    let keys = Arc::new(ring);
    let feed = Feed::new(store.clone(), Arc::clone(&clock_of));
    let source = OwnFeed { feed: Arc::clone(&feed), stop: stop.clone() };
    let hands = Arc::clone(&clock_of);
    let verifier = TokenVerifier::with_clock(
        Profile::default(),
        Arc::<KeyRing>::clone(&keys),
        Revocations::watched(Arc::new(source)),
        Arc::new(move || SystemTime::from(hands.now())),
    );
    let hasher = Arc::new(HashPool::new(hashing, Arc::clone(&random)).unwrap());
    Parts { store, keys, hasher, feed, verifier, profile: Profile::default(), clock: clock_of, random, rules }
}

/// A person at a place.
pub(crate) fn at(address: &str) -> Actor {
    Actor {
        name: "spiffe://quipu.local/ns/quipu/sa/gateway".to_owned(),
        client: Client::new(address, "Test/1.0"),
    }
}

/// What somebody registers with.
pub(crate) fn account(name: &str) -> NewAccount {
    let email = Email::parse(&format!("{name}@example.com")).unwrap();
    let password = Password::choose(PASSWORD, Some(&email)).unwrap();
    NewAccount { email, password, display_name: name.to_owned() }
}

/// The first page of a size.
pub(crate) fn first_page(size: i32) -> PageRequest {
    PageRequest::new(size, String::new()).unwrap()
}

/// The claim `iat` of a token, unchecked.
pub(crate) fn issued_at(access: &str) -> u64 {
    payload(access)["iat"].as_u64().unwrap()
}

fn payload(access: &str) -> serde_json::Value {
    use base64::Engine;
    let payload = access.split('.').nth(1).unwrap();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

//! I10, in Redis: what lies there, what each mode does, and what happens when it goes away.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use mesh_testkit::{FakeLlm, Fault, FaultProxy, Reply};
use quipu_e2e::{LIMIT, ProcessMesh, Proof, eventually};
use redis::aio::MultiplexedConnection;

use crate::{
    ask::{Way, Wish},
    asker::Asker,
    cache::{Got, MODELS, People, get, never_the_same, shared, told_apart, with_prices},
    support::{metric, numbered, setup},
};

/// Before each key.
const PREFIX: &str = "quipu:jokes:v1:";
/// How long a joke is kept, seconds.
const LIFE: i64 = 3_600;
/// A joke is not to wait for Redis for longer, whatever is wrong with it.
const PATIENCE: Duration = Duration::from_secs(2);
/// What the built-in policy says anyway, and another policy.
const SAME_GUARDS: &str = "rules:\n  words: true\n";
const OTHER_GUARDS: &str = "words:\n  house: [quipucamayoc]\n";

/// The mesh, its people, and a look into Redis.
struct Stage {
    fake: FakeLlm,
    mesh: ProcessMesh,
    people: People,
    redis: MultiplexedConnection,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i10_redis_a_cached_joke_is_given_to_its_own_user_only() {
    let mut proof =
        Proof::new("I10.redis", "as I10.process in Redis, which holds no wish and whose end ends no joke");
    let mut stage = Stage::set().await;
    let (wishes, foreign) = shared(&mut proof, &stage.fake, &stage.people).await;
    let keys = told_apart(&mut proof, &stage.fake, &stage.people.ada).await;
    let readable = stage.readable(&mut proof, 2 * wishes + keys).await;
    stage.modes(&mut proof).await;
    stage.guards(&mut proof).await;
    let slowest = stage.goes_away(&mut proof).await;
    proof.require_time(slowest <= PATIENCE, || format!("a joke took {slowest:?} while Redis was away"));
    proof.figure(format!(
        "{wishes} wishes of two users: {foreign} jokes of the other; {} keys, {readable} of them with something to read; without \
         Redis the slowest joke is told in {:.2} s",
        2 * wishes + keys,
        slowest.as_secs_f64()
    ));
    proof.limit(format!("0 jokes of another; 0 readable; 100 % told without Redis, each in ≤ {PATIENCE:?}"));
    proof.finish();
}

impl Stage {
    async fn set() -> Self {
        let fake = FakeLlm::start().await.unwrap();
        let setup = with_prices(setup(&fake, &MODELS)).with("jokes", "QUIPU_JOKES_CACHE", "on");
        let mesh = setup.servers().start().await;
        let people = People::join(&mesh).await;
        never_the_same(&fake);
        let client = redis::Client::open(mesh.redis_url().unwrap()).unwrap();
        let redis = client.get_multiplexed_async_connection().await.unwrap();
        Self { fake, mesh, people, redis }
    }

    /// Starts the service again with another setting.
    async fn restart(&mut self, key: &str, value: &str) {
        self.mesh.change("jokes", key, value);
        self.mesh.stop("jokes", "TERM").await;
        self.mesh.start_again("jokes").await;
    }

    async fn get(&self, asker: &Asker, way: Way, topic: &str) -> Got {
        get(&self.fake, asker, way, &Wish::new(topic, "m")).await
    }

    async fn keys(&mut self) -> BTreeSet<String> {
        let keys = redis::cmd("KEYS").arg(format!("{PREFIX}*")).query_async(&mut self.redis).await;
        keys.unwrap()
    }

    /// Redis holds a key for each wish of each user, which tells nothing of either; nor does what lies there. Returns how many do.
    async fn readable(&mut self, proof: &mut Proof, expected: usize) -> usize {
        let keys = self.keys().await;
        proof.check(keys.len() == expected, || format!("{} keys for {expected} wishes", keys.len()));
        let mut secrets: Vec<String> =
            ["cats", "boxes", "sailors", "ada", "bob", "asked", "example"].map(String::from).into();
        for asker in [&self.people.ada, &self.people.bob] {
            let (_, account) = asker.person.get("/v1/auth/me").await;
            secrets.push(account["user"]["id"].as_str().unwrap().to_owned());
        }
        let mut readable = 0;
        for key in keys {
            let hash = &key[PREFIX.len()..];
            let is_hash =
                hash.len() == 43 && hash.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            proof.check(is_hash, || format!("a key {key}"));
            let value: String = redis::cmd("GET").arg(&key).query_async(&mut self.redis).await.unwrap();
            let told = secrets.iter().find(|secret| value.contains(*secret));
            proof.check(told.is_none(), || format!("{key} tells {told:?}: {value}"));
            let life: i64 = redis::cmd("TTL").arg(&key).query_async(&mut self.redis).await.unwrap();
            proof.check((1..=LIFE).contains(&life), || format!("{key} is kept for {life} s"));
            readable += usize::from(!is_hash || told.is_some());
        }
        readable
    }

    /// What each mode reads and writes.
    async fn modes(&mut self, proof: &mut Proof) {
        let before = self.get(&self.people.ada, Way::Rest, "modes").await.setup();
        for mode in ["read_only", "off", "write_only"] {
            self.restart("QUIPU_JOKES_CACHE", mode).await;
            let keys = self.keys().await;
            let ada = self.people.ada.clone();
            let known = self.get(&ada, Way::Grpc, "modes").await;
            let reads = mode == "read_only";
            let is_right = if reads { known.is_again(&before) } else { known.is_new() };
            proof.check(is_right, || format!("{mode}, a known wish: {}", known.shown()));
            for way in [Way::Stream, Way::Sse] {
                let new = self.get(&ada, way, &format!("new in mode {mode}")).await;
                proof.check(new.is_new(), || format!("{mode}, a new wish by {way:?}: {}", new.shown()));
            }
            let added = self.keys().await.difference(&keys).count();
            let writes = mode == "write_only";
            proof.check(added == usize::from(writes), || format!("{mode}: {added} keys written"));
        }
        // On again: what was written last is what is told.
        let ada = self.people.ada.clone();
        let last = self.get(&ada, Way::Rest, "modes").await;
        proof.check(last.is_new(), || format!("write_only reads: {}", last.shown()));
        self.restart("QUIPU_JOKES_CACHE", "on").await;
        for way in Way::ALL {
            let again = self.get(&ada, way, "modes").await;
            proof.check(again.is_again(&last.setup()), || format!("on again, by {way:?}: {}", again.shown()));
        }
    }

    /// Under other guards nothing is told again that was judged by those before; under the old ones it is.
    async fn guards(&mut self, proof: &mut Proof) {
        let ada = self.people.ada.clone();
        let under_old = self.get(&ada, Way::Rest, "guards").await;
        let file = self.mesh.folder().join("guards.yaml");
        fs::write(&file, OTHER_GUARDS).unwrap();
        self.restart("QUIPU_JOKES_GUARD_FILE", &file.display().to_string()).await;
        let under_new = self.get(&ada, Way::Rest, "guards").await;
        proof.check(under_new.is_new(), || format!("under other guards: {}", under_new.shown()));
        let again = self.get(&ada, Way::Stream, "guards").await;
        proof.check(again.is_again(&under_new.setup()), || format!("and again: {}", again.shown()));
        fs::write(&file, SAME_GUARDS).unwrap();
        self.restart("QUIPU_JOKES_GUARD_FILE", &file.display().to_string()).await;
        let back = self.get(&ada, Way::Rest, "guards").await;
        proof.check(back.is_again(&under_old.setup()), || format!("under the old guards: {}", back.shown()));
    }

    /// Redis breaks in each way, before a joke and in the middle of it, comes back, and goes for good: every joke is told. The
    /// time of the slowest.
    async fn goes_away(&mut self, proof: &mut Proof) -> Duration {
        let url = self.mesh.redis_url().unwrap();
        let port: u16 = url.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
        let proxy = FaultProxy::start(([127, 0, 0, 1], port).into()).await.unwrap();
        self.restart("QUIPU_REDIS_URL", &format!("redis://{}/", proxy.addr())).await;
        let (ada, bob) = (self.people.ada.clone(), self.people.bob.clone());
        let known = [self.get(&ada, Way::Rest, "away").await, self.get(&bob, Way::Rest, "away").await];
        let again = self.get(&ada, Way::Rest, "away").await;
        proof.check(again.is_again(&known[0].setup()), || format!("through the proxy: {}", again.shown()));
        let mut slowest = Duration::ZERO;
        for fault in [Fault::Reset, Fault::BlackHole, Fault::Latency(Duration::from_millis(400))] {
            let errors = self.errors().await;
            proxy.set(fault);
            for way in Way::ALL {
                for topic in ["away", "new while away"] {
                    slowest = slowest.max(self.told(proof, way, topic, &format!("{fault:?}")).await);
                }
            }
            let errors = self.errors().await - errors;
            proof.check(errors >= 4.0, || format!("{fault:?}: {errors} errors counted"));
            // Bytes that the hole has swallowed are gone, as no bytes of TCP can be: the connection goes with them.
            proxy.set(Fault::Reset);
            tokio::time::sleep(Duration::from_millis(50)).await;
            proxy.set(Fault::None);
            let is_back = eventually(LIMIT, || async {
                let got = self.get(&ada, Way::Grpc, "away").await;
                got.outcome.told.is_some_and(|told| told.cached)
            });
            proof.check(is_back.await, || format!("after {fault:?} the cache does not come back"));
            let again = self.get(&bob, Way::Grpc, "away").await;
            proof.check(again.is_again(&known[1].setup()), || {
                format!("bob's, after {fault:?}: {}", again.shown())
            });
            slowest = slowest.max(self.in_the_middle(proof, &proxy).await);
        }
        slowest.max(self.gone(proof).await)
    }

    /// A joke that is told while Redis is away; the time that it took.
    async fn told(&self, proof: &mut Proof, way: Way, topic: &str, what: &str) -> Duration {
        let begun = Instant::now();
        let got = self.get(&self.people.ada, way, topic).await;
        proof.check(got.is_new(), || format!("{what}, {topic:?} by {way:?}: {}", got.shown()));
        begun.elapsed()
    }

    /// Redis goes away while the provider answers.
    async fn in_the_middle(&self, proof: &mut Proof, proxy: &FaultProxy) -> Duration {
        let pause = Duration::from_millis(300);
        self.fake.script(vec![Reply::text(numbered(1_000_000)).before_head(pause)]);
        let (ada, begun) = (&self.people.ada, Instant::now());
        let wish = Wish::new(&format!("in the middle, {}", self.fake.counts().calls), "m");
        let cut = async {
            self.fake.wait_for(LIMIT, |counts| counts.under_way > 0).await.unwrap();
            proxy.set(Fault::Reset);
        };
        let (outcome, ()) = tokio::join!(ada.ask(Way::Rest, &wish), cut);
        proof.check(outcome.is_told(), || format!("in the middle: {outcome:?}"));
        proxy.set(Fault::None);
        begun.elapsed() - pause
    }

    /// Redis ends for good; the service tells jokes, and starts without it.
    async fn gone(&mut self, proof: &mut Proof) -> Duration {
        let ended: redis::RedisResult<()> =
            redis::cmd("SHUTDOWN").arg("NOSAVE").query_async(&mut self.redis).await;
        proof.check(ended.is_err(), || "Redis answers its own end");
        let mut slowest = Duration::ZERO;
        for when in ["without Redis", "started without Redis"] {
            for way in Way::ALL {
                slowest = slowest.max(self.told(proof, way, "away", when).await);
            }
            if when == "without Redis" {
                self.restart("QUIPU_JOKES_CACHE", "on").await;
            }
        }
        slowest
    }

    /// Looks into the cache that failed.
    async fn errors(&self) -> f64 {
        metric(self.mesh.process("jokes"), "jokes_cache_total", &["outcome=\"error\""]).await
    }
}

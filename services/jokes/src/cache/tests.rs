use std::net::SocketAddr;
use std::time::Instant;

use mesh_testkit::{Fault, FaultProxy, Redis};

use super::*;
use crate::domain::{Params, Topic};

const MINUTE: Duration = Duration::from_secs(60);
/// The machine that tests may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

fn cached() -> Cached {
    let told = Told { setup: "a canary".to_owned(), punchline: "b".to_owned() };
    Cached { told, model: "puns".to_owned(), provider: "quipu".to_owned() }
}

fn wish(topic: &str) -> JokeRequest {
    JokeRequest { topic: Topic::parse(topic).unwrap(), params: Params::default() }
}

fn key(name: &str) -> Key {
    Key(Some(name.to_owned()))
}

fn in_redis(address: SocketAddr) -> Cache {
    Cache::in_redis(Mode::On, MINUTE, &Secret::from(format!("redis://{address}/"))).unwrap()
}

/// Until Redis is there: a cache does not say why it has nothing.
async fn kept(cache: &Cache, name: &str) {
    let kept = async {
        while cache.get(&key(name)).await.is_none() {
            cache.put(&key(name), &cached()).await;
        }
    };
    tokio::time::timeout(PATIENCE, kept).await.expect("a joke is kept");
}

#[tokio::test]
async fn a_mode_says_what_is_done() {
    for (mode, reads, writes) in [
        (Mode::Off, false, false),
        (Mode::On, true, true),
        (Mode::ReadOnly, true, false),
        (Mode::WriteOnly, false, true),
    ] {
        assert_eq!(mode.to_string().parse::<Mode>().unwrap(), mode);
        let cache = Cache::in_process(mode, MINUTE);
        cache.put(&key("k"), &cached()).await;
        assert_eq!(cache.keep.get("k").await.unwrap().is_some(), writes, "{mode}");
        cache.keep.put("k", serde_json::to_string(&cached()).unwrap()).await.unwrap();
        assert_eq!(cache.get(&key("k")).await.is_some(), reads, "{mode}");
        assert_eq!(cache.key("u", "m", &wish("cats"), "g").0.is_none(), mode == Mode::Off);
    }
}

#[test]
fn a_key_tells_users_wishes_models_and_guards_apart() {
    let cache = Cache::in_process(Mode::On, MINUTE);
    let key = |user, model, wish: &JokeRequest, guards| cache.key(user, model, wish, guards).0.unwrap();
    let seeded = JokeRequest { params: Params { seed: Some(1), ..Params::default() }, ..wish("cats") };
    let keys = [
        key("u1", "m", &wish("cats"), "g"),
        key("u2", "m", &wish("cats"), "g"),
        key("u1", "n", &wish("cats"), "g"),
        key("u1", "m", &wish("dogs"), "g"),
        key("u1", "m", &wish("cats"), "h"),
        key("u1", "m", &seeded, "g"),
    ];
    let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len());
    assert!(keys.iter().all(|key| !key.contains("cats")));
    assert_eq!(key("u1", "m", &wish(" cats "), "g"), keys[0]);
}

#[tokio::test]
async fn replicas_share_what_is_in_redis_for_as_long_as_it_lives() {
    let redis = Redis::start().await.unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], redis.port()));
    let (one, other) = (in_redis(address), in_redis(address));
    kept(&one, "k").await;
    let found = async {
        loop {
            if let Some(found) = other.get(&key("k")).await {
                return found;
            }
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, found).await.unwrap(), cached());
    assert_eq!(one.get(&key("another")).await, None);
    let link = Link::new(&Secret::from(redis.url()), PATIENCE).unwrap();
    let left: u64 = link.command("TTL", &Cmd::ttl("k")).await.unwrap();
    assert!((1..=MINUTE.as_secs()).contains(&left), "{left} s are left");
}

#[tokio::test]
async fn a_redis_that_is_away_is_a_cache_that_has_nothing() {
    let redis = Redis::start().await.unwrap();
    let proxy = FaultProxy::start(SocketAddr::from(([127, 0, 0, 1], redis.port()))).await.unwrap();
    let cache = in_redis(proxy.addr());
    kept(&cache, "k").await;
    for fault in [Fault::BlackHole, Fault::Reset] {
        proxy.set(fault);
        let begun = Instant::now();
        assert_eq!(cache.get(&key("k")).await, None, "{fault:?}");
        cache.put(&key("other"), &cached()).await;
        assert!(begun.elapsed() < REDIS_LIMIT * 20, "{fault:?} took {:?}", begun.elapsed());
    }
    proxy.set(Fault::None);
    kept(&cache, "k").await;
}

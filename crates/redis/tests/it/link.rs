use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mesh_config::{Reader, Secret};
use mesh_error::Kind;
use mesh_redis::{Cmd, Link, Script};
use mesh_testkit::{Fault, FaultProxy, Redis};

/// The machine that tests may be busy.
const LIMIT: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(20);

fn cmd(words: &[&str]) -> Cmd {
    let mut cmd = Cmd::new();
    words.iter().for_each(|word| {
        cmd.arg(*word);
    });
    cmd
}

async fn set(link: &Link, key: &str) -> Result<String, mesh_error::Error> {
    link.command("SET", &cmd(&["SET", key, "1"])).await
}

/// Until Redis is there again.
async fn healed(link: &Link) {
    let healed = async { while set(link, "again").await.is_err() {} };
    tokio::time::timeout(PATIENCE, healed).await.expect("the link comes back");
}

#[tokio::test]
async fn commands_and_scripts_are_answered() {
    let redis = Redis::start().await.unwrap();
    let link = Link::new(&Secret::from(redis.url()), LIMIT).unwrap();
    set(&link, "a").await.unwrap();
    let script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    for sum in [3, 5] {
        let mut call = script.prepare_invoke();
        call.key("a").arg(2);
        assert_eq!(link.clone().script::<u64>("add", &call).await.unwrap(), sum);
    }
    let wrong = link.command::<u64>("INCR", &cmd(&["INCR", "a", "b"])).await.unwrap_err();
    assert_eq!((wrong.kind(), wrong.reason()), (Kind::Unavailable, "STORE_UNAVAILABLE"));
}

#[tokio::test]
async fn who_starts_before_redis_starts_all_the_same() {
    let redis = Redis::start().await.unwrap();
    let proxy = FaultProxy::start(SocketAddr::from(([127, 0, 0, 1], redis.port()))).await.unwrap();
    proxy.set(Fault::Reset);
    let link = Link::new(&Secret::from(format!("redis://{}", proxy.addr())), LIMIT).unwrap();
    assert_eq!(set(&link, "a").await.unwrap_err().reason(), "STORE_UNAVAILABLE");
    proxy.set(Fault::None);
    healed(&link).await;
}

#[tokio::test]
async fn a_redis_that_is_silent_holds_nobody_long() {
    let redis = Redis::start().await.unwrap();
    let proxy = FaultProxy::start(SocketAddr::from(([127, 0, 0, 1], redis.port()))).await.unwrap();
    let limit = Duration::from_millis(100);
    let url = Secret::from(format!("redis://{}", proxy.addr()));
    let link = Link::new(&url, limit).unwrap();
    healed(&link).await;
    // One that was connected, and one that must connect first. Neither hears of its connection again.
    for link in [link, Link::new(&url, limit).unwrap()] {
        proxy.set(Fault::BlackHole);
        let begun = Instant::now();
        assert!(set(&link, "a").await.is_err());
        assert!(begun.elapsed() < limit * 10, "{:?}", begun.elapsed());
        proxy.set(Fault::None);
        healed(&link).await;
    }
}

#[tokio::test]
async fn the_password_is_that_of_the_url_and_is_told_nobody() {
    let redis = Redis::start().await.unwrap();
    let open = Link::new(&Secret::from(redis.url()), LIMIT).unwrap();
    let _: String = open.command("CONFIG", &cmd(&["CONFIG", "SET", "requirepass", "canary"])).await.unwrap();
    let at = |password: &str| Secret::from(format!("redis://:{password}@127.0.0.1:{}/", redis.port()));
    let known = Link::new(&at("canary"), LIMIT).unwrap();
    set(&known, "a").await.unwrap();
    let refused = set(&Link::new(&at("canary2"), LIMIT).unwrap(), "a").await.unwrap_err();
    assert!(!format!("{known:?} {refused:?} {}", refused.chain()).contains("canary"), "{refused:?}");
}

#[test]
fn a_url_is_looked_at_when_it_is_read() {
    for (url, is_good) in
        [("redis://host/0", true), ("rediss://name:word@host:6380", true), ("http://host", false)]
    {
        let mut reader = Reader::from_pairs([("QUIPU_REDIS_URL", url)]);
        assert_eq!(mesh_redis::read_url(&mut reader, "Redis").is_ok(), is_good, "{url}");
        assert_eq!(reader.finish().is_ok(), is_good);
    }
    assert!(mesh_redis::read_url(&mut Reader::from_pairs([("A", "b")]), "Redis").unwrap().is_none());
}

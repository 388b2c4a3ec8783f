//! A Postgres server: bounded waits, abandoned work, conflicts, connections that went bad.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mesh_store::{Db, StoreConfig, StoreError, StoreErrorKind, Tx, on, retry};
use mesh_testkit::{Fault, FaultProxy, Postgres};
use sqlx::PgPool;
use tokio::sync::Barrier;

const PATIENCE: Duration = Duration::from_secs(20);

/// A new database with a table; `change` sets the limits.
async fn open(change: impl FnOnce(&mut StoreConfig)) -> Db {
    let cluster = Postgres::shared().await.expect("these tests need the programs of a Postgres server");
    let mut config = StoreConfig::new(cluster.database().await.unwrap().url().parse().unwrap());
    config.acquire_timeout = PATIENCE;
    change(&mut config);
    let db = Db::connect(&config).await.unwrap();
    run(&db, "CREATE TABLE t (id BIGSERIAL PRIMARY KEY, v TEXT UNIQUE, n BIGINT NOT NULL DEFAULT 0)").await;
    db
}

async fn attempt(db: &Db, sql: &'static str) -> Result<(), StoreError> {
    on!(db.write(), "raw", |e| sqlx::raw_sql(sql).execute(e).await.map(drop))
}

async fn run(db: &Db, sql: &'static str) {
    attempt(db, sql).await.unwrap();
}

async fn run_in(tx: &mut Tx, sql: &'static str) -> Result<(), StoreError> {
    on!(tx.conn(), "raw", |e| sqlx::raw_sql(sql).execute(e).await.map(drop))
}

async fn insert(db: &Db, value: &str) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    on!(tx.conn(), "INSERT t", |e| {
        sqlx::query("INSERT INTO t (v) VALUES ($1)").bind(value).execute(e).await.map(|_| ())
    })?;
    tx.commit().await
}

async fn number(db: &Db, sql: &'static str) -> i64 {
    on!(db.read(), "raw", |e| sqlx::query_scalar(sql).fetch_one(e).await).unwrap()
}

#[tokio::test]
async fn a_clean_connection_is_used_again() {
    let db = open(|config| config.max_connections = 1).await;
    let first = number(&db, "SELECT pg_backend_pid()::bigint").await;
    for round in 0..20 {
        insert(&db, &format!("{round}")).await.unwrap();
        assert_eq!(number(&db, "SELECT pg_backend_pid()::bigint").await, first, "after {round} transactions");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abandoned_work_poisons_no_connection() {
    let cluster = Postgres::shared().await.unwrap();
    let upstream = SocketAddr::from(([127, 0, 0, 1], cluster.port()));
    let proxy = FaultProxy::start(upstream).await.unwrap();
    let database = cluster.database().await.unwrap();
    let url = database.url().replace(&cluster.port().to_string(), &proxy.addr().port().to_string());
    let mut config = StoreConfig::new(url.parse().unwrap());
    (config.acquire_timeout, config.max_connections) = (PATIENCE, 1);
    let db = Db::connect(&config).await.unwrap();
    run(&db, "CREATE TABLE t (id BIGSERIAL PRIMARY KEY, v TEXT)").await;
    let other = PgPool::connect(database.url()).await.unwrap();
    proxy.set(Fault::Latency(Duration::from_millis(1)));
    for round in 1..=250_u64 {
        let work = async {
            let mut tx = db.begin().await?;
            on!(tx.conn(), "INSERT t", |e| {
                sqlx::query("INSERT INTO t (v) VALUES ('abandoned')").execute(e).await.map(|_| ())
            })?;
            std::future::pending::<Result<(), StoreError>>().await
        };
        tokio::time::timeout(Duration::from_micros(round * 53 % 13_000), work).await.unwrap_err();
        // A single statement: on a connection that is inside a transaction nobody else would see it.
        on!(db.write(), "INSERT t", |e| sqlx::query("INSERT INTO t (v) VALUES ('kept')")
            .execute(e)
            .await
            .map(|_| ()))
        .unwrap();
        let seen: Vec<String> = sqlx::query_scalar("SELECT v FROM t").fetch_all(&other).await.unwrap();
        assert_eq!(u64::try_from(seen.len()).unwrap(), round);
        assert!(seen.iter().all(|value| value == "kept"));
    }
}

#[tokio::test]
async fn a_connection_inside_a_transaction_is_not_given_to_the_next() {
    let db = open(|config| config.max_connections = 1).await;
    for _ in 0..5 {
        // Cut off, and the server is inside a transaction.
        let begin = attempt(&db, "BEGIN; SELECT pg_sleep(0.1)");
        tokio::time::timeout(Duration::from_millis(50), begin).await.unwrap_err();
        insert(&db, "kept").await.unwrap();
        assert_eq!(number(&db, "SELECT count(*) FROM t").await, 1);
        run(&db, "DELETE FROM t").await;
        // Failed, and the server is inside an aborted one.
        attempt(&db, "BEGIN; SELECT 1/0").await.unwrap_err();
        assert_eq!(number(&db, "SELECT count(*) FROM t").await, 0);
    }
}

#[tokio::test]
async fn who_finds_no_connection_is_refused() {
    let db = open(|config| {
        (config.max_connections, config.acquire_timeout) = (1, Duration::from_millis(200));
    })
    .await;
    let held = db.begin().await.unwrap();
    let refused = insert(&db, "x").await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Unavailable);
    drop(held);
    insert(&db, "x").await.unwrap();
}

#[tokio::test]
async fn a_slow_statement_and_a_held_lock_end() {
    let db = open(|config| {
        (config.statement_timeout, config.lock_timeout) =
            (Duration::from_millis(300), Duration::from_millis(100));
    })
    .await;
    let slow =
        on!(db.read(), "SELECT pg_sleep", |e| sqlx::query("SELECT pg_sleep(60)").execute(e).await.map(drop));
    assert_eq!(slow.unwrap_err().kind(), StoreErrorKind::Timeout);
    insert(&db, "x").await.unwrap();
    let mut holder = db.begin().await.unwrap();
    run_in(&mut holder, "LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await.unwrap();
    assert_eq!(insert(&db, "y").await.unwrap_err().kind(), StoreErrorKind::Timeout);
    holder.rollback().await.unwrap();
    insert(&db, "y").await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_is_left_idle_is_ended_by_the_server() {
    let db = open(|config| config.idle_in_transaction_timeout = Duration::from_millis(100)).await;
    let mut tx = db.begin().await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let late = on!(tx.conn(), "SELECT 1", |e| sqlx::query("SELECT 1").execute(e).await.map(drop));
    assert_eq!(late.unwrap_err().kind(), StoreErrorKind::Unavailable);
    drop(tx);
    insert(&db, "x").await.unwrap();
}

#[tokio::test]
async fn connections_that_the_server_closed_are_replaced() {
    let cluster = Postgres::shared().await.unwrap();
    let database = cluster.database().await.unwrap();
    let config = StoreConfig::new(database.url().parse().unwrap());
    let (db, admin) = (Db::connect(&config).await.unwrap(), PgPool::connect(database.url()).await.unwrap());
    run(&db, "CREATE TABLE t (id BIGSERIAL PRIMARY KEY, v TEXT)").await;
    let mut failed = 0;
    for round in 0..6_u64 {
        let others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let closed: i64 = sqlx::query_scalar(others).fetch_one(&admin).await.unwrap();
        assert!(closed > 0);
        // One that has been idle for a while is asked before it is used; one that was used a moment ago fails, once.
        tokio::time::sleep(Duration::from_millis(600 * (round % 2))).await;
        if let Err(error) = insert(&db, &round.to_string()).await {
            assert_eq!(error.kind(), StoreErrorKind::Unavailable);
            assert_eq!(round % 2, 0, "after a while");
            failed += 1;
            insert(&db, &round.to_string()).await.unwrap();
        }
    }
    assert_eq!(number(&db, "SELECT count(*) FROM t").await, 6, "{failed} failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_in_a_deadlock_the_loser_tries_again() {
    let db = open(|config| config.lock_timeout = PATIENCE).await;
    for value in ["a", "b"] {
        insert(&db, value).await.unwrap();
    }
    let (meet, attempts) = (Arc::new(Barrier::new(2)), Arc::new(AtomicU32::new(0)));
    let both = [["a", "b"], ["b", "a"]].map(|order| {
        let (db, meet, attempts) = (db.clone(), Arc::clone(&meet), Arc::clone(&attempts));
        tokio::spawn(async move {
            retry(|| async {
                let first_time = attempts.fetch_add(1, Ordering::SeqCst) < 2;
                let mut tx = db.begin().await?;
                for value in order {
                    on!(tx.conn(), "UPDATE t", |e| {
                        sqlx::query("UPDATE t SET n = n + 1 WHERE v = $1")
                            .bind(value)
                            .execute(e)
                            .await
                            .map(|_| ())
                    })?;
                    if first_time && value == order[0] {
                        meet.wait().await;
                    }
                }
                tx.commit().await
            })
            .await
        })
    });
    for one in both {
        one.await.unwrap().unwrap();
    }
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
    assert_eq!(number(&db, "SELECT sum(n)::bigint FROM t").await, 4);
}

#[tokio::test]
async fn doubles_are_unique_and_errors_say_nothing_of_the_server() {
    let db = open(|_| {}).await;
    insert(&db, "canary").await.unwrap();
    let double = insert(&db, "canary").await.unwrap_err();
    assert!(double.is_unique());
    let public = mesh_error::Error::from(double).to_string();
    assert!(!public.contains("canary") && !public.contains("127.0.0.1"), "{public}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_holds_nothing_for_ever() {
    let cluster = Postgres::shared().await.unwrap();
    let upstream = SocketAddr::from(([127, 0, 0, 1], cluster.port()));
    let proxy = FaultProxy::start(upstream).await.unwrap();
    let url = cluster
        .database()
        .await
        .unwrap()
        .url()
        .replace(&cluster.port().to_string(), &proxy.addr().port().to_string());
    let mut config = StoreConfig::new(url.parse().unwrap());
    config.max_connections = 1;
    let db = Db::connect(&config).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    proxy.set(Fault::BlackHole);
    let waiting = on!(tx.conn(), "SELECT 1", |e| sqlx::query("SELECT 1").execute(e).await.map(drop));
    assert_eq!(waiting.unwrap_err().kind(), StoreErrorKind::Unavailable);
    drop(tx);
    proxy.set(Fault::Reset);
    proxy.set(Fault::None);
    let healed = async { while db.ping().await.is_err() {} };
    tokio::time::timeout(PATIENCE, healed).await.unwrap();
}

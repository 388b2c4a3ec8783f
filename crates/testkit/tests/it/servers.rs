//! Databases and collectors start, are private, and end with their test.

use std::time::Duration;

use mesh_testkit::{OtlpReceiver, Postgres, Redis, SqliteFile};
use sqlx::{Connection, PgConnection};
use tokio::net::TcpStream;

#[tokio::test]
async fn each_test_has_a_postgres_database_of_its_own() {
    let cluster = Postgres::shared().await.unwrap();
    let (one, two) = (cluster.database().await.unwrap(), cluster.database().await.unwrap());
    let mut first = PgConnection::connect(one.url()).await.unwrap();
    sqlx::query("CREATE TABLE t (x int)").execute(&mut first).await.unwrap();
    let mut second = PgConnection::connect(two.url()).await.unwrap();
    assert!(sqlx::query("SELECT x FROM t").fetch_all(&mut second).await.is_err());
}

#[tokio::test]
async fn a_cluster_and_its_folder_are_gone_after_it_is_dropped() {
    let cluster = Postgres::start().await.unwrap();
    let (port, folder) = (cluster.port(), cluster.socket_folder().to_owned());
    assert!(folder.exists());
    drop(cluster);
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    assert!(!folder.exists());
}

#[tokio::test]
async fn redis_is_gone_after_it_is_dropped() {
    let redis = Redis::start().await.unwrap();
    let port = redis.port();
    drop(redis);
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[test]
fn a_sqlite_folder_goes_with_its_test() {
    let file = SqliteFile::new().unwrap();
    let folder = file.path().parent().unwrap().to_owned();
    assert!(folder.exists() && file.url().starts_with("sqlite:///"));
    drop(file);
    assert!(!folder.exists());
}

#[tokio::test]
async fn what_does_not_come_is_an_error_that_says_so() {
    let collector = OtlpReceiver::start().await.unwrap();
    let error = collector.wait_for(Duration::from_millis(50), |spans| !spans.is_empty()).await.unwrap_err();
    assert!(error.to_string().contains("did not come"), "{error}");
}

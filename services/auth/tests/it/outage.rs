//! The database goes away and comes back.

use std::net::SocketAddr;
use std::time::Duration;

use mesh_error::Error;
use mesh_store::execute;
use mesh_testkit::{Fault, FaultProxy, Postgres, PostgresDatabase};
use tonic::Code;

use crate::support::{Fixture, PASSWORD, config, until};

/// A database, and a way to it that can be cut.
async fn proxied() -> (FaultProxy, PostgresDatabase, String) {
    let cluster = Postgres::shared().await.expect("these tests need the programs of a Postgres server");
    let database = cluster.database().await.unwrap();
    let proxy = FaultProxy::start(SocketAddr::from(([127, 0, 0, 1], cluster.port()))).await.unwrap();
    let url = database.url().replace(&cluster.port().to_string(), &proxy.addr().port().to_string());
    (proxy, database, url)
}

async fn is_ready(fixture: &Fixture) -> bool {
    let answer = reqwest::get(format!("http://{}/readyz", fixture.admin_addr)).await.unwrap();
    answer.status().is_success()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_may_start_before_its_database() {
    let (proxy, database, url) = proxied().await;
    proxy.set(Fault::Reset);
    let fixture = Fixture::start(config(&url), database.url(), None).await;
    let refused = fixture.register("ana").await.unwrap_err();
    assert_eq!((refused.code(), Error::from_status(&refused).reason()), (Code::Unavailable, "STARTING"));
    assert!(!is_ready(&fixture).await);
    proxy.set(Fault::None);
    until("ready", || is_ready(&fixture)).await;
    fixture.signed_in("ana").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_unavailable_and_ends() {
    let (proxy, database, url) = proxied().await;
    let mut config = config(&url);
    config.store.acquire_timeout = Duration::from_millis(500);
    let fixture = Fixture::start(config, database.url(), None).await;
    fixture.register("ana").await.unwrap();
    for fault in [Fault::Reset, Fault::BlackHole] {
        proxy.set(fault);
        for _ in 0..3 {
            let refused = fixture.login("ana", PASSWORD).await.unwrap_err();
            assert!(
                matches!(refused.code(), Code::Unavailable | Code::DeadlineExceeded),
                "{fault:?}: {refused:?}"
            );
            assert!(!format!("{refused:?}").contains("127.0.0.1"), "{refused:?}");
        }
        until("not ready", || async { !is_ready(&fixture).await }).await;
        proxy.set(Fault::None);
        until("signs in again", || async { fixture.login("ana", PASSWORD).await.is_ok() }).await;
        until("ready again", || is_ready(&fixture)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_table_holds_nobody_for_long() {
    let fixture = Fixture::postgres().await;
    let tokens = fixture.signed_in("ana").await;
    let mut lock = fixture.db.begin().await.unwrap();
    execute!(lock.conn(), "LOCK api_keys", sqlx::raw_sql("LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE"))
        .unwrap();
    let request =
        fixture.with_token(&tokens.access_token, mesh_proto::auth::v1::ListApiKeysRequest::default());
    let mut gateway = fixture.gateway.clone();
    let waiting = tokio::time::timeout(Duration::from_secs(15), gateway.list_api_keys(request));
    let refused = waiting.await.unwrap().unwrap_err();
    assert!(matches!(refused.code(), Code::Unavailable | Code::DeadlineExceeded), "{refused:?}");
    fixture.me(&tokens.access_token).await.unwrap();
    lock.rollback().await.unwrap();
}

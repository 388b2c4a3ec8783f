//! A database that is away when the process starts, comes, goes and comes back.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mesh_error::Error;
use mesh_lifecycle::{Drain, Lifecycle, Readiness};
use mesh_store::{DatabaseUrl, Db, Presence, StoreConfig, StoreError, StoreErrorKind, outage};
use mesh_testkit::{Fault, FaultProxy, Postgres};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

fn readiness() -> Readiness {
    let none = Duration::ZERO;
    Lifecycle::new(Drain { endpoints: none, in_flight: none, flush: none }).readiness().clone()
}

async fn become_ready(readiness: &Readiness, expected: bool) {
    let mut ready = readiness.subscribe();
    tokio::time::timeout(PATIENCE, ready.wait_for(|ready| *ready == expected)).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_waited_for_and_watched() {
    let cluster = Postgres::shared().await.unwrap();
    let upstream = SocketAddr::from(([127, 0, 0, 1], cluster.port()));
    let proxy = FaultProxy::start(upstream).await.unwrap();
    let database = cluster.database().await.unwrap();
    let behind = database.url().replace(&cluster.port().to_string(), &proxy.addr().port().to_string());
    let mut config = StoreConfig::new(behind.parse().unwrap());
    config.acquire_timeout = Duration::from_millis(500);
    let db = Db::connect(&config).await.unwrap();
    let readiness = readiness();
    let presence = Presence::new("test database", &db, &readiness);
    let (starts, stop) = (AtomicU32::new(0), CancellationToken::new());
    let start = || async {
        starts.fetch_add(1, Ordering::SeqCst);
        db.ping().await
    };

    proxy.set(Fault::Reset);
    let refused = presence.try_start(start()).await.unwrap_err();
    assert!(outage(&refused).is_some(), "{refused:?}");
    let report = readiness.report();
    assert!(matches!(&report[..], [(name, Some(_))] if name == "test database"), "{report:?}");

    let tale = async {
        while starts.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(!readiness.is_ready());
        for (fault, ready) in [(Fault::None, true), (Fault::Reset, false), (Fault::None, true)] {
            proxy.set(fault);
            become_ready(&readiness, ready).await;
        }
        stop.cancel();
    };
    let (attended, ()) = tokio::join!(presence.attend(&stop, start, stop.cancelled()), tale);
    attended.unwrap();
    presence.close().await;
}

#[tokio::test]
async fn what_waiting_does_not_mend_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig::new(DatabaseUrl::sqlite(folder.path().join("test.db")));
    let db = Db::connect(&config).await.unwrap();
    let readiness = readiness();
    let presence = Presence::new("test database", &db, &readiness);
    let stop = CancellationToken::new();
    let start = || async { Err::<(), _>(StoreError::new(StoreErrorKind::Other, "a schema from the future")) };
    let error = presence.attend(&stop, start, async {}).await.unwrap_err();
    assert!(outage(&error).is_none() && !readiness.is_ready());
}

#[test]
fn an_outage_is_found_below_what_a_service_makes_of_it() {
    let away = || StoreError::new(StoreErrorKind::Unavailable, "connection refused");
    assert!(outage(&Error::from(away())).is_some());
    assert!(outage(&Error::internal(Error::from(away()))).is_some());
    assert!(outage(&Error::from(StoreError::new(StoreErrorKind::Unique, "double"))).is_none());
    assert!(outage(&Error::unavailable("ELSEWHERE", "another's outage")).is_none());
}

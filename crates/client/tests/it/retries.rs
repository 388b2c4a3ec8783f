//! What is sent again.

use std::{sync::atomic::Ordering, time::Duration};

use mesh_client::UPSTREAM_LOST;
use mesh_error::{Error, Kind};
use mesh_proto::auth::v1::{GetJwksResponse, RegisterResponse};
use tokio::time::Instant;

use crate::support::{Call, Fake, Reply, World, client, get_jwks, ok, refusing, register, status};

fn good(call: &Call) -> Reply {
    match call.path.rsplit('/').next() {
        Some("Register") => ok(&RegisterResponse::default()),
        _ => ok(&GetJwksResponse { jwks: "keys".into() }),
    }
}

/// UNAVAILABLE `times` times, then good.
async fn flaky(world: &World, times: usize) -> Fake {
    Fake::auth(world, move |call| async move {
        if call.number < times { status(Error::unavailable("AWAY", "away")) } else { good(&call) }
    })
    .await
}

#[tokio::test]
async fn what_may_be_repeated_is_and_the_server_sees_that_it_is() {
    let world = World::new();
    let fake = flaky(&world, 2).await;
    assert_eq!(get_jwks(&world.client(&[&fake])).await.expect("an answer"), "keys");
    let attempts: Vec<_> =
        fake.calls().iter().map(|call| call.headers.get("grpc-previous-rpc-attempts").cloned()).collect();
    assert_eq!(attempts.len(), 3);
    assert_eq!(attempts[0], None);
    assert_eq!(attempts[2].as_ref().expect("a count"), "2");
    let (first, last) = (&fake.calls()[0], &fake.calls()[2]);
    assert!(last.timeout() < first.timeout(), "a retry has less time");
    assert_eq!(first.body, last.body);
}

#[tokio::test]
async fn twice_at_most() {
    let world = World::new();
    let fake = flaky(&world, usize::MAX).await;
    assert_eq!(get_jwks(&world.client(&[&fake])).await.unwrap_err().reason(), "AWAY");
    assert_eq!(fake.called(), 3);
}

#[tokio::test]
async fn what_may_not_be_repeated_is_not() {
    let world = World::new();
    let fake = flaky(&world, 1).await;
    assert_eq!(register(&world.client(&[&fake])).await.unwrap_err().reason(), "AWAY");
    assert_eq!(fake.called(), 1);
}

#[tokio::test]
async fn other_failures_are_not_repeated() {
    let world = World::new();
    let fake = Fake::auth(&world, |_| async { status(Error::internal("broken")) }).await;
    get_jwks(&world.client(&[&fake])).await.unwrap_err();
    assert_eq!(fake.called(), 1);
}

/// Cuts the connection over which the first call came, after it was read.
async fn cutting(world: &World) -> Fake {
    Fake::auth(world, |call| async move {
        if call.number == 0 {
            call.cut_connections();
            std::future::pending::<()>().await;
        }
        good(&call)
    })
    .await
}

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_again_only_if_that_repeats_nothing() {
    let world = World::new();
    let fake = cutting(&world).await;
    let error = register(&world.client(&[&fake])).await.unwrap_err();
    assert_eq!((error.kind(), error.reason()), (Kind::Unavailable, UPSTREAM_LOST));
    assert_eq!(fake.called(), 1);

    let fake = cutting(&world).await;
    assert_eq!(get_jwks(&world.client(&[&fake])).await.expect("an answer"), "keys");
    assert_eq!(fake.called(), 2);
}

#[tokio::test]
async fn a_server_that_says_goodbye_costs_no_call_and_repeats_none() {
    let world = World::new();
    let fake = Fake::auth(&world, |call| async move { good(&call) }).await;
    let client = world.client(&[&fake]);
    let calls = async {
        for _ in 0..50 {
            let calls = (0..4).map(|_| register(&client));
            for answered in futures::future::join_all(calls).await {
                answered.expect("no call is lost");
            }
        }
    };
    let goodbyes = async {
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            fake.say_goodbye();
        }
    };
    tokio::select! { () = calls => {}, () = goodbyes => {} }
    assert_eq!(fake.called(), 200);
    assert!(fake.connections() > 1, "nobody said goodbye");
}

#[tokio::test]
async fn the_server_says_when_to_come_back_and_beyond_the_deadline_nobody_waits() {
    let world = World::new();
    let after = |delay: Duration| {
        move |call: Call| async move {
            let error = Error::unavailable("AWAY", "away").with_retry_after(delay);
            if call.number == 0 { status(error) } else { good(&call) }
        }
    };
    let soon = Fake::auth(&world, after(Duration::from_millis(300))).await;
    let start = Instant::now();
    get_jwks(&world.client(&[&soon])).await.expect("an answer");
    assert!(start.elapsed() >= Duration::from_millis(300));

    let later = Fake::auth(&world, after(Duration::from_secs(60))).await;
    let error = get_jwks(&world.client(&[&later])).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
    assert_eq!(later.called(), 1);
}

#[tokio::test]
async fn a_total_outage_is_amplified_by_a_fifth_and_ten_a_second() {
    let world = World::new();
    let fake = flaky(&world, usize::MAX).await;
    let client = world.client(&[&fake]);
    let start = Instant::now();
    let originals = 400_u32;
    for _ in 0..originals / 20 {
        let calls = (0..20).map(|_| get_jwks(&client));
        for answered in futures::future::join_all(calls).await {
            answered.unwrap_err();
        }
    }
    let limit = f64::from(originals) * 1.2 + 10.0 * (start.elapsed().as_secs_f64() + 1.0);
    let called = f64::from(u32::try_from(fake.called()).expect("not that many"));
    assert!(called > f64::from(originals), "nothing was retried");
    assert!(called <= limit, "{called} calls for {originals}");
}

#[tokio::test]
async fn a_stream_that_was_refused_unseen_is_sent_again_and_one_that_was_reset_is_not() {
    let world = World::new();
    let (address, served) = refusing(&world, 1, h2::Reason::REFUSED_STREAM).await;
    register(&client(&world.gateway(&[address]))).await.expect("the second attempt is served");
    assert_eq!(served.load(Ordering::SeqCst), 1);

    let (address, served) = refusing(&world, 1, h2::Reason::INTERNAL_ERROR).await;
    let error = register(&client(&world.gateway(&[address]))).await.unwrap_err();
    assert_eq!((error.reason(), served.load(Ordering::SeqCst)), (UPSTREAM_LOST, 0));
}

#[tokio::test]
async fn over_two_hops_only_the_last_one_retries() {
    let world = World::new();
    let away = flaky(&world, usize::MAX).await;
    let inner = world.client(&[&away]);
    let between = Fake::auth(&world, move |_| {
        let inner = inner.clone();
        async move { status(get_jwks(&inner).await.unwrap_err()) }
    })
    .await;
    let outer = world.client(&[&between]);
    let (start, originals) = (Instant::now(), 100_u32);
    for _ in 0..originals {
        assert_eq!(get_jwks(&outer).await.unwrap_err().reason(), "AWAY");
    }
    let limit = f64::from(originals) * 1.2 + 10.0 * (start.elapsed().as_secs_f64() + 1.0);
    let called = f64::from(u32::try_from(away.called()).expect("not that many"));
    assert_eq!(between.called(), 100, "the first hop retried what the second had");
    assert!(called > f64::from(originals), "nothing was retried");
    assert!(called <= limit, "{called} calls for {originals}");
}

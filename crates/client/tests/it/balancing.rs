//! Which endpoint is called.

use std::time::Duration;

use mesh_client::{Endpoints, Target, UPSTREAM_UNREACHABLE};
use mesh_error::{Error, Kind};
use mesh_proto::auth::v1::{GetJwksResponse, RegisterResponse};

use crate::support::{
    Call, Fake, Reply, World, client, get_jwks, late, nobody, ok, register, status, stream, within,
};

async fn answer(call: Call) -> Reply {
    match call.path.rsplit('/').next() {
        Some("Register") => ok(&RegisterResponse::default()),
        _ => ok(&GetJwksResponse { jwks: "keys".into() }),
    }
}

#[tokio::test]
async fn calls_are_spread_over_all_endpoints_on_one_connection_each() {
    let world = World::new();
    let fakes = [
        Fake::auth(&world, answer).await,
        Fake::auth(&world, answer).await,
        Fake::auth(&world, answer).await,
    ];
    let client = world.client(&fakes.each_ref());
    for _ in 0..30 {
        let calls = (0..10).map(|_| get_jwks(&client));
        for answered in futures::future::join_all(calls).await {
            assert_eq!(answered.expect("an answer"), "keys");
        }
    }
    for fake in &fakes {
        assert!((60..=140).contains(&fake.called()), "{} of 300", fake.called());
        assert_eq!(fake.connections(), 1);
    }
}

#[tokio::test]
async fn a_dead_endpoint_costs_no_call_not_even_one_that_may_not_be_repeated() {
    let world = World::new();
    let alive = Fake::auth(&world, answer).await;
    let client = client(&world.gateway(&[nobody().await, alive.address()]));
    for _ in 0..100 {
        register(&client).await.expect("the other endpoint answers");
    }
    assert_eq!(alive.called(), 100);
}

#[tokio::test]
async fn with_nobody_there_the_failure_is_quick_and_says_so() {
    let world = World::new();
    let client = client(&world.gateway(&[nobody().await, nobody().await]));
    let error = register(&client).await.unwrap_err();
    assert_eq!((error.kind(), error.reason()), (Kind::Unavailable, UPSTREAM_UNREACHABLE));
}

#[tokio::test]
async fn an_endpoint_that_only_fails_is_left_alone() {
    let world = World::new();
    let bad = Fake::auth(&world, |_| async { status(Error::internal("always")) }).await;
    let good = Fake::auth(&world, answer).await;
    let client = world.client(&[&bad, &good]);
    let mut failed = 0;
    for _ in 0..100 {
        failed += usize::from(get_jwks(&client).await.is_err());
    }
    assert_eq!((failed, bad.called(), good.called()), (5, 5, 95));
}

#[tokio::test]
async fn so_is_one_that_fails_after_its_headers() {
    let world = World::new();
    let bad = Fake::auth(&world, |_| async { late(Error::internal("always")) }).await;
    let good = Fake::auth(&world, answer).await;
    let client = world.client(&[&bad, &good]);
    let mut failed = 0;
    for _ in 0..100 {
        failed += usize::from(get_jwks(&client).await.is_err());
    }
    assert_eq!((failed, bad.called(), good.called()), (5, 5, 95));
}

#[tokio::test]
async fn so_is_one_that_falls_silent_after_its_headers() {
    let world = World::new().with_settings(|settings| settings.silence = Duration::from_millis(100));
    let mute = Fake::auth(&world, |_| async { stream(futures::stream::empty()) }).await;
    let good = Fake::auth(&world, answer).await;
    let client = world.client(&[&mute, &good]);
    let mut failed = 0;
    for _ in 0..60 {
        failed += usize::from(within(Duration::from_millis(300), &client).await.is_err());
    }
    assert_eq!((failed, mute.called(), good.called()), (5, 5, 55));
}

#[tokio::test]
async fn an_endpoint_that_says_nothing_at_all_is_left_alone() {
    let world = World::new();
    let mute = Fake::auth(&world, |_| std::future::pending()).await;
    let good = Fake::auth(&world, answer).await;
    let client = world.client(&[&mute, &good]);
    // Connected first, so that the short deadlines below are spent on waiting for an answer.
    let mut failed = 0;
    for _ in 0..60 {
        failed += usize::from(within(Duration::from_millis(300), &client).await.is_err());
    }
    assert!((1..=6).contains(&failed), "{failed} of 60");
}

#[tokio::test]
async fn an_endpoint_that_is_slow_with_one_method_is_not_ejected_for_it() {
    let world = World::new();
    let picky = |call: Call| async move {
        if call.path.ends_with("/Register") {
            std::future::pending::<()>().await
        }
        answer(call).await
    };
    let (slow, good) = (Fake::auth(&world, picky).await, Fake::auth(&world, picky).await);
    let world = world.with_policy(
        "Register: {from: [gateway], deadline: 5s}",
        "Register: {from: [gateway], deadline: 200ms}",
    );
    let client = world.client(&[&slow, &good]);
    for _ in 0..8 {
        let chatter = async {
            for _ in 0..20 {
                get_jwks(&client).await.expect("an answer");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let (late, ()) = futures::join!(register(&client), chatter);
        assert_eq!(late.unwrap_err().kind(), Kind::DeadlineExceeded);
    }
    let (before, rest) = (slow.called().min(good.called()), 40);
    for _ in 0..rest {
        get_jwks(&client).await.expect("an answer");
    }
    assert!(slow.called().min(good.called()) > before, "one of them gets no calls any more");
}

#[tokio::test]
async fn a_name_is_resolved_and_an_unknown_one_is_unreachable() {
    let world = World::new();
    let fake = Fake::auth(&world, answer).await;
    let named = Target::Dns { host: "localhost".into(), port: fake.address().port() };
    let known = client(&world.mesh(Endpoints::new().with("auth", named)));
    get_jwks(&known).await.expect("an answer");

    let nowhere = Target::Dns { host: "no-such-host.invalid".into(), port: 1 };
    let unknown = client(&world.mesh(Endpoints::new().with("auth", nowhere)));
    assert_eq!(register(&unknown).await.unwrap_err().reason(), UPSTREAM_UNREACHABLE);
}

#[tokio::test]
async fn a_workload_that_nobody_knows_has_no_channel() {
    let mesh = World::new().gateway(&[]);
    assert_eq!(mesh.channel("jokez").unwrap_err().kind(), Kind::Internal);
    assert_eq!(
        mesh.channel("sentiment").unwrap_err().kind(),
        Kind::Internal,
        "its endpoint is not configured"
    );
}

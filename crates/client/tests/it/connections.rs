//! When connections are made and given up.

use std::time::Duration;

use mesh_client::{CallContext, UPSTREAM_UNREACHABLE};
use mesh_identity::Tls;
use mesh_proto::auth::v1::{GetJwksResponse, WatchRevocationsRequest, WatchRevocationsResponse};

use crate::support::{
    Call, Fake, Hole, Reply, World, client, eventually, get_jwks, message, ok, stream, within,
};

async fn answer(call: Call) -> Reply {
    if call.path.ends_with("/WatchRevocations") {
        let second = futures::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Some((message(&WatchRevocationsResponse::default()), ()))
        });
        return stream(second);
    }
    ok(&GetJwksResponse { jwks: "keys".into() })
}

#[tokio::test]
async fn many_first_calls_share_one_connection() {
    let world = World::new();
    let fake = Fake::auth(&world, answer).await;
    let client = world.client(&[&fake]);
    for answered in futures::future::join_all((0..50).map(|_| get_jwks(&client))).await {
        answered.expect("an answer");
    }
    assert_eq!(fake.connections(), 1);
}

#[tokio::test]
async fn new_certificates_make_a_new_connection_and_cost_no_call() {
    let world = World::new();
    let fake = Fake::auth(&world, answer).await;
    let mesh = world.gateway(&[fake.address()]);
    let mut client = client(&mesh);
    let context = CallContext::default();
    let mut stream = client
        .watch_revocations(context.request(WatchRevocationsRequest { cursor: 0 }))
        .await
        .expect("a stream")
        .into_inner();
    get_jwks(&client).await.expect("an answer");
    assert_eq!(fake.connections(), 1);

    mesh.tls.reload(world.material("gateway")).expect("good material");
    for _ in 0..100 {
        get_jwks(&client).await.expect("no call is lost");
        if fake.connections() > 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(fake.connections(), 2);
    for _ in 0..20 {
        get_jwks(&client).await.expect("an answer");
    }
    assert_eq!(fake.connections(), 2, "one new connection is enough");
    stream.message().await.expect("a stream under way is not cut").expect("a message");
}

#[tokio::test]
async fn an_old_connection_is_let_go_also_without_calls() {
    let world = World::new().with_settings(|settings| {
        settings.refresh = Duration::from_millis(50);
        settings.retire = Duration::from_millis(100);
    });
    let fake = Fake::auth(&world, answer).await;
    let mesh = world.gateway(&[fake.address()]);
    let client = client(&mesh);
    get_jwks(&client).await.expect("an answer");
    mesh.tls.reload(world.material("gateway")).expect("good material");
    eventually("the connection was closed", || fake.open() == 0).await;
}

#[tokio::test]
async fn a_dead_network_is_noticed_before_the_deadline() {
    let world = World::new().with_settings(|settings| {
        settings.keep_alive = Duration::from_millis(200);
        settings.keep_alive_limit = Duration::from_millis(200);
    });
    let fake = Fake::auth(&world, answer).await;
    let hole = Hole::before(fake.address()).await;
    let client = client(&world.gateway(&[hole.address()]));
    get_jwks(&client).await.expect("an answer");
    hole.swallow();
    // May be repeated, and is, over a new connection; the policy gives it two seconds.
    within(Duration::from_secs(2), &client).await.expect("an answer over a new connection");
    assert_eq!(fake.connections(), 2);
}

#[tokio::test]
async fn a_connection_ends_with_the_certificate_of_its_peer() {
    let world = World::new();
    let short = Tls::new(world.material_for("auth", Duration::from_secs(2))).expect("an identity");
    let fake = Fake::of(short, answer).await;
    let client = world.client(&[&fake]);
    get_jwks(&client).await.expect("an answer");
    assert_eq!(fake.open(), 1);
    eventually("the connection was closed", || fake.open() == 0).await;
    assert_eq!(get_jwks(&client).await.unwrap_err().reason(), UPSTREAM_UNREACHABLE);
}

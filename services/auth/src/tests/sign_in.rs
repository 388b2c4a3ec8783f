//! Sign-in: equal answers for equal work, rehashing, the bounds of the pool and of sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mesh_error::Error;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::support::{ELSEWHERE, Fixture, HOME, PASSWORD, first_page, hashing};
use crate::error::AuthError;
use crate::hashing::HashSettings;

on_both!(
    unknown_wrong_and_disabled_look_the_same,
    a_weaker_hash_is_renewed_at_sign_in,
    a_full_pool_refuses_at_once,
    the_oldest_session_makes_room,
    a_session_remembers_where_it_was_begun,
);

fn shown(error: AuthError) -> String {
    let error = Error::from(error);
    format!(
        "{:?} {} {} {:?} {:?}",
        error.kind(),
        error.reason(),
        error.message(),
        error.retry_after(),
        error.metadata()
    )
}

async fn unknown_wrong_and_disabled_look_the_same(fixture: Fixture) {
    fixture.person("ana").await;
    fixture.person("off").await;
    fixture.execute("UPDATE users SET disabled = true WHERE email = 'off@example.com'").await;
    let wrong = shown(fixture.login_with("ana", "not the password", HOME).await.err().unwrap());
    let unknown = shown(fixture.login_with("nobody", PASSWORD, HOME).await.err().unwrap());
    let disabled = shown(fixture.login_with("off", PASSWORD, HOME).await.err().unwrap());
    assert_eq!(wrong, unknown);
    assert_eq!(wrong, disabled);
}

async fn a_weaker_hash_is_renewed_at_sign_in(fixture: Fixture) {
    fixture.person("ana").await;
    let keys = crate::config::KeyStore::Folder(tempfile::tempdir().unwrap().path().join("keys"));
    let stronger = fixture.replica_with(HashSettings { iterations: 3, ..hashing() }, keys).await;
    stronger.login("ana", HOME).await.unwrap();
    assert_eq!(
        fixture.count("SELECT count(*) FROM users WHERE password_hash LIKE '%m=64,t=3,p=1%'").await,
        1
    );
    stronger.login("ana", HOME).await.unwrap();
    fixture.login("ana", HOME).await.unwrap();
    assert_eq!(
        fixture.count("SELECT count(*) FROM users WHERE password_hash LIKE '%m=64,t=3,p=1%'").await,
        1
    );
}

async fn a_full_pool_refuses_at_once(fixture: Fixture) {
    fixture.person("ana").await;
    let settings = hashing();
    let held: Vec<_> =
        (0..settings.threads + settings.queue).map(|_| fixture.parts.hasher.admit().unwrap()).collect();
    let refused = Error::from(fixture.login("ana", HOME).await.err().unwrap());
    assert_eq!(
        (refused.kind(), refused.reason()),
        (mesh_error::Kind::ResourceExhausted, "HASHING_POOL_FULL")
    );
    assert!(refused.retry_after().is_some());
    drop(held);
    fixture.login("ana", HOME).await.unwrap();
}

async fn the_oldest_session_makes_room(fixture: Fixture) {
    let (first, tokens) = fixture.signed_in("ana").await;
    for _ in 0..100 {
        fixture.clock.forward(chrono::Duration::seconds(1));
        fixture.login("ana", HOME).await.unwrap();
    }
    assert_eq!(fixture.count("SELECT count(*) FROM sessions").await, 100);
    assert!(!fixture.is_active(&first, &tokens.access).await);
    assert_eq!(fixture.count("SELECT count(*) FROM revocations").await, 1);
}

async fn a_session_remembers_where_it_was_begun(fixture: Fixture) {
    let (caller, _) = fixture.signed_in("ana").await;
    fixture.login("ana", ELSEWHERE).await.unwrap();
    let page = fixture.auth.list_sessions(&caller, &first_page(0)).await.unwrap();
    let mut places: Vec<_> = page.items.iter().map(|session| session.address.as_str()).collect();
    places.sort_unstable();
    assert_eq!(places, [ELSEWHERE, HOME]);
    assert!(page.items.iter().all(|session| session.user_agent == "Test/1.0"));
}

/// Counts statements.
struct Statements(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> Layer<S> for Statements {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        _: &tracing::span::Id,
        _: Context<'_, S>,
    ) {
        if attributes.metadata().name() == "sql" {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// In one thread, so that the subscriber of this test sees all of it and nothing else.
#[tokio::test]
async fn an_unknown_address_costs_as_many_statements_as_a_wrong_password() {
    let fixture = Fixture::sqlite().await;
    fixture.person("ana").await;
    fixture.stop.cancel();
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    let count = Arc::new(AtomicUsize::new(0));
    let _guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(Statements(Arc::clone(&count))));
    let mut counts = Vec::new();
    for name in ["ana", "nobody"] {
        let before = count.load(Ordering::SeqCst);
        fixture.login_with(name, "not the password", HOME).await.err().unwrap();
        counts.push(count.load(Ordering::SeqCst) - before);
    }
    assert!(counts[0] >= 5, "{counts:?}");
    assert_eq!(counts[0], counts[1]);
}

//! Sign-in: equal answers for equal work, rehashing, the bounds of the pool and of sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mesh_error::Error;
use mesh_testkit::on_both;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::support::{ELSEWHERE, Fixture, HOME, PASSWORD, account, at, first_page, hashing};
use crate::domain::{Email, Password, Roles};
use crate::error::{AuthError, Result};
use crate::hashing::HashSettings;
use crate::service::{Changes, TokenPair};

on_both!(
    unknown_wrong_and_disabled_look_the_same,
    a_weaker_hash_is_renewed_at_sign_in,
    an_account_that_changes_while_its_password_is_hashed_is_judged_anew,
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

async fn an_account_that_changes_while_its_password_is_hashed_is_judged_anew(fixture: Fixture) {
    let root = fixture.admin("root").await;
    let ana = fixture.person("ana").await;
    let mut other = account("bob");
    other.password = Password::choose("amber-harbour-77", None).unwrap();
    fixture.auth.register(&at(HOME), other).await.unwrap();
    fixture.execute("DELETE FROM login_attempts").await;
    for (attempts, change) in [
        (1, "UPDATE users SET disabled = true WHERE email = 'ana@example.com'"),
        (
            2,
            "UPDATE users SET disabled = false,
                 password_hash = (SELECT password_hash FROM users WHERE email = 'bob@example.com')
             WHERE email = 'ana@example.com'",
        ),
    ] {
        let held = fixture.parts.hasher.hold().await;
        let login = start_login(&fixture, attempts).await;
        fixture.execute(change).await;
        drop(held);
        assert!(matches!(login.await.unwrap(), Err(AuthError::InvalidCredentials)), "{change}");
    }
    assert_eq!(fixture.count("SELECT count(*) FROM sessions").await, 1, "that of the administrator");

    // Who only got another role signs in with it, by a token that its revocation does not concern.
    fixture
        .execute(
            "UPDATE users SET password_hash =
                 (SELECT password_hash FROM users WHERE email = 'root@example.com')
             WHERE email = 'ana@example.com'",
        )
        .await;
    let held = fixture.parts.hasher.hold().await;
    let login = start_login(&fixture, 3).await;
    let changes = Changes { roles: Some(Roles::admin()), disabled: None };
    fixture.auth.update_user(&root, &ana.id, &changes).await.unwrap();
    drop(held);
    let tokens = login.await.unwrap().unwrap();
    let caller = fixture.caller(&tokens).await;
    assert!(caller.scopes.contains("users:admin"));
    assert!(fixture.is_active(&caller, &tokens.access).await);
}

/// A sign-in of Ana's that has looked at the account and now waits for its turn to hash.
async fn start_login(fixture: &Fixture, attempts: i64) -> tokio::task::JoinHandle<Result<TokenPair>> {
    let auth = Arc::clone(&fixture.auth);
    let login = tokio::spawn(async move {
        let email = Email::parse("ana@example.com").unwrap();
        auth.login(&at(HOME), &email, Password::attempt(PASSWORD).unwrap()).await
    });
    let counted = async {
        while fixture.count("SELECT coalesce(max(attempts), 0) FROM login_attempts").await < attempts {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), counted).await.expect("an attempt in time");
    login
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

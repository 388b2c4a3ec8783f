//! Refresh tokens: rotation, races, grace, theft.

use chrono::Duration;
use futures::StreamExt;
use mesh_config::Secret;
use mesh_identity::{RevocationEvent, Revocations, SigningKey};
use mesh_testkit::on_both;

use super::support::{Fixture, HOME, at, hashing};
use crate::config::KeyStore;
use crate::error::{AuthError, Result};
use crate::service::TokenPair;

on_both!(
    each_refresh_spends_its_token,
    fifty_at_once_get_one_and_the_same_successor,
    reuse_after_the_grace_ends_the_family,
    two_generations_old_is_theft_even_within_the_grace,
    a_lost_answer_is_given_again_within_the_grace,
    a_lost_answer_outlives_a_rotation_of_signing_keys,
    a_session_ends_when_idle_and_in_the_end,
    a_made_up_token_of_a_real_session_ends_nothing,
    signing_out_ends_the_session_and_again_is_no_error,
    a_refresh_that_races_a_sign_out_gives_nothing_that_lasts,
    a_disabled_owner_cannot_refresh,
);

async fn refresh(fixture: &Fixture, token: &str) -> Result<TokenPair> {
    fixture.auth.refresh(&at(HOME), token).await
}

async fn is_refused(fixture: &Fixture, token: &str) -> bool {
    match refresh(fixture, token).await {
        Ok(_) => false,
        Err(AuthError::InvalidRefreshToken) => true,
        Err(error) => panic!("{error:?}"),
    }
}

async fn each_refresh_spends_its_token(fixture: Fixture) {
    let (caller, tokens) = fixture.signed_in("ana").await;
    let mut token = tokens.refresh;
    for _ in 0..5 {
        fixture.clock.forward(Duration::minutes(9));
        let next = refresh(&fixture, &token).await.unwrap();
        assert_ne!(next.refresh, token);
        assert_eq!(fixture.caller(&next).await.session_id, caller.session_id);
        token = next.refresh;
    }
}

async fn fifty_at_once_get_one_and_the_same_successor(fixture: Fixture) {
    let (_, tokens) = fixture.signed_in("ana").await;
    let mut token = tokens.refresh;
    for _ in 0..4 {
        let racers: Vec<_> = (0..50)
            .map(|_| {
                let (auth, token) = (fixture.auth.clone(), token.clone());
                tokio::spawn(async move { auth.refresh(&at(HOME), &token).await.unwrap().refresh })
            })
            .collect();
        let mut successors = std::collections::BTreeSet::new();
        for racer in racers {
            successors.insert(racer.await.unwrap());
        }
        assert_eq!(successors.len(), 1);
        token = successors.pop_first().unwrap();
    }
    assert_eq!(fixture.count("SELECT count(*) FROM sessions").await, 1);
}

async fn reuse_after_the_grace_ends_the_family(fixture: Fixture) {
    let (caller, tokens) = fixture.signed_in("ana").await;
    let next = refresh(&fixture, &tokens.refresh).await.unwrap();
    fixture.clock.forward(Duration::seconds(11));
    assert!(is_refused(&fixture, &tokens.refresh).await);
    assert!(is_refused(&fixture, &next.refresh).await, "the good one is dead too");
    assert!(!fixture.is_active(&caller, &next.access).await);
    assert_eq!(fixture.count("SELECT count(*) FROM audit_log WHERE action = 'refresh.reuse'").await, 1);
}

async fn two_generations_old_is_theft_even_within_the_grace(fixture: Fixture) {
    let (_, tokens) = fixture.signed_in("ana").await;
    let second = refresh(&fixture, &tokens.refresh).await.unwrap();
    let third = refresh(&fixture, &second.refresh).await.unwrap();
    assert!(is_refused(&fixture, &tokens.refresh).await);
    assert!(is_refused(&fixture, &third.refresh).await);
}

async fn a_lost_answer_is_given_again_within_the_grace(fixture: Fixture) {
    let (_, tokens) = fixture.signed_in("ana").await;
    let lost = refresh(&fixture, &tokens.refresh).await.unwrap();
    fixture.clock.forward(Duration::seconds(10));
    let again = refresh(&fixture, &tokens.refresh).await.unwrap();
    assert_eq!(again.refresh, lost.refresh);
    refresh(&fixture, &again.refresh).await.unwrap();
}

async fn a_lost_answer_outlives_a_rotation_of_signing_keys(fixture: Fixture) {
    let pem = || SigningKey::generate().unwrap().to_pkcs8_pem().unwrap().to_string();
    let (old, new) = (pem(), pem());
    let keys = |pems: String| KeyStore::Given(Secret::from(pems));
    let before = fixture.replica_with(hashing(), keys(format!("{old}{new}"))).await;
    let after = fixture.replica_with(hashing(), keys(format!("{new}{old}"))).await;
    let (_, tokens) = before.signed_in("ana").await;
    let lost = refresh(&before, &tokens.refresh).await.unwrap();
    assert_eq!(refresh(&after, &tokens.refresh).await.unwrap().refresh, lost.refresh);
    let next = refresh(&after, &lost.refresh).await.unwrap();
    refresh(&before, &next.refresh).await.unwrap();
}

async fn a_session_ends_when_idle_and_in_the_end(fixture: Fixture) {
    let (_, idle) = fixture.signed_in("ana").await;
    let mut busy = fixture.login("ana", HOME).await.unwrap();
    for _ in 0..3 {
        fixture.clock.forward(Duration::days(29));
        busy = refresh(&fixture, &busy.refresh).await.unwrap();
    }
    assert!(is_refused(&fixture, &idle.refresh).await);
    fixture.clock.forward(Duration::days(3) - Duration::minutes(5));
    busy = refresh(&fixture, &busy.refresh).await.unwrap();
    assert_eq!(busy.expires_in, 300, "no token outlives its session");
    fixture.clock.forward(Duration::minutes(5));
    assert!(is_refused(&fixture, &busy.refresh).await);
}

async fn a_made_up_token_of_a_real_session_ends_nothing(fixture: Fixture) {
    let (_, tokens) = fixture.signed_in("ana").await;
    let mut forged = tokens.refresh.clone().into_bytes();
    let at = forged.len() - 30;
    forged[at] = if forged[at] == b'a' { b'b' } else { b'a' };
    let forged = String::from_utf8(forged).unwrap();
    for bad in [forged.as_str(), "", "qr_", tokens.access.as_str(), "qp_a_b_c"] {
        assert!(is_refused(&fixture, bad).await, "{bad}");
    }
    refresh(&fixture, &tokens.refresh).await.unwrap();
}

async fn signing_out_ends_the_session_and_again_is_no_error(fixture: Fixture) {
    let (caller, tokens) = fixture.signed_in("ana").await;
    let other = fixture.login("ana", HOME).await.unwrap();
    for token in [tokens.refresh.as_str(), tokens.refresh.as_str(), "junk"] {
        fixture.auth.logout(&at(HOME), token).await.unwrap();
    }
    assert!(is_refused(&fixture, &tokens.refresh).await);
    assert!(!fixture.is_active(&caller, &tokens.access).await);
    refresh(&fixture, &other.refresh).await.unwrap();
    assert_eq!(fixture.count("SELECT count(*) FROM revocations").await, 1);
}

async fn a_refresh_that_races_a_sign_out_gives_nothing_that_lasts(fixture: Fixture) {
    fixture.person("ana").await;
    let home = at(HOME);
    let mut events = fixture.parts.feed.watch_from(0, tokio_util::sync::CancellationToken::new());
    for _ in 0..20 {
        let tokens = fixture.login("ana", HOME).await.unwrap();
        let mut claims = mesh_identity::Claims::clone(&*fixture.claims(&tokens.access).await);
        let (refreshed, left) =
            tokio::join!(refresh(&fixture, &tokens.refresh), fixture.auth.logout(&home, &tokens.refresh));
        left.unwrap();
        // A later answer of the same session is dated later, and is as dead.
        fixture.clock.forward(Duration::seconds(30));
        let list = Revocations::local();
        while list.cursor() == 0 {
            let event = tokio::time::timeout(std::time::Duration::from_secs(20), events.next()).await;
            if let RevocationEvent::Revoked(revocation) = event.unwrap().unwrap().unwrap() {
                list.apply(revocation);
            }
        }
        claims.iat += 30;
        assert!(list.is_revoked(&claims));
        if let Ok(refreshed) = refreshed {
            assert!(!fixture.is_good(&refreshed.access).await);
            assert!(is_refused(&fixture, &refreshed.refresh).await);
        }
    }
}

async fn a_disabled_owner_cannot_refresh(fixture: Fixture) {
    let (_, tokens) = fixture.signed_in("ana").await;
    fixture.execute("UPDATE users SET disabled = true").await;
    assert!(is_refused(&fixture, &tokens.refresh).await);
}

//! How a verifier learns the issuer's keys, loses them, and remembers tokens. Time is virtual.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use mesh_identity::{Revocations, SigningKey, TokenError};
use tokio::time::{Instant, advance};

use crate::support::{Forger, Issuer, NOW, TestClock, claims, verifier};

fn key() -> SigningKey {
    SigningKey::generate().unwrap()
}

/// Lets tasks that are ready run.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn token(key: &SigningKey, jti: &str) -> String {
    let mut claims = claims();
    claims.jti = jti.to_owned();
    claims.exp = NOW + 3600;
    key.sign(&claims).unwrap()
}

#[tokio::test(start_paused = true)]
async fn keys_rotate_with_overlap_and_retired_ones_stop() {
    let (old, new) = (key(), key());
    let issuer = Issuer::of(&[&old]);
    let verifier = verifier(&issuer, Revocations::local(), &TestClock::new());
    let (before, after) = (token(&old, "a"), token(&new, "b"));
    verifier.verify(&before).await.unwrap();

    issuer.publish(&[&old, &new]);
    advance(Duration::from_secs(10)).await;
    verifier.verify(&after).await.expect("the unknown kid makes it look again");
    verifier.verify(&before).await.expect("the old key is good as long as it is published");
    assert_eq!(issuer.fetches(), 2);

    issuer.publish(&[&new]);
    advance(Duration::from_secs(301)).await;
    verifier.verify(&after).await.unwrap();
    settle().await;
    assert_eq!(issuer.fetches(), 3, "in the background");
    assert_eq!(verifier.verify(&before).await, Err(TokenError::Invalid("unknown_kid")));
    verifier.verify(&after).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_token_in_the_cache_falls_with_its_key() {
    let (old, new) = (key(), key());
    let issuer = Issuer::of(&[&old]);
    let verifier = verifier(&issuer, Revocations::local(), &TestClock::new());
    let held = token(&old, "a");
    verifier.verify(&held).await.unwrap();
    issuer.publish(&[&new]);
    advance(Duration::from_secs(11)).await;
    verifier.verify(&held).await.expect("still within the cache's life and no fetch yet");
    verifier.verify(&token(&new, "b")).await.expect("fetches");
    assert_eq!(verifier.verify(&held).await, Err(TokenError::Invalid("unknown_kid")));
}

#[tokio::test(start_paused = true)]
async fn unknown_kids_cause_one_fetch_in_ten_seconds() {
    let good = key();
    let issuer = Issuer::of(&[&good]);
    let verifier = verifier(&issuer, Revocations::local(), &TestClock::new());
    verifier.warm_up().await.unwrap();
    let strangers: Vec<_> = (0..200).map(|i| token(&key(), &i.to_string())).collect();
    for second in 0..60 {
        for stranger in &strangers {
            assert_eq!(verifier.verify(stranger).await, Err(TokenError::Invalid("unknown_kid")));
        }
        verifier.verify(&token(&good, &second.to_string())).await.unwrap();
        advance(Duration::from_secs(1)).await;
    }
    assert_eq!(issuer.fetches(), 6, "once at the start, then after 10, 20, 30, 40, 50 seconds");
}

#[tokio::test(start_paused = true)]
async fn everybody_waits_for_the_same_fetch() {
    let good = key();
    let issuer = Issuer::of(&[&good]);
    issuer.slow.store(500, SeqCst);
    let verifier = verifier(&issuer, Revocations::local(), &TestClock::new());
    let calls = (0..100).map(|i| {
        let (verifier, token) = (verifier.clone(), token(&good, &i.to_string()));
        async move { verifier.verify(&token).await }
    });
    let results = futures::future::join_all(calls).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_does_not_end_the_fetch() {
    let good = key();
    let issuer = Issuer::of(&[&good]);
    issuer.slow.store(500, SeqCst);
    let verifier = verifier(&issuer, Revocations::local(), &TestClock::new());
    let first = token(&good, "a");
    let left = tokio::time::timeout(Duration::from_millis(100), verifier.verify(&first)).await;
    assert!(left.is_err());
    verifier.verify(&first).await.unwrap();
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_keys_nothing_can_be_said_and_the_issuer_is_asked_each_second() {
    let good = key();
    let issuer = Issuer::of(&[&good]);
    issuer.down.store(true, SeqCst);
    let verifier = verifier(&issuer, Revocations::local(), &TestClock::new());
    let token = token(&good, "a");
    for _ in 0..50 {
        assert_eq!(verifier.verify(&token).await, Err(TokenError::Unavailable));
    }
    assert_eq!(verifier.warm_up().await, Err(TokenError::Unavailable));
    assert_eq!(issuer.fetches(), 1);
    issuer.down.store(false, SeqCst);
    advance(Duration::from_secs(1)).await;
    verifier.verify(&token).await.unwrap();
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_refresh_keeps_the_keys_and_makes_nobody_wait() {
    let good = key();
    let issuer = Issuer::of(&[&good]);
    let verifier = verifier(&issuer, Revocations::local(), &TestClock::new());
    verifier.warm_up().await.unwrap();
    issuer.down.store(true, SeqCst);
    issuer.slow.store(60_000, SeqCst);
    for i in 0..200 {
        advance(Duration::from_secs(10)).await;
        settle().await;
        let asked_at = Instant::now();
        verifier.verify(&token(&good, &i.to_string())).await.unwrap();
        assert_eq!(asked_at.elapsed(), Duration::ZERO, "virtual time: nobody waited");
    }
    let fetches = issuer.fetches();
    assert!((80..=170).contains(&fetches), "it keeps trying: {fetches}");
    issuer.down.store(false, SeqCst);
    issuer.slow.store(0, SeqCst);
    let fresh = key();
    issuer.publish(&[&fresh]);
    advance(Duration::from_secs(10)).await;
    verifier.verify(&token(&fresh, "x")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_a_long_silence_the_keys_are_fetched_before_they_are_used() {
    let (old, new) = (key(), key());
    let issuer = Issuer::of(&[&old]);
    let verifier = verifier(&issuer, Revocations::local(), &TestClock::new());
    verifier.warm_up().await.unwrap();
    issuer.publish(&[&new]);
    advance(Duration::from_secs(3600)).await;
    assert_eq!(verifier.verify(&token(&old, "a")).await, Err(TokenError::Invalid("unknown_kid")));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_panics_is_asked_again() {
    struct Broken(Arc<Issuer>);
    #[async_trait::async_trait]
    impl mesh_identity::KeySource for Broken {
        async fn fetch(&self) -> Result<mesh_identity::Jwks, mesh_error::BoxError> {
            assert!(!self.0.down.load(SeqCst), "a fault in the source");
            self.0.fetch().await
        }
    }
    let good = key();
    let issuer = Issuer::of(&[&good]);
    issuer.down.store(true, SeqCst);
    let verifier = mesh_identity::TokenVerifier::new(
        mesh_identity::Profile::default(),
        Arc::new(Broken(Arc::clone(&issuer))),
        Revocations::local(),
    );
    assert_eq!(verifier.warm_up().await, Err(TokenError::Unavailable));
    issuer.down.store(false, SeqCst);
    advance(Duration::from_secs(2)).await;
    verifier.warm_up().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_token_in_the_cache_ends_when_it_expires() {
    let forger = Forger::new();
    let clock = TestClock::new();
    let verifier = verifier(&Issuer::of(&[&forger.key]), Revocations::local(), &clock);
    let token = forger.key.sign(&claims()).unwrap();
    let first = verifier.verify(&token).await.unwrap();
    let again = verifier.verify(&token).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again), "from the cache");
    clock.set(NOW + 599);
    assert!(Arc::ptr_eq(&first, &verifier.verify(&token).await.unwrap()));
    clock.set(NOW + 600);
    assert_eq!(verifier.verify(&token).await, Err(TokenError::Invalid("expired")));
}

#[tokio::test(start_paused = true)]
async fn a_token_stays_in_the_cache_for_a_minute() {
    let forger = Forger::new();
    let verifier = verifier(&Issuer::of(&[&forger.key]), Revocations::local(), &TestClock::new());
    let token = forger.key.sign(&claims()).unwrap();
    let first = verifier.verify(&token).await.unwrap();
    advance(Duration::from_secs(59)).await;
    assert!(Arc::ptr_eq(&first, &verifier.verify(&token).await.unwrap()));
    advance(Duration::from_secs(1)).await;
    assert!(!Arc::ptr_eq(&first, &verifier.verify(&token).await.unwrap()), "verified anew");
}

#[tokio::test(start_paused = true)]
async fn fetching_the_same_keys_again_empties_no_cache() {
    let forger = Forger::new();
    let issuer = Issuer::of(&[&forger.key]);
    let verifier = verifier(&issuer, Revocations::local(), &TestClock::new());
    let held = forger.key.sign(&claims()).unwrap();
    let first = verifier.verify(&held).await.unwrap();
    advance(Duration::from_secs(11)).await;
    assert!(verifier.verify(&token(&key(), "stranger")).await.is_err());
    assert_eq!(issuer.fetches(), 2);
    assert!(Arc::ptr_eq(&first, &verifier.verify(&held).await.unwrap()));
}

//! Guessing is slowed down, the owner is not.

use chrono::Duration;

use super::support::{ELSEWHERE, Fixture, HOME};
use crate::error::AuthError;

on_both!(
    an_hour_verifies_twenty_guesses_at_most_and_the_owner_still_gets_in,
    guesses_from_many_places_count_together_and_over_replicas,
    guesses_at_once_are_counted_one_by_one,
    one_place_that_guesses_at_many_accounts_has_to_wait,
    an_hour_later_all_is_forgiven,
);

async fn guess(fixture: &Fixture, name: &str, from: &str) -> bool {
    match fixture.login_with(name, "a wrong guess", from).await {
        Err(AuthError::InvalidCredentials) => true,
        Err(AuthError::Throttled(wait)) => {
            assert!(!wait.is_zero());
            false
        }
        other => panic!("{:?}", other.err()),
    }
}

async fn an_hour_verifies_twenty_guesses_at_most_and_the_owner_still_gets_in(fixture: Fixture) {
    fixture.signed_in("ana").await;
    let mut verified = 0;
    for number in 0..500 {
        fixture.clock.forward(Duration::seconds(7));
        verified += u32::from(guess(&fixture, "ana", ELSEWHERE).await);
        if number % 25 == 0 {
            fixture.login("ana", HOME).await.unwrap();
        }
    }
    assert!((10..=20).contains(&verified), "{verified}");
}

async fn guesses_from_many_places_count_together_and_over_replicas(fixture: Fixture) {
    fixture.signed_in("ana").await;
    let other = fixture.replica().await;
    let mut verified = 0;
    for number in 0..200 {
        fixture.clock.forward(Duration::seconds(17));
        let replica = if number % 2 == 0 { &fixture } else { &other };
        verified += u32::from(guess(replica, "ana", &format!("198.51.100.{number}")).await);
    }
    assert!(verified <= 20, "{verified}");
}

async fn guesses_at_once_are_counted_one_by_one(fixture: Fixture) {
    fixture.signed_in("ana").await;
    let guesses = (0..60).map(|number| {
        let fixture = &fixture;
        async move { guess(fixture, "ana", &format!("198.51.100.{number}")).await }
    });
    let verified = futures::future::join_all(guesses).await.into_iter().filter(|verified| *verified).count();
    // Time stands still, so none but the free ones and the one after them may pass.
    assert!((1..=6).contains(&verified), "{verified}");
}

async fn one_place_that_guesses_at_many_accounts_has_to_wait(fixture: Fixture) {
    let mut verified = 0;
    for number in 0..150 {
        verified += u32::from(guess(&fixture, &format!("nobody{number}"), "2001:db8:1:2::1").await);
    }
    assert_eq!(verified, 100);
    assert!(!guess(&fixture, "nobody", "2001:db8:1:2:ffff::2").await, "the same /64");
    assert!(guess(&fixture, "nobody", "2001:db8:1:3::1").await);
}

async fn an_hour_later_all_is_forgiven(fixture: Fixture) {
    fixture.person("ana").await;
    while guess(&fixture, "ana", ELSEWHERE).await {}
    assert!(fixture.login("ana", HOME).await.is_err(), "never signed in from there");
    fixture.clock.forward(Duration::hours(1));
    fixture.login("ana", HOME).await.unwrap();
}

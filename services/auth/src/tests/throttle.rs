//! Guessing is slowed down, the owner is not.

use chrono::Duration;
use mesh_testkit::on_both;

use super::support::{ELSEWHERE, Fixture, HOME, at};
use crate::error::AuthError;

on_both!(
    an_hour_verifies_twenty_guesses_at_most_and_the_owner_still_gets_in,
    guesses_from_many_places_count_together_and_over_replicas,
    guesses_at_once_are_counted_one_by_one,
    one_place_that_guesses_at_many_accounts_has_to_wait,
    who_shares_a_place_with_a_guesser_still_gets_in,
    where_one_registered_or_refreshed_one_is_known,
    what_is_unknown_is_no_place,
    an_hour_later_all_is_forgiven,
);

/// Where people of the tests go.
const ROAMING: &str = "192.0.2.7";

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

async fn who_shares_a_place_with_a_guesser_still_gets_in(fixture: Fixture) {
    fixture.signed_in("ana").await;
    for number in 0..101 {
        guess(&fixture, &format!("nobody{number}"), HOME).await;
    }
    assert!(!guess(&fixture, "bob", HOME).await, "the place has to wait");
    fixture.login("ana", HOME).await.unwrap();
    let mut verified = 0;
    for _ in 0..200 {
        fixture.clock.forward(Duration::seconds(17));
        verified += u32::from(guess(&fixture, "ana", HOME).await);
    }
    assert!(verified <= 20, "her own account is bounded there too: {verified}");
}

async fn where_one_registered_or_refreshed_one_is_known(fixture: Fixture) {
    fixture.person("ana").await;
    for _ in 0..200 {
        fixture.clock.forward(Duration::seconds(7));
        guess(&fixture, "ana", ELSEWHERE).await;
    }
    let tokens = fixture.login("ana", HOME).await.unwrap();
    assert!(matches!(fixture.login("ana", ROAMING).await, Err(AuthError::Throttled(_))));
    fixture.auth.refresh(&at(ROAMING), &tokens.refresh).await.unwrap();
    fixture.login("ana", ROAMING).await.unwrap();
}

async fn what_is_unknown_is_no_place(fixture: Fixture) {
    for number in 0..150 {
        assert!(guess(&fixture, &format!("nobody{number}"), "").await, "{number}");
    }
}

async fn an_hour_later_all_is_forgiven(fixture: Fixture) {
    fixture.person("ana").await;
    while guess(&fixture, "ana", ELSEWHERE).await {}
    assert!(fixture.login("ana", ROAMING).await.is_err(), "never seen there");
    fixture.clock.forward(Duration::hours(1));
    fixture.login("ana", ROAMING).await.unwrap();
}

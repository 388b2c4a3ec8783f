//! Change of a password.

use mesh_testkit::on_both;

use super::support::{Fixture, HOME, PASSWORD};
use crate::domain::Password;
use crate::error::{AuthError, Result};
use crate::service::Caller;

on_both!(
    a_change_ends_all_other_sessions,
    the_present_password_is_asked_for_and_guesses_are_counted,
    a_common_password_is_refused,
);

const NEW: &str = "amber-harbour-77";

async fn change(fixture: &Fixture, caller: &Caller, current: &str, new: &str) -> Result<()> {
    fixture.auth.change_password(caller, Password::attempt(current).unwrap(), new).await
}

async fn a_change_ends_all_other_sessions(fixture: Fixture) {
    let (here, tokens) = fixture.signed_in("ana").await;
    let there_tokens = fixture.login("ana", HOME).await.unwrap();
    let there = fixture.caller(&there_tokens).await;
    change(&fixture, &here, PASSWORD, NEW).await.unwrap();
    assert!(fixture.is_active(&here, &tokens.access).await);
    assert!(!fixture.is_active(&there, &there_tokens.access).await);
    fixture.auth.refresh(&super::support::at(HOME), &tokens.refresh).await.unwrap();
    assert!(fixture.auth.refresh(&super::support::at(HOME), &there_tokens.refresh).await.is_err());
    assert!(matches!(fixture.login("ana", HOME).await, Err(AuthError::InvalidCredentials)));
    fixture.login_with("ana", NEW, HOME).await.unwrap();
    assert_eq!(fixture.count("SELECT count(*) FROM revocations WHERE session_id IS NOT NULL").await, 1);
}

async fn the_present_password_is_asked_for_and_guesses_are_counted(fixture: Fixture) {
    let (caller, _) = fixture.signed_in("ana").await;
    let mut refused = 0;
    loop {
        match change(&fixture, &caller, "not the password", NEW).await {
            Err(AuthError::Invalid(violations)) => {
                assert_eq!(violations[0].field, "current_password");
                refused += 1;
            }
            Err(AuthError::Throttled(_)) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(refused <= 20, "{refused}");
    fixture.login("ana", HOME).await.unwrap();
}

async fn a_common_password_is_refused(fixture: Fixture) {
    let (caller, _) = fixture.signed_in("ana").await;
    for bad in ["password1", "short", "ana@example.com", "nul\0nul\0nul"] {
        let refused = change(&fixture, &caller, PASSWORD, bad).await;
        assert!(matches!(refused, Err(AuthError::Invalid(_))), "{bad}");
    }
}

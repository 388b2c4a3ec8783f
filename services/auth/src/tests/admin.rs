//! What administrators may do, and what not even they may.

use chrono::Duration;
use mesh_testkit::on_both;

use super::support::{Fixture, HOME, at, issued_at};
use crate::domain::Roles;
use crate::error::AuthError;
use crate::service::{Caller, Changes, NewKey};

on_both!(
    a_change_of_roles_ends_sessions_and_tokens,
    tokens_of_a_users_keys_end_with_the_roles_that_they_were_made_with,
    a_change_that_races_an_exchange_leaves_no_token_of_the_old_roles,
    a_disabled_account_is_out_until_enabled,
    what_is_so_already_changes_nothing,
    the_last_administrator_stays,
    two_administrators_cannot_remove_each_other,
    many_changes_at_once_all_end_legally,
    an_unknown_account_is_not_found,
);

fn roles(roles: Roles) -> Changes {
    Changes { roles: Some(roles), disabled: None }
}

fn disabled(disabled: bool) -> Changes {
    Changes { roles: None, disabled: Some(disabled) }
}

async fn a_change_of_roles_ends_sessions_and_tokens(fixture: Fixture) {
    let root = fixture.admin("root").await;
    let (ana, tokens) = fixture.signed_in("ana").await;
    let changed = fixture.auth.update_user(&root, &ana.user_id, &roles(Roles::admin())).await.unwrap();
    assert_eq!(changed.roles, Roles::admin());
    assert!(!fixture.is_active(&ana, &tokens.access).await);
    assert!(fixture.auth.refresh(&at(HOME), &tokens.refresh).await.is_err());
    assert_eq!(fixture.count("SELECT count(*) FROM revocations WHERE user_id IS NOT NULL").await, 1);

    let logged =
        "SELECT count(*) FROM revocations r JOIN users u ON u.id = r.user_id AND u.revoked_at = r.revoked_at";
    assert_eq!(fixture.count(logged).await, 1, "what is streamed is what is stored");
    assert_eq!(fixture.count("SELECT count(*) FROM revocations WHERE session_id IS NOT NULL").await, 1);

    // Time stands still: the new token is made in the very second of the revocation, and must be good all the same.
    let again = fixture.login("ana", HOME).await.unwrap();
    assert!(issued_at(&again.access) > issued_at(&tokens.access));
    let ana = fixture.caller(&again).await;
    assert!(fixture.is_active(&ana, &again.access).await);
    assert!(ana.scopes.contains("users:admin"));
}

async fn make_key(fixture: &Fixture, caller: &Caller) -> String {
    let new = NewKey { name: "key".to_owned(), scopes: caller.scopes.clone(), expires_at: None };
    fixture.auth.create_api_key(caller, new).await.unwrap().1
}

async fn tokens_of_a_users_keys_end_with_the_roles_that_they_were_made_with(fixture: Fixture) {
    let root = fixture.admin("root").await;
    let (ana, _) = fixture.signed_in("ana").await;
    let key = make_key(&fixture, &ana).await;
    let home = at(HOME);
    let exchange = || fixture.auth.exchange_api_key(&home, &key, &ana.scopes);
    // By another replica whose clock is ahead.
    fixture.clock.forward(Duration::seconds(2));
    let old = exchange().await.unwrap().access.token;
    fixture.clock.forward(Duration::seconds(-2));
    fixture.auth.update_user(&root, &ana.user_id, &roles(Roles::admin())).await.unwrap();
    assert!(!fixture.is_good(&old).await);
    let new = exchange().await.unwrap().access.token;
    assert!(fixture.is_good(&new).await);
    fixture.claims(&new).await;
    // Once more in the same second: what was made in between ends too.
    fixture.auth.update_user(&root, &ana.user_id, &roles(Roles::user())).await.unwrap();
    assert!(!fixture.is_good(&new).await);
    fixture.claims(&exchange().await.unwrap().access.token).await;
}

async fn a_change_that_races_an_exchange_leaves_no_token_of_the_old_roles(fixture: Fixture) {
    let root = fixture.admin("root").await;
    let ana = fixture.person("ana").await;
    fixture.auth.update_user(&root, &ana.id, &roles(Roles::admin())).await.unwrap();
    let ana = fixture.caller(&fixture.login("ana", HOME).await.unwrap()).await;
    let key = make_key(&fixture, &ana).await;
    let (home, none) = (at(HOME), Default::default());
    for _ in 0..10 {
        fixture.clock.forward(Duration::seconds(20));
        let less = roles(Roles::user());
        let (exchanged, changed) = tokio::join!(
            fixture.auth.exchange_api_key(&home, &key, &none),
            fixture.auth.update_user(&root, &ana.user_id, &less),
        );
        changed.unwrap();
        let exchanged = exchanged.unwrap();
        let of_old = exchanged.scopes.contains("users:admin");
        assert!(!(of_old && fixture.is_good(&exchanged.access.token).await));
        fixture.auth.update_user(&root, &ana.user_id, &roles(Roles::admin())).await.unwrap();
    }
}

async fn a_disabled_account_is_out_until_enabled(fixture: Fixture) {
    let root = fixture.admin("root").await;
    let (ana, tokens) = fixture.signed_in("ana").await;
    fixture.auth.update_user(&root, &ana.user_id, &disabled(true)).await.unwrap();
    assert!(!fixture.is_active(&ana, &tokens.access).await);
    assert!(matches!(fixture.auth.me(&ana).await, Err(AuthError::SessionEnded)));
    assert!(matches!(fixture.login("ana", HOME).await, Err(AuthError::InvalidCredentials)));
    fixture.auth.update_user(&root, &ana.user_id, &disabled(false)).await.unwrap();
    fixture.login("ana", HOME).await.unwrap();
    assert!(!fixture.is_active(&ana, &tokens.access).await, "what was ended stays ended");
}

async fn what_is_so_already_changes_nothing(fixture: Fixture) {
    let root = fixture.admin("root").await;
    let (ana, tokens) = fixture.signed_in("ana").await;
    let same = Changes { roles: Some(Roles::user()), disabled: Some(false) };
    fixture.auth.update_user(&root, &ana.user_id, &same).await.unwrap();
    assert!(fixture.is_active(&ana, &tokens.access).await);
    assert_eq!(fixture.count("SELECT count(*) FROM revocations").await, 0);
}

async fn the_last_administrator_stays(fixture: Fixture) {
    let root = fixture.admin("root").await;
    for changes in [roles(Roles::user()), disabled(true)] {
        let refused = fixture.auth.update_user(&root, &root.user_id, &changes).await;
        assert!(matches!(refused, Err(AuthError::LastAdmin)));
    }
    let ana = fixture.person("ana").await;
    fixture.auth.update_user(&root, &ana.id, &roles(Roles::admin())).await.unwrap();
    fixture.auth.update_user(&root, &ana.id, &disabled(true)).await.unwrap();
    let refused = fixture.auth.update_user(&root, &root.user_id, &roles(Roles::user())).await;
    assert!(matches!(refused, Err(AuthError::LastAdmin)), "a disabled one does not count");
    fixture.auth.update_user(&root, &ana.id, &disabled(false)).await.unwrap();
    fixture.auth.update_user(&root, &root.user_id, &roles(Roles::user())).await.unwrap();
}

async fn two_administrators_cannot_remove_each_other(fixture: Fixture) {
    let root = fixture.admin("root").await;
    let ana = fixture.person("ana").await;
    let other = fixture.replica().await;
    for _ in 0..10 {
        fixture.execute("UPDATE users SET roles = 'admin user', is_admin = true").await;
        let (demoted, lock) = (roles(Roles::user()), disabled(true));
        let (one, two) = tokio::join!(
            fixture.auth.update_user(&root, &ana.id, &demoted),
            other.auth.update_user(&root, &root.user_id, &demoted),
        );
        assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1);
        assert_eq!(fixture.count("SELECT count(*) FROM users WHERE is_admin AND NOT disabled").await, 1);
        drop(lock);
    }
}

async fn many_changes_at_once_all_end_legally(fixture: Fixture) {
    let root = fixture.admin("root").await;
    let mut users = vec![];
    for name in ["a1", "a2", "a3", "a4", "a5"] {
        users.push(fixture.person(name).await.id);
    }
    let tasks: Vec<_> = (0..50)
        .map(|number: usize| {
            let (auth, root, id) = (fixture.auth.clone(), root.clone(), users[number % 5].clone());
            let changes = roles(if number.is_multiple_of(2) { Roles::admin() } else { Roles::user() });
            tokio::spawn(async move { auth.update_user(&root, &id, &changes).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let admins = fixture.count("SELECT count(*) FROM users WHERE is_admin").await;
    assert_eq!(admins, fixture.count("SELECT count(*) FROM users WHERE roles = 'admin user'").await);
    assert!(admins >= 1);
}

async fn an_unknown_account_is_not_found(fixture: Fixture) {
    let root: Caller = fixture.admin("root").await;
    assert!(matches!(fixture.auth.get_user("nobody").await, Err(AuthError::NotFound(_))));
    let refused = fixture.auth.update_user(&root, "nobody", &disabled(true)).await;
    assert!(matches!(refused, Err(AuthError::NotFound(_))));
}

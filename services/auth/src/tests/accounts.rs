//! Registration, the own account, the first administrator.

use mesh_config::Secret;
use mesh_testkit::on_both;

use super::support::{Fixture, HOME, PASSWORD, account, at};
use crate::config::AdminSeed;
use crate::domain::Roles;
use crate::error::AuthError;

on_both!(
    who_registers_can_sign_in_and_see_the_account,
    an_address_has_one_account_in_every_spelling,
    twenty_registrations_at_once_make_one_account,
    the_first_administrator_is_made_once,
    a_generated_password_is_given_once,
    an_address_that_somebody_took_makes_no_administrator,
    two_replicas_may_start_at_once,
);

async fn who_registers_can_sign_in_and_see_the_account(fixture: Fixture) {
    let (caller, tokens) = fixture.signed_in("ana").await;
    let user = fixture.auth.me(&caller).await.unwrap();
    assert_eq!((user.email.as_str(), user.display_name.as_str()), ("ana@example.com", "ana"));
    assert_eq!(user.roles, Roles::user());
    let claims = fixture.claims(&tokens.access).await;
    assert_eq!(
        (claims.sub.as_str(), claims.exp - claims.iat, tokens.expires_in),
        (user.id.as_str(), 600, 600)
    );
    assert_eq!(claims.scope, Roles::user().scopes());
    assert!(!format!("{user:?}").contains(PASSWORD) && user.password_hash.starts_with("$argon2id$"));
}

async fn an_address_has_one_account_in_every_spelling(fixture: Fixture) {
    fixture.person("ana").await;
    for name in ["ana", "ANA", "Ana"] {
        let again = fixture.auth.register(&at(HOME), account(name)).await;
        assert!(matches!(again, Err(AuthError::EmailTaken)), "{name}");
    }
    fixture.login("AnA", HOME).await.unwrap();
}

async fn twenty_registrations_at_once_make_one_account(fixture: Fixture) {
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let auth = fixture.auth.clone();
            tokio::spawn(async move { auth.register(&at(HOME), account("ana")).await })
        })
        .collect();
    let (mut made, mut taken) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => made += 1,
            Err(AuthError::EmailTaken) => taken += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!((made, taken), (1, 19));
    assert_eq!(fixture.count("SELECT count(*) FROM users").await, 1);
}

fn given() -> AdminSeed {
    AdminSeed::Given { email: "root@example.com".to_owned(), password: Secret::from(PASSWORD.to_owned()) }
}

async fn the_first_administrator_is_made_once(fixture: Fixture) {
    for _ in 0..2 {
        assert!(fixture.auth.seed_admin(&given()).await.unwrap().is_none());
    }
    assert_eq!(fixture.count("SELECT count(*) FROM users").await, 1);
    let tokens = fixture.login("root", HOME).await.unwrap();
    assert!(fixture.caller(&tokens).await.scopes.contains("users:admin"));
}

async fn a_generated_password_is_given_once(fixture: Fixture) {
    let seed = AdminSeed::Generated { email: "root@example.com".to_owned() };
    let (email, password) = fixture.auth.seed_admin(&seed).await.unwrap().unwrap();
    assert_eq!(email, "root@example.com");
    fixture.login_with("root", password.expose(), HOME).await.unwrap();
    assert!(fixture.auth.seed_admin(&seed).await.unwrap().is_none());
}

async fn an_address_that_somebody_took_makes_no_administrator(fixture: Fixture) {
    fixture.person("root").await;
    assert!(fixture.auth.seed_admin(&given()).await.is_err());
    let tokens = fixture.login("root", HOME).await.unwrap();
    assert!(!fixture.caller(&tokens).await.scopes.contains("users:admin"));
}

async fn two_replicas_may_start_at_once(fixture: Fixture) {
    let (one, two) = tokio::join!(fixture.replica(), fixture.replica());
    let (caller, _) = one.signed_in("ana").await;
    two.auth.me(&caller).await.unwrap();
}

//! API keys and the exchange of tokens.

use chrono::{Duration, SubsecRound};
use mesh_identity::Scopes;
use mesh_testkit::on_both;

use super::support::{Fixture, HOME, account, at, first_page, issued_at};
use crate::domain::refresh;
use crate::error::{AuthError, Result};
use crate::service::{Caller, Exchanged, NewKey};
use crate::store::api_keys::ApiKey;

on_both!(
    a_key_is_good_until_it_is_revoked,
    only_a_hash_is_stored_and_none_is_shown,
    what_has_ended_makes_no_key,
    ending_again_is_no_error_for_an_hour,
    a_key_has_no_more_scopes_than_its_maker_and_its_owner,
    an_expired_key_and_a_disabled_owner_are_refused,
    a_key_makes_no_key_that_outlives_it,
    a_user_has_a_hundred_keys_at_most,
    a_wrong_checksum_costs_no_query,
    a_wrong_secret_is_refused,
    the_last_use_is_kept_to_the_minute,
    somebody_elses_key_is_not_found,
    an_access_token_is_exchanged_for_less_never_for_more,
    an_ended_session_exchanges_nothing,
);

fn scopes(text: &str) -> Scopes {
    text.parse().unwrap()
}

fn new(scopes: &str) -> NewKey {
    NewKey { name: "laptop".to_owned(), scopes: scopes.parse().unwrap(), expires_at: None }
}

async fn make(fixture: &Fixture, caller: &Caller, wanted: &str) -> (ApiKey, String) {
    fixture.auth.create_api_key(caller, new(wanted)).await.unwrap()
}

async fn exchange(fixture: &Fixture, key: &str, wanted: &str) -> Result<Exchanged> {
    fixture.auth.exchange_api_key(&at(HOME), key, &scopes(wanted)).await
}

async fn a_key_is_good_until_it_is_revoked(fixture: Fixture) {
    let (caller, _) = fixture.signed_in("ana").await;
    let (key, secret) = make(&fixture, &caller, "sentiment:analyze sentiment:read").await;
    let (found, owner) = fixture.auth.verify_api_key(&at(HOME), &secret).await.unwrap();
    assert_eq!((found.id.as_str(), owner.id.as_str()), (key.id.as_str(), caller.user_id.as_str()));
    let exchanged = exchange(&fixture, &secret, "").await.unwrap();
    let claims = fixture.claims(&exchanged.access.token).await;
    assert_eq!((claims.sid.as_str(), claims.sub.as_str()), (key.id.as_str(), caller.user_id.as_str()));
    assert_eq!(claims.scope, scopes("sentiment:analyze sentiment:read"));
    let iat = i64::try_from(issued_at(&exchanged.access.token)).unwrap();
    assert!(fixture.parts.feed.is_active(&key.id, &caller.user_id, iat).await.unwrap());

    fixture.auth.revoke_api_key(&caller, &key.id).await.unwrap();
    assert!(matches!(exchange(&fixture, &secret, "").await, Err(AuthError::InvalidApiKey)));
    assert!(!fixture.parts.feed.is_active(&key.id, &caller.user_id, iat).await.unwrap());
    assert!(fixture.auth.list_api_keys(&caller, &first_page(0)).await.unwrap().items.is_empty());
}

async fn only_a_hash_is_stored_and_none_is_shown(fixture: Fixture) {
    let (caller, tokens) = fixture.signed_in("ana").await;
    let (_, whole) = make(&fixture, &caller, "profile:read").await;
    let secret = whole.split('_').nth(2).unwrap();
    let keys = fixture.auth.list_api_keys(&caller, &first_page(0)).await.unwrap();
    let sessions = fixture.auth.list_sessions(&caller, &first_page(0)).await.unwrap();
    let (key, session) = (&keys.items[0], &sessions.items[0]);
    assert_eq!(key.secret_hash, crate::tokens::hash(secret));
    let refresh = refresh::parse(&tokens.refresh).unwrap();
    assert_eq!(session.current_hash, crate::tokens::hash(refresh.secret));
    let user = fixture.auth.me(&caller).await.unwrap();
    let access = exchange(&fixture, &whole, "").await.unwrap();
    let parsed = crate::domain::api_key::parse(&whole).unwrap();
    let shown = format!("{keys:?} {sessions:?} {user:?} {access:?} {refresh:?} {parsed:?}");
    for hidden in [
        secret,
        refresh.secret,
        &access.access.token,
        &user.password_hash,
        &format!("{:?}", key.secret_hash),
        &format!("{:?}", session.current_hash),
    ] {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
    }
}

async fn what_has_ended_makes_no_key(fixture: Fixture) {
    let (caller, _) = fixture.signed_in("ana").await;
    let (parent, _) = make(&fixture, &caller, "keys:manage profile:read").await;
    let child = Caller { session_id: parent.id.clone(), ..caller.clone() };
    make(&fixture, &child, "profile:read").await;
    fixture.auth.revoke_api_key(&caller, &parent.id).await.unwrap();
    fixture.auth.end_session(&caller, &caller.session_id).await.unwrap();
    for ended in [child, caller] {
        let refused = fixture.auth.create_api_key(&ended, new("profile:read")).await;
        assert!(matches!(refused, Err(AuthError::SessionEnded)));
    }
    assert_eq!(fixture.count("SELECT count(*) FROM api_keys").await, 1);
}

async fn ending_again_is_no_error_for_an_hour(fixture: Fixture) {
    let (ana, _) = fixture.signed_in("ana").await;
    let (bob, _) = fixture.signed_in("bob").await;
    let (key, _) = make(&fixture, &ana, "profile:read").await;
    for _ in 0..3 {
        fixture.auth.revoke_api_key(&ana, &key.id).await.unwrap();
        fixture.auth.end_session(&ana, &ana.session_id).await.unwrap();
    }
    assert_eq!(fixture.count("SELECT count(*) FROM revocations").await, 2);
    let foreign = fixture.auth.end_session(&bob, &ana.session_id).await;
    assert!(matches!(foreign, Err(AuthError::NotFound(_))));
    assert!(matches!(fixture.auth.revoke_api_key(&bob, &key.id).await, Err(AuthError::NotFound(_))));
    fixture.clock.forward(Duration::hours(1));
    assert!(matches!(fixture.auth.revoke_api_key(&ana, &key.id).await, Err(AuthError::NotFound(_))));
    let forgotten = fixture.auth.end_session(&ana, &ana.session_id).await;
    assert!(matches!(forgotten, Err(AuthError::NotFound(_))));
}

async fn a_key_has_no_more_scopes_than_its_maker_and_its_owner(fixture: Fixture) {
    let admin = fixture.admin("root").await;
    let (ana, _) = fixture.signed_in("ana").await;
    for wanted in ["users:admin", "profile:read mesh:read", "made:up"] {
        let refused = fixture.auth.create_api_key(&ana, new(wanted)).await;
        assert!(matches!(refused, Err(AuthError::ScopeNotGranted)), "{wanted}");
    }
    let (_, secret) = make(&fixture, &admin, "users:admin profile:read").await;
    assert!(matches!(exchange(&fixture, &secret, "keys:manage").await, Err(AuthError::ScopeNotGranted)));
    assert_eq!(exchange(&fixture, &secret, "profile:read").await.unwrap().scopes, scopes("profile:read"));
    fixture
        .execute("UPDATE users SET roles = 'user', is_admin = false WHERE email = 'root@example.com'")
        .await;
    assert_eq!(
        exchange(&fixture, &secret, "").await.unwrap().scopes,
        scopes("profile:read"),
        "no administrator any more"
    );
    let (key, _) = fixture.auth.verify_api_key(&at(HOME), &secret).await.unwrap();
    assert_eq!(key.scopes(), scopes("profile:read"));
}

async fn an_expired_key_and_a_disabled_owner_are_refused(fixture: Fixture) {
    let (caller, _) = fixture.signed_in("ana").await;
    let now = fixture.parts.clock.now();
    let past = NewKey { expires_at: Some(now), ..new("profile:read") };
    assert!(matches!(fixture.auth.create_api_key(&caller, past).await, Err(AuthError::Invalid(_))));
    let soon = NewKey { expires_at: Some(now + Duration::minutes(5)), ..new("profile:read") };
    let (_, secret) = fixture.auth.create_api_key(&caller, soon).await.unwrap();
    assert_eq!(
        exchange(&fixture, &secret, "").await.unwrap().access.expires_in,
        300,
        "no token outlives its key"
    );
    fixture.clock.forward(Duration::minutes(5));
    assert!(matches!(exchange(&fixture, &secret, "").await, Err(AuthError::InvalidApiKey)));

    let (_, secret) = make(&fixture, &caller, "profile:read").await;
    fixture.execute("UPDATE users SET disabled = true").await;
    assert!(matches!(exchange(&fixture, &secret, "").await, Err(AuthError::InvalidApiKey)));
}

async fn a_key_makes_no_key_that_outlives_it(fixture: Fixture) {
    let (caller, _) = fixture.signed_in("ana").await;
    let end = fixture.parts.clock.now() + Duration::hours(1);
    let short = NewKey { expires_at: Some(end), ..new("keys:manage profile:read") };
    let (parent, _) = fixture.auth.create_api_key(&caller, short).await.unwrap();
    let child = Caller { session_id: parent.id, scopes: scopes("keys:manage profile:read"), ..caller };
    for end in [None, Some(end + Duration::seconds(1))] {
        let wanted = NewKey { expires_at: end, ..new("profile:read") };
        assert!(matches!(fixture.auth.create_api_key(&child, wanted).await, Err(AuthError::Invalid(_))));
    }
    let fits = NewKey { expires_at: Some(end), ..new("profile:read") };
    fixture.auth.create_api_key(&child, fits).await.unwrap();
}

async fn a_user_has_a_hundred_keys_at_most(fixture: Fixture) {
    let (caller, _) = fixture.signed_in("ana").await;
    for _ in 0..95 {
        make(&fixture, &caller, "profile:read").await;
    }
    let attempts = (0..20).map(|_| fixture.auth.create_api_key(&caller, new("profile:read")));
    let results = futures::future::join_all(attempts).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 5);
    assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(AuthError::TooManyKeys))));
}

async fn a_wrong_checksum_costs_no_query(fixture: Fixture) {
    let (caller, _) = fixture.signed_in("ana").await;
    let (_, secret) = make(&fixture, &caller, "profile:read").await;
    // Whatever asks the database now fails differently.
    fixture.db.close().await;
    for number in 0..100 {
        let malformed = format!("{}{number:02}", &secret[..secret.len() - 2]);
        if malformed == secret {
            continue;
        }
        let refused = fixture.auth.verify_api_key(&at(HOME), &malformed).await;
        assert!(matches!(refused, Err(AuthError::InvalidApiKey)), "{malformed}");
    }
    assert!(matches!(fixture.auth.verify_api_key(&at(HOME), &secret).await, Err(AuthError::Store(_))));
}

async fn a_wrong_secret_is_refused(fixture: Fixture) {
    let (caller, _) = fixture.signed_in("ana").await;
    let (key, _) = make(&fixture, &caller, "profile:read").await;
    let guess = crate::domain::api_key::format(&key.id, &crate::domain::base62::encode(&[7; 32]));
    assert!(matches!(exchange(&fixture, &guess, "").await, Err(AuthError::InvalidApiKey)));
    let (found, _) = (fixture.auth.list_api_keys(&caller, &first_page(0)).await.unwrap(), ());
    assert_eq!(found.items[0].last_used_at, None);
}

async fn the_last_use_is_kept_to_the_minute(fixture: Fixture) {
    let (caller, _) = fixture.signed_in("ana").await;
    let (_, secret) = make(&fixture, &caller, "profile:read").await;
    for _ in 0..3 {
        exchange(&fixture, &secret, "").await.unwrap();
        fixture.clock.forward(Duration::seconds(61));
        exchange(&fixture, &secret, "").await.unwrap();
        let used =
            fixture.auth.list_api_keys(&caller, &first_page(0)).await.unwrap().items[0].last_used_at.unwrap();
        let now = fixture.parts.clock.now();
        assert_eq!(used.timestamp() % 60, 0);
        assert!(used <= now && now - used < Duration::minutes(1));
        assert_eq!(used, used.trunc_subsecs(0));
    }
}

async fn somebody_elses_key_is_not_found(fixture: Fixture) {
    let (ana, _) = fixture.signed_in("ana").await;
    let (bob, _) = fixture.signed_in("bob").await;
    let (key, secret) = make(&fixture, &ana, "profile:read").await;
    assert!(matches!(fixture.auth.revoke_api_key(&bob, &key.id).await, Err(AuthError::NotFound(_))));
    assert!(matches!(fixture.auth.end_session(&bob, &ana.session_id).await, Err(AuthError::NotFound(_))));
    exchange(&fixture, &secret, "").await.unwrap();
}

async fn an_access_token_is_exchanged_for_less_never_for_more(fixture: Fixture) {
    let (caller, tokens) = fixture.signed_in("ana").await;
    fixture.clock.forward(Duration::minutes(4));
    let less = fixture.auth.exchange_access_token(&tokens.access, &scopes("profile:read")).await.unwrap();
    let claims = fixture.claims(&less.access.token).await;
    assert_eq!((claims.sid.as_str(), &claims.scope), (caller.session_id.as_str(), &scopes("profile:read")));
    assert_eq!(less.access.expires_in, 360, "it ends with the token that it was made of");
    let more =
        fixture.auth.exchange_access_token(&less.access.token, &scopes("profile:read keys:manage")).await;
    assert!(matches!(more, Err(AuthError::ScopeNotGranted)));
    assert!(fixture.auth.exchange_access_token("junk", &scopes("")).await.is_err());
}

async fn an_ended_session_exchanges_nothing(fixture: Fixture) {
    let (caller, tokens) = fixture.signed_in("ana").await;
    fixture.auth.register(&at(HOME), account("bob")).await.unwrap();
    fixture.auth.end_session(&caller, &caller.session_id).await.unwrap();
    let refused = fixture.auth.exchange_access_token(&tokens.access, &scopes("")).await;
    assert!(matches!(refused, Err(AuthError::SessionEnded | AuthError::InvalidToken(_))));
}

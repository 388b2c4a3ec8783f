//! What the edge refuses, and that it names every field.

use super::*;

fn fields(error: &Error) -> Vec<&str> {
    error.violations().iter().map(|violation| violation.field.as_str()).collect()
}

#[test]
fn registration_names_every_wrong_field() {
    let request = pb::RegisterRequest {
        email: "nobody".to_owned(),
        password: "short".to_owned(),
        display_name: "x".repeat(101),
        client: None,
    };
    assert_eq!(fields(&new_account(&request).unwrap_err()), ["email", "password", "display_name"]);
}

#[test]
fn a_key_needs_a_name_a_scope_and_a_time_that_exists() {
    let request = pb::CreateApiKeyRequest {
        name: " ".to_owned(),
        scopes: vec![],
        expires_at: Some(Timestamp { seconds: LAST_SECOND + 1, nanos: 0 }),
    };
    assert_eq!(fields(&new_key(request).unwrap_err()), ["name", "scopes", "expires_at"]);
    for (seconds, nanos) in [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MAX, 0), (i64::MIN, 0)] {
        assert!(time(Timestamp { seconds, nanos }).is_err(), "{seconds} {nanos}");
    }
    assert_eq!(time(Timestamp { seconds: 1, nanos: 1_999 }).unwrap().timestamp_subsec_nanos(), 1_000);
}

#[test]
fn scopes_are_single_words_and_may_repeat() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(scopes(&names(&["a:b", "a:b"])).unwrap().len(), 1);
    for bad in [&["a b"][..], &[""], &["a\n"], &["é"]] {
        assert!(scopes(&names(bad)).is_err(), "{bad:?}");
    }
}

#[test]
fn a_mask_names_known_fields_only_and_at_least_one() {
    let update = |paths: &[&str], roles: &[&str]| pb::UpdateUserRequest {
        user_id: "0".repeat(22),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        disabled: true,
        update_mask: Some(prost_types::FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
    };
    let (_, only_disabled) = changes(update(&["disabled"], &["admin"])).unwrap();
    assert_eq!((only_disabled.roles, only_disabled.disabled), (None, Some(true)));
    let (_, only_roles) = changes(update(&["roles"], &["admin", "user"])).unwrap();
    assert_eq!((only_roles.roles, only_roles.disabled), (Some(Roles::admin()), None));
    assert_eq!(fields(&changes(update(&[], &[])).unwrap_err()), ["update_mask"]);
    assert_eq!(fields(&changes(update(&["email"], &[])).unwrap_err()), ["update_mask"]);
    assert_eq!(fields(&changes(update(&["roles"], &["root"])).unwrap_err()), ["roles"]);
    assert!(changes(pb::UpdateUserRequest::default()).is_err());
}

#[test]
fn an_exchange_says_what_it_is_of() {
    let request = |kind: i32| pb::ExchangeTokenRequest {
        subject_token: "x".to_owned(),
        subject_token_type: kind,
        scopes: vec![],
    };
    assert!(matches!(exchange(request(1)), Ok(Exchange::ApiKey(..))));
    assert!(matches!(exchange(request(2)), Ok(Exchange::AccessToken(..))));
    for kind in [0, 3, -1] {
        assert!(exchange(request(kind)).is_err(), "{kind}");
    }
}

//! Lists in pages.

use std::collections::BTreeSet;

use mesh_store::page::PageRequest;
use mesh_testkit::on_both;

use super::support::{Fixture, HOME, first_page};
use crate::error::AuthError;

on_both!(
    pages_hold_everything_once_newest_first,
    a_token_of_another_list_or_person_is_refused,
    a_changed_token_is_refused,
    equal_times_lose_nothing,
);

async fn pages_hold_everything_once_newest_first(fixture: Fixture) {
    let (caller, _) = fixture.signed_in("ana").await;
    fixture.signed_in("bob").await;
    for _ in 0..6 {
        fixture.clock.forward(chrono::Duration::milliseconds(1_500));
        fixture.login("ana", HOME).await.unwrap();
    }
    let (mut request, mut seen, mut sizes) = (first_page(3), vec![], vec![]);
    loop {
        let page = fixture.auth.list_sessions(&caller, &request).await.unwrap();
        sizes.push(page.items.len());
        seen.extend(page.items.into_iter().map(|session| (session.created_at, session.id)));
        if page.next.is_empty() {
            break;
        }
        request.token = page.next;
    }
    assert_eq!(sizes, [3, 3, 1]);
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]));
}

async fn equal_times_lose_nothing(fixture: Fixture) {
    let root = fixture.admin("root").await;
    for number in 0..7 {
        fixture.person(&format!("p{number}")).await;
    }
    let (mut request, mut seen) = (first_page(2), BTreeSet::new());
    loop {
        let page = fixture.auth.list_users(&root, &request).await.unwrap();
        for user in page.items {
            assert!(seen.insert(user.id));
        }
        if page.next.is_empty() {
            break;
        }
        request.token = page.next;
    }
    assert_eq!(seen.len(), 8);
}

async fn a_token_of_another_list_or_person_is_refused(fixture: Fixture) {
    let root = fixture.admin("root").await;
    let (ana, _) = fixture.signed_in("ana").await;
    let (bob, _) = fixture.signed_in("bob").await;
    fixture.login("ana", HOME).await.unwrap();
    let token = fixture.auth.list_sessions(&ana, &first_page(1)).await.unwrap().next;
    let request = PageRequest { token, ..first_page(1) };
    fixture.auth.list_sessions(&ana, &request).await.unwrap();
    assert!(matches!(fixture.auth.list_sessions(&bob, &request).await, Err(AuthError::Invalid(_))));
    assert!(matches!(fixture.auth.list_api_keys(&ana, &request).await, Err(AuthError::Invalid(_))));
    assert!(matches!(fixture.auth.list_users(&root, &request).await, Err(AuthError::Invalid(_))));
    fixture.replica().await.auth.list_sessions(&ana, &request).await.unwrap();
}

async fn a_changed_token_is_refused(fixture: Fixture) {
    let root = fixture.admin("root").await;
    fixture.person("ana").await;
    let token = fixture.auth.list_users(&root, &first_page(1)).await.unwrap().next;
    let mut changed = token.into_bytes();
    changed[5] ^= 1;
    let request = PageRequest { token: String::from_utf8(changed).unwrap(), ..first_page(1) };
    match fixture.auth.list_users(&root, &request).await {
        Err(AuthError::Invalid(violations)) => assert_eq!(violations[0].field, "page_token"),
        other => panic!("{other:?}"),
    }
}

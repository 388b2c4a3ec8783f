//! Jokes that are kept: lists, ratings, deletion, and what the ledger forgets.

use mesh_store::page::PageRequest;
use mesh_testkit::on_both;

use super::support::{Act, Fixture, GOOD, Scripted, Setup, joke, somebody};
use crate::domain::Style;
use crate::error::JokesError;
use crate::service::ListWish;
use crate::store::jokes::{Feedback, Filter};

on_both!(
    a_list_holds_each_of_ones_own_jokes_once,
    a_list_can_be_narrowed,
    a_joke_is_rated_and_deleted_by_its_owner_only,
    old_periods_are_forgotten,
);

fn wished(size: i32, token: &str, filter: Filter) -> ListWish {
    ListWish { page: PageRequest::new(size, token.to_owned()).unwrap(), filter }
}

async fn a_list_holds_each_of_ones_own_jokes_once(fixture: Fixture) {
    let model = Scripted::new("m", [Act::Say(GOOD.to_owned(), 7)]);
    let jokes = fixture.service(Setup::of(&model)).await;
    let mut made = Vec::new();
    for n in 0..7 {
        // Some at the same moment.
        fixture.clock.forward(chrono::Duration::seconds(i64::from(n % 2)));
        made.push(joke(&jokes, "ana", false).await.1.unwrap().id);
    }
    joke(&jokes, "bob", false).await.1.unwrap();
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = jokes.list(&somebody("ana"), &wished(3, &token, Filter::default())).await.unwrap();
        seen.extend(page.items);
        if page.next.is_empty() {
            break;
        }
        let of_bob = jokes.list(&somebody("bob"), &wished(3, &page.next, Filter::default())).await;
        assert!(matches!(of_bob, Err(JokesError::Mesh(_))), "a token is its user's own");
        token = page.next;
    }
    assert!(seen.windows(2).all(|pair| pair[0].created_at >= pair[1].created_at));
    let mut ids: Vec<_> = seen.into_iter().map(|joke| joke.id).collect();
    ids.sort_unstable();
    made.sort_unstable();
    assert_eq!(ids, made);
}

async fn a_list_can_be_narrowed(fixture: Fixture) {
    let model = Scripted::new("m", [Act::Say(GOOD.to_owned(), 7)]);
    let jokes = fixture.service(Setup::of(&model)).await;
    joke(&jokes, "ana", false).await.1.unwrap();
    for (style, model, found) in
        [(Some(Style::Pun), None, 1), (Some(Style::Dad), None, 0), (None, Some("m"), 1), (None, Some("n"), 0)]
    {
        let filter = Filter { style, model: model.map(str::to_owned) };
        let page = jokes.list(&somebody("ana"), &wished(0, "", filter)).await.unwrap();
        assert_eq!(page.items.len(), found, "{style:?} {model:?}");
    }
}

async fn a_joke_is_rated_and_deleted_by_its_owner_only(fixture: Fixture) {
    let model = Scripted::new("m", [Act::Say(GOOD.to_owned(), 7)]);
    let jokes = fixture.service(Setup::of(&model)).await;
    let id = joke(&jokes, "ana", false).await.1.unwrap().id;
    let good = Feedback { rating: 1, comment: Some("ha".to_owned()) };
    assert!(matches!(jokes.rate(&somebody("bob"), &id, &good).await, Err(JokesError::NotFound(_))));
    assert!(matches!(jokes.delete(&somebody("bob"), &id).await, Err(JokesError::NotFound(_))));
    assert_eq!(jokes.rate(&somebody("ana"), &id, &good).await.unwrap().rating, Some(1));
    let bad = Feedback { rating: -1, comment: None };
    assert_eq!(
        jokes.rate(&somebody("ana"), &id, &bad).await.unwrap().rating,
        Some(-1),
        "the last word counts"
    );
    jokes.delete(&somebody("ana"), &id).await.unwrap();
    assert!(matches!(jokes.joke_of(&somebody("ana"), &id).await, Err(JokesError::NotFound(_))));
}

async fn old_periods_are_forgotten(fixture: Fixture) {
    let model = Scripted::new("m", [Act::Say(GOOD.to_owned(), 7)]);
    let jokes = fixture.service(Setup::of(&model)).await;
    joke(&jokes, "ana", false).await.1.unwrap();
    assert_eq!(fixture.store.sweep_ledger("2020-01-01", 100).await.unwrap(), 0);
    assert_eq!(fixture.store.sweep_ledger("9999-01-01", 100).await.unwrap(), 4);
    assert_eq!(jokes.usage(&somebody("ana")).await.unwrap()[0].used.calls, 0);
}

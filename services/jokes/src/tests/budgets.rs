//! Nobody spends more than the budget, also not many at once.

use std::sync::Arc;

use futures::future::join_all;
use mesh_testkit::on_both;
use tokio::sync::Barrier;

use super::support::{Act, Fixture, GOOD, Scripted, Setup, joke, somebody};
use crate::budget::Limits;
use crate::error::JokesError;

on_both!(
    many_at_once_get_no_more_than_the_budget,
    a_cost_is_reserved_before_it_is_made,
    a_new_day_is_a_new_budget,
    a_credential_has_its_own,
);

fn calls(most: i64) -> Limits {
    Limits { calls: Some(most), ..Limits::default() }
}

async fn many_at_once_get_no_more_than_the_budget(fixture: Fixture) {
    for round in 0..4 {
        let model = Scripted::new("m", [Act::Say(GOOD.to_owned(), 7)]);
        let jokes = fixture.service(Setup::of(&model).user_day(calls(10))).await;
        let (name, barrier) = (format!("user {round}"), Arc::new(Barrier::new(60)));
        let tries = (0..60).map(|n| {
            let (jokes, name, barrier) = (Arc::clone(&jokes), name.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                joke(&jokes, &name, n % 2 == 0).await.1
            })
        });
        let made =
            join_all(tries).await.into_iter().filter(|result| result.as_ref().unwrap().is_ok()).count();
        assert_eq!((made, model.calls()), (10, 10), "round {round}");
        let used = jokes.usage(&somebody(&name)).await.unwrap()[0].used;
        assert_eq!(used.calls, 10);
    }
}

async fn a_cost_is_reserved_before_it_is_made(fixture: Fixture) {
    let model = Scripted::new("m", [Act::Say(GOOD.to_owned(), 7)]);
    let poor = Limits { cost_nanos: Some(1_000), ..Limits::default() };
    let jokes = fixture.service(Setup::of(&model).user_day(poor)).await;
    let refused = joke(&jokes, "ana", false).await.1.unwrap_err();
    assert!(
        matches!(&refused, JokesError::BudgetSpent { account, .. } if account == "day of the user"),
        "{refused:?}"
    );
    assert_eq!(model.calls(), 0);
    let error = mesh_error::Error::from(refused);
    assert_eq!((error.reason(), error.kind()), ("BUDGET_SPENT", mesh_error::Kind::ResourceExhausted));
    assert!(error.retry_after().unwrap() <= std::time::Duration::from_secs(24 * 3_600));
}

async fn a_new_day_is_a_new_budget(fixture: Fixture) {
    let model = Scripted::new("m", [Act::Say(GOOD.to_owned(), 7)]);
    let jokes = fixture.service(Setup::of(&model).user_day(calls(1))).await;
    assert!(joke(&jokes, "ana", false).await.1.is_ok());
    assert!(joke(&jokes, "ana", false).await.1.is_err());
    assert!(joke(&jokes, "bob", false).await.1.is_ok(), "another's budget");
    fixture.clock.forward(chrono::Duration::days(1));
    assert!(joke(&jokes, "ana", false).await.1.is_ok());
}

async fn a_credential_has_its_own(fixture: Fixture) {
    let model = Scripted::new("m", [Act::Say(GOOD.to_owned(), 7)]);
    let mut setup = Setup::of(&model);
    setup.budgets.credential_month = calls(1);
    let jokes = fixture.service(setup).await;
    assert!(joke(&jokes, "ana", false).await.1.is_ok());
    let refused = joke(&jokes, "ana", true).await.1.unwrap_err();
    assert!(
        matches!(refused, JokesError::BudgetSpent { account, .. } if account == "month of the credential")
    );
    let used = jokes.usage(&somebody("ana")).await.unwrap();
    assert_eq!(
        used.iter().map(|figure| figure.used.calls).collect::<Vec<_>>(),
        [1, 1, 1, 1],
        "nothing of the refused one"
    );
}

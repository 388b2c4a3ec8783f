//! The feed of revocations.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use mesh_identity::{RevocationEvent, RevokedSubject};
use mesh_testkit::on_both;
use tokio_util::sync::CancellationToken;

use super::support::{Fixture, HOME, at};
use crate::error::Result;
use crate::service::Changes;

on_both!(
    every_revocation_arrives_in_order_and_the_stream_resumes,
    what_one_replica_revokes_another_tells,
    heartbeats_carry_the_last_cursor,
    a_reader_from_the_future_hears_all_again,
    the_stream_ends_when_the_database_is_away,
    cursors_appear_in_their_order,
    the_own_verifier_refuses_a_revoked_token,
);

type Events = BoxStream<'static, Result<RevocationEvent>>;

fn watch(fixture: &Fixture, cursor: i64) -> Events {
    fixture.parts.feed.watch_from(cursor, CancellationToken::new())
}

async fn next(events: &mut Events) -> RevocationEvent {
    let event = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
    event.expect("an event in time").expect("no end").expect("no error")
}

async fn next_revocation(events: &mut Events) -> (RevokedSubject, i64) {
    loop {
        if let RevocationEvent::Revoked(revocation) = next(events).await {
            return (revocation.subject, revocation.cursor);
        }
    }
}

/// Signs somebody in and out; gives the session.
async fn come_and_go(fixture: &Fixture, name: &str) -> RevokedSubject {
    let tokens = fixture.login(name, HOME).await.unwrap();
    let caller = fixture.caller(&tokens).await;
    fixture.auth.logout(&at(HOME), &tokens.refresh).await.unwrap();
    RevokedSubject::Session(caller.session_id)
}

async fn every_revocation_arrives_in_order_and_the_stream_resumes(fixture: Fixture) {
    fixture.person("ana").await;
    let first = come_and_go(&fixture, "ana").await;
    let mut events = watch(&fixture, 0);
    let (subject, cursor) = next_revocation(&mut events).await;
    assert_eq!(subject, first);
    let second = come_and_go(&fixture, "ana").await;
    assert_eq!(next_revocation(&mut events).await.0, second);
    drop(events);
    let third = come_and_go(&fixture, "ana").await;
    let mut events = watch(&fixture, cursor);
    assert_eq!(next_revocation(&mut events).await.0, second);
    assert_eq!(next_revocation(&mut events).await.0, third);
}

async fn what_one_replica_revokes_another_tells(fixture: Fixture) {
    let root = fixture.admin("root").await;
    let ana = fixture.person("ana").await;
    let other = fixture.replica().await;
    let mut events = watch(&other, 0);
    assert!(matches!(next(&mut events).await, RevocationEvent::Heartbeat { cursor: 0 }));
    let changes = Changes { disabled: Some(true), roles: None };
    fixture.auth.update_user(&root, &ana.id, &changes).await.unwrap();
    assert_eq!(next_revocation(&mut events).await.0, RevokedSubject::User(ana.id));
}

async fn heartbeats_carry_the_last_cursor(fixture: Fixture) {
    fixture.person("ana").await;
    come_and_go(&fixture, "ana").await;
    let mut events = watch(&fixture, 0);
    let (_, last) = next_revocation(&mut events).await;
    for _ in 0..2 {
        assert_eq!(next(&mut events).await, RevocationEvent::Heartbeat { cursor: last });
    }
}

async fn a_reader_from_the_future_hears_all_again(fixture: Fixture) {
    fixture.person("ana").await;
    let gone = come_and_go(&fixture, "ana").await;
    let mut events = watch(&fixture, 1_000_000);
    assert_eq!(next_revocation(&mut events).await.0, gone);
}

async fn the_stream_ends_when_the_database_is_away(fixture: Fixture) {
    let mut events = watch(&fixture, 0);
    next(&mut events).await;
    fixture.db.close().await;
    let ended = async {
        loop {
            match events.next().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break mesh_error::Error::from(error).kind(),
                None => panic!("no error"),
            }
        }
    };
    let kind = tokio::time::timeout(Duration::from_secs(20), ended).await.expect("an end in time");
    assert_eq!(kind, mesh_error::Kind::Unavailable);
    assert!(events.next().await.is_none());
}

async fn cursors_appear_in_their_order(fixture: Fixture) {
    fixture.person("ana").await;
    let mut sessions = vec![];
    for _ in 0..40 {
        sessions.push(fixture.login("ana", HOME).await.unwrap().refresh);
    }
    let other = fixture.replica().await;
    let mut events = watch(&fixture, 0);
    let leavers: Vec<_> = sessions
        .into_iter()
        .enumerate()
        .map(|(number, token)| {
            let auth = if number % 2 == 0 { fixture.auth.clone() } else { other.auth.clone() };
            tokio::spawn(async move { auth.logout(&at(HOME), &token).await.unwrap() })
        })
        .collect();
    let mut cursors = vec![];
    while cursors.len() < 40 {
        cursors.push(next_revocation(&mut events).await.1);
    }
    assert_eq!(cursors, (1..=40).collect::<Vec<_>>());
    for leaver in leavers {
        leaver.await.unwrap();
    }
}

async fn the_own_verifier_refuses_a_revoked_token(fixture: Fixture) {
    let (caller, tokens) = fixture.signed_in("ana").await;
    fixture.parts.verifier.verify(&tokens.access).await.unwrap();
    fixture.auth.end_session(&caller, &caller.session_id).await.unwrap();
    // Nobody follows the stream here, so the verifier asks, and keeps an answer for a second.
    let refused = async {
        while fixture.parts.verifier.verify(&tokens.access).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refused).await.expect("refused in time");
}

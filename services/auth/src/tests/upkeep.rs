//! What has had its time goes, and nothing else.

use std::sync::Arc;

use chrono::Duration;
use mesh_testkit::on_both;

use super::support::{ELSEWHERE, Fixture, HOME, at};
use crate::upkeep::Upkeep;

on_both!(what_expired_is_swept_and_nothing_else, a_backlog_larger_than_a_batch_goes_too);

fn upkeep(fixture: &Fixture) -> Upkeep {
    Upkeep {
        store: fixture.parts.store.clone(),
        keys: Arc::clone(&fixture.parts.keys),
        clock: Arc::clone(&fixture.parts.clock),
        audit_life: fixture.parts.rules.audit_life,
    }
}

async fn counts(fixture: &Fixture) -> [i64; 5] {
    [
        fixture.count("SELECT count(*) FROM sessions").await,
        fixture.count("SELECT count(*) FROM revocations").await,
        fixture.count("SELECT count(*) FROM login_attempts").await,
        fixture.count("SELECT count(*) FROM audit_log").await,
        fixture.count("SELECT count(*) FROM known_sources").await,
    ]
}

async fn what_expired_is_swept_and_nothing_else(fixture: Fixture) {
    let (_, tokens) = fixture.signed_in("ana").await;
    fixture.login_with("ana", "a wrong guess", ELSEWHERE).await.err().unwrap();
    let other = fixture.login("ana", HOME).await.unwrap();
    fixture.auth.logout(&at(HOME), &other.refresh).await.unwrap();
    let upkeep = upkeep(&fixture);
    upkeep.sweep().await.unwrap();
    assert_eq!(counts(&fixture).await, [1, 1, 1, 5, 1]);

    fixture.clock.forward(Duration::minutes(12));
    upkeep.sweep().await.unwrap();
    assert_eq!(counts(&fixture).await, [1, 0, 1, 5, 1], "no token that the revocation concerns can live");
    fixture.clock.forward(Duration::hours(1));
    upkeep.sweep().await.unwrap();
    assert_eq!(counts(&fixture).await, [1, 0, 0, 5, 1]);
    fixture.auth.refresh(&at(HOME), &tokens.refresh).await.unwrap();
    fixture.clock.forward(Duration::days(31));
    upkeep.sweep().await.unwrap();
    assert_eq!(counts(&fixture).await, [0, 0, 0, 5, 1]);
    fixture.clock.forward(Duration::days(60));
    upkeep.sweep().await.unwrap();
    assert_eq!(counts(&fixture).await, [0, 0, 0, 5, 0]);
    fixture.clock.forward(Duration::days(180));
    upkeep.sweep().await.unwrap();
    assert_eq!(counts(&fixture).await, [0; 5]);
    assert_eq!(fixture.count("SELECT count(*) FROM users").await, 1);
}

async fn a_backlog_larger_than_a_batch_goes_too(fixture: Fixture) {
    let mut tx = fixture.db.begin().await.unwrap();
    for cursor in 1..=1_200_i64 {
        mesh_store::on!(tx.conn(), "INSERT revocations", |e| {
            sqlx::query(
                "INSERT INTO revocations (cursor, user_id, revoked_at, expires_at) VALUES ($1, 'u', 0, $2)",
            )
            .bind(cursor)
            .bind(fixture.parts.clock.now())
            .execute(e)
            .await
            .map(|_| ())
        })
        .unwrap();
    }
    tx.commit().await.unwrap();
    upkeep(&fixture).sweep().await.unwrap();
    assert_eq!(fixture.count("SELECT count(*) FROM revocations").await, 0);
}

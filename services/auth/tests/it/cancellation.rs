//! Callers that leave in the middle of a change leave nothing half done and nothing stuck.

use std::time::Duration;

use mesh_store::System;
use mesh_testkit::on_both;

use crate::support::{Fixture, until};

on_both!(a_caller_that_leaves_leaves_nothing_half_done);

async fn a_caller_that_leaves_leaves_nothing_half_done(fixture: Fixture) {
    let tokens = fixture.signed_in("ana").await;
    fixture.signed_in("bo").await;
    // Two who sign in by turns: an account keeps its newest 100 sessions, and here each must still be there to be counted.
    for (number, who) in (0..150_u64).zip(["ana", "bo"].into_iter().cycle()) {
        let limit = Duration::from_micros(number * 137 % 12_000);
        let name = format!("p{number}");
        let _left = tokio::time::timeout(limit, fixture.register(&name)).await;
        let _left = tokio::time::timeout(limit, fixture.login(who, crate::support::PASSWORD)).await;
    }
    // Nobody waits for them any more, but the changes go to their end.
    let settled = || async {
        let before = fixture.count("SELECT count(*) FROM audit_log").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        fixture.count("SELECT count(*) FROM audit_log").await == before
    };
    until("everything begun has ended", settled).await;
    for (rows, records) in [
        ("SELECT count(*) FROM users", "SELECT count(*) FROM audit_log WHERE action = 'account.register'"),
        (
            "SELECT count(*) FROM sessions",
            "SELECT count(*) FROM audit_log WHERE action = 'login' AND outcome = 'success'",
        ),
    ] {
        assert_eq!(fixture.count(rows).await, fixture.count(records).await, "{rows}");
    }
    if fixture.db.system() == System::Postgres {
        let idle = fixture.count(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'",
        );
        assert_eq!(idle.await, 0);
    }
    for number in 0..100 {
        fixture.register(&format!("after{number}")).await.unwrap();
    }
    fixture.me(&tokens.access_token).await.unwrap();
}

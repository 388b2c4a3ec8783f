//! The audit trail.

use mesh_store::on;
use mesh_testkit::on_both;

use super::support::{Fixture, HOME, PASSWORD, at};
use crate::domain::{Password, Roles};
use crate::service::{Changes, NewKey};

on_both!(each_event_has_its_record, nothing_from_outside_forges_a_line);

#[derive(Debug, sqlx::FromRow)]
struct Row {
    action: String,
    outcome: String,
    actor: String,
    subject: String,
    address: String,
    user_agent: String,
    detail: String,
}

async fn rows(fixture: &Fixture) -> Vec<Row> {
    on!(fixture.db.read(), "SELECT audit_log", |e| {
        sqlx::query_as("SELECT action, outcome, actor, subject, address, user_agent, detail FROM audit_log ORDER BY at, id")
            .fetch_all(e)
            .await
    })
    .unwrap()
}

async fn each_event_has_its_record(fixture: Fixture) {
    let root = fixture.admin("root").await;
    let (ana, tokens) = fixture.signed_in("ana").await;
    let tick = || fixture.clock.forward(chrono::Duration::seconds(11));
    tick();
    fixture.login_with("ana", "not the password", HOME).await.err().unwrap();
    fixture.login_with("nobody", PASSWORD, HOME).await.err().unwrap();
    let new = NewKey { name: "k".to_owned(), scopes: "profile:read".parse().unwrap(), expires_at: None };
    let (key, _) = fixture.auth.create_api_key(&ana, new).await.unwrap();
    fixture.auth.revoke_api_key(&ana, &key.id).await.unwrap();
    let current = Password::attempt(PASSWORD).unwrap();
    fixture.auth.change_password(&ana, current.clone(), "amber-harbour-77").await.unwrap();
    fixture.auth.change_password(&ana, current, "amber-harbour-78").await.err().unwrap();
    let next = fixture.auth.refresh(&at(HOME), &tokens.refresh).await.unwrap();
    tick();
    fixture.auth.refresh(&at(HOME), &tokens.refresh).await.err().unwrap();
    drop(next);
    let again = fixture.login_with("ana", "amber-harbour-77", HOME).await.unwrap();
    fixture.auth.logout(&at(HOME), &again.refresh).await.unwrap();
    let again = fixture.login_with("ana", "amber-harbour-77", HOME).await.unwrap();
    let caller = fixture.caller(&again).await;
    fixture.auth.end_session(&caller, &caller.session_id).await.unwrap();
    let changes = Changes { roles: Some(Roles::admin()), disabled: None };
    fixture.auth.update_user(&root, &ana.user_id, &changes).await.unwrap();

    let rows = rows(&fixture).await;
    let of = |action: &str, outcome: &str| {
        rows.iter().filter(|row| row.action == action && row.outcome == outcome).collect::<Vec<_>>()
    };
    for (action, outcome, count) in [
        ("account.register", "success", 2),
        ("login", "success", 4),
        ("login", "failure", 2),
        ("api_key.create", "success", 1),
        ("api_key.revoke", "success", 1),
        ("password.change", "success", 1),
        ("password.change", "failure", 1),
        ("refresh.reuse", "denied", 1),
        ("logout", "success", 1),
        ("session.end", "success", 1),
        ("account.update", "success", 1),
    ] {
        assert_eq!(of(action, outcome).len(), count, "{action} {outcome}: {rows:#?}");
    }
    let update = of("account.update", "success")[0];
    assert_eq!(
        (update.actor.as_str(), update.subject.as_str()),
        (root.user_id.as_str(), ana.user_id.as_str())
    );
    let login = of("login", "success")[0];
    assert_eq!((login.address.as_str(), login.user_agent.as_str()), (HOME, "Test/1.0"));
    assert!(of("login", "failure").iter().any(|row| row.subject.starts_with("unknown:")));
    let all = format!("{rows:?}");
    for secret in [PASSWORD, "amber-harbour", "not the password", "nobody@", "ana@"] {
        assert!(!all.contains(secret), "{secret}");
    }
}

async fn nothing_from_outside_forges_a_line(fixture: Fixture) {
    fixture.person("ana").await;
    let mut actor = at(HOME);
    actor.client = crate::domain::Client::new(HOME, "Agent\r\nlogin success\u{1b}[2J\u{2028}\0");
    let email = crate::domain::Email::parse("ana@example.com").unwrap();
    fixture.auth.login(&actor, &email, Password::attempt(PASSWORD).unwrap()).await.unwrap();
    for row in rows(&fixture).await {
        let line = format!("{} {} {}", row.user_agent, row.detail, row.subject);
        assert!(!line.chars().any(|c| c.is_control() || c == '\u{2028}'), "{line:?}");
    }
}

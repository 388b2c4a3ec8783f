//! Who may call: the policy, and the tokens of this very service.

use mesh_proto::auth::v1 as pb;
use mesh_testkit::on_both;
use tonic::Code;

use crate::support::{Fixture, PASSWORD, home};

on_both!(a_caller_without_a_rule_changes_nothing, only_our_own_good_tokens_are_believed);

async fn a_caller_without_a_rule_changes_nothing(fixture: Fixture) {
    for workload in ["sentiment", "operator", "stranger"] {
        let mut client = fixture.as_workload(workload);
        let request = pb::RegisterRequest {
            email: "ana@example.com".to_owned(),
            password: PASSWORD.to_owned(),
            display_name: String::new(),
            client: Some(home()),
        };
        let denied = client.register(request).await.unwrap_err();
        assert_eq!(denied.code(), Code::PermissionDenied, "{workload}: {denied:?}");
    }
    assert_eq!(fixture.count("SELECT count(*) FROM users").await, 1, "the administrator only");
}

async fn only_our_own_good_tokens_are_believed(fixture: Fixture) {
    let good = fixture.signed_in("ana").await.access_token;
    let of_another_issuer = fixture.mesh.mint().user("ana").scopes("profile:read").unwrap().sign().unwrap();
    let (body, signature) = good.rsplit_once('.').unwrap();
    let other_signature = of_another_issuer.rsplit_once('.').unwrap().1;
    let messages: Vec<_> = {
        let mut messages = vec![];
        for bad in [
            &of_another_issuer,
            &format!("{body}.{other_signature}"),
            &format!("x{body}.{signature}"),
            "junk",
        ] {
            let refused = fixture.me(bad).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated);
            messages.push(refused.message().to_owned());
        }
        messages
    };
    assert!(messages.iter().all(|message| Some(message) == messages.first()), "{messages:?}");
    let none = fixture.gateway.clone().get_me(pb::GetMeRequest {}).await.unwrap_err();
    assert_eq!(none.code(), Code::Unauthenticated);
    fixture.me(&good).await.unwrap();
}

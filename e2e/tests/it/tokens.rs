//! Tokens that are not good, over REST: one answer for all of them.

use mesh_testkit::TokenMint;
use serde_json::Value;

use quipu_e2e::{Mesh, Person};

/// The problem document without what differs from request to request.
fn shape(mut problem: Value) -> Value {
    for member in ["trace_id", "request_id", "instance"] {
        if let Some(object) = problem.as_object_mut() {
            object.remove(member);
        }
    }
    problem
}

async fn refused(person: &Person, token: &str) -> Value {
    let (status, problem) = person.with_token(token).get("/v1/auth/me").await;
    assert_eq!(status, 401, "{token}: {problem}");
    shape(problem)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_token_gets_the_same_answer() {
    let mesh = Mesh::start().await;
    let person = mesh.signed_in("ada").await;
    let good = person.token.clone().unwrap();
    assert_eq!(person.get("/v1/auth/me").await.0, 200);

    let [header, claims, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0";
    let other_key = TokenMint::new().unwrap().user("u1").sign().unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let bad = [
        other_key,
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}.{flipped}{}", &signature[1..]),
        format!("{header}.{}.{signature}", &claims[..claims.len() - 2]),
        format!("{good}.{good}"),
        "not-a-token".to_owned(),
    ];
    let expected = refused(&person, "x.y.z").await;
    for token in bad {
        assert_eq!(refused(&person, &token).await, expected, "{token}");
    }
    assert_eq!(person.get("/v1/auth/me").await.0, 200, "the control");
}

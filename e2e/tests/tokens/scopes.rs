//! G9: what an API key may do is what its scopes say, at every route and every method, and never more than its owner may.

use std::collections::BTreeMap;

use mesh_policy::{Decision, UserRule};
use quipu_e2e::{Person, ProcessMesh, Proof, Setup, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    keys::{exchange, new_key},
    wire::{Wire, bearer},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_scopes_are_all_that_a_key_may() {
    let mut proof =
        Proof::new("G9.scopes", "an API key may do what its scopes say, and never more than its owner");
    let mesh = Setup::new().without_rates().start().await;
    let admin = mesh.administrator().await;
    let routes = routes(&admin).await;
    let scopes: Vec<_> = mesh.policy().scopes().iter().map(|scope| scope.name.clone()).collect();
    let methods = methods(&mesh);
    let mut auth = Wire::to(&mesh, "auth");
    let mut wires: BTreeMap<_, _> =
        ["auth", "jokes", "sentiment"].map(|service| (service.to_owned(), Wire::to(&mesh, service))).into();
    for scope in &scopes {
        let (_, key) = new_key(&admin, &json!({"name": scope, "scopes": [scope]})).await;
        let token = exchange(&mut auth, &key).await.1.access_token;
        for (method, path, needed) in &routes {
            let status = admin.with_token(&key).request(method.clone(), path).send().await.unwrap().status();
            let expected = if needed == scope { status != 401 && status != 403 } else { status == 403 };
            proof.check(expected, || format!("{method} {path} needs {needed}, key for {scope}: {status}"));
        }
        for (service, path, needed) in &methods {
            let code = wires.get_mut(service).unwrap().show(path, &bearer(&token)).await.code;
            let expected = if needed == scope { code != 7 && code != 16 } else { code == 7 };
            proof.check(expected, || format!("{path} needs {needed}, token for {scope}: {code}"));
        }
    }
    owners(&mesh, &admin, &mut proof).await;
    proof.require(routes.len() >= 15 && methods.len() >= 14 && scopes.len() >= 7, || "the matrix has shrunk");
    proof.figure(format!("{} scopes × ({} routes + {} methods)", scopes.len(), routes.len(), methods.len()));
    proof.limit("every cell as the policy says; no key beyond its owner");
    proof.finish();
}

/// Every route that needs a scope, from the published description.
async fn routes(person: &Person) -> Vec<(Method, String, String)> {
    let (_, document) = person.get("/openapi.json").await;
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(scope) =
                operation["security"][0].as_object().and_then(|s| s.values().next()?[0].as_str())
            else {
                continue;
            };
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            routes.push((method, filled(path), scope.to_owned()));
        }
    }
    routes
}

/// With ids of nothing.
fn filled(path: &str) -> String {
    let parts = path
        .split('/')
        .map(|part| if part.starts_with('{') { "00000000000000000000000000000000" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// Every method that needs a scope, from the policy.
fn methods(mesh: &ProcessMesh) -> Vec<(String, String, String)> {
    let policy = mesh.policy();
    let scoped = policy.pairs().filter_map(|(callee, caller, path, decision)| match decision {
        Decision::Allow(rule) if caller == "gateway" => match &rule.user {
            UserRule::Required { scope: Some(scope) } => {
                Some((callee.to_owned(), path.to_owned(), scope.clone()))
            }
            _ => None,
        },
        _ => None,
    });
    scoped.collect()
}

/// A user makes no key for what only administrators may, and a key loses what its owner loses.
async fn owners(mesh: &ProcessMesh, admin: &Person, proof: &mut Proof) {
    let mut bob = mesh.person();
    let account = bob.register("bob").await;
    bob.sign_in("bob", quipu_e2e::PASSWORD).await;
    for scope in ["users:admin", "mesh:read", "*", "admin", ""] {
        let (status, _) = bob.post("/v1/auth/api-keys", &json!({"name": "k", "scopes": [scope]})).await;
        proof.check(status == 400 || status == 403, || format!("a key of a user for {scope:?}: {status}"));
    }
    let (_, small) = new_key(&bob, &json!({"name": "k", "scopes": ["keys:manage"]})).await;
    let (status, _) = bob
        .with_token(&small)
        .post("/v1/auth/api-keys", &json!({"name": "k", "scopes": ["profile:read"]}))
        .await;
    proof.check(status == 403, || format!("a key makes a wider one: {status}"));

    let user = format!("/v1/users/{}", account["user"]["id"].as_str().unwrap());
    let roles = |roles: Value| {
        quipu_e2e::answer(admin.request(Method::PATCH, &user).json(&json!({ "roles": roles })))
    };
    assert_eq!(roles(json!(["admin", "user"])).await.0, 200);
    bob.sign_in("bob", quipu_e2e::PASSWORD).await;
    let (_, key) = new_key(&bob, &json!({"name": "k", "scopes": ["users:admin", "profile:read"]})).await;
    let holder = bob.with_token(&key);
    let may = holder.get("/v1/users").await.0;
    proof.check(may == 200, || format!("while its owner is an administrator: {may}"));
    assert_eq!(roles(json!(["user"])).await.0, 200);
    let lost = || async { holder.get("/v1/users").await.0 == 403 };
    let lost = eventually(std::time::Duration::from_secs(5), lost).await;
    proof.check(lost, || "a key of a former administrator still lists all accounts");
    let rest = holder.get("/v1/auth/me").await.0;
    proof.check(rest == 200, || format!("what its owner still may: {rest}"));
}

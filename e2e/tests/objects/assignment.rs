//! G10, mass assignment: no body sets what its route does not name.

use quipu_e2e::{Person, Proof};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    contract::{Contract, write_bytes},
    routes,
    wire::Wire,
    world::{USER_SCOPES, World, new_key},
};

/// What a caller would like to set, with a value.
fn protected() -> Vec<(&'static str, Value)> {
    let admin = || json!(["admin"]);
    vec![
        ("role", json!("admin")),
        ("roles", admin()),
        ("Roles", admin()),
        ("id", json!("0000000000000000000000")),
        ("user_id", json!("0000000000000000000000")),
        ("session_id", json!("0000000000000000000000")),
        ("owner", json!("mallory")),
        ("owner_id", json!("0000000000000000000000")),
        ("created_at", json!("2001-01-01T00:00:00Z")),
        ("last_used_at", json!("2001-01-01T00:00:00Z")),
        ("disabled", json!(false)),
        ("quota", json!(1_000_000)),
        ("is_admin", json!(true)),
        ("admin", json!(true)),
        ("permissions", json!(["*"])),
        ("user", json!({"roles": ["admin"]})),
        ("client", json!({"address": "203.0.113.1"})),
        ("update_mask", json!({"paths": ["roles"]})),
        ("secret", json!("qp_x")),
        ("prefix", json!("qp_x")),
        ("email_verified", json!(true)),
        ("__proto__", json!({"roles": ["admin"]})),
        ("constructor", json!({"prototype": {"roles": ["admin"]}})),
    ]
}

/// A good body for each route that takes one.
fn bodies(world: &World, n: usize) -> Vec<(Method, String, Value)> {
    let (post, own) = (Method::POST, &world.attacker);
    let sign_in = json!({"email": "mallory@example.com", "password": quipu_e2e::PASSWORD});
    let new = json!({"email": format!("new{n}@example.com"), "password": quipu_e2e::PASSWORD});
    let password = json!({"current_password": quipu_e2e::PASSWORD, "new_password": "an entirely other knot"});
    vec![
        (post.clone(), "/v1/auth/register".into(), new),
        (post.clone(), "/v1/auth/login".into(), sign_in),
        (post.clone(), "/v1/auth/refresh".into(), json!({"refresh_token": own.refresh_token})),
        (post.clone(), "/v1/auth/logout".into(), json!({"refresh_token": own.refresh_token})),
        (Method::PUT, "/v1/auth/password".into(), password),
        (post.clone(), "/v1/auth/api-keys".into(), json!({"name": "mine", "scopes": ["profile:read"]})),
        (post.clone(), "/v1/sentiment".into(), json!({"text": "Fine."})),
        (post.clone(), "/v1/sentiment/batch".into(), json!({"texts": ["Fine."]})),
        (post.clone(), "/v1/jokes".into(), json!({"topic": "knots"})),
        (post.clone(), format!("/v1/jokes/{}/feedback", own.jokes[0]), json!({"rating": 1})),
        (post, "/v1/chat".into(), json!({"messages": [{"role": "user", "content": "Hello"}]})),
        (Method::PATCH, format!("/v1/users/{}", own.id), json!({"disabled": false, "roles": ["user"]})),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g10_assignment_no_body_sets_what_its_route_does_not_name() {
    let mut proof =
        Proof::new("G10.assignment", "no body sets what its route does not name (mass assignment)");
    let world = World::start().await;
    let document = routes::document();
    let takers = document["paths"].as_object().unwrap().values().flat_map(|verbs| verbs.as_object().unwrap());
    let json_takers = takers.filter(|(_, o)| o["requestBody"]["content"]["application/json"].is_object());
    let known = bodies(&world, 0).len();
    let documented = json_takers.count();
    proof.check(known == documented, || format!("{known} bodies for {documented} routes that take JSON"));
    let before =
        (world.of_victim().await, world.attacker.everything(&world.admin).await, users(&world.admin).await);
    for (n, (name, value)) in protected().into_iter().enumerate() {
        for (method, path, mut body) in bodies(&world, n) {
            if body.get(name).is_some() {
                continue;
            }
            body[name] = value.clone();
            let caller = if path.starts_with("/v1/users") { &world.admin } else { &world.attacker.person };
            let (status, problem) =
                quipu_e2e::answer(caller.request(method.clone(), &path).json(&body)).await;
            let field = problem["errors"][0]["field"] == name;
            proof
                .check(status == 400 && field, || format!("{method} {path} with {name}: {status} {problem}"));
        }
    }
    let after =
        (world.of_victim().await, world.attacker.everything(&world.admin).await, users(&world.admin).await);
    proof.check(before == after, || format!("something was set: {before:?}\n{after:?}"));
    escalation(&mut proof, &world).await;
    over_grpc(&mut proof, &world).await;
    proof.figure(format!("{} fields × {known} bodies, 0 protected fields changed", protected().len()));
    proof.limit("unknown fields refused, 0 protected fields changed");
    proof.finish();
}

async fn users(admin: &Person) -> usize {
    admin.get("/v1/users?page_size=200").await.1["users"].as_array().unwrap().len()
}

/// What a body may name but not have, and the query where nobody looks.
async fn escalation(proof: &mut Proof, world: &World) {
    let own = &world.attacker.person;
    for scope in ["users:admin", "mesh:read", "*", "admin"] {
        let body = json!({"name": "more", "scopes": ["profile:read", scope]});
        let refused = own.post("/v1/auth/api-keys", &body).await;
        proof.check(refused.0 == 403 || refused.0 == 400, || format!("{scope}: {refused:?}"));
    }
    let (_, narrow) = new_key(own, "narrow", &["keys:manage"]).await;
    for scope in USER_SCOPES.into_iter().filter(|scope| *scope != "keys:manage") {
        let body = json!({"name": "wider", "scopes": [scope]});
        let refused = own.with_token(&narrow).post("/v1/auth/api-keys", &body).await;
        proof.check(refused.0 == 403, || format!("a key makes a wider one, {scope}: {refused:?}"));
    }
    let body = json!({"email": "query@example.com", "password": quipu_e2e::PASSWORD});
    let made = own.post("/v1/auth/register?roles=admin&role=admin&disabled=false", &body).await;
    let roles = &made.1["user"]["roles"];
    proof.check(made.0 == 400 || *roles == json!(["user"]), || format!("by the query: {made:?}"));
}

/// Fields that a message does not have, and masks of what is not to be changed.
async fn over_grpc(proof: &mut Proof, world: &World) {
    let contract = Contract::read();
    let wire = Wire::to(&world.mesh, "auth", "gateway").await;
    let register = contract.rpc("Register");
    let mut message =
        contract.request(register, &[("email", "unknown@example.com"), ("password", quipu_e2e::PASSWORD)]);
    for number in 5..40 {
        write_bytes(number, b"admin", &mut message);
    }
    let made = wire.call(&register.path, None, &message).await;
    proof.check(made.code == 0, || format!("unknown fields are ignored: {made:?}"));
    let all = world.admin.get("/v1/users?page_size=200").await.1;
    let roles = all["users"].as_array().unwrap().iter().find(|u| u["email"] == "unknown@example.com");
    proof.check(roles.is_some_and(|u| u["roles"] == json!(["user"])), || format!("{roles:?}"));
    let update = contract.rpc("UpdateUser");
    for path in ["id", "email", "created_at", "display_name", "password", "*", "", "roles.0", "user.roles"] {
        let mut message = contract.request(update, &[("user_id", &world.victim.id), ("roles", "admin")]);
        let mut mask = Vec::new();
        write_bytes(1, path.as_bytes(), &mut mask);
        write_bytes(4, &mask, &mut message);
        let refused = wire.call(&update.path, world.admin.token.as_deref(), &message).await;
        proof.check(refused.code == 3, || format!("mask {path}: {refused:?}"));
    }
}

//! G10 over REST: every route that names an object, with every verb, by somebody whose object it is not.

use quipu_e2e::{Person, Proof};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    routes::{self, Object, ROUTES, Route},
    world::{MALFORMED, User, World, new_key, nobody, shape},
};

const VERBS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g10_rest_objects_of_others_are_as_if_they_were_not_there() {
    let mut proof =
        Proof::new("G10.rest", "over REST, an object of somebody else is as one that is not there");
    let world = World::start().await;
    routes::compare(&mut proof);
    let before = world.of_victim().await;
    let by_key = world.attacker.person.with_token(&world.attacker.secrets[0]);
    for attacker in [&world.attacker.person, &by_key] {
        for route in ROUTES.iter().filter(|route| route.object != Object::Nothing) {
            for verb in VERBS {
                try_route(&mut proof, attacker, &world.victim, route, verb).await;
            }
        }
        lists(&mut proof, attacker, &world.victim).await;
    }
    let after = world.of_victim().await;
    proof.check(before == after, || format!("the victim's objects have changed: {before}\n{after}"));
    controls(&mut proof, &world).await;
    let named = ROUTES.iter().filter(|route| route.object != Object::Nothing).count();
    proof.figure(format!("{named} routes with an id × {} verbs, by token and by API key", VERBS.len()));
    proof.limit(
        "0 cross reads or writes; one answer, but for the id, for what is not yours and what is not there",
    );
    proof.finish();
}

/// One verb at one route: whatever the id, the answer is that for an id of nobody.
async fn try_route(proof: &mut Proof, attacker: &Person, victim: &User, route: &Route, verb: &str) {
    let method: Method = verb.parse().unwrap();
    let own_verb = ROUTES.iter().any(|other| other.path == route.path && other.method == verb);
    let bodies = [json!({}), json!({"disabled": true}), json!({"roles": ["admin"]}), json!({"rating": 1})];
    for body in [None].into_iter().chain(bodies.map(Some)) {
        if body.is_some() && !matches!(verb, "POST" | "PUT" | "PATCH") {
            continue;
        }
        let there = targets(victim, route.object);
        let ask = async |id: &str| shape(attacker, &method, &route.at(id), body.as_ref(), id).await;
        let expected = ask(&nobody(&there[0])).await;
        let context = format!("{verb} {} {body:?}", route.path);
        for id in &there {
            let got = ask(id).await;
            proof.check(got == expected, || format!("{context}: {}\nbut of nobody {}", got.1, expected.1));
            let told = victim.private(id).into_iter().find(|text| got.1.contains(text));
            proof.check(told.is_none(), || format!("{context} tells {told:?}"));
        }
        let status = match (own_verb, route.object) {
            (true, Object::User) => 403,
            // What is wrong with a rating is said first.
            (true, Object::Joke) if verb == "POST" && body.is_none() => 415,
            (true, Object::Joke) if verb == "POST" && body != Some(json!({"rating": 1})) => 400,
            (true, Object::Session | Object::Key | Object::Joke | Object::File) => 404,
            _ => expected.0,
        };
        proof.check(expected.0 == status && expected.0 >= 400 || verb == "OPTIONS" || verb == "HEAD", || {
            format!("{context}: {}", expected.1)
        });
        for id in MALFORMED {
            let got = ask(id).await;
            // What cannot be an id names nothing, whatever the body is.
            let as_said = got.0 == expected.0 || got.0 == 404 && matches!(expected.0, 400 | 415);
            proof.check(as_said, || format!("{context} {id}: {}", got.1));
        }
    }
}

/// What the victim has of a kind, also what was there once.
fn targets(victim: &User, object: Object) -> Vec<String> {
    match object {
        Object::Session => [victim.sessions.clone(), vec![victim.gone_session.clone()]].concat(),
        Object::Key => [victim.keys.clone(), vec![victim.gone_key.clone()]].concat(),
        Object::Joke => [victim.jokes.clone(), vec![victim.gone_joke.clone()]].concat(),
        Object::User => vec![victim.id.clone()],
        Object::File | Object::Nothing => vec!["mesh.yaml".to_owned()],
    }
}

/// No list and no other answer shows anything of the victim; its page tokens are worth nothing.
async fn lists(proof: &mut Proof, attacker: &Person, victim: &User) {
    for route in ROUTES.iter().filter(|route| route.method == "GET" && route.object == Object::Nothing) {
        for query in
            ["", "?page_size=200", &format!("?user_id={}", victim.id), &format!("?owner={}", victim.id)]
        {
            let (_, shown) =
                shape(attacker, &Method::GET, &format!("{}{query}", route.path), None, "-").await;
            let told = victim.private("").into_iter().find(|text| shown.contains(text));
            proof.check(told.is_none(), || format!("{}{query} tells {told:?}", route.path));
        }
    }
    for path in ["/v1/auth/sessions", "/v1/auth/api-keys", "/v1/jokes"] {
        let (_, page) = victim.person.get(&format!("{path}?page_size=1")).await;
        let token = page["next_page_token"].as_str().unwrap();
        let ask = async |token: &str| {
            let path = format!("{path}?page_size=1&page_token={token}");
            shape(attacker, &Method::GET, &path, None, token).await
        };
        let (stolen, forged) = (ask(token).await, ask(&nobody(token)).await);
        proof.check(stolen.0 == 400 && stolen == forged, || format!("{path}: {stolen:?}, forged {forged:?}"));
    }
}

/// Owners and administrators may: otherwise nothing above says anything.
async fn controls(proof: &mut Proof, world: &World) {
    let admin = &world.admin;
    let path = |id: &str| format!("/v1/users/{id}");
    let seen = admin.get(&path(&world.victim.id)).await;
    proof.check(seen.0 == 200, || format!("the administrator: {seen:?}"));
    let nobodys = nobody(&world.victim.id);
    let none = shape(admin, &Method::GET, &path(&nobodys), None, &nobodys).await;
    proof.check(none.0 == 404, || format!("the administrator: {none:?}"));
    let own = &world.attacker;
    for (path, id) in
        [("auth/sessions", &own.sessions[0]), ("auth/api-keys", &own.keys[1]), ("jokes", &own.jokes[0])]
    {
        let ended = own.person.delete(&format!("/v1/{path}/{id}")).await;
        proof.check(ended.0 == 204, || format!("the owner at {path}: {ended:?}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g10_roles_every_route_is_open_to_exactly_those_with_its_scope() {
    let mut proof =
        Proof::new("G10.roles", "every route over REST is open to exactly those who have its scope");
    let world = World::start().await;
    routes::compare(&mut proof);
    let all: Vec<&str> =
        world.mesh.policy().scopes().iter().map(|s| s.name.to_string().leak() as &str).collect();
    let user = &world.attacker.person;
    let users: Vec<&str> = crate::world::USER_SCOPES.to_vec();
    let mut callers = vec![
        ("nobody".to_owned(), world.mesh.person(), vec![]),
        ("a user".to_owned(), user.clone(), users),
        ("the administrator".to_owned(), world.admin.clone(), all.clone()),
    ];
    for scope in all {
        let (_, secret) = new_key(&world.admin, scope, &[scope]).await;
        callers.push((format!("a key with {scope}"), user.with_token(&secret), vec![scope]));
    }
    for (who, caller, scopes) in &callers {
        for route in ROUTES.iter().filter(|route| route.path != "/v1/auth/logout") {
            let status = empty(caller, route).await;
            let may = route.scope.is_empty() || scopes.contains(&route.scope);
            let as_said = match (may, who.as_str()) {
                (true, _) => !matches!(status, 401 | 403 | 500..),
                (false, "nobody") => status == 401,
                (false, _) => status == 403,
            };
            proof.check(as_said, || format!("{who}: {} {} is {status}", route.method, route.path));
        }
    }
    proof.figure(format!("{} callers × {} routes", callers.len(), ROUTES.len()));
    proof.limit("allowed exactly with the scope of the route");
    proof.finish();
}

/// A request that says nothing: it is refused for its content where it is not refused for its caller.
async fn empty(caller: &Person, route: &Route) -> u16 {
    let mut request = caller.request(route.method(), &route.at("0000000000000000000000"));
    if route.path.ends_with("/stream") {
        request = request.header("content-type", "application/x-ndjson").body("");
    } else if route.method != "GET" && route.method != "DELETE" {
        request = request.json(&Value::Object(serde_json::Map::new()));
    }
    // A sign-in that is refused for its content is no 401.
    request.send().await.unwrap().status().as_u16()
}

//! K1, its part by hand: JSON that is none, that says something twice, and texts that have broken programs.

use quipu_e2e::{Person, Proof, Setup};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{naughty, problem::Reply};

/// A route with a body: a good one, and the paths of its texts.
struct Route {
    method: Method,
    path: &'static str,
    body: Value,
    texts: &'static [&'static str],
}

fn route(method: Method, path: &'static str, body: Value, texts: &'static [&'static str]) -> Route {
    Route { method, path, body, texts }
}

fn routes() -> Vec<Route> {
    vec![
        route(
            Method::POST,
            "/v1/auth/register",
            json!({"email": "n@example.com", "password": "p", "display_name": "d"}),
            &["/email", "/password", "/display_name"],
        ),
        route(
            Method::POST,
            "/v1/auth/login",
            json!({"email": "nobody@example.com", "password": "p"}),
            &["/email", "/password"],
        ),
        route(Method::POST, "/v1/auth/refresh", json!({"refresh_token": "x"}), &["/refresh_token"]),
        route(Method::POST, "/v1/auth/logout", json!({"refresh_token": "x"}), &["/refresh_token"]),
        route(
            Method::PUT,
            "/v1/auth/password",
            json!({"current_password": "", "new_password": "x"}),
            &["/new_password"],
        ),
        route(
            Method::POST,
            "/v1/auth/api-keys",
            json!({"name": "n", "scopes": ["profile:read"], "expires_at": "2020-01-01T00:00:00Z"}),
            &["/name", "/scopes/0", "/expires_at"],
        ),
        route(Method::POST, "/v1/sentiment", json!({"text": "t", "model": "linear"}), &["/text", "/model"]),
        route(
            Method::POST,
            "/v1/sentiment/batch",
            json!({"texts": ["t"], "model": "linear"}),
            &["/texts/0", "/model"],
        ),
        route(Method::PATCH, "/v1/users/nobody", json!({"roles": ["user"]}), &["/roles/0"]),
    ]
}

impl Route {
    async fn send(&self, person: &Person, body: Vec<u8>) -> Reply {
        let request =
            person.request(self.method.clone(), self.path).header("content-type", "application/json");
        Reply::of(request.body(body)).await
    }

    /// A good body with one text replaced.
    fn with(&self, pointer: &str, text: &str) -> Vec<u8> {
        let mut body = self.body.clone();
        *body.pointer_mut(pointer).unwrap() = Value::from(text);
        body.to_string().into_bytes()
    }

    /// A good body with one field said twice, once with other letters, or with one that nobody knows.
    fn doubled(&self) -> Vec<(&'static str, Vec<u8>)> {
        let text = self.body.to_string();
        let inner = &text[1..text.len() - 1];
        let (name, value) = self.body.as_object().unwrap().iter().next().unwrap();
        let escaped = format!("\\u{:04x}{}", u32::from(name.as_bytes()[0]), &name[1..]);
        let with = |name: &str| format!("{{{inner},\"{name}\":{value}}}").into_bytes();
        vec![
            ("a field twice", with(name)),
            ("a field twice, escaped", with(&escaped)),
            ("capitals", with(&name.to_uppercase())),
            ("a field with a space", with(&format!("{name} "))),
            ("__proto__", with("__proto__")),
            ("role", with("role")),
            ("id", with("id")),
            ("an empty name", with("")),
        ]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k1_json_that_is_none_is_a_400_and_no_text_is_a_500() {
    let mut proof =
        Proof::new("K1.json", "broken, doubled, deep and naughty JSON is never a fault of the mesh");
    let mesh = Setup::new().without_rates().start().await;
    let admin = mesh.administrator().await;
    let (mut refused, mut texts, mut faults) = (0, 0, 0);
    for route in routes() {
        for (name, body) in naughty::broken().into_iter().chain(route.doubled()) {
            let reply = route.send(&admin, body).await;
            // Whatever is deeper than the route's bodies are long is refused by its length.
            let holds = reply.problem(400).is_ok() || reply.problem(413).is_ok();
            refused += 1;
            proof.check(holds, || format!("{name} to {}: {:?} {reply:?}", route.path, reply.any_problem()));
        }
        for pointer in route.texts {
            for (name, text) in naughty::strings() {
                let mut reply = route.send(&admin, route.with(pointer, &text)).await;
                reply.own = text;
                texts += 1;
                faults += u64::from(reply.status >= 500);
                let holds = (200..300).contains(&reply.status) || reply.any_problem().is_ok();
                proof.check(holds, || {
                    format!("{name} as {}{pointer}: {:?} {reply:?}", route.path, reply.any_problem())
                });
            }
            for value in naughty::VALUES {
                let marked = String::from_utf8(route.with(pointer, "MARK")).unwrap();
                let reply = route.send(&admin, marked.replace("\"MARK\"", value).into_bytes()).await;
                texts += 1;
                faults += u64::from(reply.status >= 500);
                let holds = (200..300).contains(&reply.status) || reply.any_problem().is_ok();
                proof.check(holds, || {
                    format!("{value} as {}{pointer}: {:?} {reply:?}", route.path, reply.any_problem())
                });
            }
        }
    }
    proof.figure(format!(
        "{refused} documents refused, {texts} texts and values: {faults} faults of the mesh"
    ));
    proof.limit("400 or 413 for what is no request; 0 of 5xx");
    proof.finish();
}

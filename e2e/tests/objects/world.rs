//! Two people with objects of their own, an administrator, and everything that belongs to the victim.

use quipu_e2e::{PASSWORD, Person, ProcessMesh, Setup};
use reqwest::Method;
use serde_json::{Value, json};

/// The scopes of a user.
pub(crate) const USER_SCOPES: [&str; 7] = [
    "profile:read",
    "profile:write",
    "keys:manage",
    "sentiment:analyze",
    "sentiment:read",
    "jokes:read",
    "jokes:write",
];

/// Somebody with two sessions, two API keys and two jokes, and of each kind one that is gone.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) person: Person,
    pub(crate) id: String,
    pub(crate) sessions: Vec<String>,
    pub(crate) keys: Vec<String>,
    /// The secrets of [`User::keys`].
    pub(crate) secrets: Vec<String>,
    pub(crate) jokes: Vec<String>,
    pub(crate) refresh_token: String,
    /// Of objects that are gone.
    pub(crate) gone_session: String,
    pub(crate) gone_key: String,
    pub(crate) gone_joke: String,
}

/// A mesh with its people.
pub(crate) struct World {
    pub(crate) mesh: ProcessMesh,
    pub(crate) attacker: User,
    pub(crate) victim: User,
    pub(crate) admin: Person,
}

/// A mesh of processes without limits of rate.
pub(crate) async fn start() -> ProcessMesh {
    ["auth", "sentiment", "jokes", "gateway"]
        .into_iter()
        .fold(Setup::new().without_rates(), |setup, workload| setup.with(workload, "QUIPU_LOG", "info"))
        .start()
        .await
}

impl World {
    pub(crate) async fn start() -> Self {
        let mesh = start().await;
        let admin = mesh.administrator().await;
        let attacker = User::with_objects(&mesh, "mallory").await;
        let victim = User::with_objects(&mesh, "victoria").await;
        Self { mesh, attacker, victim, admin }
    }

    /// Everything of the victim, as the victim and as the administrator see it.
    pub(crate) async fn of_victim(&self) -> Value {
        self.victim.everything(&self.admin).await
    }
}

impl User {
    pub(crate) async fn with_objects(mesh: &ProcessMesh, name: &str) -> Self {
        let mut person = mesh.person();
        let made = person.register(name).await;
        let (mut sessions, mut refresh_token) = (Vec::new(), String::new());
        for _ in 0..3 {
            let tokens = person.sign_in(name, PASSWORD).await;
            tokens["refresh_token"].as_str().unwrap().clone_into(&mut refresh_token);
            let now = ids(&person.get("/v1/auth/sessions").await.1["sessions"]);
            sessions.extend(now.into_iter().find(|id| !sessions.contains(id)));
        }
        let gone_session = sessions.remove(1);
        assert_eq!(person.delete(&format!("/v1/auth/sessions/{gone_session}")).await.0, 204);
        let mut user = Self {
            name: name.to_owned(),
            id: made["user"]["id"].as_str().unwrap().to_owned(),
            sessions,
            keys: Vec::new(),
            secrets: Vec::new(),
            jokes: Vec::new(),
            refresh_token,
            gone_session,
            gone_key: String::new(),
            gone_joke: String::new(),
            person,
        };
        for _ in 0..3 {
            user.add_key(&USER_SCOPES).await;
        }
        user.gone_key = user.keys.remove(0);
        user.secrets.remove(0);
        assert_eq!(user.person.delete(&format!("/v1/auth/api-keys/{}", user.gone_key)).await.0, 204);
        for _ in 0..3 {
            let (status, made) =
                user.person.post("/v1/jokes", &json!({"topic": format!("knots of {name}")})).await;
            assert_eq!(status, 201, "{made}");
            user.jokes.push(made["joke"]["id"].as_str().unwrap().to_owned());
        }
        user.gone_joke = user.jokes.remove(0);
        assert_eq!(user.person.delete(&format!("/v1/jokes/{}", user.gone_joke)).await.0, 204);
        user
    }

    async fn add_key(&mut self, scopes: &[&str]) {
        let (id, secret) = new_key(&self.person, &format!("key of {}", self.name), scopes).await;
        self.keys.push(id);
        self.secrets.push(secret);
    }

    /// The access token.
    pub(crate) fn token(&self) -> &str {
        self.person.token.as_deref().unwrap()
    }

    /// What nobody else may see, but for the one id that the asker named.
    pub(crate) fn private(&self, named: &str) -> Vec<String> {
        let own = ["key", "knots"].map(|what| format!("{what} of {}", self.name));
        let own = own.into_iter().chain([self.id.clone(), format!("{}@example.com", self.name)]);
        let all = own.chain(self.sessions.clone()).chain(self.keys.clone()).chain(self.jokes.clone());
        all.filter(|text| text != named).collect()
    }

    /// All there is, and whether the tokens and keys still work.
    pub(crate) async fn everything(&self, admin: &Person) -> Value {
        let mut all = Vec::new();
        for path in ["/v1/auth/me", "/v1/auth/sessions", "/v1/auth/api-keys", "/v1/jokes"] {
            let (status, body) = self.person.get(path).await;
            all.push(json!([path, status.as_u16(), body]));
        }
        all.push(admin.get(&format!("/v1/users/{}", self.id)).await.1);
        for secret in &self.secrets {
            // Keys note the minute in which they were last used; this does not use them for more than a scope.
            let status = self.person.with_token(secret).get("/v1/sentiment/models").await.0;
            all.push(json!(status.as_u16()));
        }
        let mut all = Value::Array(all);
        forget(&mut all, "last_used_at");
        all
    }
}

/// Makes a key; its id and its secret.
pub(crate) async fn new_key(person: &Person, name: &str, scopes: &[&str]) -> (String, String) {
    let (status, made) = person.post("/v1/auth/api-keys", &json!({"name": name, "scopes": scopes})).await;
    assert_eq!(status, 201, "{made}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["api_key"]["id"]), text(&made["secret"]))
}

/// The ids in a list.
pub(crate) fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// Of the right form, and of nobody.
pub(crate) fn nobody(id: &str) -> String {
    id.chars().rev().collect()
}

/// Ids that are none.
pub(crate) const MALFORMED: [&str; 8] = [
    "0",
    "a",
    "null",
    "-1",
    "00000000-0000-0000-0000-000000000000",
    "me",
    "%00",
    "1%27%20OR%20%271%27%3D%271",
];

/// An answer over REST: its status, and everything by which it could be told from another, with `id` taken for any.
pub(crate) async fn shape(
    person: &Person,
    method: &Method,
    path: &str,
    body: Option<&Value>,
    id: &str,
) -> (u16, String) {
    let mut request = person.request(method.clone(), path);
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let passing = ["date", "traceparent", "x-request-id", "content-length"];
    let headers = response.headers().clone();
    let mut shown: Vec<_> = headers
        .iter()
        .filter(|(name, _)| !passing.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    shown.sort();
    let length = headers.get("content-length").map(|v| v.to_str().unwrap().parse::<usize>().unwrap());
    let text = response.text().await.unwrap();
    if *method != Method::HEAD {
        assert!(length.is_none_or(|length| length == text.len()), "{method} {path}");
    }
    let text = match serde_json::from_str::<Value>(&text) {
        Ok(mut body) => {
            ["trace_id", "request_id"].into_iter().for_each(|passing| forget(&mut body, passing));
            body.to_string()
        }
        Err(_) => text,
    };
    (status, format!("{status} {shown:?} {text}").replace(id, "ID"))
}

/// Takes a member out wherever it is.
fn forget(value: &mut Value, member: &str) {
    match value {
        Value::Object(members) => {
            members.remove(member);
            members.values_mut().for_each(|value| forget(value, member));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| forget(item, member)),
        _ => {}
    }
}

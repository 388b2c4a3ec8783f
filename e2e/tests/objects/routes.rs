//! Every route of the gateway, by hand, against the document that the gateway makes: a route that is not here fails the rows.

use std::collections::BTreeSet;

use quipu_e2e::Proof;
use reqwest::Method;
use serde_json::Value;

/// What the id in a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Object {
    /// There is none.
    Nothing,
    /// A session of the caller's.
    Session,
    /// An API key of the caller's.
    Key,
    /// A joke of the caller's.
    Joke,
    /// An account, for administrators.
    User,
    /// A file that everybody may read.
    File,
}

/// A route.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// The scope that it needs; empty for none.
    pub(crate) scope: &'static str,
    pub(crate) object: Object,
}

const fn route(method: &'static str, path: &'static str, scope: &'static str, object: Object) -> Route {
    Route { method, path, scope, object }
}

/// Of the whole API.
pub(crate) const ROUTES: [Route; 37] = [
    route("POST", "/v1/auth/register", "", Object::Nothing),
    route("POST", "/v1/auth/login", "", Object::Nothing),
    route("POST", "/v1/auth/refresh", "", Object::Nothing),
    route("POST", "/v1/auth/logout", "", Object::Nothing),
    route("GET", "/v1/auth/me", "profile:read", Object::Nothing),
    route("PUT", "/v1/auth/password", "profile:write", Object::Nothing),
    route("GET", "/v1/auth/sessions", "profile:read", Object::Nothing),
    route("DELETE", "/v1/auth/sessions/{id}", "profile:write", Object::Session),
    route("POST", "/v1/auth/api-keys", "keys:manage", Object::Nothing),
    route("GET", "/v1/auth/api-keys", "keys:manage", Object::Nothing),
    route("DELETE", "/v1/auth/api-keys/{id}", "keys:manage", Object::Key),
    route("GET", "/v1/users", "users:admin", Object::Nothing),
    route("GET", "/v1/users/{id}", "users:admin", Object::User),
    route("PATCH", "/v1/users/{id}", "users:admin", Object::User),
    route("POST", "/v1/sentiment", "sentiment:analyze", Object::Nothing),
    route("POST", "/v1/sentiment/batch", "sentiment:analyze", Object::Nothing),
    route("POST", "/v1/sentiment/stream", "sentiment:analyze", Object::Nothing),
    route("GET", "/v1/sentiment/models", "sentiment:read", Object::Nothing),
    route("POST", "/v1/jokes", "jokes:write", Object::Nothing),
    route("GET", "/v1/jokes", "jokes:read", Object::Nothing),
    route("GET", "/v1/jokes/models", "jokes:read", Object::Nothing),
    route("GET", "/v1/jokes/{id}", "jokes:read", Object::Joke),
    route("DELETE", "/v1/jokes/{id}", "jokes:write", Object::Joke),
    route("POST", "/v1/jokes/{id}/feedback", "jokes:write", Object::Joke),
    route("POST", "/v1/chat", "jokes:write", Object::Nothing),
    route("GET", "/v1/usage", "jokes:read", Object::Nothing),
    route("GET", "/v1/mesh", "mesh:read", Object::Nothing),
    route("GET", "/v1/traces", "mesh:read", Object::Nothing),
    route("GET", "/healthz", "", Object::Nothing),
    route("GET", "/readyz", "", Object::Nothing),
    route("GET", "/version", "", Object::Nothing),
    route("GET", "/info", "", Object::Nothing),
    route("GET", "/.well-known/jwks.json", "", Object::Nothing),
    route("GET", "/openapi.json", "", Object::Nothing),
    route("GET", "/docs", "", Object::Nothing),
    route("GET", "/docs/", "", Object::Nothing),
    route("GET", "/docs/{file}", "", Object::File),
];

/// The document of the gateway.
pub(crate) fn document() -> Value {
    serde_json::to_value(quipu_gateway::openapi()).unwrap()
}

/// Both directions: no route is unknown here, none of these is gone.
pub(crate) fn compare(proof: &mut Proof) {
    let document = document();
    let mut there = BTreeSet::new();
    for (path, verbs) in document["paths"].as_object().unwrap() {
        for verb in verbs.as_object().unwrap().keys() {
            there.insert(format!("{} {path}", verb.to_uppercase()));
        }
    }
    let here: BTreeSet<_> = ROUTES.iter().map(|r| format!("{} {}", r.method, r.path)).collect();
    for route in there.union(&here) {
        let known = there.contains(route) && here.contains(route);
        proof.check(known, || format!("{route}: in only one of the document and this table"));
    }
    for route in &ROUTES {
        let named = route.path.contains('{');
        proof.check(named == (route.object != Object::Nothing), || {
            format!("{}: what does it name?", route.path)
        });
    }
}

impl Route {
    /// Its method.
    pub(crate) fn method(&self) -> Method {
        self.method.parse().unwrap()
    }

    /// Its path with the id in its place.
    pub(crate) fn at(&self, id: &str) -> String {
        self.path.replace("{id}", id).replace("{file}", id)
    }
}

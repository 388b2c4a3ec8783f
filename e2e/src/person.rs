//! A person who calls the mesh over REST.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::LIMIT;

/// Long enough and on no list.
pub const PASSWORD: &str = "seven knotted cords";

/// Somebody who calls the REST API.
#[derive(Clone)]
pub struct Person {
    base: String,
    /// Sent as a bearer token: an access token or an API key.
    pub token: Option<String>,
    /// The client.
    pub http: reqwest::Client,
}

impl Person {
    /// Somebody at a gateway, by its base URL.
    #[must_use]
    pub fn at(base: &str) -> Self {
        let http = reqwest::Client::builder().timeout(LIMIT).build().unwrap();
        Self { base: base.to_owned(), token: None, http }
    }

    /// The same with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Makes an account with [`PASSWORD`].
    pub async fn register(&self, name: &str) -> Value {
        let body =
            json!({"email": format!("{name}@example.com"), "password": PASSWORD, "display_name": name});
        let (status, answer) = self.post("/v1/auth/register", &body).await;
        assert_eq!(status, 201, "{answer}");
        answer
    }

    /// With an account of that name, signed in.
    pub async fn join(mut self, name: &str) -> Self {
        self.register(name).await;
        self.sign_in(name, PASSWORD).await;
        self
    }

    /// Signs in; later requests carry the token.
    pub async fn sign_in(&mut self, name: &str, password: &str) -> Value {
        self.sign_in_as(&format!("{name}@example.com"), password).await
    }

    /// As [`Person::sign_in`], by the whole e-mail address.
    pub async fn sign_in_as(&mut self, email: &str, password: &str) -> Value {
        let (status, answer) =
            self.post("/v1/auth/login", &json!({"email": email, "password": password})).await;
        assert_eq!(status, 200, "{answer}");
        let token = answer.get("access_token").and_then(Value::as_str);
        self.token = Some(token.unwrap().to_owned());
        answer
    }

    /// Begins a request.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::GET, path)).await
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.request(Method::POST, path).json(body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::DELETE, path)).await
    }
}

/// Sends; an empty body reads as null.
pub async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    let value = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
    (status, value)
}

/// Tries until it holds; the limit is the one that the mesh promises.
pub async fn eventually<F: Future<Output = bool>>(limit: Duration, mut holds: impl FnMut() -> F) -> bool {
    let end = tokio::time::Instant::now() + limit;
    while tokio::time::Instant::now() < end {
        if holds().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

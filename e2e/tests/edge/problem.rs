//! The one form of every failure (RFC 9457), and what it may never say.

use serde_json::Value;

/// What a stranger must not learn: code, places, statements, libraries, versions.
const INSIDE: [&str; 30] = [
    "panicked",
    ".rs:",
    "src/",
    "backtrace",
    "stack",
    "SELECT",
    "INSERT",
    "UPDATE ",
    "sqlite",
    "postgres",
    "sqlx",
    "redis",
    "tonic",
    "hyper",
    "axum",
    "serde",
    "tokio",
    "rustls",
    "h2 ",
    "127.0.0.1",
    "grpc",
    "quipu.auth.v1",
    "quipu.sentiment.v1",
    "/tmp/",
    "/home/",
    "/work",
    "canary",
    "0.1.0",
    "spiffe:",
    "Error(",
];

/// The members that a problem may have.
const MEMBERS: [&str; 10] = [
    "type",
    "title",
    "status",
    "detail",
    "instance",
    "reason",
    "errors",
    "retry_after",
    "trace_id",
    "request_id",
];

/// What came as the answer to one request.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
    /// What the caller said: to say it back is no secret.
    pub(crate) own: String,
}

impl Reply {
    /// Sends and reads it all.
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap(), own: String::new() }
    }

    /// A header as text, empty if absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap_or("?"))
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// A failure's reason, empty if there is none.
    pub(crate) fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether this is a failure of this status in the one form; else what is wrong with it.
    pub(crate) fn problem(&self, status: u16) -> Result<(), String> {
        if self.status != status {
            return Err(format!("{} instead of {status}: {}", self.status, self.text));
        }
        self.any_problem()
    }

    /// Whether this is any failure of the caller's making, in the one form.
    pub(crate) fn any_problem(&self) -> Result<(), String> {
        let fault = |what: &str| Err(format!("{what}: {} {:?} {}", self.status, self.headers, self.text));
        if !(400..500).contains(&self.status) && self.status != 501 {
            return fault("no failure of the caller's");
        }
        self.form().or_else(|what| fault(&what))
    }

    /// The form alone, whatever the status.
    pub(crate) fn form(&self) -> Result<(), String> {
        if self.header("content-type") != "application/problem+json" {
            return Err("its content type".into());
        }
        let problem = self.json();
        let Some(members) = problem.as_object() else { return Err("no object".into()) };
        if let Some(member) = members.keys().find(|k| !MEMBERS.contains(&k.as_str())) {
            return Err(format!("an unknown member {member}"));
        }
        let text = |member: &str| problem[member].as_str().unwrap_or_default().to_owned();
        let is_reason = |r: &str| {
            !r.is_empty() && r.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit())
        };
        let holds = [
            ("type", text("type") == "about:blank"),
            ("status", problem["status"] == self.status),
            ("title", !text("title").is_empty()),
            ("detail", !text("detail").is_empty()),
            ("reason", is_reason(&text("reason"))),
            (
                "request_id",
                !text("request_id").is_empty() && text("request_id") == self.header("x-request-id"),
            ),
            ("trace_id", text("trace_id").len() == 32),
            (
                "instance",
                text("instance").starts_with('/') || text("instance") == "*" || text("instance").is_empty(),
            ),
            ("server", self.header("server").is_empty() && self.header("x-powered-by").is_empty()),
            ("nosniff", self.header("x-content-type-options") == "nosniff"),
        ];
        if let Some((what, _)) = holds.iter().find(|(_, holds)| !holds) {
            return Err(format!("its {what}"));
        }
        // The path and the id are the caller's own text.
        let escaped = Value::from(self.own.as_str()).to_string();
        let own = [text("instance"), text("request_id"), escaped.trim_matches('"').to_owned()];
        let said = own.iter().fold(problem.to_string(), |said, own| said.replace(own, ""));
        match INSIDE.iter().find(|inside| said.to_lowercase().contains(&inside.to_lowercase())) {
            Some(inside) => Err(format!("says {inside:?}")),
            None => Ok(()),
        }
    }
}

//! Opik's REST API.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::config::OpikConfig;

/// For a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// For a whole call.
const LIMIT: Duration = Duration::from_secs(10);
/// More of an answer is not read.
const MOST_ANSWER: usize = 1024 * 1024;

/// Opik's REST API; cheap to clone.
#[derive(Clone, Debug)]
pub struct Opik {
    config: OpikConfig,
    headers: HeaderMap,
    client: Client,
}

/// A figure that is given to an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// What it is about.
    pub name: String,
    /// The figure.
    pub value: f64,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Opik did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum OpikError {
    /// The settings cannot be used.
    #[error("Opik: {0}")]
    Settings(String),
    /// It does not answer, or breaks off.
    #[error("Opik is away: {0}")]
    Away(String),
    /// It refuses the call.
    #[error("Opik refuses {path} with {status}{hint}")]
    Refused {
        /// Below its API.
        path: String,
        /// What it answered.
        status: StatusCode,
        /// What may be the matter.
        hint: &'static str,
    },
    /// It answers something else.
    #[error("Opik's answer to {path} makes no sense: {fault}")]
    Malformed {
        /// Below its API.
        path: String,
        /// What is wrong.
        fault: String,
    },
}

impl OpikError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Away(_) => true,
            Self::Refused { status, .. } => is_passing(*status),
            Self::Settings(_) | Self::Malformed { .. } => false,
        }
    }
}

#[derive(Deserialize)]
struct Page {
    content: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    id: Uuid,
}

impl Opik {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn new(config: &OpikConfig) -> Result<Self, OpikError> {
        let headers = config.headers().map_err(|fault| OpikError::Settings(fault.to_owned()))?;
        let client = http(&config.api).map_err(|error| OpikError::Settings(cause(&error)))?;
        Ok(Self { config: config.clone(), headers, client })
    }

    /// Gives a score to the answer with this conversation id, in place of an earlier one of that name; whether Opik knows it.
    ///
    /// # Errors
    /// When Opik does not answer or refuses.
    pub async fn score(&self, conversation: &str, score: &Score) -> Result<bool, OpikError> {
        let Some(trace) = self.trace_of(conversation).await? else { return Ok(false) };
        let path = format!("traces/{trace}/feedback-scores");
        self.send(Method::PUT, &path, &of_sdk(score)).await?;
        Ok(true)
    }

    /// The trace of a conversation: Opik gives traces ids of its own.
    async fn trace_of(&self, conversation: &str) -> Result<Option<Uuid>, OpikError> {
        let path = "traces";
        let filters = json!([{"field": "thread_id", "operator": "=", "value": conversation}]).to_string();
        let mut url = self.config.at(path);
        url.query_pairs_mut()
            .append_pair("project_name", &self.config.project)
            .append_pair("filters", &filters)
            .append_pair("page", "1")
            .append_pair("size", "1");
        let response = self.client.get(url).headers(self.headers.clone()).send().await;
        let response = checked(path, response)?;
        let body = beginning(response).await.map_err(|error| OpikError::Away(cause(&error)))?;
        let malformed = |fault: serde_json::Error| OpikError::Malformed {
            path: path.to_owned(),
            fault: fault.to_string(),
        };
        let page: Page = serde_json::from_slice(&body).map_err(malformed)?;
        Ok(page.content.first().map(|found| found.id))
    }

    /// The project of everything that is sent.
    pub(crate) fn project(&self) -> &str {
        &self.config.project
    }

    /// Sends a body of JSON; what is answered does not matter.
    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> Result<(), OpikError> {
        let request =
            self.client.request(method, self.config.at(path)).headers(self.headers.clone()).json(body);
        checked(path, request.send().await).map(|_| ())
    }
}

/// A score as Opik reads it.
pub(crate) fn of_sdk(score: &Score) -> Value {
    let mut value = json!({"name": score.name, "value": score.value, "source": "sdk"});
    if let (Some(reason), Some(object)) = (&score.reason, value.as_object_mut()) {
        object.insert("reason".to_owned(), reason.as_str().into());
    }
    value
}

fn checked(path: &str, response: reqwest::Result<Response>) -> Result<Response, OpikError> {
    let response = response.map_err(|error| OpikError::Away(cause(&error)))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let hint = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ": are OPIK_API_KEY and OPIK_WORKSPACE right?",
        StatusCode::NOT_FOUND => ": is OPIK_URL_OVERRIDE right?",
        _ => "",
    };
    Err(OpikError::Refused { path: path.to_owned(), status, hint })
}

/// What can be had of a body, up to a limit.
async fn beginning(mut response: Response) -> reqwest::Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(bytes) = response.chunk().await? {
        all.extend(bytes);
        if all.len() >= MOST_ANSWER {
            break;
        }
    }
    Ok(all)
}

/// Whether the same call may succeed later.
pub(crate) fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

/// The innermost reason, which names no place to which a secret could be attached.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    let mut source = error.source();
    let mut text = None;
    while let Some(inner) = source {
        text = Some(inner.to_string());
        source = inner.source();
    }
    text.unwrap_or_else(|| {
        if error.is_timeout() { "no answer in time" } else { "the call failed" }.to_owned()
    })
}

/// A client that goes to no other place than it is told.
pub(crate) fn http(api: &Url) -> reqwest::Result<Client> {
    let tls = api.scheme() == "https";
    let builder = Client::builder()
        .user_agent(concat!("quipu/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .retry(reqwest::retry::never())
        .https_only(tls)
        .connect_timeout(CONNECT)
        .timeout(LIMIT);
    // Without TLS no roots are needed, and a small image may have none.
    if tls { builder.build() } else { builder.tls_certs_only([]).build() }
}

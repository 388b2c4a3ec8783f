//! A model behind the protocol of OpenAI's chat completions, as many servers speak it.
//!
//! Owns the connections to one server, the form of the calls, and the time limits of an answer. It asks once and never
//! again: trying anew, another model and what an answer may say are decided elsewhere. Where it connects to comes from
//! the configuration alone: no redirect is followed and no proxy of the environment is used. Dropping an answer, or the
//! wait for one, closes the connection (with HTTP/2, the stream), so that the server stops. Neither the key nor a word of
//! a prompt or an answer is ever in an error, and nothing here writes to the log.

mod body;
mod chunk;
mod errors;
mod events;
mod reading;
mod settings;
mod text;

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Request, Response, Url};
use tokio::time::{Instant, timeout_at};

use self::reading::{Format, Limits, Reading};
use crate::ports::{Answer, JokeModel, ModelError, ModelInfo, Prompt};

pub use self::settings::{MaxTokensField, PlainHttp, Settings, SettingsFault, Times};

/// Connections that are kept without work: as many calls as come at once.
const IDLE: usize = 256;
/// How long they are kept; servers close them after a minute or more.
const IDLE_TIME: Duration = Duration::from_secs(50);
/// An HTTP/2 connection that does not answer a ping for so long is given up.
const PING: Duration = Duration::from_secs(15);
/// More of the body of an error is not read.
const MOST_ERROR: usize = 64 * 1024;

/// A model behind the protocol of OpenAI's chat completions.
pub struct OpenAi {
    info: ModelInfo,
    model: String,
    url: Url,
    authorization: Option<HeaderValue>,
    max_tokens_field: MaxTokensField,
    times: Times,
    client: Client,
}

impl OpenAi {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// [`SettingsFault`].
    pub fn new(settings: Settings) -> Result<Self, SettingsFault> {
        let (url, authorization, times) =
            (settings.url()?, settings.authorization()?, settings.checked_times()?);
        let client =
            client(&url, times.connect).map_err(|error| SettingsFault::Client(errors::cause(&error)))?;
        let info = ModelInfo { name: settings.name, provider: settings.provider };
        let (model, max_tokens_field) = (settings.model, settings.max_tokens_field);
        Ok(Self { info, model, url, authorization, max_tokens_field, times, client })
    }

    /// The call for a prompt.
    fn call(&self, prompt: &Prompt) -> Result<Request, ModelError> {
        let body = body::encode(prompt, &self.model, self.max_tokens_field)?;
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "text/event-stream, application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        request.body(body).build().map_err(|error| errors::of_transport(&error))
    }

    /// Sends a call; returns when the head of an answer has come, and no error.
    async fn send(&self, call: Request) -> Result<Response, ModelError> {
        let response = self.client.execute(call).await.map_err(|error| errors::of_transport(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = beginning(bytes(response)).await;
        Err(errors::of_status(status, &headers, &body, SystemTime::now()))
    }

    /// Makes a call, whose answer has at most so many tokens.
    async fn ask(&self, call: Request, most: u32) -> Result<Answer, ModelError> {
        let limits = Limits { times: self.times, started: Instant::now() };
        let (until, limit) = limits.first();
        let sent = timeout_at(until, self.send(call)).await;
        let response = sent.unwrap_or(Err(ModelError::Timeout(limit)))?;
        let format = Format::of(response.headers().get(CONTENT_TYPE))?;
        let mut reading = Reading::new(bytes(response), format, limits, most);
        let first = reading.next().await.unwrap_or_else(|| Err(errors::broken_off()))?;
        let rest = stream::unfold(reading, |mut reading| async {
            let piece = reading.next().await?;
            Some((piece, reading))
        });
        Ok(stream::once(async { Ok(first) }).chain(rest).fuse().boxed())
    }
}

#[async_trait]
impl JokeModel for OpenAi {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Returns with the first text, so that a failure before it can still be made good elsewhere.
    fn answer<'s, 'p, 'f>(&'s self, prompt: &'p Prompt) -> BoxFuture<'f, Result<Answer, ModelError>>
    where
        's: 'f,
        'p: 'f,
        Self: 'f,
    {
        let (call, most) = (self.call(prompt), prompt.max_output_tokens);
        Box::pin(async move { self.ask(call?, most).await })
    }
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the client, whose form is not ours, and never the key.
        let (info, url) = (&self.info, self.url.as_str());
        f.debug_struct("OpenAi")
            .field("info", info)
            .field("model", &self.model)
            .field("url", &url)
            .finish_non_exhaustive()
    }
}

fn client(url: &Url, connect: Duration) -> reqwest::Result<Client> {
    let tls = url.scheme() == "https";
    let builder = Client::builder()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        // Whoever calls decides on other tries.
        .retry(reqwest::retry::never())
        .https_only(tls)
        .connect_timeout(connect)
        .pool_max_idle_per_host(IDLE)
        .pool_idle_timeout(IDLE_TIME)
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PING);
    // Without TLS no roots are needed, and a small image may have none.
    if tls { builder.build() } else { builder.tls_certs_only([]).build() }
}

/// The bytes of a body.
fn bytes(response: Response) -> BoxStream<'static, Result<bytes::Bytes, ModelError>> {
    response.bytes_stream().map(|bytes| bytes.map_err(|error| errors::of_transport(&error))).boxed()
}

/// What can be had of a body, up to a limit.
async fn beginning(mut body: BoxStream<'static, Result<bytes::Bytes, ModelError>>) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(Ok(bytes)) = body.next().await {
        all.extend(bytes);
        if all.len() >= MOST_ERROR {
            break;
        }
    }
    all
}

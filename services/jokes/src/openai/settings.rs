//! Which model of which server, and what is wrong with that.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use mesh_config::{Secret, is_loopback};
use reqwest::Url;
use reqwest::header::HeaderValue;

/// Which model of which server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our name for the model.
    pub name: String,
    /// Who runs it, by OpenTelemetry's `gen_ai.provider.name`; `openai` for OpenAI itself.
    pub provider: String,
    /// The URL up to the version, as `https://api.openai.com/v1`: no user, no query, no fragment.
    pub base_url: String,
    /// Whether it may be `http://`.
    pub plain_http: PlainHttp,
    /// Their name for the model.
    pub model: String,
    /// Sent as `Authorization: Bearer`.
    pub key: Option<Secret>,
    /// How the longest answer is called.
    pub max_tokens_field: MaxTokensField,
    /// How long things may take.
    pub times: Times,
}

/// Where a URL without TLS may lead: the key and the prompts travel in the clear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainHttp {
    /// Nowhere.
    #[default]
    Never,
    /// To this machine.
    Loopback,
    /// Anywhere, as inside of a cluster whose network encrypts.
    Anywhere,
}

/// The field that bounds an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaxTokensField {
    /// `max_completion_tokens`, which counts hidden reasoning too.
    #[default]
    MaxCompletionTokens,
    /// `max_tokens`, for servers that know only that.
    MaxTokens,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Until a connection is there, TLS included.
    pub connect: Duration,
    /// From the call to its first text; hidden reasoning comes before it.
    pub first_token: Duration,
    /// From one text to the next.
    pub stall: Duration,
    /// From the call to its end.
    pub total: Duration,
}

/// What is wrong with settings. It shows no value of them, as a URL may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum SettingsFault {
    /// The base URL cannot be used.
    #[error("the base URL {0}")]
    BaseUrl(&'static str),
    /// The key cannot be sent.
    #[error("the key has characters that no header may have")]
    Key,
    /// A time limit is zero.
    #[error("a time limit of zero leaves no time for an answer")]
    Times,
    /// No client can be made: TLS finds no roots to trust.
    #[error("no client can be made: {0}")]
    Client(String),
}

impl Settings {
    /// Where chats are completed.
    pub(super) fn url(&self) -> Result<Url, SettingsFault> {
        let fault = |what| Err(SettingsFault::BaseUrl(what));
        let Ok(mut url) = Url::parse(&self.base_url) else { return fault("is no URL") };
        match (url.scheme(), self.plain_http) {
            ("https", _) | ("http", PlainHttp::Anywhere) => {}
            ("http", PlainHttp::Loopback) if is_loopback(url.host_str().unwrap_or_default()) => {}
            ("http", PlainHttp::Loopback) => return fault("may be http:// only on this machine"),
            ("http", PlainHttp::Never) => return fault("must be https://"),
            _ => return fault("must be http:// or https://"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return fault("must not have a user or a password");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return fault("must not have a query or a fragment");
        }
        let path = format!("{}/chat/completions", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(url)
    }

    /// The header, which no `Debug` shows.
    pub(super) fn authorization(&self) -> Result<Option<HeaderValue>, SettingsFault> {
        let Some(key) = &self.key else { return Ok(None) };
        let text = format!("Bearer {}", key.expose());
        let mut value = HeaderValue::try_from(text).map_err(|_| SettingsFault::Key)?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    pub(super) fn checked_times(&self) -> Result<Times, SettingsFault> {
        let times = self.times;
        let all = [times.connect, times.first_token, times.stall, times.total];
        if all.contains(&Duration::ZERO) { Err(SettingsFault::Times) } else { Ok(times) }
    }
}

impl FromStr for PlainHttp {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "never" => Ok(Self::Never),
            "loopback" => Ok(Self::Loopback),
            "anywhere" => Ok(Self::Anywhere),
            _ => Err("must be never, loopback or anywhere"),
        }
    }
}

impl fmt::Display for PlainHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Never => "never",
            Self::Loopback => "loopback",
            Self::Anywhere => "anywhere",
        })
    }
}

impl FromStr for MaxTokensField {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "max_completion_tokens" => Ok(Self::MaxCompletionTokens),
            "max_tokens" => Ok(Self::MaxTokens),
            _ => Err("must be max_completion_tokens or max_tokens"),
        }
    }
}

impl fmt::Display for MaxTokensField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxTokens => "max_tokens",
        })
    }
}

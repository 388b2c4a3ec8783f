//! Which models there are: the embedded one, those of an OpenAI-compatible endpoint, recordings; what they cost, and which
//! stands in for which.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use mesh_config::{Reader, Reported, Secret};
use mesh_error::{Error, Kind, Result};

use super::amounts::{Dollars, dollars};
use super::span;
use crate::budget::Price;
use crate::models::{EMBEDDED_NAME, Embedded, Entry, Models};
use crate::openai::{MaxTokensField, OpenAi, PlainHttp, Settings, Times};
use crate::ports::JokeModel;
use crate::replay::{Recorder, Replay};

const BASE_URL: &str = "https://api.openai.com/v1";
const TIMES: Times = Times {
    connect: Duration::from_secs(2),
    first_token: Duration::from_secs(15),
    stall: Duration::from_secs(10),
    total: Duration::from_secs(60),
};

/// The models.
#[derive(Clone, Debug, Default)]
pub struct ModelsConfig {
    /// An OpenAI-compatible endpoint and its models.
    pub openai: Option<OpenAiConfig>,
    /// Name of the model that answers when a request names none; the endpoint's first one, or the embedded one.
    pub default: Option<String>,
    /// Models that stand in for one that fails, in their order.
    pub fallback: Names,
    /// What tokens cost, by model; nothing when a model is not in it.
    pub prices: PriceList,
    /// Folder into which every answer of the endpoint is recorded.
    pub record: Option<PathBuf>,
    /// Folder with recordings that are played back in place of asking the endpoint.
    pub replay: Option<PathBuf>,
}

/// An OpenAI-compatible endpoint.
#[derive(Clone, Debug)]
pub struct OpenAiConfig {
    /// Where it is, up to and with `/v1`.
    pub base_url: String,
    /// Its key, if it needs one.
    pub key: Option<Secret>,
    /// Who runs it, by OpenTelemetry's `gen_ai.provider.name`.
    pub provider: String,
    /// The models that may be asked, by the endpoint's names.
    pub models: Names,
    /// Where it may be spoken to without TLS.
    pub plain_http: PlainHttp,
    /// How the longest answer is called there.
    pub max_tokens_field: MaxTokensField,
    /// How long anything may take.
    pub times: Times,
}

/// Names, separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

/// Prices by model: `NAME=IN/OUT` in dollars for a million tokens, separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceList(pub Vec<(String, Price)>);

impl ModelsConfig {
    /// Reads the settings from the environment.
    ///
    /// # Errors
    /// Faults are recorded in the reader.
    pub fn read(reader: &mut Reader) -> std::result::Result<Self, Reported> {
        let openai = OpenAiConfig::read(reader);
        let default = reader.optional::<String>(
            "QUIPU_JOKES_DEFAULT_MODEL",
            "model that answers when a request names none [default: the endpoint's first one, or puns]",
        );
        let fallback =
            reader.or("QUIPU_JOKES_FALLBACK", Names::default(), "models that stand in for one that fails");
        let help = "what tokens cost: NAME=IN/OUT,… in dollars for a million";
        let prices = reader.or("QUIPU_JOKES_PRICES", PriceList::default(), help);
        let record =
            reader.optional::<String>("QUIPU_JOKES_RECORD_DIR", "folder into which answers are recorded");
        let replay = reader.optional::<String>(
            "QUIPU_JOKES_REPLAY_DIR",
            "folder with recordings that answer in place of the endpoint",
        );
        let config = Self {
            openai: openai?,
            default: default?,
            fallback: fallback?,
            prices: prices?,
            record: record?.map(PathBuf::from),
            replay: replay?.map(PathBuf::from),
        };
        let names = config.names();
        let known = |name: &String| match names.contains(name) {
            true => Ok(()),
            false => Err(format!("{name:?} is none of the models: {}", names.join(", "))),
        };
        let of_default = reader.check("QUIPU_JOKES_DEFAULT_MODEL", config.default.iter().try_for_each(known));
        let of_fallback = reader.check("QUIPU_JOKES_FALLBACK", config.fallback.0.iter().try_for_each(known));
        let of_prices = reader
            .check("QUIPU_JOKES_PRICES", config.prices.0.iter().map(|(name, _)| name).try_for_each(known));
        of_default.and(of_fallback).and(of_prices).map(|()| config)
    }

    /// Of all models: the endpoint's, then the embedded one.
    fn names(&self) -> Vec<String> {
        let endpoint = self.openai.iter().flat_map(|openai| openai.models.0.clone());
        endpoint.chain([EMBEDDED_NAME.to_owned()]).collect()
    }

    /// The models, the default one first.
    pub(crate) fn build(&self) -> Result<Models> {
        let mut entries = Vec::new();
        for name in self.names() {
            let model: Arc<dyn JokeModel> = match &self.openai {
                Some(openai) if name != EMBEDDED_NAME => self.at_endpoint(openai, &name)?,
                _ => Arc::new(Embedded::new()),
            };
            let price = self.prices.0.iter().find(|(of, _)| *of == name).map(|(_, price)| *price);
            entries.push(Entry::new(model, price.unwrap_or_default()));
        }
        if let Some(default) = &self.default {
            entries.sort_by_key(|entry| entry.info().name != *default);
        }
        Ok(Models::new(entries, self.fallback.0.clone()))
    }

    fn at_endpoint(&self, openai: &OpenAiConfig, name: &str) -> Result<Arc<dyn JokeModel>> {
        let settings = Settings {
            name: name.to_owned(),
            provider: openai.provider.clone(),
            base_url: openai.base_url.clone(),
            model: name.to_owned(),
            key: openai.key.clone(),
            plain_http: openai.plain_http,
            max_tokens_field: openai.max_tokens_field,
            times: openai.times,
        };
        let model = OpenAi::new(settings).map_err(not_loaded)?;
        if let Some(folder) = &self.replay {
            return Ok(Arc::new(Replay::new(model.info().clone(), folder).map_err(not_loaded)?));
        }
        Ok(match &self.record {
            Some(folder) => Arc::new(Recorder::new(Arc::new(model), folder).map_err(not_loaded)?),
            None => Arc::new(model),
        })
    }
}

impl OpenAiConfig {
    fn read(reader: &mut Reader) -> std::result::Result<Option<Self>, Reported> {
        let base_url = reader.optional::<String>(
            "OPENAI_BASE_URL",
            "OpenAI-compatible endpoint [default: OpenAI's, with a key]",
        );
        let key = reader.secret("OPENAI_API_KEY", "key of the endpoint");
        let models = reader.or(
            "QUIPU_JOKES_OPENAI_MODELS",
            Names::default(),
            "models of the endpoint that may be asked",
        );
        let provider = reader.or(
            "QUIPU_JOKES_PROVIDER",
            "openai".to_owned(),
            "who runs the endpoint, by OpenTelemetry's gen_ai.provider.name",
        );
        let plain_http = reader.or(
            "QUIPU_JOKES_PLAIN_HTTP",
            PlainHttp::Loopback,
            "where the endpoint may be without TLS: never, loopback or anywhere",
        );
        let field = reader.or(
            "QUIPU_JOKES_MAX_TOKENS_FIELD",
            MaxTokensField::default(),
            "how the endpoint calls the longest answer: max_completion_tokens or max_tokens",
        );
        let times = read_times(reader);
        let (base_url, key, models, provider, times) = (base_url?, key?, models?, provider?, times?);
        let (plain_http, max_tokens_field) = (plain_http?, field?);
        let wanted = base_url.is_some() || key.is_some();
        let together = match (wanted, models.0.is_empty()) {
            (true, true) => Err("names no model; which of the endpoint's models may be asked?"),
            (false, false) => Err("needs OPENAI_API_KEY or OPENAI_BASE_URL"),
            _ => Ok(()),
        };
        reader.check("QUIPU_JOKES_OPENAI_MODELS", together)?;
        let base_url = base_url.unwrap_or_else(|| BASE_URL.to_owned());
        Ok(wanted.then_some(Self { base_url, key, provider, models, plain_http, max_tokens_field, times }))
    }
}

fn read_times(reader: &mut Reader) -> std::result::Result<Times, Reported> {
    let connect = span(reader, "QUIPU_JOKES_CONNECT_TIMEOUT", TIMES.connect, "connection to the endpoint");
    let first_token = span(
        reader,
        "QUIPU_JOKES_FIRST_TOKEN_TIMEOUT",
        TIMES.first_token,
        "wait for the first word of an answer",
    );
    let stall = span(reader, "QUIPU_JOKES_STALL_TIMEOUT", TIMES.stall, "wait for the next word of an answer");
    Ok(Times { connect: connect?, first_token: first_token?, stall: stall?, total: TIMES.total })
}

fn not_loaded(fault: impl fmt::Display) -> Error {
    Error::new(Kind::FailedPrecondition, "MODEL_NOT_LOADED", format!("cannot use the endpoint: {fault}"))
}

impl FromStr for Names {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let mut names: Vec<String> = Vec::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let is_name = name.len() <= 128 && name.chars().all(|c| c.is_ascii_graphic());
            if !is_name || names.iter().any(|other| other == name) {
                return Err(format!("{name:?} is no name of a model, or is there twice"));
            }
            names.push(name.to_owned());
        }
        Ok(Self(names))
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

impl FromStr for PriceList {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let mut prices = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let wrong = || format!("{part:?} is not NAME=IN/OUT, such as gpt-4o-mini=0.15/0.60");
            let (name, price) = part.rsplit_once('=').ok_or_else(wrong)?;
            let (input, output) = price.split_once('/').ok_or_else(wrong)?;
            // A millionth of it, rounded up: a token is never too cheap.
            let of_token = |text: &str| dollars(text).map(|nanos| (nanos + 999_999) / 1_000_000);
            prices.push((
                name.to_owned(),
                Price { input_nanos: of_token(input)?, output_nanos: of_token(output)? },
            ));
        }
        Ok(Self(prices))
    }
}

impl fmt::Display for PriceList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_million = |nanos: i64| Dollars(nanos.saturating_mul(1_000_000));
        let parts = self.0.iter().map(|(name, price)| {
            format!("{name}={}/{}", of_million(price.input_nanos), of_million(price.output_nanos))
        });
        f.write_str(&parts.collect::<Vec<_>>().join(","))
    }
}

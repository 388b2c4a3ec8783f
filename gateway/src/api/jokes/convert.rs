//! Between the JSON of the gateway and the messages of the service.

use mesh_error::{Error, Violation};
use mesh_proto::jokes::v1;

use super::{Joke, JokeAnswer, JokeBody, JokeParams, JokeSentiment, Length, Style};
use crate::api::{incomplete, time};

/// The value that `name` stands for, or what is wrong with the field.
pub(super) fn named<T: Copy>(field: impl Into<String>, name: &str, names: &[(&str, T)]) -> Result<T, Error> {
    let known = names.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    known.ok_or_else(|| {
        let names: Vec<_> = names.iter().map(|(name, _)| *name).collect();
        Error::invalid_field(field, format!("must be one of {}", names.join(", ")))
    })
}

impl Style {
    const NAMES: [(&'static str, v1::Style); 6] = [
        ("pun", v1::Style::Pun),
        ("one_liner", v1::Style::OneLiner),
        ("knock_knock", v1::Style::KnockKnock),
        ("riddle", v1::Style::Riddle),
        ("dad", v1::Style::Dad),
        ("observational", v1::Style::Observational),
    ];

    /// The style of this name.
    pub(super) fn parse(field: &str, name: &str) -> Result<v1::Style, Error> {
        named(field, name, &Self::NAMES)
    }

    fn of(style: v1::Style) -> Result<Self, Error> {
        Ok(match style {
            v1::Style::Pun => Self::Pun,
            v1::Style::OneLiner => Self::OneLiner,
            v1::Style::KnockKnock => Self::KnockKnock,
            v1::Style::Riddle => Self::Riddle,
            v1::Style::Dad => Self::Dad,
            v1::Style::Observational => Self::Observational,
            v1::Style::Unspecified => return Err(incomplete("style")),
        })
    }
}

impl Length {
    const NAMES: [(&'static str, v1::Length); 3] =
        [("short", v1::Length::Short), ("medium", v1::Length::Medium), ("long", v1::Length::Long)];

    fn of(length: v1::Length) -> Result<Self, Error> {
        Ok(match length {
            v1::Length::Short => Self::Short,
            v1::Length::Medium => Self::Medium,
            v1::Length::Long => Self::Long,
            v1::Length::Unspecified => return Err(incomplete("length")),
        })
    }
}

/// Keeps what is wrong with a field for later.
pub(super) fn keep<T: Default>(faults: &mut Vec<Violation>, read: Result<T, Error>) -> T {
    read.unwrap_or_else(|error| {
        faults.extend(error.violations().iter().cloned());
        T::default()
    })
}

pub(super) fn all_or_none<T>(value: T, faults: Vec<Violation>) -> Result<T, Error> {
    if faults.is_empty() { Ok(value) } else { Err(Error::invalid(faults)) }
}

impl TryFrom<JokeBody> for v1::CreateJokeRequest {
    type Error = Error;

    fn try_from(body: JokeBody) -> Result<Self, Error> {
        let mut faults = Vec::new();
        let style = body.style.map(|name| Style::parse("style", &name)).transpose();
        let style = keep(&mut faults, style).unwrap_or_default();
        let length = body.length.map(|name| named("length", &name, &Length::NAMES)).transpose();
        let length = keep(&mut faults, length).unwrap_or_default();
        let params = v1::JokeParams {
            style: style.into(),
            audience: body.audience.unwrap_or_default(),
            language: body.language.unwrap_or_default(),
            length: length.into(),
            temperature: body.temperature,
            seed: body.seed,
        };
        let model = body.model.unwrap_or_default();
        all_or_none(Self { topic: body.topic, params: Some(params), model }, faults)
    }
}

impl TryFrom<v1::JokeParams> for JokeParams {
    type Error = Error;

    fn try_from(params: v1::JokeParams) -> Result<Self, Error> {
        Ok(Self {
            style: Style::of(params.style())?,
            length: Length::of(params.length())?,
            audience: (!params.audience.is_empty()).then_some(params.audience),
            language: params.language,
            temperature: params.temperature,
            seed: params.seed,
        })
    }
}

impl TryFrom<v1::Joke> for Joke {
    type Error = Error;

    fn try_from(joke: v1::Joke) -> Result<Self, Error> {
        Ok(Self {
            id: joke.id,
            setup: joke.setup,
            punchline: joke.punchline,
            topic: joke.topic,
            model: joke.model,
            provider: joke.provider,
            params: joke.params.ok_or_else(|| incomplete("params"))?.try_into()?,
            latency_ms: joke.latency_ms,
            usage: joke.usage.unwrap_or_default().into(),
            sentiment: joke.sentiment.map(|s| JokeSentiment { label: s.label, score: s.score }),
            rating: joke.rating,
            cached: joke.cached,
            fallback: joke.fallback,
            created_at: time(&joke.created_at.ok_or_else(|| incomplete("time"))?),
        })
    }
}

impl TryFrom<Option<v1::Joke>> for JokeAnswer {
    type Error = Error;

    fn try_from(joke: Option<v1::Joke>) -> Result<Self, Error> {
        Ok(Self { joke: joke.ok_or_else(|| incomplete("joke"))?.try_into()? })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_name_is_read_as_it_is_written() {
        for (name, value) in Style::NAMES {
            assert_eq!(serde_json::to_value(Style::of(value).unwrap()).unwrap(), json!(name));
        }
        for (name, value) in Length::NAMES {
            assert_eq!(serde_json::to_value(Length::of(value).unwrap()).unwrap(), json!(name));
        }
    }

    #[test]
    fn unknown_names_are_told_together_with_their_fields() {
        let body = JokeBody {
            topic: "tea".into(),
            style: Some("Pun".into()),
            length: Some(String::new()),
            ..JokeBody::default()
        };
        let error = v1::CreateJokeRequest::try_from(body).unwrap_err();
        let fields: Vec<_> = error.violations().iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["style", "length"]);
        assert!(error.violations()[1].description.ends_with("short, medium, long"));
    }

    #[test]
    fn what_is_absent_is_left_to_the_service() {
        let body = JokeBody { topic: "tea".into(), seed: Some(7), ..JokeBody::default() };
        let message = v1::CreateJokeRequest::try_from(body).unwrap();
        let expected = v1::JokeParams { seed: Some(7), ..v1::JokeParams::default() };
        assert_eq!((message.params, message.model.as_str()), (Some(expected), ""));
    }
}

//! Between the contract's types and ours. What comes in is checked here, every field at once.

use chrono::{DateTime, Utc};
use mesh_error::{Error, Result, Violations};
use mesh_proto::jokes::v1 as pb;
use mesh_store::page::{Page, PageRequest};
use prost_types::Timestamp;
use tonic::Request;

use crate::domain::{
    Audience, Conversation, Joke, JokeRequest, Language, Length, Params, Style, Temperature, Topic, Usage,
};
use crate::models::Entry;
use crate::ports::{Role, Turn};
use crate::service::{Caller, Event, Figure, ListWish};
use crate::store::jokes::{Feedback, Filter};

/// Most characters of a comment.
const MAX_COMMENT: usize = 500;
/// Most bytes of a model's name; no longer one is looked for.
const MAX_MODEL: usize = 128;

/// The user in whose name the call is made.
pub(super) fn caller<T>(request: &Request<T>) -> Result<Caller> {
    let claims = &mesh_server::user(request)?.claims;
    Ok(Caller { user_id: claims.sub.clone(), credential: claims.sid.clone() })
}

pub(super) fn wish(topic: &str, params: Option<pb::JokeParams>) -> Result<JokeRequest> {
    let mut violations = Violations::new();
    let given = params.unwrap_or_default();
    let topic = violations.check("topic", Topic::parse(topic));
    let style = violations.check("params.style", style(given.style).map(Option::unwrap_or_default));
    let audience = violations.check("params.audience", Audience::parse(&given.audience));
    let language = violations.check("params.language", Language::parse(&given.language));
    let length = violations.check("params.length", length(given.length));
    let temperature =
        violations.check("params.temperature", given.temperature.map(Temperature::parse).transpose());
    match (topic, style, audience, language, length, temperature) {
        (Some(topic), Some(style), Some(audience), Some(language), Some(length), Some(temperature)) => {
            let params = Params { style, audience, language, length, temperature, seed: given.seed };
            Ok(JokeRequest { topic, params })
        }
        _ => Err(violations.into_error()),
    }
}

/// None for unspecified.
fn style(value: i32) -> std::result::Result<Option<Style>, &'static str> {
    Ok(Some(match pb::Style::try_from(value).map_err(|_| "is no style")? {
        pb::Style::Unspecified => return Ok(None),
        pb::Style::Pun => Style::Pun,
        pb::Style::OneLiner => Style::OneLiner,
        pb::Style::KnockKnock => Style::KnockKnock,
        pb::Style::Riddle => Style::Riddle,
        pb::Style::Dad => Style::Dad,
        pb::Style::Observational => Style::Observational,
    }))
}

fn length(value: i32) -> std::result::Result<Length, &'static str> {
    Ok(match pb::Length::try_from(value).map_err(|_| "is no length")? {
        pb::Length::Unspecified | pb::Length::Medium => Length::Medium,
        pb::Length::Short => Length::Short,
        pb::Length::Long => Length::Long,
    })
}

pub(super) fn conversation(messages: Vec<pb::Message>) -> Result<Conversation> {
    let mut turns = Vec::new();
    for (place, message) in messages.into_iter().enumerate() {
        let role = match message.role() {
            pb::Role::User => Role::User,
            pb::Role::Assistant => Role::Assistant,
            pb::Role::Unspecified => {
                let field = format!("messages[{place}].role");
                return Err(Error::invalid_field(field, "must be \"user\" or \"assistant\""));
            }
        };
        // Lines end as on any system; a lone carriage return is a control character like any other.
        turns.push(Turn { role, text: message.content.replace("\r\n", "\n") });
    }
    Conversation::new(turns).map_err(|(field, what)| Error::invalid_field(field, what))
}

/// The id of a joke. What is no id of ours names nothing; it never reaches the database.
pub(super) fn id(id: String) -> Result<String> {
    let is_ours = id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if is_ours { Ok(id) } else { Err(Error::not_found("joke")) }
}

pub(super) fn list(request: pb::ListJokesRequest) -> Result<ListWish> {
    let mut violations = Violations::new();
    let style = violations.check("style", style(request.style));
    if request.model.len() > MAX_MODEL {
        violations.push("model", format!("must have at most {MAX_MODEL} bytes"));
    }
    violations.finish()?;
    let filter =
        Filter { style: style.flatten(), model: Some(request.model).filter(|model| !model.is_empty()) };
    Ok(ListWish { page: PageRequest::new(request.page_size, request.page_token)?, filter })
}

pub(super) fn feedback(request: pb::RateJokeRequest) -> Result<(String, Feedback)> {
    let mut violations = Violations::new();
    if !matches!(request.rating, 1 | -1) {
        violations.push("rating", "must be 1 or -1");
    }
    let comment = request.comment.trim();
    if comment.chars().count() > MAX_COMMENT || comment.contains('\0') {
        violations.push("comment", format!("must have at most {MAX_COMMENT} characters and no NUL"));
    }
    violations.finish()?;
    let comment = Some(comment.to_owned()).filter(|comment| !comment.is_empty());
    Ok((id(request.id)?, Feedback { rating: request.rating, comment }))
}

/// The joke at the end of a call.
pub(super) fn finished(event: Event) -> Option<pb::Joke> {
    match event {
        Event::Joke(finished) => Some(joke(*finished)),
        Event::Delta(_) | Event::ChatEnd(_) => None,
    }
}

pub(super) fn joke_event(event: Event) -> pb::StreamJokeResponse {
    use pb::stream_joke_response::Event as Out;
    let event = match event {
        Event::Delta(text) => Some(Out::Delta(text)),
        other => finished(other).map(Out::Joke),
    };
    pb::StreamJokeResponse { event }
}

pub(super) fn chat_event(event: Event) -> pb::ChatResponse {
    use pb::chat_response::Event as Out;
    let event = match event {
        Event::Delta(text) => Some(Out::Delta(text)),
        Event::ChatEnd(end) => Some(Out::End(pb::ChatEnd {
            model: end.model,
            usage: Some(usage(end.usage)),
            truncated: end.truncated,
        })),
        Event::Joke(_) => None,
    };
    pb::ChatResponse { event }
}

pub(super) fn jokes(list: Page<Joke>) -> pb::ListJokesResponse {
    pb::ListJokesResponse { jokes: list.items.into_iter().map(joke).collect(), next_page_token: list.next }
}

pub(super) fn joke(joke: Joke) -> pb::Joke {
    pb::Joke {
        id: joke.id,
        setup: joke.told.setup,
        punchline: joke.told.punchline,
        topic: joke.topic,
        model: joke.model,
        params: Some(params(&joke.params)),
        latency_ms: joke.latency_ms,
        usage: Some(usage(joke.usage)),
        sentiment: joke.sentiment.map(|s| pb::Sentiment { label: s.label, score: s.score }),
        rating: joke.rating,
        created_at: Some(timestamp(joke.created_at)),
        provider: joke.provider,
        cached: joke.cached,
        fallback: joke.fallback,
    }
}

fn params(params: &Params) -> pb::JokeParams {
    let style = match params.style {
        Style::Pun => pb::Style::Pun,
        Style::OneLiner => pb::Style::OneLiner,
        Style::KnockKnock => pb::Style::KnockKnock,
        Style::Riddle => pb::Style::Riddle,
        Style::Dad => pb::Style::Dad,
        Style::Observational => pb::Style::Observational,
    };
    let length = match params.length {
        Length::Short => pb::Length::Short,
        Length::Medium => pb::Length::Medium,
        Length::Long => pb::Length::Long,
    };
    pb::JokeParams {
        style: style.into(),
        audience: params.audience.as_str().to_owned(),
        language: params.language.as_str().to_owned(),
        length: length.into(),
        temperature: params.temperature.map(Temperature::value),
        seed: params.seed,
    }
}

fn usage(usage: Usage) -> pb::Usage {
    pb::Usage {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cost_nanos: usage.cost_nanos,
    }
}

pub(super) fn model(entry: &Entry, default: bool) -> pb::Model {
    pb::Model {
        name: entry.info().name.clone(),
        provider: entry.info().provider.clone(),
        default,
        input_price_nanos: entry.price.input_nanos,
        output_price_nanos: entry.price.output_nanos,
    }
}

pub(super) fn budget(figure: &Figure) -> pb::Budget {
    let spent = |used, limit| Some(pb::Spent { used, limit });
    pb::Budget {
        scope: figure.scope.name().to_owned(),
        period: figure.period.as_str().to_owned(),
        ends_at: Some(timestamp(figure.ends_at)),
        calls: spent(figure.used.calls, figure.limits.calls),
        tokens: spent(figure.used.tokens, figure.limits.tokens),
        cost_nanos: spent(figure.used.cost_nanos, figure.limits.cost_nanos),
    }
}

fn timestamp(time: DateTime<Utc>) -> Timestamp {
    let nanos = i32::try_from(time.timestamp_subsec_nanos()).unwrap_or_default();
    Timestamp { seconds: time.timestamp(), nanos }
}

//! The body of a call.

use serde::Serialize;
use serde_json::Value;

use super::MaxTokensField;
use crate::ports::{ModelError, Prompt, Role};

/// One answer is asked for, so there is no `n`, and no tools.
#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    stream: bool,
    stream_options: StreamOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct ResponseFormat<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    json_schema: JsonSchema<'a>,
}

#[derive(Serialize)]
struct JsonSchema<'a> {
    name: &'static str,
    strict: bool,
    schema: &'a Value,
}

/// The prompt as the protocol has it. What users said is never in the system's message.
pub(super) fn encode(prompt: &Prompt, model: &str, field: MaxTokensField) -> Result<Vec<u8>, ModelError> {
    let system = Some(Message { role: "system", content: &prompt.system });
    let turns = prompt.turns.iter().map(|turn| Message { role: role(turn.role), content: &turn.text });
    let most = |wanted| (field == wanted).then_some(prompt.max_output_tokens);
    let body = Body {
        model,
        messages: system.into_iter().filter(|message| !message.content.is_empty()).chain(turns).collect(),
        stream: true,
        stream_options: StreamOptions { include_usage: true },
        max_completion_tokens: most(MaxTokensField::MaxCompletionTokens),
        max_tokens: most(MaxTokensField::MaxTokens),
        temperature: prompt.temperature,
        seed: prompt.seed,
        response_format: prompt.schema.map(|schema| ResponseFormat {
            kind: "json_schema",
            json_schema: JsonSchema { name: "answer", strict: true, schema },
        }),
    };
    serde_json::to_vec(&body).map_err(|_| ModelError::Rejected("the prompt is no JSON".to_owned()))
}

fn role(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

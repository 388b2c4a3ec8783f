//! The provider against a scripted server.

mod failures;
mod forms;
mod leaving;
mod limits;
mod secrets;
mod splits;

use std::sync::LazyLock;
use std::time::Duration;

use futures::StreamExt;
use mesh_testkit::FakeLlm;
use serde_json::{Value, json};

use super::*;
use crate::ports::{Finish, Piece, Role, Task, Tokens, Turn};

/// Looks like a key, and must be nowhere.
const KEY: &str = "sk-test-CANARY-0123456789";

static SCHEMA: LazyLock<Value> = LazyLock::new(|| json!({ "type": "object", "required": ["setup"] }));

fn settings(base_url: String) -> Settings {
    Settings {
        name: "ours".to_owned(),
        provider: "openai".to_owned(),
        base_url,
        plain_http: PlainHttp::Loopback,
        model: "theirs".to_owned(),
        key: Some(KEY.to_owned().into()),
        max_tokens_field: MaxTokensField::default(),
        times: Times {
            connect: Duration::from_secs(5),
            first_token: Duration::from_secs(10),
            stall: Duration::from_secs(10),
            total: Duration::from_secs(30),
        },
    }
}

fn model(fake: &FakeLlm) -> OpenAi {
    OpenAi::new(settings(fake.base_url())).unwrap()
}

fn prompt() -> Prompt {
    Prompt {
        task: Task::Chat,
        system: "Be funny.".to_owned(),
        turns: vec![Turn { role: Role::User, text: "Tell a joke.".to_owned() }],
        schema: None,
        max_output_tokens: 100,
        temperature: None,
        seed: None,
    }
}

/// What was heard of an answer, as a whole.
#[derive(Debug, Default, PartialEq)]
struct Whole {
    text: String,
    pieces: usize,
    end: Option<(Finish, Option<Tokens>)>,
    error: Option<String>,
}

/// Listens to the end; an error before the first piece is in `error` too.
async fn hear(model: &OpenAi, prompt: &Prompt) -> Whole {
    let mut whole = Whole::default();
    let mut answer = match model.answer(prompt).await {
        Ok(answer) => answer,
        Err(error) => return Whole { error: Some(error.to_string()), ..whole },
    };
    while let Some(piece) = answer.next().await {
        assert!(whole.end.is_none() && whole.error.is_none(), "something comes after the end");
        match piece {
            Ok(Piece::Text(text)) => {
                assert!(!text.is_empty());
                whole.text += &text;
                whole.pieces += 1;
            }
            Ok(Piece::End { finish, tokens }) => whole.end = Some((finish, tokens)),
            Err(error) => whole.error = Some(error.to_string()),
        }
    }
    assert!(answer.next().await.is_none());
    whole
}

fn tokens(input: u32, output: u32) -> Option<Tokens> {
    Some(Tokens { input, output })
}

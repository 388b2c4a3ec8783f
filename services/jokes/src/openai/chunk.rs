//! What a server says: chunks of a stream, and whole completions.

use std::collections::VecDeque;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::errors;
use super::text::{Joiner, Raw};
use crate::ports::{Finish, ModelError, Piece, Tokens};

/// A chunk of a stream or a whole completion. Fields that we do not know are nothing to us; a field twice is an error.
#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<Usage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u32,
    delta: Option<Message>,
    message: Option<Message>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<Raw>,
    refusal: Option<Raw>,
    tool_calls: Option<Vec<IgnoredAny>>,
    function_call: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u32>,
    /// Hidden reasoning included.
    completion_tokens: Option<u32>,
}

impl Usage {
    /// What it says, if it says both.
    fn tokens(&self) -> Option<Tokens> {
        let (input, output) = self.prompt_tokens.zip(self.completion_tokens)?;
        Some(Tokens { input, output })
    }
}

/// What has been heard of an answer.
pub(super) struct Heard {
    joiner: Joiner,
    refused: bool,
    finish: Option<Finish>,
    tokens: Option<Tokens>,
    /// So many bytes of text may still come.
    left: usize,
}

impl Heard {
    /// Nothing yet. The text of the answer is not longer than this, in bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { joiner: Joiner::default(), refused: false, finish: None, tokens: None, left: most }
    }

    /// Whether the server has said why the answer ends.
    pub(super) fn finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Takes a chunk or a whole completion, and appends the text in it.
    ///
    /// # Errors
    /// [`ModelError`]; the text before the fault has been appended.
    pub(super) fn take(&mut self, json: &[u8], pieces: &mut VecDeque<Piece>) -> Result<(), ModelError> {
        let chunk: Chunk = serde_json::from_slice(json).map_err(|_| malformed("no chunk of an answer"))?;
        if let Some(error) = chunk.error {
            return Err(errors::of_object(&error));
        }
        if let Some(tokens) = chunk.usage.as_ref().and_then(Usage::tokens) {
            self.tokens = Some(tokens);
        }
        let choices = match chunk.choices {
            None if chunk.usage.is_none() => return Err(malformed("a chunk without choices")),
            choices => choices.unwrap_or_default(),
        };
        for choice in choices.into_iter().filter(|choice| choice.index == 0) {
            self.choice(choice, pieces)?;
        }
        Ok(())
    }

    /// The end of the answer, after the text that is still held back.
    ///
    /// # Errors
    /// When the server has not said why it ends, so it is not whole.
    pub(super) fn end(&mut self, pieces: &mut VecDeque<Piece>) -> Result<(), ModelError> {
        let finish = self.finish.ok_or_else(errors::broken_off)?;
        pieces.extend(self.joiner.end().map(Piece::Text));
        let finish = if self.refused { Finish::Filtered } else { finish };
        pieces.push_back(Piece::End { finish, tokens: self.tokens });
        Ok(())
    }

    fn choice(&mut self, choice: Choice, pieces: &mut VecDeque<Piece>) -> Result<(), ModelError> {
        // After its end an answer has no more text.
        if let Some(message) = choice.delta.or(choice.message).filter(|_| !self.finished()) {
            if message.tool_calls.is_some_and(|calls| !calls.is_empty()) || message.function_call.is_some() {
                return Err(malformed("a tool is called, and none was offered"));
            }
            let refusal = message.refusal.unwrap_or_default().0;
            self.refused |= !refusal.is_empty();
            let content = message.content.unwrap_or_default().0;
            let length = content.len() + refusal.len();
            self.left = self.left.checked_sub(length).ok_or_else(|| malformed("too long"))?;
            let text = self.joiner.push(&content);
            pieces.extend(Some(text).filter(|text| !text.is_empty()).map(Piece::Text));
        }
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
            self.finish = Some(finish(&reason)?);
        }
        Ok(())
    }
}

/// The reasons of OpenAI, and what other servers say in their place.
fn finish(reason: &str) -> Result<Finish, ModelError> {
    match reason.to_ascii_lowercase().as_str() {
        "stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence" => Ok(Finish::Stop),
        "length" | "max_tokens" | "model_length" => Ok(Finish::Length),
        "content_filter" | "safety" | "recitation" | "refusal" => Ok(Finish::Filtered),
        "error" => Err(errors::broken_off()),
        _ => Err(malformed("it ends for an unknown reason")),
    }
}

fn malformed(what: &str) -> ModelError {
    ModelError::Malformed(what.to_owned())
}

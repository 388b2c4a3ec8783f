//! Chats as JSON.

use mesh_error::Error;
use mesh_proto::jokes::v1;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Delta, Usage,
    convert::{all_or_none, keep, named},
};
use crate::problem::Problem;

/// Who said a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// The user.
    User,
    /// The model.
    Assistant,
}

/// A conversation whose last message is to be answered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChatBody {
    /// 1 to 50, together at most 16,000 characters; the last one is the user's.
    #[schema(min_items = 1, max_items = 50)]
    pub(crate) messages: Vec<ChatMessage>,
    /// Name of a model; absent means the default one.
    pub(crate) model: Option<String>,
}

/// One turn of a conversation.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChatMessage {
    /// Who said it.
    #[schema(value_type = Role)]
    pub(crate) role: String,
    /// 1 to 4,000 characters in a request.
    #[schema(min_length = 1)]
    pub(crate) content: String,
}

/// A whole answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChatAnswer {
    /// What the model said.
    pub(crate) message: ChatMessage,
    /// How it ended.
    #[serde(flatten)]
    pub(crate) end: ChatEnd,
}

/// What is known when an answer is complete.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatEnd {
    /// The model that answered.
    model: String,
    /// What the answer used.
    usage: Usage,
    /// Whether the answer was cut at its longest.
    truncated: bool,
}

/// The data of an event of a chat: some of `delta`, then one of `end` or `error`, each with its number as id.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the document: each event is written by itself")]
pub(crate) enum ChatEvent {
    /// Of the event `delta`.
    Delta(Delta),
    /// Of the event `end`.
    End(ChatEnd),
    /// Of the event `error`.
    Error(Problem),
}

impl Role {
    const NAMES: [(&'static str, Self); 2] = [("user", Self::User), ("assistant", Self::Assistant)];
}

impl From<Role> for v1::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::User => Self::User,
            Role::Assistant => Self::Assistant,
        }
    }
}

impl TryFrom<ChatBody> for v1::ChatRequest {
    type Error = Error;

    fn try_from(body: ChatBody) -> Result<Self, Error> {
        let mut faults = Vec::new();
        let messages = body.messages.into_iter().enumerate().map(|(place, message)| {
            let role = named(format!("messages[{place}].role"), &message.role, &Role::NAMES);
            let role = keep(&mut faults, role.map(v1::Role::from));
            v1::Message { role: role.into(), content: message.content }
        });
        let messages = messages.collect();
        all_or_none(Self { messages, model: body.model.unwrap_or_default() }, faults)
    }
}

impl From<v1::ChatEnd> for ChatEnd {
    fn from(end: v1::ChatEnd) -> Self {
        let usage = end.usage.unwrap_or_default().into();
        Self { model: end.model, usage, truncated: end.truncated }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_role_is_read_as_it_is_written() {
        for (name, role) in Role::NAMES {
            assert_eq!(serde_json::to_value(role).unwrap(), json!(name));
        }
    }
}

//! A model that does as users say.

use mesh_testkit::{Asked, Reply};
use serde_json::{Value, json};

use crate::asking::GOOD;

/// How the model obeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It does as we want.
    Well,
    /// Says all that it was told, as it is.
    Echo,
    /// Says all that it was told in the JSON that was asked for.
    EchoInJson,
    /// Says a sentence and then our mark.
    Mark,
    /// Says what the user wrote, escapes undone, as JSON that is none.
    User,
}

/// All of them.
pub(crate) const MANNERS: [Manner; 5] =
    [Manner::Well, Manner::Echo, Manner::EchoInJson, Manner::Mark, Manner::User];

impl Manner {
    /// What it says.
    pub(crate) fn reply(self, asked: &Asked) -> Reply {
        let is_joke = asked.body.get("response_format").is_some();
        let all: Vec<&str> = messages(asked).map(|(_, content)| content).collect();
        let told = all.join("\n");
        let in_json = |setup: &str| json!({"setup": setup, "punchline": "That is all."}).to_string();
        match self {
            Self::Well => Reply::text(if is_joke { GOOD } else { "That is a nice story." }),
            Self::Echo => Reply::echo().every(7),
            Self::EchoInJson => Reply::text(in_json(&told)).every(5),
            Self::Mark => {
                let text = format!("Here is a story. {} And so on.", all[0].rsplit(' ').next().unwrap());
                Reply::text(if is_joke { in_json(&text) } else { text }).every(3)
            }
            Self::User => Reply::text(texts(is_joke, all[1]).join("\n")),
        }
    }
}

/// Role and content of each message.
pub(crate) fn messages(asked: &Asked) -> impl Iterator<Item = (&str, &str)> {
    let all = asked.body["messages"].as_array().unwrap();
    all.iter().map(|message| (message["role"].as_str().unwrap(), message["content"].as_str().unwrap()))
}

/// What a user wrote, out of the message in which it is told to the model.
pub(crate) fn texts(is_joke: bool, content: &str) -> Vec<String> {
    let undone = |text: &str| text.replace("\\u003c", "<").replace("\\u003e", ">").replace("\\u005b", "[");
    if !is_joke {
        return vec![undone(content)];
    }
    let wish: Value = serde_json::from_str(content).unwrap();
    ["topic", "audience"].iter().map(|name| wish[name].as_str().unwrap().to_owned()).collect()
}

//! Asks for jokes and answers over REST, as a whole and as events.

use futures::StreamExt as _;
use http::header;
use quipu_e2e::Person;
use serde_json::{Value, json};

use crate::asking::{Told, Way};

/// Requests under way at once: fewer than the streams that the gateway allows a user.
const FEW: usize = 4;

/// Asks over REST, for events or for the whole answer.
pub(crate) async fn ask_rest(person: &Person, way: Way, about: &str, events: bool) -> Told {
    let (path, body) = match way {
        Way::Chat => ("/v1/chat", json!({"messages": [{"role": "user", "content": about}]})),
        Way::Whole | Way::Stream => ("/v1/jokes", json!({ "topic": about })),
    };
    let accept = if events { "text/event-stream" } else { "application/json" };
    let request = person.request(reqwest::Method::POST, path).header(header::ACCEPT, accept).json(&body);
    let response = request.send().await.unwrap();
    let mut told = Told { code: response.status().as_u16().into(), ..Told::default() };
    let is_stream =
        response.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/event-stream");
    let text = response.text().await.unwrap();
    told.bytes = text.clone().into_bytes();
    if !is_stream {
        let whole: Value = serde_json::from_str(&text).unwrap();
        told.take(if told.code < 300 { "end" } else { "error" }, &whole);
        return told;
    }
    for event in text.split("\n\n").filter(|event| !event.is_empty() && !event.starts_with(':')) {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        told.take(field("event: "), &serde_json::from_str(field("data: ")).unwrap());
    }
    told
}

impl Told {
    /// An event, or a whole answer as the last one.
    fn take(&mut self, event: &str, data: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match event {
            "delta" => self.text.push_str(data["text"].as_str().unwrap()),
            "error" => {
                (self.reason, self.rule) = (text(&data["reason"]), text(&data["rule"]));
                self.code = data["status"].as_i64().unwrap().try_into().unwrap();
            }
            _ => {
                self.ended = true;
                if self.text.is_empty() {
                    let joke = &data["joke"];
                    let told = [&joke["setup"], &joke["punchline"]].map(text).join("\n\n");
                    self.text = if joke.is_object() { told } else { text(&data["message"]["content"]) };
                }
            }
        }
    }
}

/// As [`all`], over REST.
pub(crate) async fn few<T, F: Future<Output = T>>(requests: impl IntoIterator<Item = F>) -> Vec<T> {
    futures::stream::iter(requests).buffer_unordered(FEW).collect().await
}

//! Turns an answer into what is written to the connection, step by step.

use std::time::Duration;

use serde_json::{Value, json};

use super::deltas::{deltas, literal};
use super::reply::{Broken, Cuts, Says, Usage};
use super::{Asked, Break, Reply};
use crate::http::head;

/// What is written, in this order.
pub(super) struct Plan {
    pub(super) head: Vec<u8>,
    /// Whether the body goes out in chunks of HTTP; otherwise the head tells its length.
    pub(super) chunked: bool,
    pub(super) steps: Vec<Step>,
    /// After the steps, for ever.
    pub(super) again: Vec<Step>,
}

/// One step.
pub(super) enum Step {
    Bytes(Vec<u8>),
    Wait(Duration),
    Break(Break),
}

/// None for an answer that is no answer at all.
pub(super) fn plan(reply: &Reply, asked: &Asked) -> Option<Plan> {
    let streamed = asked.body.get("stream") == Some(&Value::Bool(true)) && !reply.whole;
    match &reply.says {
        Says::Nothing(_) => None,
        Says::Body(body) => Some(whole(reply, body.clone())),
        Says::Stream(body) => Some(stream(reply, vec![Step::Bytes(body.clone())], Vec::new())),
        Says::Endless(text) => {
            let sent = Sent::new(reply, asked, text);
            let one = |delta: &String| [sent.delta("content", delta), Step::Wait(reply.pauses.between)];
            let again = sent.deltas.iter().flat_map(one).collect();
            Some(stream(reply, sent.begin(), again))
        }
        Says::Text(_) | Says::Echo | Says::Refusal(_) => {
            let text = text(reply, asked);
            let sent = Sent::new(reply, asked, &text);
            Some(if streamed {
                stream(reply, sent.events(), Vec::new())
            } else {
                whole(reply, sent.completion(&text))
            })
        }
    }
}

fn text(reply: &Reply, asked: &Asked) -> String {
    match &reply.says {
        Says::Text(text) | Says::Refusal(text) | Says::Endless(text) => text.clone(),
        Says::Echo => contents(asked).collect::<Vec<_>>().join("\n"),
        Says::Stream(_) | Says::Body(_) | Says::Nothing(_) => String::new(),
    }
}

fn contents(asked: &Asked) -> impl Iterator<Item = &str> {
    let messages = asked.body.get("messages").and_then(Value::as_array);
    messages.into_iter().flatten().filter_map(|message| message.get("content")?.as_str())
}

fn stream(reply: &Reply, steps: Vec<Step>, again: Vec<Step>) -> Plan {
    let headers = [headers(reply, "text/event-stream"), vec![pair("transfer-encoding", "chunked")]].concat();
    Plan { head: head(reply.status, &headers), chunked: true, steps, again }
}

fn whole(reply: &Reply, body: Vec<u8>) -> Plan {
    let length = body.len().to_string();
    let headers = [headers(reply, "application/json"), vec![pair("content-length", &length)]].concat();
    let steps = match reply.breaks {
        // The head promises a byte more than comes.
        Some((_, Broken::Off(how))) => {
            let half = body.get(..body.len() / 2).unwrap_or_default().to_vec();
            vec![Step::Bytes(half), Step::Break(how)]
        }
        _ => vec![Step::Wait(reply.pauses.first), Step::Bytes(body)],
    };
    Plan { head: head(reply.status, &headers), chunked: false, steps, again: Vec::new() }
}

fn headers(reply: &Reply, media_type: &str) -> Vec<(String, String)> {
    let media_type = reply.content_type.as_deref().unwrap_or(media_type);
    let mut headers = vec![pair("content-type", media_type), pair("cache-control", "no-store")];
    headers.extend_from_slice(&reply.headers);
    headers
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// An answer as events or as a whole.
struct Sent<'a> {
    reply: &'a Reply,
    model: Value,
    deltas: Vec<String>,
    /// The field that the text stands in.
    field: &'static str,
    /// Null if it is not told.
    usage: Value,
    /// Whether the stream tells it.
    asked_usage: bool,
}

impl<'a> Sent<'a> {
    fn new(reply: &'a Reply, asked: &Asked, text: &str) -> Self {
        let deltas = deltas(text, &reply.deltas, reply.escaped);
        let counted = || {
            let bytes: usize = contents(asked).map(str::len).sum();
            usage(json!(bytes.div_ceil(4)), json!(deltas.len() + reply.reasoning))
        };
        let usage = match reply.usage {
            Usage::Counted => counted(),
            Usage::Said(prompt, completion) => usage(json!(prompt), json!(completion)),
            Usage::None => Value::Null,
        };
        let field = if matches!(reply.says, Says::Refusal(_)) { "refusal" } else { "content" };
        let asked_usage = asked.body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true));
        let model = asked.body.get("model").cloned().unwrap_or_default();
        Self { reply, model, deltas, field, usage, asked_usage }
    }

    /// The event that tells the role, the reasoning, and the wait for the first delta.
    fn begin(&self) -> Vec<Step> {
        let mut steps = vec![self.event(r#"{"role":"assistant","content":""}"#, &Value::Null)];
        let reasoning = || self.delta("reasoning_content", "hm ");
        steps.extend(std::iter::repeat_with(reasoning).take(self.reply.reasoning));
        steps.push(Step::Wait(self.reply.pauses.first));
        steps
    }

    fn events(&self) -> Vec<Step> {
        let mut steps = self.begin();
        let (last, broken) = match &self.reply.breaks {
            Some((deltas, broken)) => (*deltas, Some(broken)),
            None => (usize::MAX, None),
        };
        for (place, delta) in self.deltas.iter().take(last).enumerate() {
            if place > 0 {
                steps.push(Step::Wait(self.reply.pauses.between));
            }
            steps.push(self.delta(self.field, delta));
        }
        match broken {
            Some(Broken::Off(how)) => steps.push(Step::Break(*how)),
            Some(Broken::Event(event)) => steps.push(Step::Bytes(format!("data: {event}\n\n").into_bytes())),
            None => steps.extend(self.end()),
        }
        steps
    }

    fn end(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some(reason) = &self.reply.finish {
            steps.push(self.event("{}", &json!(reason)));
        }
        if self.asked_usage && !self.usage.is_null() {
            let chunk = json!({ "object": "chat.completion.chunk", "choices": [], "usage": self.usage });
            steps.push(Step::Bytes(format!("data: {chunk}\n\n").into_bytes()));
        }
        if self.reply.done {
            steps.push(Step::Bytes(b"data: [DONE]\n\n".to_vec()));
        }
        steps
    }

    fn delta(&self, field: &str, literal: &str) -> Step {
        self.event(&format!(r#"{{"{field}":"{literal}"}}"#), &Value::Null)
    }

    fn event(&self, delta: &str, finish: &Value) -> Step {
        let choice = format!(r#"{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}"#);
        let known = format!(r#""id":"chatcmpl-0","object":"chat.completion.chunk","model":{}"#, self.model);
        Step::Bytes(format!("data: {{{known},\"choices\":[{choice}],\"usage\":null}}\n\n").into_bytes())
    }

    fn completion(&self, text: &str) -> Vec<u8> {
        let literal = format!(r#""{}":"{}""#, self.field, literal(text, self.reply.escaped));
        let message = match self.field {
            "content" => format!(r#"{{"role":"assistant",{literal},"refusal":null}}"#),
            _ => format!(r#"{{"role":"assistant","content":null,{literal}}}"#),
        };
        let finish = json!(self.reply.finish);
        let choice = format!(r#"{{"index":0,"message":{message},"logprobs":null,"finish_reason":{finish}}}"#);
        let known = format!(r#""id":"chatcmpl-0","object":"chat.completion","model":{}"#, self.model);
        format!("{{{known},\"choices\":[{choice}],\"usage\":{}}}", self.usage).into_bytes()
    }
}

fn usage(prompt: Value, completion: Value) -> Value {
    let total = prompt.as_u64().unwrap_or_default() + completion.as_u64().unwrap_or_default();
    json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total })
}

/// Joins neighbouring bytes, when the places of the cuts count over all of the body.
pub(super) fn joined(steps: Vec<Step>, cuts: &Cuts) -> Vec<Step> {
    if matches!(cuts, Cuts::Nowhere) {
        return steps;
    }
    let mut all: Vec<Step> = Vec::new();
    for step in steps {
        match (all.last_mut(), step) {
            (_, Step::Wait(Duration::ZERO)) => {}
            (Some(Step::Bytes(before)), Step::Bytes(bytes)) => before.extend(bytes),
            (_, step) => all.push(step),
        }
    }
    all
}

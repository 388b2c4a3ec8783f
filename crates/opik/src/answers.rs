//! Answers on their way to Opik: a span processor beside that of the collector.
//!
//! An answer is a span that invokes an agent, by OpenTelemetry's conventions for generative models, with all spans of this
//! process below it. Opik makes a trace of a span without a parent, so an answer is sent when it is complete, as a trace of
//! its own whatever request it was part of: its id is that of the conversation, and the trace of the mesh is in its metadata.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use metrics::counter;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceId};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use crate::config::OpikConfig;
use crate::groups::Groups;
use crate::post::Post;

/// The attribute that says what a span does.
pub const OPERATION: &str = "gen_ai.operation.name";
/// Its value for a span that is an answer.
pub const INVOKE_AGENT: &str = "invoke_agent";
/// The attribute of an answer by which it is found again: 32 hexadecimal digits, its id as a trace.
pub const CONVERSATION: &str = "gen_ai.conversation.id";

/// By it a trace is found over the REST API.
const THREAD: &str = "thread_id";
/// The trace of the mesh that an answer was part of.
const MESH_TRACE: &str = "opik.metadata.trace_id";
/// Counter: answers by what became of them (`exported`, `failed`, `dropped`).
const ANSWERS: &str = "quipu_opik_answers_total";
/// Answers that wait for Opik; more are dropped.
const WAITING: usize = 512;
/// Answers of one message.
const BATCH: usize = 64;
/// The longest wait before a message leaves.
const DELAY: Duration = Duration::from_millis(500);

/// The spans of one answer, its first one last.
type Answer = Vec<SpanData>;

/// What the sender is told.
enum Message {
    Answer(Answer),
    Resource(Resource),
    /// Sends what waits, then says so.
    Flush(SyncSender<()>),
}

/// Sends answers to Opik.
#[derive(Debug)]
pub struct Answers {
    groups: Mutex<Groups>,
    sender: SyncSender<Message>,
}

impl Answers {
    /// Begins to send, on a thread of its own.
    ///
    /// # Errors
    /// When the thread or the client of HTTP cannot be made.
    pub fn start(config: &OpikConfig) -> Result<Self, String> {
        let post = Post::new(config)?;
        let (sender, messages) = sync_channel(WAITING);
        let spawned = thread::Builder::new().name("opik".to_owned()).spawn(move || send(&messages, &post));
        spawned.map_err(|error| error.to_string())?;
        Ok(Self { groups: Mutex::default(), sender })
    }

    fn with_groups<T>(&self, look: impl FnOnce(&mut Groups) -> T) -> T {
        look(&mut self.groups.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SpanProcessor for Answers {
    fn on_start(&self, span: &mut Span, parent: &Context) {
        let id = opentelemetry::trace::Span::span_context(span).span_id();
        let parent = parent.span().span_context().span_id();
        if self.with_groups(|groups| groups.join(parent, id)) || !is_answer(span) {
            return;
        }
        if !self.with_groups(|groups| groups.begin(id)) {
            counter!(ANSWERS, "outcome" => "dropped").increment(1);
        }
    }

    fn on_end(&self, span: SpanData) {
        let complete = self.with_groups(|groups| groups.end(span));
        let Some(answer) = complete else { return };
        if self.sender.try_send(Message::Answer(answer)).is_err() {
            counter!(ANSWERS, "outcome" => "dropped").increment(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush(Duration::from_secs(5))
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.flush(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        // The queue is empty when it is told.
        let _ = self.sender.try_send(Message::Resource(resource.clone()));
    }
}

impl Answers {
    /// Sends what waits, for a thread that may be held: a full queue is waited for as long as it takes to send one message.
    fn flush(&self, limit: Duration) -> OTelSdkResult {
        let (done, flushed) = sync_channel(1);
        self.sender.send(Message::Flush(done)).map_err(|_| OTelSdkError::AlreadyShutdown)?;
        flushed.recv_timeout(limit).map_err(|_| OTelSdkError::Timeout(limit))
    }
}

/// Whether a span says that it is an answer.
fn is_answer(span: &Span) -> bool {
    let says = |attribute: &KeyValue| {
        attribute.key.as_str() == OPERATION && attribute.value.as_str() == INVOKE_AGENT
    };
    span.exported_data().is_some_and(|span| span.attributes.iter().any(says))
}

/// Gathers answers and sends them, until nobody can bring one any more.
fn send(messages: &Receiver<Message>, post: &Post) {
    let mut resource = Resource::builder_empty().build();
    while let Ok(first) = messages.recv() {
        let (mut answers, mut flushed) = (Vec::new(), None);
        let until = Instant::now() + DELAY;
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Resource(new) => resource = new,
                Message::Answer(answer) => answers.push(answer),
                Message::Flush(done) => flushed = Some(done),
            }
            let is_due = flushed.is_some() || answers.len() >= BATCH;
            let rest = until.saturating_duration_since(Instant::now());
            next = if is_due { None } else { messages.recv_timeout(rest).ok() };
        }
        deliver(answers, &resource, post);
        if let Some(done) = flushed {
            // Whoever waited may have given up.
            let _ = done.try_send(());
        }
    }
}

fn deliver(answers: Vec<Answer>, resource: &Resource, post: &Post) {
    if answers.is_empty() {
        return;
    }
    let count = u64::try_from(answers.len()).unwrap_or(u64::MAX);
    let spans = answers.into_iter().flat_map(own_trace).collect();
    let outcome = if post.traces(spans, resource) { "exported" } else { "failed" };
    counter!(ANSWERS, "outcome" => outcome).increment(count);
}

/// Makes an answer a trace of its own: its first span has no parent, and all have the conversation's id as that of the trace.
fn own_trace(mut answer: Answer) -> Answer {
    let Some(first) = answer.last_mut() else { return answer };
    let mesh_trace = first.span_context.trace_id();
    let conversation = first.attributes.iter().find(|attribute| attribute.key.as_str() == CONVERSATION);
    let conversation = conversation.map(|attribute| attribute.value.as_str().into_owned());
    first.parent_span_id = SpanId::INVALID;
    first.attributes.push(KeyValue::new(MESH_TRACE, mesh_trace.to_string()));
    let Some(conversation) = conversation else { return answer };
    let trace = TraceId::from_hex(&conversation).unwrap_or(mesh_trace);
    first.attributes.push(KeyValue::new(THREAD, Value::from(conversation)));
    for span in &mut answer {
        let context = &span.span_context;
        let (id, flags, state) = (context.span_id(), context.trace_flags(), context.trace_state().clone());
        span.span_context = SpanContext::new(trace, id, flags, false, state);
    }
    answer
}

//! A mesh whose language model is the test's, and the ways to ask `jokes`: over gRPC as the gateway does, many calls at
//! once. Every byte that comes is kept.

use std::{fmt, sync::Arc};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::StreamExt as _;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh_error::Error;
use mesh_proto::jokes::v1::{
    self as pb, chat_response::Event as OfChat, stream_joke_response::Event as OfJoke,
};
use mesh_testkit::{FakeLlm, Reply};
use prost::Message;
use quipu_e2e::{LIMIT, Person, ProcessMesh, Setup};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

/// Calls over gRPC under way at once.
const AT_ONCE: usize = 24;

/// A mesh whose model is this one, without budgets and limits of rate.
pub(crate) fn setup(llm: &FakeLlm) -> Setup {
    Setup::new()
        .without_rates()
        .with("jokes", "OPENAI_BASE_URL", llm.base_url())
        .with("jokes", "QUIPU_JOKES_OPENAI_MODELS", "fake")
        .with("jokes", "QUIPU_JOKES_BUDGET_USER_DAY", "none")
        .with("jokes", "QUIPU_JOKES_BUDGET_USER_MONTH", "none")
        .with("jokes", "QUIPU_LOG", "warn")
}

/// How something is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// A joke as a whole.
    Whole,
    /// A joke as it is told.
    Stream,
    /// An answer as it comes.
    Chat,
}

/// What came of a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// The text of its deltas, or of the whole answer.
    pub(crate) text: String,
    /// The finished joke.
    pub(crate) joke: Option<pb::Joke>,
    /// Whether it came to a good end.
    pub(crate) ended: bool,
    /// The HTTP status, or the code of gRPC.
    pub(crate) code: i32,
    /// Why it failed; empty if it did not.
    pub(crate) reason: String,
    /// Of the guard that refused.
    pub(crate) rule: String,
    /// Every byte of its body, its headers and its trailers.
    pub(crate) bytes: Vec<u8>,
}

impl Told {
    /// Whether a text is anywhere in what came.
    pub(crate) fn holds(&self, text: &str) -> bool {
        self.bytes.windows(text.len()).any(|part| part == text.as_bytes())
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, joke, ended, code, reason, rule, .. } = self;
        write!(
            f,
            "{code} {reason:?} {rule:?}, ended {ended}, text {text:?}, joke {:?}",
            joke.as_ref().map(said)
        )
    }
}

/// A joke as running text.
pub(crate) fn said(joke: &pb::Joke) -> String {
    format!("{}\n\n{}", joke.setup, joke.punchline)
}

/// Somebody who asks `jokes` over gRPC with the gateway's certificate.
#[derive(Clone)]
pub(crate) struct Asker {
    sender: SendRequest<Full<Bytes>>,
    bearer: String,
    _connection: Arc<AbortOnDropHandle<hyper::Result<()>>>,
}

impl Asker {
    /// In this person's name.
    pub(crate) async fn new(mesh: &ProcessMesh, person: &Person) -> Self {
        let expected = mesh.policy().id_of("jokes").unwrap();
        let tls = TlsConnector::from(mesh.tls("gateway").client_config(&expected));
        let tcp = TcpStream::connect(mesh.process("jokes").address()).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let stream = tls.connect("mesh.invalid".try_into().unwrap(), tcp).await.unwrap();
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let connection = Arc::new(AbortOnDropHandle::new(tokio::spawn(connection)));
        let bearer = format!("Bearer {}", person.token.as_ref().unwrap());
        Self { sender, bearer, _connection: connection }
    }

    /// Asks about something: a joke on this topic, or an answer to this message.
    pub(crate) async fn ask(&self, way: Way, about: &str) -> Told {
        self.ask_for(way, about, pb::JokeParams::default()).await
    }

    /// As [`Asker::ask`], for this kind of joke.
    pub(crate) async fn ask_for(&self, way: Way, topic: &str, params: pb::JokeParams) -> Told {
        let (topic, params, model) = (topic.to_owned(), Some(params), String::new());
        match way {
            Way::Whole => {
                let (mut told, frames) =
                    self.call("CreateJoke", &pb::CreateJokeRequest { topic, params, model }).await;
                for frame in frames {
                    told.joke = pb::CreateJokeResponse::decode(frame).unwrap().joke;
                    told.text = told.joke.as_ref().map(said).unwrap_or_default();
                    told.ended = told.code == 0;
                }
                told
            }
            Way::Stream => {
                let (mut told, frames) =
                    self.call("StreamJoke", &pb::StreamJokeRequest { topic, params, model }).await;
                for frame in frames {
                    match pb::StreamJokeResponse::decode(frame).unwrap().event.unwrap() {
                        OfJoke::Delta(text) => told.text.push_str(&text),
                        OfJoke::Joke(joke) => (told.joke, told.ended) = (Some(joke), told.code == 0),
                    }
                }
                told
            }
            Way::Chat => self.chat(&[(pb::Role::User, &topic)]).await,
        }
    }

    /// Has a conversation answered.
    pub(crate) async fn chat(&self, said: &[(pb::Role, &str)]) -> Told {
        let message =
            |(role, text): &(pb::Role, &str)| pb::Message { role: *role as i32, content: (*text).to_owned() };
        let messages = said.iter().map(message).collect();
        let (mut told, frames) = self.call("Chat", &pb::ChatRequest { messages, model: String::new() }).await;
        for frame in frames {
            match pb::ChatResponse::decode(frame).unwrap().event.unwrap() {
                OfChat::Delta(text) => told.text.push_str(&text),
                OfChat::End(_) => told.ended = told.code == 0,
            }
        }
        told
    }

    /// Every joke of this person, newest first.
    pub(crate) async fn jokes(&self) -> Vec<pb::Joke> {
        let (mut jokes, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListJokesRequest { page_size: 200, page_token, ..Default::default() };
            let (told, frames) = self.call("ListJokes", &request).await;
            assert_eq!(told.code, 0, "{told}");
            let page = pb::ListJokesResponse::decode(frames.into_iter().next().unwrap()).unwrap();
            jokes.extend(page.jokes);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return jokes;
            }
        }
    }

    /// One call: how it ended, and the messages that came before.
    async fn call(&self, method: &str, message: &impl Message) -> (Told, Vec<Bytes>) {
        let message = message.encode_to_vec();
        let mut frame = BytesMut::with_capacity(message.len() + 5);
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.len()).unwrap());
        frame.put_slice(&message);
        let request = Request::post(format!("http://mesh.invalid/quipu.jokes.v1.JokeService/{method}"))
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header(header::AUTHORIZATION, &self.bearer)
            .body(Full::new(frame.freeze()))
            .unwrap();
        let mut sender = self.sender.clone();
        let answer = async {
            sender.ready().await?;
            let (parts, body) = sender.send_request(request).await?.into_parts();
            let whole = body.collect().await?;
            let mut headers = parts.headers;
            headers.extend(whole.trailers().cloned().unwrap_or_default());
            Ok::<_, hyper::Error>((headers, whole.to_bytes()))
        };
        let (headers, mut data) = match timeout(LIMIT, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return (Told::broken(format!("{error:?}")), Vec::new()),
            Err(_) => return (Told::broken("no answer in time".to_owned()), Vec::new()),
        };
        let told = failure(&headers, &data);
        let mut frames = Vec::new();
        while !data.is_empty() {
            let head = data.split_to(5);
            let length = u32::from_be_bytes(head[1..].try_into().unwrap());
            frames.push(data.split_to(usize::try_from(length).unwrap()));
        }
        (told, frames)
    }
}

impl Told {
    /// There was no answer.
    fn broken(reason: String) -> Self {
        Self { code: -1, reason, ..Self::default() }
    }
}

/// How a call over gRPC failed, if it did.
fn failure(headers: &HeaderMap, data: &[u8]) -> Told {
    let mut bytes = data.to_vec();
    headers.iter().for_each(|(name, value)| {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(value.as_bytes());
    });
    let Some(status) = Status::from_header_map(headers).filter(|status| status.code() as i32 != 0) else {
        return Told { bytes, ..Told::default() };
    };
    // The details come in Base64.
    bytes.extend_from_slice(status.details());
    let error = Error::from_status(&status);
    let rule = error.metadata().get("rule").cloned().unwrap_or_default();
    Told { code: status.code() as i32, reason: error.reason().to_owned(), rule, bytes, ..Told::default() }
}

/// Does many things, some at once, and gives what came of them in any order.
pub(crate) async fn all<T, F: Future<Output = T>>(calls: impl IntoIterator<Item = F>) -> Vec<T> {
    futures::stream::iter(calls).buffer_unordered(AT_ONCE).collect().await
}

/// What the model is told by ourselves.
pub(crate) struct Prompts {
    /// The mark that may never leave.
    pub(crate) canary: String,
    /// The system prompt of jokes.
    pub(crate) joke: String,
    /// The system prompt of chats.
    pub(crate) chat: String,
}

/// A joke as models say it.
pub(crate) const GOOD: &str =
    r#"{"setup": "Why did the cat sit on the computer?", "punchline": "To watch the mouse."}"#;

/// Asks for a joke and an answer, to see what the model is told.
pub(crate) async fn prompts(llm: &FakeLlm, asker: &Asker) -> Prompts {
    llm.always(Reply::text(GOOD));
    let mut systems = Vec::new();
    for way in [Way::Whole, Way::Chat] {
        let told = asker.ask(way, "cats").await;
        assert!(told.ended, "{told}");
        let asked = llm.asked().pop().unwrap();
        assert_eq!(asked.body["messages"][0]["role"], "system");
        systems.push(asked.body["messages"][0]["content"].as_str().unwrap().to_owned());
    }
    let canary = systems[0].rsplit(' ').next().unwrap().to_owned();
    assert!(canary.len() == 32 && systems[1].ends_with(&canary), "{systems:?}");
    let [joke, chat] = systems.try_into().unwrap();
    Prompts { canary, joke, chat }
}

//! `sentiment` with its own certificate, and yet a stranger: it notes every byte that the gateway sends it and answers as
//! the text tells it to.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh_identity::Tls;
use mesh_proto::sentiment::v1;
use prost::Message as _;
use quipu_e2e::{Person, ProcessMesh, Setup, eventually};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

type Answer =
    Response<StreamBody<futures::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>>;

/// One call of the gateway.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
}

/// The stranger.
#[derive(Clone)]
pub(crate) struct Backend(Arc<Mutex<Vec<Seen>>>);

/// A mesh whose `sentiment` is the stranger, and somebody who is signed in.
pub(crate) async fn mesh_with_backend(setup: Setup) -> (ProcessMesh, Backend, Person) {
    let mut mesh = setup.without_rates().start().await;
    let person = mesh.signed_in("ada").await;
    mesh.stop("sentiment", "TERM").await;
    let backend = Backend::start(mesh.process("sentiment").address(), mesh.tls("sentiment")).await;
    let there = || async { person.post("/v1/sentiment", &json!({"text": "hello"})).await.0 == 200 };
    assert!(eventually(Duration::from_secs(20), there).await, "the gateway does not find the new backend");
    (mesh, backend, person)
}

impl Backend {
    async fn start(address: SocketAddr, tls: Tls) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let acceptor = TlsAcceptor::from(tls.server_config());
        let backend = Self(Arc::default());
        let own = backend.clone();
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (acceptor, own) = (acceptor.clone(), own.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| own.clone().answer(request));
                    let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    // It ends with the gateway's connection.
                    let _ = http2.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        backend
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Answer, Infallible> {
        let (parts, body) = request.into_parts();
        if !parts.uri.path().starts_with("/quipu.sentiment.") {
            return Ok(status_only(12, "", None));
        }
        let body = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
        let message = v1::AnalyzeRequest::decode(body.get(5..).unwrap_or_default()).unwrap_or_default();
        let value = |v: &HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned();
        let headers = parts.headers.iter().map(|(n, v)| (n.to_string(), value(v))).collect();
        self.0.lock().unwrap().push(Seen { headers, text: message.text.clone() });
        Ok(scripted(&message.text))
    }

    /// Every call with this text.
    pub(crate) fn calls(&self, text: &str) -> Vec<Seen> {
        self.0.lock().unwrap().iter().filter(|seen| seen.text.contains(text)).cloned().collect()
    }
}

/// What a text asks for: `code 7 bare`, `code 7 detailed`, `http 502`, and so on; else an analysis.
fn scripted(text: &str) -> Answer {
    let words: Vec<_> = text.split(' ').collect();
    match words.as_slice() {
        ["code", code, "bare"] => {
            status_only(code.parse().unwrap(), "canary%20at%2010.1.2.3%3A%20SELECT", None)
        }
        ["code", code, "detailed"] => {
            let code = code.parse().unwrap();
            status_only(code, "canary", Some(details(code)))
        }
        ["code", code, "trailers"] => frames(&[], Some(trailers(code.parse().unwrap()))),
        ["no", "status"] => frames(&[], None),
        ["no", "status", "message"] => frames(&[message()], None),
        ["no", "message"] => frames(&[], Some(trailers(0))),
        ["two", "messages"] => frames(&[message(), message()], Some(trailers(0))),
        ["garbage"] => frames(&[Bytes::from_static(b"\0\0\0\0\x04\xff\xff\xff\xff")], Some(trailers(0))),
        ["compressed"] => frames(&[Bytes::from_static(b"\x01\0\0\0\x01\0")], Some(trailers(0))),
        ["huge"] => frames(&[Bytes::from_static(b"\0\xff\xff\xff\xff")], Some(trailers(0))),
        ["empty"] => frames(&[Bytes::from_static(b"\0\0\0\0\0")], Some(trailers(0))),
        ["http", status] => {
            let mut answer = frames(&[Bytes::from_static(b"<html>canary</html>")], None);
            *answer.status_mut() = status.parse().unwrap();
            answer.headers_mut().insert("content-type", HeaderValue::from_static("text/html"));
            answer
        }
        _ => frames(&[message()], Some(trailers(0))),
    }
}

fn message() -> Bytes {
    let analysis = v1::Analysis {
        label: v1::Label::Positive.into(),
        score: 0.5,
        probabilities: Some(v1::Probabilities { positive: 0.75, neutral: 0.0, negative: 0.25 }),
        model: Some(v1::ModelRef { name: "stranger".into(), version: "1".into() }),
        words: vec![],
    };
    let encoded = v1::AnalyzeResponse { analysis: Some(analysis) }.encode_to_vec();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(encoded.len()).unwrap());
    frame.extend_from_slice(&encoded);
    frame.freeze()
}

/// A `google.rpc.Status` with an ErrorInfo of another domain and a text of the inside.
fn details(code: i32) -> String {
    let any = prost_types::Any {
        type_url: "type.googleapis.com/google.rpc.ErrorInfo".into(),
        // reason = "CANARY", domain = "elsewhere"
        value: b"\x0a\x06CANARY\x12\x09elsewhere".to_vec(),
    };
    let mut status = vec![0x08, u8::try_from(code).unwrap_or(2)];
    status.extend_from_slice(b"\x12\x06canary\x1a");
    let any = any.encode_to_vec();
    status.push(u8::try_from(any.len()).unwrap());
    status.extend_from_slice(&any);
    BASE64_STANDARD_NO_PAD.encode(status)
}

fn trailers(code: i32) -> HeaderMap {
    HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        HeaderValue::from_str(&code.to_string()).unwrap(),
    )])
}

/// An answer of trailers only.
fn status_only(code: i32, text: &'static str, details: Option<String>) -> Answer {
    let mut answer = frames(&[], None);
    answer.headers_mut().extend(trailers(code));
    answer.headers_mut().insert("grpc-message", HeaderValue::from_static(text));
    if let Some(details) = details {
        answer.headers_mut().insert("grpc-status-details-bin", details.parse().unwrap());
    }
    answer
}

fn frames(data: &[Bytes], trailers: Option<HeaderMap>) -> Answer {
    let data = data.iter().cloned().map(Frame::data);
    let frames: Vec<_> = data.chain(trailers.map(Frame::trailers)).map(Ok).collect();
    let mut answer = Response::new(StreamBody::new(futures::stream::iter(frames)));
    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    answer
}

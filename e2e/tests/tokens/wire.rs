//! Where a credential is shown: three REST endpoints through the gateway, and two services directly with the gateway's
//! certificate, as gRPC metadata.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use quipu_e2e::{LIMIT, ProcessMesh};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, rustls};

/// What came back, without what differs from request to request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Answer {
    /// The HTTP status, or the code of gRPC.
    pub(crate) code: i32,
    /// Everything else that a caller could tell answers apart by.
    pub(crate) rest: String,
}

/// The places that need a signed-in user.
pub(crate) const ENDPOINTS: [(&str, &str); 3] =
    [("GET", "/v1/auth/me"), ("POST", "/v1/sentiment"), ("GET", "/v1/auth/sessions")];

/// The methods that need a signed-in user.
pub(crate) const METHODS: [(&str, &str); 2] = [
    ("sentiment", "/quipu.sentiment.v1.SentimentService/Analyze"),
    ("auth", "/quipu.auth.v1.AuthService/GetMe"),
];

/// The headers that show a credential.
pub(crate) type Shown = Vec<(HeaderName, Vec<u8>)>;

/// Shows credentials over REST.
pub(crate) struct Rest {
    base: String,
    http: reqwest::Client,
}

impl Rest {
    /// At a gateway by name.
    pub(crate) fn at(mesh: &ProcessMesh, gateway: &str) -> Self {
        let base = format!("http://{}", mesh.process(gateway).address());
        Self { base, http: reqwest::Client::builder().timeout(LIMIT).build().unwrap() }
    }

    /// One request; an answer that never comes has the code 0.
    pub(crate) async fn show(&self, (method, path): (&str, &str), shown: &Shown) -> (Answer, Duration) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
        request = request.headers(headers(shown));
        if method == Method::POST {
            request = request.json(&json!({"text": "what a lovely day"}));
        }
        let begun = Instant::now();
        let answer = match request.send().await {
            Ok(response) => rest_answer(response).await,
            Err(error) => Answer { code: 0, rest: format!("{error:?}") },
        };
        (answer, begun.elapsed())
    }
}

async fn rest_answer(response: reqwest::Response) -> Answer {
    let code = i32::from(response.status().as_u16());
    let header = |name| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
    let (challenge, media) = (header("www-authenticate"), header("content-type"));
    let text = response.text().await.unwrap();
    let mut body: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    if let Some(members) = body.as_object_mut().filter(|_| code >= 400) {
        for own in ["trace_id", "request_id", "instance"] {
            members.remove(own);
        }
    }
    let rest = if code < 400 { String::new() } else { format!("{challenge:?} {media:?} {body}") };
    Answer { code, rest }
}

/// Header names may be there twice, so they are appended.
fn headers(shown: &Shown) -> HeaderMap {
    let pairs = shown.iter().map(|(name, value)| (name.clone(), HeaderValue::from_bytes(value).unwrap()));
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(name, value);
    }
    map
}

/// One HTTP/2 connection to a service with a certificate of one's choice.
pub(crate) struct Wire {
    address: SocketAddr,
    tls: Arc<rustls::ClientConfig>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Wire {
    /// To a service, as the gateway.
    pub(crate) fn to(mesh: &ProcessMesh, service: &str) -> Self {
        let expected = mesh.policy().id_of(service).unwrap();
        let tls = mesh.tls("gateway").client_config(&expected);
        Self { address: mesh.process(service).address(), tls, sender: None }
    }

    /// One call with an empty message.
    pub(crate) async fn show(&mut self, path: &str, shown: &Shown) -> Answer {
        self.call(path, shown, &[]).await.0
    }

    /// One call; code -1 is a call that got no gRPC answer.
    pub(crate) async fn call(&mut self, path: &str, shown: &Shown, message: &[u8]) -> (Answer, Bytes) {
        match timeout(LIMIT, self.exchange(path, shown, message)).await.unwrap() {
            Ok(answer) => answer,
            Err(error) => {
                self.sender = None;
                (Answer { code: -1, rest: error.to_string() }, Bytes::new())
            }
        }
    }

    async fn exchange(
        &mut self,
        path: &str,
        shown: &Shown,
        message: &[u8],
    ) -> Result<(Answer, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let mut frame = vec![0];
        frame.extend_from_slice(&u32::try_from(message.len())?.to_be_bytes());
        frame.extend_from_slice(message);
        let mut request = http::Request::post(format!("http://mesh.invalid{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(Bytes::from(frame)))?;
        request.headers_mut().extend(headers(shown));
        let mut sender = self.connected().await?;
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        let all = parts.headers.iter().chain(&trailers);
        let said: BTreeMap<_, _> = all
            .filter(|(name, _)| name.as_str().starts_with("grpc-"))
            .map(|(n, v)| (n.as_str(), v))
            .collect();
        let code = said.get("grpc-status").and_then(|code| code.to_str().ok()?.parse().ok());
        let rest = format!("{} {said:?}", parts.status);
        let mut message = body.to_bytes();
        // The prefix of the one message.
        let message = if message.len() < 5 { message } else { message.split_off(5) };
        Ok((Answer { code: code.unwrap_or(-1), rest }, message))
    }

    async fn connected(
        &mut self,
    ) -> Result<SendRequest<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
        if let Some(sender) = self.sender.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let name = rustls::pki_types::ServerName::try_from("mesh.invalid")?;
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await?;
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        // It ends with its last sender.
        tokio::spawn(connection);
        Ok(self.sender.insert(sender).clone())
    }
}

/// `Authorization: Bearer`.
pub(crate) fn bearer(token: &str) -> Shown {
    vec![(http::header::AUTHORIZATION, format!("Bearer {token}").into_bytes())]
}

/// `X-Api-Key`.
pub(crate) fn api_key(key: &str) -> Shown {
    vec![(HeaderName::from_static("x-api-key"), key.as_bytes().to_vec())]
}

//! gRPC by hand: any message to any method over mTLS as any workload, and the whole answer.

use std::{net::SocketAddr, sync::Arc};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use quipu_e2e::{LIMIT, ProcessMesh};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, rustls::ClientConfig};
use tokio_util::task::AbortOnDropHandle;

/// A connection that many calls may share.
#[derive(Clone)]
pub(crate) struct Wire {
    sender: SendRequest<Full<Bytes>>,
    _connection: Arc<AbortOnDropHandle<hyper::Result<()>>>,
}

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Reply {
    /// `grpc-status`; 14 when the connection or the stream broke.
    pub(crate) code: i32,
    /// `grpc-message`, or how the stream broke.
    pub(crate) message: String,
    /// All headers and trailers.
    pub(crate) headers: HeaderMap,
    /// The frames of the answer.
    pub(crate) data: Bytes,
}

impl Wire {
    /// To a program of the mesh, as a workload.
    pub(crate) async fn to(mesh: &ProcessMesh, workload: &str, caller: &str) -> Self {
        let expected = mesh.policy().id_of(workload).unwrap();
        let config = mesh.tls(caller).client_config(&expected);
        Self::connect(mesh.process(workload).address(), config).await
    }

    async fn connect(address: SocketAddr, config: Arc<ClientConfig>) -> Self {
        let tcp = TcpStream::connect(address).await.unwrap();
        let name = "mesh.invalid".try_into().unwrap();
        let stream = TlsConnector::from(config).connect(name, tcp).await.unwrap();
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let connection = AbortOnDropHandle::new(tokio::spawn(connection));
        Self { sender, _connection: Arc::new(connection) }
    }

    /// A call with one message.
    pub(crate) async fn call(&self, path: &str, token: Option<&str>, message: &[u8]) -> Reply {
        let bearer = token.map(|token| ("authorization", format!("Bearer {token}")));
        self.send(path, bearer.as_ref().map(|(k, v)| (*k, v.as_str())).as_slice(), frame(0, message)).await
    }

    /// A call with any headers and any frames.
    pub(crate) async fn send(&self, path: &str, headers: &[(&str, &str)], frames: Bytes) -> Reply {
        let mut request = Request::post(format!("http://mesh.invalid{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sending = self.sender.clone().send_request(request.body(Full::new(frames)).unwrap());
        let answer = async {
            let (parts, body) = sending.await?.into_parts();
            let whole = body.collect().await?;
            let mut headers = parts.headers;
            headers.extend(whole.trailers().cloned().unwrap_or_default());
            Ok::<_, hyper::Error>((headers, whole.to_bytes()))
        };
        match timeout(LIMIT, answer).await {
            Ok(Ok((headers, data))) => {
                let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
                let code = text("grpc-status").and_then(|code| code.parse().ok()).unwrap_or(-1);
                Reply { code, message: text("grpc-message").unwrap_or_default(), headers, data }
            }
            Ok(Err(error)) => Reply::broken(format!("{error:?}")),
            Err(_) => Reply::broken("no answer in time".to_owned()),
        }
    }
}

impl Reply {
    fn broken(message: String) -> Self {
        Self { code: 14, message, headers: HeaderMap::new(), data: Bytes::new() }
    }

    /// Everything by which answers could be told apart, with `ids` taken for one, without what differs from call to call.
    pub(crate) fn shape(&self, ids: &[&str]) -> String {
        let passing = ["date", "traceparent", "tracestate"];
        let mut headers: Vec<_> = self
            .headers
            .iter()
            .filter(|(name, _)| !passing.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
            .collect();
        headers.sort();
        let text = format!("{} {:?} {headers:?}", self.code, self.data);
        ids.iter().fold(text, |text, id| if id.is_empty() { text } else { text.replace(id, "ID") })
    }

    /// Whether any of these texts is anywhere in the answer.
    pub(crate) fn tells(&self, secrets: &[String]) -> bool {
        let mut all = self.data.to_vec();
        for value in self.headers.values() {
            all.extend_from_slice(value.as_bytes());
        }
        secrets.iter().any(|s| all.windows(s.len()).any(|part| part == s.as_bytes()))
    }
}

/// A message in its frame; `flag` 1 says that it is compressed.
pub(crate) fn frame(flag: u8, message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(flag);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(message);
    frame.freeze()
}

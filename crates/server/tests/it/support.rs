//! A server of the workload `sentiment`, and clients that keep every byte in their own hands.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh_client::{Endpoints, Mesh};
use mesh_identity::Tls;
use mesh_lifecycle::{Lifecycle, Outcome};
use mesh_proto::sentiment::v1::sentiment_service_client::SentimentServiceClient;
use mesh_proto::sentiment::v1::sentiment_service_server::SentimentServiceServer;
use mesh_proto::sentiment::v1::{AnalyzeRequest, AnalyzeResponse};
use mesh_server::{Limits, Server};
use mesh_testkit::TestMesh;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::Status;
use tonic::body::Body;
use tower::Service;

use crate::service::{Obedient, Seen};

/// The path of the method that most tests call.
pub(crate) const ANALYZE: &str = "/quipu.sentiment.v1.SentimentService/Analyze";
/// Longer than anything here takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Fixture {
    pub(crate) mesh: TestMesh,
    pub(crate) addr: SocketAddr,
    pub(crate) seen: Arc<Seen>,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        Self::with(TestMesh::start().unwrap(), Limits::default()).await
    }

    pub(crate) async fn limited(change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits::default();
        change(&mut limits);
        Self::with(TestMesh::start().unwrap(), limits).await
    }

    pub(crate) async fn with(mesh: TestMesh, limits: Limits) -> Self {
        let tls = mesh.tls("sentiment").unwrap();
        Self::with_tls(mesh, limits, tls).await
    }

    /// With a certificate of one's own making.
    pub(crate) async fn with_tls(mesh: TestMesh, limits: Limits, tls: Tls) -> Self {
        let service = Obedient::default();
        let seen = Arc::clone(&service.0);
        let view = Mesh::new(tls, mesh.policy().clone(), Endpoints::new(), mesh.lifecycle());
        let bound = Server::new("sentiment", &view, mesh.lifecycle())
            .verifier(mesh.mint().verifier())
            .limits(limits)
            .service(SentimentServiceServer::new(service))
            .bind("127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        let addr = bound.local_addr();
        mesh.lifecycle().spawn("server", bound.serve());
        tokio::time::timeout(LIMIT, mesh.lifecycle().readiness().ready()).await.unwrap();
        Self { mesh, addr, seen }
    }

    pub(crate) fn lifecycle(&self) -> &Lifecycle {
        self.mesh.lifecycle()
    }

    pub(crate) fn begun(&self) -> usize {
        self.seen.begun.load(Ordering::SeqCst)
    }

    /// How a workload of the mesh connects.
    pub(crate) fn tls_of(&self, workload: &str) -> Arc<ClientConfig> {
        self.mesh.tls(workload).unwrap().client_config(&self.mesh.id("sentiment").unwrap())
    }

    pub(crate) async fn connect(&self, workload: &str) -> Wire {
        Wire::connect(self.addr, self.tls_of(workload)).await.unwrap()
    }

    pub(crate) async fn client(&self, workload: &str) -> SentimentServiceClient<Wire> {
        client(self.connect(workload).await)
    }

    /// Ends the mesh; fails when the drain does not end by itself.
    pub(crate) async fn stop(self) -> Outcome {
        tokio::time::timeout(LIMIT, self.mesh.stop()).await.unwrap()
    }
}

pub(crate) fn client(wire: Wire) -> SentimentServiceClient<Wire> {
    SentimentServiceClient::with_origin(wire, origin())
}

fn origin() -> Uri {
    Uri::from_static("http://sentiment")
}

/// The call that most tests make, with a command for the service.
pub(crate) async fn tell(client: &mut SentimentServiceClient<Wire>, text: &str) -> Result<String, Status> {
    tell_with(client, text, |_| ()).await
}

pub(crate) async fn tell_with(
    client: &mut SentimentServiceClient<Wire>,
    text: &str,
    change: impl FnOnce(&mut tonic::Request<AnalyzeRequest>),
) -> Result<String, Status> {
    let mut request = tonic::Request::new(AnalyzeRequest { text: text.into(), ..AnalyzeRequest::default() });
    change(&mut request);
    client.analyze(request).await.map(|response| answer(response.into_inner()))
}

fn answer(response: AnalyzeResponse) -> String {
    response.analysis.unwrap().model.unwrap().name
}

/// Puts a bearer token on a request.
pub(crate) fn bearer<T>(token: &str) -> impl FnOnce(&mut tonic::Request<T>) {
    let value = format!("Bearer {token}").parse().unwrap();
    move |request| {
        request.metadata_mut().append("authorization", value);
    }
}

/// A TLS connection and nothing on it yet.
pub(crate) async fn secure(
    addr: SocketAddr,
    config: Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(addr).await?;
    TlsConnector::from(config).connect(ServerName::from(addr.ip()), socket).await
}

/// One HTTP/2 connection.
#[derive(Clone)]
pub(crate) struct Wire {
    sender: http2::SendRequest<Body>,
    closed: Arc<tokio::sync::Notify>,
}

impl Wire {
    pub(crate) async fn connect(addr: SocketAddr, config: Arc<ClientConfig>) -> Result<Self, String> {
        let stream = secure(addr, config).await.map_err(|error| error.to_string())?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .max_concurrent_reset_streams(2000)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let closed = Arc::new(tokio::sync::Notify::new());
        let done = Arc::clone(&closed);
        tokio::spawn(async move {
            let _ = connection.await;
            done.notify_one();
        });
        Ok(Self { sender, closed })
    }

    /// Waits until the connection has ended.
    pub(crate) async fn closed(&self) {
        tokio::time::timeout(LIMIT, self.closed.notified()).await.unwrap();
    }

    /// A request of one's own making.
    pub(crate) async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, hyper::Error> {
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }
}

impl Service<Request<Body>> for Wire {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.sender.send_request(request))
    }
}

/// A gRPC request to any path, with any body.
pub(crate) fn request(path: &str, body: Body) -> Request<Body> {
    let uri: Uri = format!("http://sentiment{path}").parse().unwrap();
    let mut request = Request::post(uri).body(body).unwrap();
    request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert("te", HeaderValue::from_static("trailers"));
    request
}

/// A body that never sends anything and never ends.
pub(crate) fn endless() -> Body {
    let never = futures::stream::pending::<Result<http_body::Frame<bytes::Bytes>, Infallible>>();
    Body::new(http_body_util::StreamBody::new(never))
}

/// The code in the headers of a response of trailers only.
pub(crate) fn code(response: &Response<Incoming>) -> Option<&str> {
    response.headers().get("grpc-status").map(|value| value.to_str().unwrap())
}

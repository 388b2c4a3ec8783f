//! Targets that do nothing but answer: what the frameworks alone cost.
//!
//! They are written as anybody would write them on a first day: axum's `Json` in and out, one tonic channel, plain TCP between
//! the two, no metrics, no traces, no limits, no tokens, no certificates.

use std::net::SocketAddr;

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use mesh_proto::sentiment::v1::{
    self as pb,
    sentiment_service_client::SentimentServiceClient,
    sentiment_service_server::{SentimentService, SentimentServiceServer},
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    transport::{Channel, Endpoint, Server},
};

use crate::Result;

/// The parameters of `auth`: memory in KiB, passes, lanes.
const ARGON2: (u32, u32, u32) = (19_456, 2, 1);

#[derive(Deserialize)]
struct Ask {
    text: String,
}

#[derive(Serialize)]
struct Answer {
    label: i32,
    score: f64,
    positive: f64,
    neutral: f64,
    negative: f64,
    model: String,
    version: String,
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// Axum alone; with `upstream` also `POST /v1/sentiment`, which asks a bare tonic service.
///
/// # Errors
/// When the port cannot be bound.
pub async fn axum(listen: SocketAddr, upstream: Option<SocketAddr>) -> Result<()> {
    let mut router = Router::new().route("/healthz", get(async || Json(Health { status: "ok" })));
    if let Some(upstream) = upstream {
        #[expect(clippy::disallowed_methods, reason = "the bare hop has nothing of the mesh")]
        let channel = Endpoint::from_shared(format!("http://{upstream}"))?.connect_lazy();
        let client = SentimentServiceClient::new(channel);
        router = router.merge(Router::new().route("/v1/sentiment", post(hop)).with_state(client));
    }
    #[expect(clippy::disallowed_methods, reason = "the bare hop has nothing of the mesh")]
    Ok(axum::serve(TcpListener::bind(listen).await?, router).await?)
}

async fn hop(
    State(mut client): State<SentimentServiceClient<Channel>>,
    Json(ask): Json<Ask>,
) -> Result<Json<Answer>, String> {
    let request = pb::AnalyzeRequest { text: ask.text, ..Default::default() };
    let answer = client.analyze(request).await.map_err(|status| status.to_string())?;
    let analysis = answer.into_inner().analysis.unwrap_or_default();
    let (of, model) = (analysis.probabilities.unwrap_or_default(), analysis.model.unwrap_or_default());
    Ok(Json(Answer {
        label: analysis.label,
        score: analysis.score,
        positive: of.positive,
        neutral: of.neutral,
        negative: of.negative,
        model: model.name,
        version: model.version,
    }))
}

/// Tonic alone: `Analyze` with a constant answer.
///
/// # Errors
/// When the port cannot be bound.
pub async fn tonic(listen: SocketAddr) -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "the bare service has nothing of the mesh")]
    let server = Server::builder().add_service(SentimentServiceServer::new(Constant));
    Ok(server.serve(listen).await?)
}

struct Constant;

/// What a stream of the bare service would be; it has none.
type NoStream = std::pin::Pin<
    Box<dyn tonic::codegen::tokio_stream::Stream<Item = Result<pb::AnalyzeStreamResponse, Status>> + Send>,
>;

#[tonic::async_trait]
impl SentimentService for Constant {
    async fn analyze(&self, _: Request<pb::AnalyzeRequest>) -> Result<Response<pb::AnalyzeResponse>, Status> {
        let probabilities = pb::Probabilities { positive: 0.75, neutral: 0.2, negative: 0.05 };
        let model = pb::ModelRef { name: "constant".into(), version: "1".into() };
        let analysis = pb::Analysis {
            label: 1,
            score: 0.7,
            probabilities: Some(probabilities),
            model: Some(model),
            words: Vec::new(),
        };
        Ok(Response::new(pb::AnalyzeResponse { analysis: Some(analysis) }))
    }

    async fn analyze_batch(
        &self,
        _: Request<pb::AnalyzeBatchRequest>,
    ) -> Result<Response<pb::AnalyzeBatchResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    type AnalyzeStreamStream = NoStream;

    async fn analyze_stream(
        &self,
        _: Request<tonic::Streaming<pb::AnalyzeStreamRequest>>,
    ) -> Result<Response<NoStream>, Status> {
        Ok(Response::new(Box::pin(tonic::codegen::tokio_stream::empty())))
    }

    async fn list_models(
        &self,
        _: Request<pb::ListModelsRequest>,
    ) -> Result<Response<pb::ListModelsResponse>, Status> {
        Ok(Response::new(Default::default()))
    }
}

/// A collector of traces that forgets them.
///
/// # Errors
/// When the port cannot be bound.
pub async fn sink(listen: SocketAddr) -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "a collector outside the mesh, spoken to without TLS")]
    let server = Server::builder().add_service(TraceServiceServer::new(Forget));
    Ok(server.serve(listen).await?)
}

struct Forget;

#[tonic::async_trait]
impl TraceService for Forget {
    async fn export(
        &self,
        _: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        Ok(Response::new(Default::default()))
    }
}

/// Hashes so many times and nothing else, as the argon2 crate does it by itself.
///
/// # Errors
/// When the parameters are not allowed.
pub fn argon2(times: u32) -> Result<()> {
    let (memory, passes, lanes) = ARGON2;
    let params = Params::new(memory, passes, lanes, None).map_err(|e| e.to_string())?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    for n in 0..times {
        let salt = [n.to_le_bytes(), [7; 4], [9; 4], [1; 4]].concat();
        let hash = argon2.hash_password_with_salt(b"seven knotted cords", &salt);
        std::hint::black_box(hash.map_err(|e| e.to_string())?);
    }
    Ok(())
}

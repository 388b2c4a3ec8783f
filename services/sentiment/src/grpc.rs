//! The generated trait: parse, call the engine, convert.

mod convert;
mod stream;

use std::sync::Arc;

use mesh_error::Error;
use mesh_proto::sentiment::v1 as pb;
use mesh_proto::sentiment::v1::sentiment_service_server::SentimentService;
use mesh_resilience::Deadline;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::engine::{Ask, Engine};
use crate::pool::Entry;
use convert::Batch;

/// Most bytes of one request: a full batch and its framing.
pub const MAX_REQUEST_BYTES: usize = crate::domain::MAX_BATCH_BYTES + 64 * 1024;

/// The service behind the contract.
#[derive(Clone)]
pub struct SentimentGrpc {
    engine: Arc<Engine>,
    /// Cancelled when no new work is accepted: streams then end.
    closing: CancellationToken,
}

impl SentimentGrpc {
    /// `closing` is cancelled when the server stops accepting work.
    #[must_use]
    pub fn new(engine: Engine, closing: CancellationToken) -> Self {
        Self { engine: Arc::new(engine), closing }
    }

    fn ask(
        &self,
        model: &str,
        explain: bool,
        deadline: Option<Deadline>,
        entry: Entry,
    ) -> Result<Ask, Error> {
        Ok(Ask { model: self.engine.model(model)?.clone(), explain, deadline, entry })
    }
}

fn deadline<T>(request: &Request<T>) -> Option<Deadline> {
    request.extensions().get().copied()
}

#[tonic::async_trait]
impl SentimentService for SentimentGrpc {
    async fn analyze(
        &self,
        request: Request<pb::AnalyzeRequest>,
    ) -> Result<Response<pb::AnalyzeResponse>, Status> {
        let deadline = deadline(&request);
        let request = request.into_inner();
        let text = convert::text("text", &request.text)?;
        let ask = self.ask(&request.model, request.explain, deadline, Entry::Refuse)?;
        let answer = self.engine.analyze(&ask, text).await.map_err(convert::failure)?;
        Ok(Response::new(pb::AnalyzeResponse { analysis: Some(convert::analysis(answer)) }))
    }

    async fn analyze_batch(
        &self,
        request: Request<pb::AnalyzeBatchRequest>,
    ) -> Result<Response<pb::AnalyzeBatchResponse>, Status> {
        let deadline = deadline(&request);
        let request = request.into_inner();
        let batch = Batch::parse(&request.texts, request.explain)?;
        let ask = self.ask(&request.model, request.explain, deadline, Entry::Refuse)?;
        let model = Some(convert::model_ref(&ask.model));
        let answers = self.engine.analyze_all(&ask, batch.texts()).await.map_err(convert::failure)?;
        Ok(Response::new(pb::AnalyzeBatchResponse { results: batch.results(answers), model }))
    }

    type AnalyzeStreamStream = stream::Answers;

    async fn analyze_stream(
        &self,
        request: Request<tonic::Streaming<pb::AnalyzeStreamRequest>>,
    ) -> Result<Response<Self::AnalyzeStreamStream>, Status> {
        let deadline = deadline(&request);
        Ok(Response::new(stream::answers(self.clone(), request.into_inner(), deadline)))
    }

    async fn list_models(
        &self,
        _request: Request<pb::ListModelsRequest>,
    ) -> Result<Response<pb::ListModelsResponse>, Status> {
        let models = self.engine.models().iter().enumerate();
        let models = models.map(|(place, model)| convert::model(model.info(), place == 0)).collect();
        Ok(Response::new(pb::ListModelsResponse { models }))
    }
}

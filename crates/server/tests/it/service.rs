//! A service that does what the text says.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt};
use mesh_error::Error;
use mesh_proto::sentiment::v1::sentiment_service_server::SentimentService;
use mesh_proto::sentiment::v1::{
    Analysis, AnalyzeBatchRequest, AnalyzeBatchResponse, AnalyzeRequest, AnalyzeResponse,
    AnalyzeStreamRequest, AnalyzeStreamResponse, ListModelsRequest, ListModelsResponse, ModelRef,
};
use mesh_resilience::Deadline;
use tonic::{Request, Response, Status, Streaming};

/// What the service did.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) begun: AtomicUsize,
    pub(crate) ended: AtomicUsize,
    pub(crate) changes: AtomicUsize,
}

/// `sleep MS`, `panic`, `change MS`, `user`, `deadline`, `fail`; anything else is answered at once.
#[derive(Clone, Default)]
pub(crate) struct Obedient(pub(crate) Arc<Seen>);

impl Obedient {
    async fn obey(&self, request: Request<AnalyzeRequest>) -> Result<String, Error> {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        let text = request.get_ref().text.clone();
        let (verb, millis) = text.split_once(' ').unwrap_or((&text, "0"));
        let time = Duration::from_millis(millis.parse().unwrap_or_default());
        let answer = match verb {
            "sleep" => {
                tokio::time::sleep(time).await;
                String::new()
            }
            "panic" => panic!("as told"),
            "fail" => return Err(Error::internal("a secret detail")),
            "change" => {
                change(Arc::clone(&self.0), time).await?;
                String::new()
            }
            "user" => mesh_server::user(&request)
                .map(|user| user.claims.sub.clone())
                .unwrap_or_else(|_| "nobody".into()),
            "authorization" => format!("{:?}", request.metadata().get("authorization")),
            "deadline" => {
                let deadline = request.extensions().get::<Deadline>();
                deadline.map(|deadline| deadline.remaining().as_millis().to_string()).unwrap_or_default()
            }
            "caller" => mesh_server::principal(&request)?.workload.to_string(),
            _ => "done".into(),
        };
        self.0.ended.fetch_add(1, Ordering::SeqCst);
        Ok(answer)
    }
}

/// A change of state that takes its time.
async fn change(seen: Arc<Seen>, time: Duration) -> Result<(), Error> {
    mesh_server::run_to_end(async move {
        tokio::time::sleep(time).await;
        seen.changes.fetch_add(1, Ordering::SeqCst);
        Ok::<_, Error>(())
    })
    .await
}

/// The answer, in a field that carries text.
pub(crate) fn analysis(answer: String) -> Analysis {
    Analysis { model: Some(ModelRef { name: answer, version: String::new() }), ..Analysis::default() }
}

#[tonic::async_trait]
impl SentimentService for Obedient {
    async fn analyze(&self, request: Request<AnalyzeRequest>) -> Result<Response<AnalyzeResponse>, Status> {
        let answer = self.obey(request).await.map_err(mesh_server::refuse)?;
        Ok(Response::new(AnalyzeResponse { analysis: Some(analysis(answer)) }))
    }

    async fn analyze_batch(
        &self,
        request: Request<AnalyzeBatchRequest>,
    ) -> Result<Response<AnalyzeBatchResponse>, Status> {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        let name = request.get_ref().texts.iter().map(String::len).sum::<usize>().to_string();
        let model = Some(ModelRef { name, version: String::new() });
        Ok(Response::new(AnalyzeBatchResponse { results: Vec::new(), model }))
    }

    type AnalyzeStreamStream = Pin<Box<dyn Stream<Item = Result<AnalyzeStreamResponse, Status>> + Send>>;

    async fn analyze_stream(
        &self,
        request: Request<Streaming<AnalyzeStreamRequest>>,
    ) -> Result<Response<Self::AnalyzeStreamStream>, Status> {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        let seen = Arc::clone(&self.0);
        let answers = request.into_inner().then(move |message| {
            let seen = Arc::clone(&seen);
            async move {
                let message = message?;
                assert!(message.text != "panic", "as told");
                if message.text == "change" {
                    change(seen, Duration::from_millis(400)).await.map_err(mesh_server::refuse)?;
                }
                Ok(AnalyzeStreamResponse { id: message.id, ..AnalyzeStreamResponse::default() })
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn list_models(
        &self,
        _: Request<ListModelsRequest>,
    ) -> Result<Response<ListModelsResponse>, Status> {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(ListModelsResponse::default()))
    }
}

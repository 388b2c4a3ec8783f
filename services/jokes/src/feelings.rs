//! How a joke feels, from the sentiment service.

use std::time::Duration;

use async_trait::async_trait;
use mesh_client::{CallContext, Channel};
use mesh_proto::sentiment::v1 as pb;
use mesh_proto::sentiment::v1::sentiment_service_client::SentimentServiceClient;
use mesh_resilience::Deadline;

use crate::domain::Sentiment;
use crate::ports::Feelings;

/// A joke does not wait longer for it.
const LONGEST: Duration = Duration::from_millis(500);

/// The sentiment service over the mesh. It is asked in nobody's name: the text is the service's own.
pub(crate) struct OverMesh(pub(crate) SentimentServiceClient<Channel>);

#[async_trait]
impl Feelings for OverMesh {
    async fn of(&self, text: &str) -> Option<Sentiment> {
        let message = pb::AnalyzeRequest { text: text.to_owned(), ..Default::default() };
        let context = CallContext { deadline: Some(Deadline::after(LONGEST)), user: None };
        let answer = self.0.clone().analyze(context.request(message)).await;
        let answer = answer
            .inspect_err(|status| tracing::warn!(code = ?status.code(), "a joke without its sentiment"));
        let analysis = answer.ok()?.into_inner().analysis?;
        let label = match analysis.label() {
            pb::Label::Positive => "positive",
            pb::Label::Neutral => "neutral",
            pb::Label::Negative => "negative",
            pb::Label::Unspecified => return None,
        };
        Some(Sentiment { label: label.to_owned(), score: analysis.score })
    }
}

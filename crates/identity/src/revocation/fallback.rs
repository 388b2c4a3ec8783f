//! The question to the issuer while its stream is silent: one at a time for each session, its answer kept for a second.

use std::{sync::Arc, time::Duration};

use mesh_error::BoxError;
use metrics::counter;
use moka::future::Cache;
use tokio::time::{Instant, timeout};

use super::RevocationSource;
use crate::token::{Claims, TokenError};

const CAPACITY: u64 = 10_000;
/// Counted from the question, since the answer is no newer than that.
const ANSWER_KEPT: Duration = Duration::from_secs(1);
const ASK_LIMIT: Duration = Duration::from_secs(1);

pub(super) struct Fallback {
    source: Arc<dyn RevocationSource>,
    answers: Cache<Question, Answer>,
}

#[derive(PartialEq, Eq, Hash)]
struct Question {
    sid: String,
    sub: String,
    iat: u64,
}

#[derive(Clone, Copy)]
struct Answer {
    active: bool,
    asked_at: Instant,
}

impl Fallback {
    pub(super) fn new(source: Arc<dyn RevocationSource>) -> Self {
        let answers = Cache::builder().max_capacity(CAPACITY).time_to_live(ANSWER_KEPT).build();
        Self { source, answers }
    }

    pub(super) fn source(&self) -> Arc<dyn RevocationSource> {
        Arc::clone(&self.source)
    }

    /// Whether the issuer still stands by a token. Those who ask the same at once share one question; failures are
    /// not kept.
    pub(super) async fn is_active(&self, claims: &Claims) -> Result<bool, TokenError> {
        let question = Question { sid: claims.sid.clone(), sub: claims.sub.clone(), iat: claims.iat };
        if let Some(answer) = self.answers.get(&question).await {
            if answer.asked_at.elapsed() < ANSWER_KEPT {
                return Ok(answer.active);
            }
            self.answers.invalidate(&question).await;
        }
        let answer = self.answers.try_get_with(question, self.ask(claims)).await;
        answer.map(|answer| answer.active).map_err(|_: Arc<BoxError>| TokenError::Unavailable)
    }

    async fn ask(&self, claims: &Claims) -> Result<Answer, BoxError> {
        let asked_at = Instant::now();
        let answer = match timeout(ASK_LIMIT, self.source.check(claims)).await {
            Ok(answer) => answer,
            Err(late) => Err(late.into()),
        };
        let outcome = match &answer {
            Ok(true) => "active",
            Ok(false) => "revoked",
            Err(error) => {
                tracing::debug!(error, "the issuer could not be asked about a session");
                "failed"
            }
        };
        counter!("revocation_checks_total", "outcome" => outcome).increment(1);
        answer.map(|active| Answer { active, asked_at })
    }
}

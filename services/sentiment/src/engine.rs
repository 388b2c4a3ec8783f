//! Texts to answers: which model, on which thread, and what happens when a model fails.

use mesh_resilience::Deadline;

use crate::domain::{Analysis, Text};
use crate::error::SentimentError;
use crate::metrics::{self, Answered};
use crate::models::{Models, SharedModel};
use crate::pool::{Call, Entry, Pool, PoolFault};
use crate::ports::ModelError;

/// The models and the pool that they work on.
#[derive(Clone)]
pub struct Engine {
    models: Models,
    pool: Pool,
    answered: Answered,
}

/// How texts are to be answered.
#[derive(Clone)]
pub struct Ask {
    /// By which model.
    pub model: SharedModel,
    /// With the share of each word.
    pub explain: bool,
    /// Not later than this.
    pub deadline: Option<Deadline>,
    /// What to do when the pool is full.
    pub entry: Entry,
}

/// The answer for one text.
#[derive(Clone)]
pub struct Answer {
    /// What was found.
    pub analysis: Analysis,
    /// Who answered: the model that was asked, or the embedded one in its place.
    pub model: SharedModel,
}

impl Engine {
    /// Joins models and pool.
    #[must_use]
    pub fn new(models: Models, pool: Pool) -> Self {
        let answered = Answered::of(&models);
        Self { models, pool, answered }
    }

    /// The loaded models.
    #[must_use]
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// The model of that name; an empty name is the default one.
    ///
    /// # Errors
    /// [`SentimentError::UnknownModel`].
    pub fn model(&self, name: &str) -> Result<&SharedModel, SentimentError> {
        self.models.get(name).ok_or_else(|| SentimentError::UnknownModel(name.to_owned()))
    }

    /// Answers one text.
    ///
    /// # Errors
    /// [`SentimentError`] when the pool is full, the deadline has passed, or no model could answer.
    pub async fn analyze(&self, ask: &Ask, text: Text) -> Result<Answer, SentimentError> {
        let mut answers = self.analyze_all(ask, vec![text]).await?;
        answers.pop().ok_or(SentimentError::Pool(PoolFault::Lost))
    }

    /// Answers several texts in their order, as one job. Little text for a fast model is answered on the spot: handing it
    /// over would cost more than the answer.
    ///
    /// # Errors
    /// As [`Engine::analyze`].
    pub async fn analyze_all(&self, ask: &Ask, texts: Vec<Text>) -> Result<Vec<Answer>, SentimentError> {
        let bytes: usize = texts.iter().map(|text| text.as_str().len()).sum();
        let (model, explain) = (ask.model.clone(), ask.explain);
        let (fallback, answered) = (self.models.fallback().clone(), self.answered.clone());
        let answer = move |text: &Text| {
            let answer = answer(&model, &fallback, text, explain)?;
            answered.count(&answer.model.info().name, answer.analysis.probabilities.label());
            Ok(answer)
        };
        let done = if bytes <= ask.model.inline_bytes() {
            let is_over = || ask.deadline.is_some_and(Deadline::is_expired);
            answer_all(&texts, answer, is_over).ok_or(PoolFault::Expired)?
        } else {
            let job = move |call: &Call| answer_all(&texts, answer, || call.is_over());
            let done = self.pool.run(ask.deadline, ask.entry, job).await;
            metrics::pool(&done, self.pool.busy());
            done?
        };
        Ok(done?)
    }
}

/// `None` when the call was over before all texts were answered.
fn answer_all(
    texts: &[Text],
    answer: impl Fn(&Text) -> Result<Answer, ModelError>,
    is_over: impl Fn() -> bool,
) -> Option<Result<Vec<Answer>, ModelError>> {
    let next = |text| (!is_over()).then(|| answer(text));
    texts.iter().map(next).collect()
}

/// A model that fails at run time is stood in for by the embedded one; the answer names who gave it.
fn answer(
    model: &SharedModel,
    fallback: &SharedModel,
    text: &Text,
    explain: bool,
) -> Result<Answer, ModelError> {
    let (analysis, model) = match model.analyze(text.as_str(), explain) {
        Ok(analysis) => (analysis, model),
        Err(fault) => {
            tracing::error!(model = fault.model, error = %fault, "a model failed; the embedded one answers in its place");
            metrics::failed(&fault.model);
            (fallback.analyze(text.as_str(), explain)?, fallback)
        }
    };
    Ok(Answer { analysis, model: model.clone() })
}

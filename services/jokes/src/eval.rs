//! Evaluation: a file of topics is told to a model as the service would tell it, and the answers are scored.
//!
//! Prompts, guards, the strict reading, the one repair and the limits are the service's own. What is left out is what
//! concerns a caller: budgets, the cache, another model that stands in. Nothing is kept.

mod cases;
mod report;
mod score;
mod tell;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::StreamExt as _;
use futures::stream;
use mesh_config::{Reader, Reported};
use mesh_error::{Error, Kind, Result};
use tokio::time::Instant;

pub use cases::{Case, Fault, MAX_ROWS};
pub use report::Report;
pub use score::Scores;

use crate::config::{self, ModelsConfig};
use crate::domain::{JokeRequest, Params, Told, Usage};
use crate::error::JokesError;
use crate::guard::{GuardPolicy, Guards};
use crate::models::{Entry, Models};
use crate::ports::Feelings;
use tell::Telling;

/// What an evaluation takes of the settings of the service.
#[derive(Clone, Debug)]
pub struct EvalConfig {
    /// The models.
    pub models: ModelsConfig,
    /// The words and patterns that the guards refuse.
    pub guard_policy: GuardPolicy,
    /// The longest time of a joke.
    pub total: Duration,
}

/// Asks models and scores what they say.
pub struct Evaluator {
    models: Models,
    /// The one that is asked when a topic names none.
    default: Arc<Entry>,
    guards: Guards,
    feelings: Arc<dyn Feelings>,
    canary: String,
    total: Duration,
}

/// How a file is worked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How often each topic is told; a seed grows by one each time.
    pub rounds: u32,
    /// Jokes at once.
    pub parallel: usize,
}

/// What became of one topic in one round.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Of the file, from 1.
    pub line: usize,
    /// From 1.
    pub round: u32,
    /// What was wanted.
    pub request: JokeRequest,
    /// The model that was asked.
    pub model: String,
    /// Who runs it.
    pub provider: String,
    /// The joke, also one that the guards refuse.
    pub told: Option<Told>,
    /// Why there is no joke.
    pub error: Option<String>,
    /// Those that can be given.
    pub scores: Scores,
    /// When it began.
    pub started: SystemTime,
    /// From the request to the finished joke, a repair included.
    pub latency: Duration,
    /// What it used.
    pub usage: Usage,
}

impl EvalConfig {
    /// Reads the settings from the environment.
    ///
    /// # Errors
    /// Faults are recorded in the reader.
    pub fn read(reader: &mut Reader) -> std::result::Result<Self, Reported> {
        let (models, guards) = (ModelsConfig::read(reader), config::read_guards(reader));
        let total = config::read_total(reader);
        Ok(Self { models: models?, guard_policy: guards?, total: total? })
    }
}

impl Default for EvalConfig {
    fn default() -> Self {
        let (models, guard_policy) = (ModelsConfig::default(), GuardPolicy::default());
        Self { models, guard_policy, total: config::TOTAL }
    }
}

impl Evaluator {
    /// For the model of that name, or the default one for an empty name.
    ///
    /// # Errors
    /// When there is no such model, or a model or the guards cannot be made.
    pub fn new(config: &EvalConfig, model: &str, feelings: Arc<dyn Feelings>) -> Result<Self> {
        let (models, guards) = (config.models.build()?, config::compiled(&config.guard_policy)?);
        Self::with(models, guards, model, feelings, config.total)
    }

    fn with(
        models: Models,
        guards: Guards,
        model: &str,
        feelings: Arc<dyn Feelings>,
        total: Duration,
    ) -> Result<Self> {
        let default = find(&models, model)?;
        let canary = uuid::Uuid::new_v4().simple().to_string();
        let guards = guards.keeping(&[&canary]);
        Ok(Self { models, default, guards, feelings, canary, total })
    }

    /// Reads a file of topics; what a line does not say is as `defaults` say.
    ///
    /// # Errors
    /// Every line that is wrong.
    pub fn cases(&self, text: &str, defaults: &Params) -> std::result::Result<Vec<Case>, Vec<Fault>> {
        cases::parse(text, defaults, |name| find(&self.models, name).map(|_| ()).map_err(|e| e.to_string()))
    }

    /// Tells every topic, until all are told or it is stopped; then what was begun is given up. `progress` hears how many
    /// are done, and of how many.
    pub async fn run(
        &self,
        cases: &[Case],
        plan: Plan,
        stop: impl Future<Output = ()>,
        mut progress: impl FnMut(usize, usize),
    ) -> Report {
        let jobs = (1..=plan.rounds).flat_map(|round| cases.iter().map(move |case| (case, round)));
        let planned = cases.len().saturating_mul(usize::try_from(plan.rounds).unwrap_or(usize::MAX));
        let told = stream::iter(jobs).map(|(case, round)| self.row(case, round));
        let mut told = std::pin::pin!(told.buffer_unordered(plan.parallel.max(1)));
        let mut stop = std::pin::pin!(stop);
        let mut rows = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                row = told.next() => match row {
                    Some(row) => rows.push(row),
                    None => break,
                }
            }
            progress(rows.len(), planned);
        }
        Report::of(rows, planned, self.guards.version())
    }

    async fn row(&self, case: &Case, round: u32) -> Row {
        let (started, begun) = (SystemTime::now(), Instant::now());
        let mut request = case.request.clone();
        request.params.seed = request.params.seed.map(|seed| seed.wrapping_add(round - 1));
        let own = if case.model.is_empty() { None } else { find(&self.models, &case.model).ok() };
        let entry = own.unwrap_or_else(|| Arc::clone(&self.default));
        let mut telling = Telling::new(self, &entry, begun + self.total);
        let outcome = telling.tell(&request).await;
        let (usage, mut scores) = (telling.usage(), telling.scores);
        let latency = begun.elapsed();
        if let Ok(told) = &outcome {
            scores.length = Some(score::length(told, request.params.length));
            let feeling = self.feelings.of(&crate::structured::spoken(told)).await;
            scores.sentiment = feeling.map(|feeling| score::positivity(feeling.score));
        }
        let info = entry.info();
        let (model, provider) = (info.name.clone(), info.provider.clone());
        let (told, error) = match outcome {
            Ok(told) => (Some(told), None),
            Err(error) => (None, Some(described(&error))),
        };
        let line = case.line;
        Row { line, round, request, model, provider, told, error, scores, started, latency, usage }
    }
}

fn find(models: &Models, name: &str) -> Result<Arc<Entry>> {
    let first = models.chain(name).ok().and_then(|chain| chain.into_iter().next());
    first.ok_or_else(|| {
        let names: Vec<_> = models.iter().map(|entry| entry.info().name.as_str()).collect();
        let message = format!("there is no model {name:?}; there are {}", names.join(", "));
        Error::new(Kind::NotFound, "MODEL_NOT_FOUND", message)
    })
}

/// For the one who runs the evaluation: with the cause. Nothing of a prompt, an answer or a key is in it.
fn described(error: &JokesError) -> String {
    match error {
        JokesError::RefusedInput { field, refusal } => format!("{field}: {refusal}"),
        error => mesh_error::chain(error),
    }
}

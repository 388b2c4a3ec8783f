//! What the service counts. Labels are names of loaded models, classes and outcomes: all bounded.

use std::sync::Arc;

use metrics::Counter;

use crate::domain::Label;
use crate::models::{Models, SharedModel};
use crate::pool::PoolFault;

/// Counter: texts answered, by model and label.
const TEXTS: &str = "sentiment_texts_total";
/// Counter: texts on which a model failed and the embedded one answered, by model.
const MODEL_FAILURES: &str = "sentiment_model_failures_total";
/// Counter: jobs of the inference pool, by outcome (`done`, `full`, `expired`, `lost`).
const POOL_JOBS: &str = "sentiment_pool_jobs_total";
/// Gauge: jobs that run or wait in the inference pool.
const POOL_BUSY: &str = "sentiment_pool_busy";

/// The counters of answered texts, one for each model and label: looked up once, and few enough to look at each.
#[derive(Clone)]
pub(crate) struct Answered(Arc<[(String, Label, Counter)]>);

impl Answered {
    /// By these models.
    pub(crate) fn of(models: &Models) -> Self {
        let counter = |model: &str, label: Label| metrics::counter!(TEXTS, "model" => model.to_owned(), "label" => label.name());
        let of_model = |model: &SharedModel| {
            let name = model.info().name.clone();
            Label::ALL.map(|label| (name.clone(), label, counter(&name, label)))
        };
        Self(models.iter().chain([models.fallback()]).flat_map(of_model).collect())
    }

    pub(crate) fn count(&self, model: &str, label: Label) {
        if let Some((.., counter)) = self.0.iter().find(|(name, of, _)| *of == label && name == model) {
            counter.increment(1);
        }
    }
}

pub(crate) fn failed(model: &str) {
    metrics::counter!(MODEL_FAILURES, "model" => model.to_owned()).increment(1);
}

pub(crate) fn pool<T>(done: &Result<T, PoolFault>, busy: usize) {
    let outcome = match done {
        Ok(_) => "done",
        Err(PoolFault::Full { .. }) => "full",
        Err(PoolFault::Expired) => "expired",
        Err(PoolFault::Lost) => "lost",
    };
    metrics::counter!(POOL_JOBS, "outcome" => outcome).increment(1);
    metrics::gauge!(POOL_BUSY).set(f64::from(u32::try_from(busy).unwrap_or(u32::MAX)));
}

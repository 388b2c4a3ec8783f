//! An evaluation as an experiment: a dataset of what was asked, a trace for each answer, its scores, and what ties them.

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::{Builder, Uuid};

use crate::client::{Opik, OpikError, Score, of_sdk};

/// Items of one message.
const BATCH: usize = 100;
/// Names items of a dataset by what they hold, so that the next run over the same input meets the same items.
const ITEMS: Uuid = Uuid::from_u128(0x6f1c_83a2_9d2e_4c57_b0f4_1c5e_3e0a_7d91);
/// The time in those names: 2026-01-01, in milliseconds.
const SINCE: u64 = 1_767_225_600_000;

/// An evaluation.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// Its name.
    pub name: String,
    /// The dataset that it ran over; made if there is none of that name.
    pub dataset: String,
    /// What it ran with: the model and its settings.
    pub metadata: Value,
    /// What was asked and answered.
    pub items: Vec<Item>,
}

/// One answer of an evaluation.
#[derive(Clone, Debug)]
pub struct Item {
    /// What was asked.
    pub input: Value,
    /// What was answered; null if nothing was.
    pub output: Value,
    /// When it was asked.
    pub started: SystemTime,
    /// When the answer was complete.
    pub ended: SystemTime,
    /// What the answer is worth.
    pub scores: Vec<Score>,
    /// Why there is no answer.
    pub error: Option<String>,
}

/// An item, and its names in Opik.
struct Named<'a> {
    item: &'a Item,
    in_dataset: Uuid,
    trace: Uuid,
}

impl Opik {
    /// Sends an evaluation; gives the experiment's id. What was sent before a failure stays.
    ///
    /// # Errors
    /// When Opik does not answer or refuses.
    pub async fn send_experiment(&self, experiment: &Experiment) -> Result<String, OpikError> {
        let id = Uuid::now_v7();
        let dataset = json!({"name": experiment.dataset, "description": "What quipu eval asks."});
        match self.send(Method::POST, "datasets", &dataset).await {
            Err(OpikError::Refused { status: StatusCode::CONFLICT, .. }) => {}
            made => made?,
        }
        let named = experiment.items.iter().map(Named::new).collect::<Vec<_>>();
        let made = json!({"id": id, "name": experiment.name, "dataset_name": experiment.dataset,
            "metadata": experiment.metadata});
        self.send(Method::POST, "experiments", &made).await?;
        for batch in named.chunks(BATCH) {
            self.send_items(experiment, id, batch).await?;
        }
        Ok(id.to_string())
    }

    async fn send_items(
        &self,
        experiment: &Experiment,
        id: Uuid,
        batch: &[Named<'_>],
    ) -> Result<(), OpikError> {
        let all = |of: &dyn Fn(&Named<'_>) -> Value| batch.iter().map(of).collect::<Value>();
        let items = all(&|n| json!({"id": n.in_dataset, "source": "sdk", "data": {"input": n.item.input}}));
        let items = json!({"dataset_name": experiment.dataset, "items": items});
        self.send(Method::PUT, "datasets/items", &items).await?;
        let traces = json!({"traces": all(&|n| n.trace(self.project()))});
        self.send(Method::POST, "traces/batch", &traces).await?;
        let scores: Vec<_> = batch.iter().flat_map(|n| n.scores(self.project())).collect();
        if !scores.is_empty() {
            self.send(Method::PUT, "traces/feedback-scores", &json!({"scores": scores})).await?;
        }
        let tied = all(
            &|n| json!({"id": Uuid::now_v7(), "experiment_id": id, "dataset_item_id": n.in_dataset, "trace_id": n.trace}),
        );
        self.send(Method::POST, "experiments/items", &json!({"experiment_items": tied})).await
    }
}

impl<'a> Named<'a> {
    fn new(item: &'a Item) -> Self {
        Self { item, in_dataset: of_content(&item.input), trace: Uuid::now_v7() }
    }

    fn trace(&self, project: &str) -> Value {
        let time =
            |time: SystemTime| DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut trace = json!({"id": self.trace, "project_name": project, "name": "eval",
            "start_time": time(self.item.started), "end_time": time(self.item.ended),
            "input": self.item.input, "output": self.item.output});
        if let (Some(error), Some(object)) = (&self.item.error, trace.as_object_mut()) {
            object.insert("error_info".to_owned(), json!({"exception_type": "error", "traceback": error}));
        }
        trace
    }

    fn scores(&self, project: &str) -> Vec<Value> {
        let full = |score: &Score| {
            let mut full = of_sdk(score);
            if let Some(object) = full.as_object_mut() {
                object.insert("id".to_owned(), json!(self.trace));
                object.insert("project_name".to_owned(), project.into());
            }
            full
        };
        self.item.scores.iter().map(full).collect()
    }
}

/// The id of what a dataset holds. Opik wants a UUID of version 7: the time is the same for all, the rest is a hash.
fn of_content(input: &Value) -> Uuid {
    let hash = Uuid::new_v5(&ITEMS, input.to_string().as_bytes()).into_bytes();
    let [_, _, _, _, _, _, rest @ ..] = hash;
    Builder::from_unix_timestamp_millis(SINCE, &rest).into_uuid()
}

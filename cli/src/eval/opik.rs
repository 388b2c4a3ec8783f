//! The report as an experiment in Opik.

use chrono::Utc;
use mesh_error::chain;
use mesh_opik::{Experiment, Item, Opik, OpikConfig, Score};
use quipu_jokes::eval::{Report, Row};
use serde_json::{Value, json};

/// Sends it; says what was sent.
pub(super) async fn send(
    config: &OpikConfig,
    report: &Report,
    dataset: &str,
    name: Option<&str>,
) -> Result<String, String> {
    let mut models: Vec<&str> = report.rows.iter().map(|row| row.model.as_str()).collect();
    models.sort_unstable();
    models.dedup();
    let models = models.join(", ");
    let of_now = || format!("{models} {}", Utc::now().format("%Y-%m-%d %H:%M:%S"));
    let experiment = Experiment {
        name: name.map_or_else(of_now, str::to_owned),
        dataset: dataset.to_owned(),
        metadata: json!({ "model": models, "guard_version": report.guard_version, "usage": report.usage }),
        items: report.rows.iter().map(item).collect(),
    };
    let opik = Opik::new(config).map_err(|e| chain(&e))?;
    let id = opik.send_experiment(&experiment).await.map_err(|e| format!("--opik: {}", chain(&e)))?;
    Ok(format!("sent to Opik: experiment {:?} ({id}) over the dataset {dataset:?}", experiment.name))
}

/// Without the seed, which says how a run was made: the next one is over the same items of the dataset.
fn asked(row: &Row) -> Value {
    let mut wish = row.wish();
    wish.as_object_mut().and_then(|wish| wish.remove("seed"));
    wish
}

fn item(row: &Row) -> Item {
    let given = row.scores.named().into_iter();
    let score = |(name, value): (&str, Option<f64>)| {
        Some(Score { name: name.to_owned(), value: value?, reason: None })
    };
    Item {
        input: asked(row),
        output: row.joke(),
        started: row.started,
        ended: row.started + row.latency,
        scores: given.filter_map(score).collect(),
        error: row.error.clone(),
    }
}

//! What comes of an evaluation: the rows, their means and sums.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::score::distinctness;
use super::{Row, Scores};
use crate::domain::Usage;
use crate::structured::spoken;

/// What came of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// By round, then by line.
    pub rows: Vec<Row>,
    /// As many rows as there would be if nobody had stopped it.
    pub planned: usize,
    /// Of each score, over the rows that have it.
    pub means: Scores,
    /// Of the latency, over the rows with a joke.
    pub mean_latency: Option<Duration>,
    /// What all rows used.
    pub usage: Usage,
    /// Changes whenever a verdict of the guards can.
    pub guard_version: String,
}

impl Report {
    pub(super) fn of(mut rows: Vec<Row>, planned: usize, guard_version: &str) -> Self {
        rows.sort_by_key(|row| (row.round, row.line));
        let texts: Vec<String> = rows.iter().filter_map(|row| row.told.as_ref()).map(spoken).collect();
        let told = rows.iter_mut().filter(|row| row.told.is_some());
        for (row, score) in told.zip(distinctness(&texts)) {
            row.scores.distinctness = Some(score);
        }
        let means = Scores::means(rows.iter().map(|row| &row.scores));
        let latencies = rows.iter().filter(|row| row.told.is_some()).map(|row| row.latency);
        let sum: Duration = latencies.clone().sum();
        let count = u32::try_from(latencies.count()).unwrap_or(u32::MAX);
        let usage = rows.iter().fold(Usage::default(), |sum, row| Usage {
            input_tokens: sum.input_tokens.saturating_add(row.usage.input_tokens),
            output_tokens: sum.output_tokens.saturating_add(row.usage.output_tokens),
            cost_nanos: sum.cost_nanos.saturating_add(row.usage.cost_nanos),
        });
        let mean_latency = sum.checked_div(count);
        Self { rows, planned, means, mean_latency, usage, guard_version: guard_version.to_owned() }
    }

    /// How many rows have no joke.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.rows.iter().filter(|row| row.error.is_some()).count()
    }

    /// Whether nobody stopped it.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.rows.len() == self.planned
    }

    /// Everything, for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "complete": self.is_complete(),
            "failed": self.failed(),
            "guard_version": self.guard_version,
            "means": object(&self.means),
            "mean_latency_ms": self.mean_latency.map(millis),
            "usage": self.usage,
            "rows": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Row {
    /// What was wanted, with the names of the REST API.
    #[must_use]
    pub fn wish(&self) -> Value {
        let mut wish = json!({ "topic": self.request.topic.as_str() });
        let params = serde_json::to_value(&self.request.params).ok();
        if let (Some(wish), Some(Value::Object(params))) = (wish.as_object_mut(), params) {
            wish.extend(params);
        }
        wish
    }

    /// The joke; null if there is none.
    #[must_use]
    pub fn joke(&self) -> Value {
        self.told.as_ref().map_or(Value::Null, |told| json!(told))
    }

    fn to_json(&self) -> Value {
        json!({
            "line": self.line,
            "round": self.round,
            "model": self.model,
            "provider": self.provider,
            "wish": self.wish(),
            "joke": self.joke(),
            "error": self.error,
            "scores": object(&self.scores),
            "latency_ms": millis(self.latency),
            "usage": self.usage,
        })
    }
}

fn object(scores: &Scores) -> Map<String, Value> {
    scores.named().into_iter().map(|(name, score)| (name.to_owned(), json!(score))).collect()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

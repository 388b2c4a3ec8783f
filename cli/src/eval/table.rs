//! The report for people.

use std::fmt::Write as _;

use quipu_jokes::domain::Usage;
use quipu_jokes::eval::{Report, Row, Scores};

/// Characters of a topic that are shown.
const TOPIC: usize = 26;
/// Characters of the place of a row.
const PLACE: usize = 7;

/// A line for each row, then the means.
pub(super) fn table(report: &Report) -> String {
    let mut text = format!("{:>PLACE$}  {:<TOPIC$}", "line", "topic");
    for name in Scores::NAMES {
        let _ = write!(text, "  {name:>8}");
    }
    let _ = writeln!(text, "  {:>7}  {:>7}  {:>10}  model", "ms", "tokens", "dollars");
    let rounds = report.rows.iter().map(|row| row.round).max().unwrap_or_default();
    for row in &report.rows {
        let place = if rounds > 1 { format!("{}#{}", row.line, row.round) } else { row.line.to_string() };
        let _ = write!(text, "{place:>PLACE$}  {:<TOPIC$}", short(row.request.topic.as_str()));
        push_row(&mut text, row);
    }
    let told = report.rows.len() - report.failed();
    let _ = write!(text, "{:>PLACE$}  {:<TOPIC$}", "mean", format!("{told} of {} told", report.rows.len()));
    push_scores(&mut text, &report.means);
    let latency = report.mean_latency.map_or_else(|| "-".to_owned(), |mean| mean.as_millis().to_string());
    let _ = write!(text, "  {latency:>7}");
    push_usage(&mut text, report.usage);
    text.push_str("  (sum)\n");
    text
}

fn push_row(text: &mut String, row: &Row) {
    if let Some(error) = &row.error {
        let _ = writeln!(text, "  error: {error}");
        return;
    }
    push_scores(text, &row.scores);
    let _ = write!(text, "  {:>7}", row.latency.as_millis());
    push_usage(text, row.usage);
    let _ = writeln!(text, "  {}", row.model);
}

fn push_scores(text: &mut String, scores: &Scores) {
    for (name, score) in scores.named() {
        let width = name.len().max(8);
        let _ = match score {
            Some(score) => write!(text, "  {score:>width$.2}"),
            None => write!(text, "  {:>width$}", "-"),
        };
    }
}

fn push_usage(text: &mut String, usage: Usage) {
    let tokens = u64::from(usage.input_tokens) + u64::from(usage.output_tokens);
    let (dollars, nanos) = (usage.cost_nanos / 1_000_000_000, usage.cost_nanos % 1_000_000_000);
    let cost = format!("{dollars}.{:06}", nanos / 1_000);
    let _ = write!(text, "  {tokens:>7}  {cost:>10}");
}

fn short(topic: &str) -> String {
    if topic.chars().count() <= TOPIC {
        return topic.to_owned();
    }
    topic.chars().take(TOPIC - 1).chain(['…']).collect()
}

//! The figures, each with what it is compared with in the same run, in turns A B A B.

mod jokes;
mod memory;
mod requests;
mod stage;
mod start;

use std::time::Duration;

use crate::{
    Result,
    load::{Measured, Times},
};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Turns of A and B.
    pub rounds: usize,
    /// Of each turn.
    pub times: Times,
    /// Until a process that does nothing counts as idle.
    pub idle: Duration,
    /// Starts of everything.
    pub starts: usize,
}

impl Plan {
    /// For the table.
    #[must_use]
    pub const fn full() -> Self {
        let times = Times { warm: Duration::from_millis(1000), measured: Duration::from_secs(4) };
        Self { rounds: 7, times, idle: Duration::from_secs(5), starts: 5 }
    }

    /// For a first look.
    #[must_use]
    pub const fn short() -> Self {
        let times = Times { warm: Duration::from_millis(500), measured: Duration::from_millis(1500) };
        Self { rounds: 3, times, idle: Duration::from_secs(2), starts: 2 }
    }
}

/// A line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// What is measured.
    pub what: String,
    /// What counts.
    pub figure: f64,
    /// What it must be, as text.
    pub limit: String,
    /// Whether the figure is within the limit.
    pub within: bool,
    /// How the figure is written.
    pub unit: &'static str,
    /// The values that it is made of.
    pub from: String,
}

impl Row {
    /// Whether it is within its limit.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.within
    }

    fn most(what: impl Into<String>, figure: f64, limit: f64, unit: &'static str, from: String) -> Self {
        let (what, limit_text) = (what.into(), format!("≤ {limit}{unit}"));
        Self { what, figure, limit: limit_text, within: figure <= limit, unit, from }
    }

    fn least(what: impl Into<String>, figure: f64, limit: f64, unit: &'static str, from: String) -> Self {
        let (what, limit_text) = (what.into(), format!("≥ {limit}{unit}"));
        Self { what, figure, limit: limit_text, within: figure >= limit, unit, from }
    }
}

/// Measures every row; with words only those whose name has one of them.
///
/// # Errors
/// When a target does not start or refuses a request.
pub async fn all(plan: &Plan, wanted: &[String], progress: impl Fn(&str)) -> Result<Vec<Row>> {
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()));
    let mut rows = Vec::new();
    let mut add = |more: Vec<Row>| {
        for row in more {
            progress(&format!("{}: {:.2}{} ({}) {}", row.what, row.figure, row.unit, row.limit, row.from));
            rows.push(row);
        }
    };
    if wants("start") {
        add(start::services(plan).await?);
        add(vec![start::up(plan).await?]);
    }
    if wants("idle") {
        add(memory::idle(plan).await?);
    }
    if wants("healthz") {
        add(vec![requests::healthz(plan).await?]);
    }
    if wants("hop") {
        add(requests::hop(plan).await?);
    }
    if wants("grpc") {
        add(requests::grpc(plan).await?);
    }
    if wants("login") {
        add(vec![requests::login(plan).await?]);
    }
    if wants("connections") {
        add(requests::connections(plan).await?);
    }
    if wants("jokes-added") {
        add(jokes::instant(plan).await?);
    }
    if wants("jokes-held") {
        add(vec![jokes::held(plan).await?]);
    }
    if wants("jokes-first") {
        add(vec![jokes::first_event(plan).await?]);
    }
    Ok(rows)
}

/// The middle one.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (Some(low), Some(high)) =
        (values.get(values.len().saturating_sub(1) / 2), values.get(values.len() / 2))
    else {
        return f64::NAN;
    };
    f64::midpoint(*low, *high)
}

/// From the least to the most.
fn spread(values: impl IntoIterator<Item = f64>) -> String {
    let values: Vec<_> = values.into_iter().collect();
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{least:.2}–{most:.2}")
}

/// Refuses a measurement with failures in it.
fn sound(measured: Measured) -> Result<Measured> {
    match (measured.failed, &measured.fault) {
        (0, _) if measured.answered > 0 => Ok(measured),
        (failed, fault) => {
            Err(format!("{failed} of {} requests failed: {fault:?}", measured.answered + failed).into())
        }
    }
}

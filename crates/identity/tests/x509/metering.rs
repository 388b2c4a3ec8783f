//! Counts what the crate reports to `metrics`, for one thread.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

#[derive(Default)]
pub(crate) struct Meter {
    values: Mutex<HashMap<String, Arc<AtomicU64>>>,
}

impl Meter {
    /// How often a reload had this outcome (`loaded`, `refused`).
    pub(crate) fn reloads(&self, outcome: &str) -> u64 {
        self.value(&format!("mesh_identity_reloads_total {outcome}"))
    }

    pub(crate) fn not_after(&self) -> f64 {
        f64::from_bits(self.value("mesh_identity_not_after_timestamp_seconds "))
    }

    fn value(&self, name: &str) -> u64 {
        self.values.lock().unwrap().get(name).map_or(0, |value| value.load(Ordering::Relaxed))
    }

    fn cell(&self, key: &Key) -> Arc<AtomicU64> {
        assert!(key.labels().any(|label| label.key() == "workload"));
        let outcome = key.labels().find(|label| label.key() == "outcome").map_or("", |label| label.value());
        self.values.lock().unwrap().entry(format!("{} {outcome}", key.name())).or_default().clone()
    }
}

impl Recorder for Meter {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

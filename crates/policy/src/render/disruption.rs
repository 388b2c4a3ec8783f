//! PodDisruptionBudgets: one for each workload that runs in the cluster.
//!
//! `AlwaysAllow` lets a node be drained of pods that are broken anyway, which the default forbids.

use super::manifest::{Lines, workload_labels};
use crate::Policy;

pub(super) fn budgets(policy: &Policy) -> Vec<(String, String)> {
    let inside = policy.workloads().iter().filter(|workload| !workload.external);
    inside
        .map(|workload| {
            let name = workload.name.as_ref();
            let mut lines = Lines::object("policy/v1", "PodDisruptionBudget", name, policy.namespace());
            lines.add(1, &format!("maxUnavailable: {}", workload.max_unavailable));
            lines.add(1, "unhealthyPodEvictionPolicy: AlwaysAllow");
            lines.selector(1, "selector", &workload_labels(name));
            (format!("poddisruptionbudget-{name}.yaml"), lines.into_text())
        })
        .collect()
}

//! No workload may call itself by way of others: a circle of calls can neither be drained nor given deadlines.
//!
//! Health and reflection do not count; they call nobody further.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    fault::{Collector, Spot},
    file::{Document, WorkloadEntry},
};

/// For each caller, its callees and where the first rule for them stands.
type Edges<'d> = BTreeMap<&'d str, BTreeMap<&'d str, Spot>>;

pub(super) fn check(document: &Document, served: &BTreeMap<&str, &WorkloadEntry>, faults: &mut Collector) {
    let edges = edges(document, served);
    let mut done = BTreeSet::new();
    for start in edges.keys() {
        let mut walk = Walk { edges: &edges, path: Vec::new(), done: &mut done, faults };
        walk.visit(start);
    }
}

fn edges<'d>(document: &'d Document, served: &BTreeMap<&'d str, &'d WorkloadEntry>) -> Edges<'d> {
    let mut edges = Edges::new();
    for service in &document.calls.value {
        let Some(callee) = served.get(service.name.value.as_str()) else { continue };
        let callee = callee.name.value.as_str();
        for caller in service.methods.iter().flat_map(|method| &method.rules).flat_map(|rule| &rule.from) {
            // A direct self-call has its own fault.
            if caller.value != callee {
                edges.entry(&caller.value).or_default().entry(callee).or_insert(caller.spot);
            }
        }
    }
    edges
}

/// A depth-first walk; its depth is bounded by the number of workloads.
struct Walk<'w, 'd> {
    edges: &'w Edges<'d>,
    path: Vec<&'d str>,
    done: &'w mut BTreeSet<&'d str>,
    faults: &'w mut Collector,
}

impl<'d> Walk<'_, 'd> {
    fn visit(&mut self, name: &'d str) {
        if self.done.contains(name) {
            return;
        }
        self.path.push(name);
        for (callee, spot) in self.edges.get(name).into_iter().flatten() {
            match self.path.iter().position(|on_path| on_path == callee) {
                Some(first) => {
                    let circle = self.path.get(first..).unwrap_or_default().join(" → ");
                    self.faults.at(*spot, format!("calls go in a circle: {circle} → {callee}"));
                }
                None => self.visit(callee),
            }
        }
        self.path.pop();
        self.done.insert(name);
    }
}

//! The common parts of the rendered Kubernetes objects.
//!
//! Values are names (labels that begin with a letter and are no YAML keyword), numbers or fixed texts, so nothing needs
//! quotes; whatever else a policy file holds never gets here.

use std::fmt::Write;

/// The `app.kubernetes.io/part-of` of every pod of the mesh.
const PART_OF: &str = "quipu";

/// The first line of every rendered file.
const HEADER: &str = "# Rendered from policies/mesh.yaml by `quipu policy render`. Do not edit.\n";

/// Labels that select pods.
pub(super) type Labels = Vec<(&'static str, String)>;

/// The labels of a workload's pods.
pub(super) fn workload_labels(name: &str) -> Labels {
    vec![("app.kubernetes.io/name", name.to_owned()), ("app.kubernetes.io/part-of", PART_OF.to_owned())]
}

/// The labels of the pods of something outside the mesh.
pub(super) fn app_labels(app: &str) -> Labels {
    vec![("app.kubernetes.io/name", app.to_owned())]
}

/// Lines of YAML with two spaces for each level.
#[derive(Debug, Default)]
pub(super) struct Lines(String);

impl Lines {
    /// The beginning of an object, up to and with `spec:`.
    pub(super) fn object(api: &str, kind: &str, name: &str, namespace: &str) -> Self {
        let mut lines = Self(HEADER.to_owned());
        lines.add(0, &format!("apiVersion: {api}"));
        lines.add(0, &format!("kind: {kind}"));
        lines.add(0, "metadata:");
        lines.add(1, &format!("name: {name}"));
        lines.add(1, &format!("namespace: {namespace}"));
        lines.add(1, "labels:");
        lines.labels(2, &workload_labels(name));
        lines.add(0, "spec:");
        lines
    }

    /// One line at the level.
    pub(super) fn add(&mut self, level: usize, text: &str) {
        // Writing to a String cannot fail.
        let _infallible = writeln!(self.0, "{:width$}{text}", "", width = level * 2);
    }

    /// Labels, one per line.
    pub(super) fn labels(&mut self, level: usize, labels: &Labels) {
        for (key, value) in labels {
            self.add(level, &format!("{key}: {value}"));
        }
    }

    /// A label selector under `key`; without labels it selects everything.
    pub(super) fn selector(&mut self, level: usize, key: &str, labels: &Labels) {
        if labels.is_empty() {
            return self.add(level, &format!("{key}: {{}}"));
        }
        self.add(level, &format!("{key}:"));
        self.add(level + 1, "matchLabels:");
        self.labels(level + 2, labels);
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

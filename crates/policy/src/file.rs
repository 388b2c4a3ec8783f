//! The file as it was written: every value typed and with its place, nothing compared with anything else yet.
//!
//! Reading goes on after a fault, so that one mistake does not hide the next; what could not be read is left out.

mod calls;
mod shape;
mod value;
mod workloads;

#[cfg(test)]
mod schema_tests;

use mesh_identity::TrustDomain;

pub(crate) use self::calls::{MethodEntry, RuleEntry, ServiceEntry, UserEntry};
pub(crate) use self::workloads::{ResourceEntry, WorkloadEntry};
use crate::{
    fault::{Collector, Spot},
    yaml::{Key, Node, Value},
};

/// The only version of the format.
const VERSION: u16 = 1;

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) spot: Spot,
    pub(crate) value: T,
}

/// A policy file, typed.
#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(crate) trust_domain: Option<TrustDomain>,
    pub(crate) namespace: Option<String>,
    /// Namespace and `app.kubernetes.io/name` of the pods that may read the admin ports.
    pub(crate) monitoring: Option<(String, String)>,
    pub(crate) monitoring_spot: Spot,
    /// Each scope and what it allows, in words.
    pub(crate) scopes: Vec<(At<String>, String)>,
    pub(crate) roles: Vec<(At<String>, Vec<At<String>>)>,
    pub(crate) workloads: At<Vec<WorkloadEntry>>,
    pub(crate) resources: Vec<ResourceEntry>,
    pub(crate) calls: At<Vec<ServiceEntry>>,
}

impl<T: Default> Default for At<T> {
    fn default() -> Self {
        Self { spot: Spot { line: 1, column: 1 }, value: T::default() }
    }
}

impl Document {
    /// Reads the root of the file.
    pub(crate) fn read(root: &Node, faults: &mut Collector) -> Self {
        let mut document = Self::default();
        let Some(fields) = shape::ROOT.read(root, faults) else { return document };
        document.workloads.spot = fields.spot;
        document.calls.spot = fields.spot;
        if let Some(node) = fields.get("version") {
            value::number(node, "\"version\"", VERSION..=VERSION, faults);
        }
        document.trust_domain = fields.get("trustDomain").and_then(|node| trust_domain(node, faults));
        document.namespace = fields.get("namespace").and_then(|node| name(node, "\"namespace\"", faults));
        if let Some(node) = fields.get("monitoring") {
            document.monitoring_spot = node.spot;
            document.monitoring = monitoring(node, faults);
        }
        if let Some(node) = fields.get("scopes") {
            document.scopes = scopes(node, faults);
        }
        if let Some(node) = fields.get("roles") {
            document.roles = roles(node, faults);
        }
        if let Some(node) = fields.get("workloads") {
            document.workloads = At { spot: node.spot, value: workloads::read_workloads(node, faults) };
        }
        if let Some(node) = fields.get("resources") {
            document.resources = workloads::read_resources(node, faults);
        }
        if let Some(node) = fields.get("calls") {
            document.calls = At { spot: node.spot, value: calls::read(node, faults) };
        }
        document
    }
}

fn trust_domain(node: &Node, faults: &mut Collector) -> Option<TrustDomain> {
    let text = value::text(node, "\"trustDomain\"", faults)?;
    match text.value.parse() {
        Ok(domain) => Some(domain),
        Err(error) => {
            faults.at(text.spot, format!("\"{}\" is not a trust domain: {error}", text.value));
            None
        }
    }
}

/// A single name that becomes part of a Kubernetes object.
fn name(node: &Node, what: &str, faults: &mut Collector) -> Option<String> {
    let text = value::text(node, what, faults)?;
    match value::name_problem(text.value) {
        None => Some(text.value.to_owned()),
        Some(problem) => {
            faults.at(text.spot, problem);
            None
        }
    }
}

fn monitoring(node: &Node, faults: &mut Collector) -> Option<(String, String)> {
    let fields = shape::MONITORING.read(node, faults)?;
    let namespace = fields.get("namespace").and_then(|node| name(node, "\"namespace\"", faults));
    let app = fields.get("app").and_then(|node| name(node, "\"app\"", faults));
    namespace.zip(app)
}

fn scopes(node: &Node, faults: &mut Collector) -> Vec<(At<String>, String)> {
    let mut scopes = Vec::new();
    for (key, node) in entries(node, "scopes", faults) {
        check_key(key, value::scope_problem(&key.text), faults);
        let words = value::text(node, &format!("what scope \"{}\" allows, in words,", key.text), faults);
        scopes.push((at(key), words.map(|words| words.value.to_owned()).unwrap_or_default()));
    }
    scopes
}

fn roles(node: &Node, faults: &mut Collector) -> Vec<(At<String>, Vec<At<String>>)> {
    let mut roles = Vec::new();
    for (key, node) in entries(node, "roles", faults) {
        check_key(key, value::scope_problem(&key.text), faults);
        roles.push((at(key), value::list(node, &format!("role \"{}\"", key.text), faults)));
    }
    roles
}

/// The entries of a mapping whose keys are names that the file itself chooses; it may not be empty.
fn entries<'n>(node: &'n Node, what: &str, faults: &mut Collector) -> &'n [(Key, Node)] {
    match &node.value {
        Value::Map(entries) if entries.is_empty() => {
            faults.at(node.spot, format!("\"{what}\" is empty"));
            &[]
        }
        Value::Map(entries) => entries,
        Value::Refused => &[],
        Value::Scalar { .. } | Value::List(_) => {
            faults.at(node.spot, format!("\"{what}\" must be a mapping of names"));
            &[]
        }
    }
}

fn check_key(key: &Key, problem: Option<String>, faults: &mut Collector) {
    if let Some(problem) = problem {
        faults.at(key.spot, problem);
    }
}

fn at(key: &Key) -> At<String> {
    At { spot: key.spot, value: key.text.clone() }
}

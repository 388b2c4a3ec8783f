//! Which keys each mapping of the file has: the one table that the reader and the JSON Schema's test share.

use crate::{
    fault::{Collector, Spot},
    nearest::suggestion,
    yaml::{Node, Value},
};

/// The keys of one kind of mapping.
#[derive(Debug)]
pub(crate) struct Shape {
    /// What a fault calls it; also its name under `$defs` in the schema.
    pub(crate) name: &'static str,
    /// Each key and whether it must be there.
    pub(crate) keys: &'static [(&'static str, bool)],
}

pub(crate) const ROOT: Shape = Shape {
    name: "policy",
    keys: &[
        ("version", true),
        ("trustDomain", true),
        ("namespace", true),
        ("monitoring", true),
        ("scopes", true),
        ("roles", true),
        ("workloads", true),
        ("resources", false),
        ("calls", true),
    ],
};
/// Every kind of mapping with fixed keys, but the root.
#[cfg(test)]
pub(crate) const NESTED: [&Shape; 11] =
    [&MONITORING, &WORKLOAD, &LISTENS, &GRPC, &HTTP, &ADMIN, &DISRUPTION, &RESOURCE, &RULE, &NOBODY, &USER];

pub(crate) const MONITORING: Shape =
    Shape { name: "monitoring", keys: &[("namespace", true), ("app", true)] };
pub(crate) const WORKLOAD: Shape = Shape {
    name: "workload",
    keys: &[("listens", false), ("uses", false), ("disruption", false), ("external", false)],
};
pub(crate) const LISTENS: Shape =
    Shape { name: "listens", keys: &[("grpc", false), ("http", false), ("admin", true)] };
pub(crate) const GRPC: Shape = Shape {
    name: "grpc",
    keys: &[("port", true), ("services", true), ("health", false), ("reflection", false)],
};
pub(crate) const HTTP: Shape = Shape { name: "http", keys: &[("port", true), ("from", true)] };
pub(crate) const ADMIN: Shape = Shape { name: "admin", keys: &[("port", true)] };
pub(crate) const DISRUPTION: Shape = Shape { name: "disruption", keys: &[("maxUnavailable", true)] };
pub(crate) const RESOURCE: Shape = Shape {
    name: "resource",
    keys: &[("port", true), ("namespace", false), ("app", false), ("egress", false)],
};
pub(crate) const RULE: Shape =
    Shape { name: "rule", keys: &[("from", true), ("user", false), ("deadline", true), ("idle", false)] };
pub(crate) const NOBODY: Shape = Shape { name: "nobody", keys: &[("nobody", true)] };
pub(crate) const USER: Shape = Shape { name: "user", keys: &[("scope", true)] };

/// A mapping whose keys were checked.
#[derive(Debug)]
pub(crate) struct Fields<'n> {
    pub(crate) spot: Spot,
    entries: Vec<(&'static str, &'n Node)>,
}

impl<'n> Fields<'n> {
    /// The value under `key`, if it is there.
    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(name, _)| *name == key).map(|(_, node)| *node)
    }
}

impl Shape {
    /// Reads a mapping of this shape: unknown and missing keys are faults, the known ones are kept.
    pub(crate) fn read<'n>(&self, node: &'n Node, faults: &mut Collector) -> Option<Fields<'n>> {
        let entries = match &node.value {
            Value::Map(entries) => entries,
            Value::Refused => return None,
            Value::Scalar { .. } | Value::List(_) => {
                let keys: Vec<_> = self.keys.iter().map(|(key, _)| *key).collect();
                let message =
                    format!("\"{}\" must be a mapping with the keys {}", self.name, keys.join(", "));
                faults.at(node.spot, message);
                return None;
            }
        };
        let mut known = Vec::new();
        for (key, value) in entries {
            match self.keys.iter().find(|(name, _)| *name == key.text) {
                Some((name, _)) => known.push((*name, value)),
                None => {
                    let near = suggestion(&key.text, self.keys.iter().map(|(name, _)| *name));
                    faults.at(key.spot, format!("unknown key \"{}\" in \"{}\"{near}", key.text, self.name));
                }
            }
        }
        for (key, required) in self.keys {
            if *required && !known.iter().any(|(name, _)| name == key) {
                faults.at(node.spot, format!("\"{}\" lacks the key \"{key}\"", self.name));
            }
        }
        Some(Fields { spot: node.spot, entries: known })
    }
}

//! The `calls` of the file: for each service, for each method, who may call it and how.

use std::time::Duration;

use super::{At, at, entries, shape, value};
use crate::{
    fault::{Collector, Spot},
    yaml::{Node, Value},
};

/// The rules of one service.
#[derive(Debug)]
pub(crate) struct ServiceEntry {
    pub(crate) name: At<String>,
    pub(crate) methods: Vec<MethodEntry>,
}

/// The rules of one method.
#[derive(Debug)]
pub(crate) struct MethodEntry {
    pub(crate) name: At<String>,
    /// Empty when nobody may call it, and that was said with a reason.
    pub(crate) rules: Vec<RuleEntry>,
}

/// One rule: these callers, on these terms.
#[derive(Debug)]
pub(crate) struct RuleEntry {
    pub(crate) spot: Spot,
    pub(crate) from: Vec<At<String>>,
    pub(crate) user: UserEntry,
    pub(crate) deadline: Option<At<Duration>>,
    pub(crate) idle: Option<At<Duration>>,
}

/// Which user a call must be made for.
#[derive(Debug)]
pub(crate) enum UserEntry {
    /// None; no token is looked at.
    None,
    /// Any user.
    Any,
    /// A user whose token has the scope.
    Scope(At<String>),
}

pub(super) fn read(node: &Node, faults: &mut Collector) -> Vec<ServiceEntry> {
    let mut services = Vec::new();
    for (key, node) in entries(node, "calls", faults) {
        let mut methods = Vec::new();
        for (method, node) in entries(node, &key.text, faults) {
            methods.push(MethodEntry { name: at(method), rules: rules(node, faults) });
        }
        services.push(ServiceEntry { name: at(key), methods });
    }
    services
}

/// One rule, a list of rules, or the statement that nobody may call the method.
fn rules(node: &Node, faults: &mut Collector) -> Vec<RuleEntry> {
    match &node.value {
        Value::List(items) if items.is_empty() => {
            faults.at(node.spot, "an empty list of rules; to declare that nobody may call a method, write {nobody: the reason}");
            Vec::new()
        }
        Value::List(items) => items.iter().filter_map(|item| rule(item, faults)).collect(),
        Value::Map(entries) if entries.iter().any(|(key, _)| key.text == "nobody") => {
            nobody(node, faults);
            Vec::new()
        }
        Value::Map(_) | Value::Scalar { .. } | Value::Refused => rule(node, faults).into_iter().collect(),
    }
}

fn nobody(node: &Node, faults: &mut Collector) {
    let Some(fields) = shape::NOBODY.read(node, faults) else { return };
    let Some(node) = fields.get("nobody") else { return };
    if let Some(reason) = value::text(node, "the reason why nobody may call it", faults)
        && reason.value.trim().len() < 10
    {
        faults.at(reason.spot, "the reason why nobody may call it needs at least ten characters");
    }
}

fn rule(node: &Node, faults: &mut Collector) -> Option<RuleEntry> {
    let fields = shape::RULE.read(node, faults)?;
    let from = fields.get("from").map(|node| value::list(node, "\"from\"", faults)).unwrap_or_default();
    let deadline = fields.get("deadline").and_then(|node| value::duration(node, "\"deadline\"", faults));
    let idle = fields.get("idle").and_then(|node| value::duration(node, "\"idle\"", faults));
    let user = fields.get("user").map_or(UserEntry::None, |node| user(node, faults));
    if let (Some(deadline), Some(idle)) = (&deadline, &idle)
        && idle.value > deadline.value
    {
        faults.at(idle.spot, "\"idle\" is longer than \"deadline\" and would never count");
    }
    Some(RuleEntry { spot: fields.spot, from, user, deadline, idle })
}

fn user(node: &Node, faults: &mut Collector) -> UserEntry {
    if let Value::Scalar { text, .. } = &node.value {
        if text != "required" {
            let message = format!(
                "\"user\" is either required or {{scope: NAME}}, not \"{text}\"; leave the key out when no user is needed"
            );
            faults.at(node.spot, message);
        }
        return UserEntry::Any;
    }
    let scope = shape::USER.read(node, faults).and_then(|fields| fields.get("scope"));
    match scope.and_then(|node| value::text(node, "\"scope\"", faults)) {
        Some(scope) => UserEntry::Scope(At { spot: scope.spot, value: scope.value.to_owned() }),
        // Refused above; the strictest reading stands in.
        None => UserEntry::Any,
    }
}

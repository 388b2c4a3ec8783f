//! The rules against the contract: every method has one, and every rule has a method.

use std::collections::{BTreeMap, BTreeSet};

use super::{Names, unknown_scope, unknown_service};
use crate::{
    contract::{Contract, Method},
    fault::Collector,
    file::{Document, MethodEntry, RuleEntry, ServiceEntry, UserEntry, WorkloadEntry},
    nearest::suggestion,
};

pub(super) fn check(
    document: &Document,
    contract: &Contract,
    names: &Names<'_>,
    served: &BTreeMap<&str, &WorkloadEntry>,
    faults: &mut Collector,
) {
    let entries = &document.calls.value;
    for service in contract.services() {
        if !entries.iter().any(|entry| entry.name.value == service) {
            let message = format!("service \"{service}\" has no rules; each of its methods needs one");
            faults.at(document.calls.spot, message);
        }
    }
    for entry in entries {
        if unknown_service(&entry.name.value, entry.name.spot, contract, faults) {
            continue;
        }
        let methods = contract.methods_of(&entry.name.value).unwrap_or_default();
        let callee =
            served.get(entry.name.value.as_str()).map_or("", |workload| workload.name.value.as_str());
        service(entry, methods, faults);
        for method in &entry.methods {
            rules(method, methods, (names, callee), faults);
        }
    }
}

/// The methods that the file names are those that the contract has.
fn service(entry: &ServiceEntry, methods: &[Method], faults: &mut Collector) {
    let known = || methods.iter().map(|method| method.name.as_ref());
    for method in &entry.methods {
        if !known().any(|name| name == method.name.value) {
            let near = suggestion(&method.name.value, known());
            let (method, service) = (&method.name, &entry.name.value);
            faults.at(method.spot, format!("unknown method \"{}\" of \"{service}\"{near}", method.value));
        }
    }
    for name in known().filter(|name| !entry.methods.iter().any(|method| method.name.value == *name)) {
        let message = format!(
            "method \"{name}\" of \"{}\" has no rule; name its callers or write {{nobody: the reason}}",
            entry.name.value
        );
        faults.at(entry.name.spot, message);
    }
}

/// One method's rules: callers that exist, each once; scopes that exist; times that fit the kind of method.
fn rules(
    entry: &MethodEntry,
    methods: &[Method],
    (names, callee): (&Names<'_>, &str),
    faults: &mut Collector,
) {
    let method = methods.iter().find(|method| *method.name == *entry.name.value);
    let mut seen = BTreeSet::new();
    for rule in &entry.rules {
        let mut own = BTreeSet::new();
        for caller in &rule.from {
            names.caller(caller, callee, faults);
            own.insert(caller.value.as_str());
            if seen.contains(caller.value.as_str()) {
                let (caller, method) = (&caller.value, &entry.name.value);
                faults.at(rule.spot, format!("a second rule for \"{caller}\" to call \"{method}\""));
            }
        }
        seen.append(&mut own);
        if let UserEntry::Scope(scope) = &rule.user {
            unknown_scope(scope, names, faults);
        }
        if let Some(method) = method {
            idle(rule, method, faults);
        }
    }
}

/// A stream has an idle limit, a unary call has none.
fn idle(rule: &RuleEntry, method: &Method, faults: &mut Collector) {
    match (&rule.idle, method.is_streaming()) {
        (Some(idle), false) => {
            faults.at(idle.spot, format!("\"{}\" is no stream and has no \"idle\"", method.name));
        }
        (None, true) => {
            faults.at(rule.spot, format!("\"{}\" is a stream; its rule lacks the key \"idle\"", method.name));
        }
        (Some(_), true) | (None, false) => {}
    }
}

//! From the checked document to the indexed policy.

use std::{collections::HashMap, sync::Arc, time::Duration};

use mesh_identity::{SpiffeId, TrustDomain};

use super::{Call, Grpc, Http, Monitoring, Policy, Reach, Resource, Role, Scope, Workload};
use crate::{
    check::INTERNET,
    contract::{Contract, Method, Surface},
    decision::{Rule, UserRule},
    fault::{Faults, Spot},
    file::{At, Document, ResourceEntry, RuleEntry, ServiceEntry, UserEntry, WorkloadEntry},
};

/// The terms of a unary health check: a probe that takes longer has failed.
const CHECK_DEADLINE: Duration = Duration::from_secs(2);
/// The terms of a health watch, which is silent as long as nothing changes and takes no place of admission.
const WATCH: Duration = Duration::from_secs(60 * 60);
/// The terms of a reflection session, which takes a place: a tool asks, reads and leaves.
const SESSION: Duration = Duration::from_secs(10 * 60);
const SESSION_IDLE: Duration = Duration::from_secs(30);

/// Builds the policy. The document has passed every check, so nothing is missing; were a check forgotten, the file is
/// refused here rather than half understood.
pub(super) fn build(
    (file, source): (&str, &str),
    document: &Document,
    contract: &Contract,
) -> Result<Policy, Faults> {
    let refuse =
        |what: &str| Faults::whole(file, format!("{what} was not checked; this is a fault of the checker"));
    let trust_domain = document.trust_domain.clone().ok_or_else(|| refuse("the trust domain"))?;
    let namespace = document.namespace.clone().ok_or_else(|| refuse("the namespace"))?;
    let (monitoring, app) = document.monitoring.clone().ok_or_else(|| refuse("monitoring"))?;
    let entries = &document.workloads.value;
    let workloads: Option<Vec<_>> =
        entries.iter().map(|entry| workload(entry, &trust_domain, &namespace)).collect();
    let workloads = workloads.ok_or_else(|| refuse("a workload"))?;
    let resources: Option<Vec<_>> =
        document.resources.iter().map(|entry| resource(entry, &namespace)).collect();
    let resources = resources.ok_or_else(|| refuse("a resource"))?;
    let mut policy = Policy {
        file: file.to_owned(),
        source: source.into(),
        contract: contract.clone(),
        trust_domain,
        namespace,
        monitoring: Monitoring { namespace: monitoring, app },
        scopes: scopes(document),
        roles: roles(document),
        by_id: workloads.iter().enumerate().map(|(index, workload)| (workload.id.clone(), index)).collect(),
        by_name: workloads.iter().enumerate().map(|(index, one)| (Arc::clone(&one.name), index)).collect(),
        workloads,
        resources,
        calls: calls(document, contract),
        tables: Vec::new(),
        methods: HashMap::new(),
    };
    index(&mut policy);
    Ok(policy)
}

fn scopes(document: &Document) -> Vec<Scope> {
    let scopes = document.scopes.iter();
    scopes.map(|(name, words)| Scope { name: name.value.clone(), description: words.clone() }).collect()
}

fn roles(document: &Document) -> Vec<Role> {
    let roles = document.roles.iter();
    roles.map(|(name, scopes)| Role { name: name.value.clone(), scopes: values(scopes) }).collect()
}

fn values(list: &[At<String>]) -> Vec<String> {
    list.iter().map(|at| at.value.clone()).collect()
}

fn workload(entry: &WorkloadEntry, domain: &TrustDomain, namespace: &str) -> Option<Workload> {
    let name = entry.name.value.as_str();
    let grpc = match &entry.grpc {
        Some(grpc) => Some(Grpc { port: grpc.port.as_ref()?.value, services: values(&grpc.services) }),
        None => None,
    };
    let http = match &entry.http {
        Some(http) => {
            let (internet, from) =
                values(&http.from).into_iter().partition::<Vec<_>, _>(|from| from == INTERNET);
            Some(Http { port: http.port.as_ref()?.value, internet: !internet.is_empty(), from })
        }
        None => None,
    };
    Some(Workload {
        name: name.into(),
        id: SpiffeId::workload(domain, namespace, name).ok()?,
        external: entry.external,
        grpc,
        http,
        admin: entry.admin.as_ref().map(|port| port.value),
        uses: values(&entry.uses),
        max_unavailable: entry.max_unavailable,
    })
}

fn resource(entry: &ResourceEntry, namespace: &str) -> Option<Resource> {
    let reach = if entry.internet {
        Reach::Internet
    } else {
        Reach::Pods {
            namespace: entry.namespace.clone().unwrap_or_else(|| namespace.to_owned()),
            app: entry.app.clone().unwrap_or_else(|| entry.name.value.clone()),
        }
    };
    Some(Resource { name: entry.name.value.clone(), port: entry.port?, reach })
}

/// Every allowed pair: the rules of the file, then who may ask each workload for health and reflection.
fn calls(document: &Document, contract: &Contract) -> Vec<Call> {
    let mut calls = Vec::new();
    for service in &document.calls.value {
        if let Some(callee) = server_of(document, &service.name.value) {
            service_calls(service, &callee, contract, &mut calls);
        }
    }
    for workload in &document.workloads.value {
        let Some(grpc) = &workload.grpc else { continue };
        for (surface, callers) in [(Surface::Health, &grpc.health), (Surface::Reflection, &grpc.reflection)] {
            surface_calls(surface, callers, &workload.name.value.as_str().into(), &mut calls);
        }
    }
    calls
}

fn server_of(document: &Document, service: &str) -> Option<Arc<str>> {
    let serves = |workload: &&WorkloadEntry| {
        workload.grpc.iter().flat_map(|grpc| &grpc.services).any(|name| name.value == service)
    };
    document.workloads.value.iter().find(serves).map(|workload| workload.name.value.as_str().into())
}

fn service_calls(service: &ServiceEntry, callee: &Arc<str>, contract: &Contract, calls: &mut Vec<Call>) {
    let methods = contract.methods_of(&service.name.value).unwrap_or_default();
    for entry in &service.methods {
        let Some(method) = methods.iter().find(|method| *method.name == *entry.name.value) else { continue };
        for rule in &entry.rules {
            let Some(terms) = terms(rule) else { continue };
            for caller in &rule.from {
                calls.push(call(caller, callee, method.clone(), terms.clone()));
            }
        }
    }
}

fn terms(entry: &RuleEntry) -> Option<Rule> {
    let user = match &entry.user {
        UserEntry::None => UserRule::None,
        UserEntry::Any => UserRule::Required { scope: None },
        UserEntry::Scope(scope) => UserRule::Required { scope: Some(scope.value.clone()) },
    };
    let deadline = entry.deadline.as_ref()?.value;
    let idle = entry.idle.as_ref().map(|idle| idle.value);
    Some(Rule { deadline, idle, user, line: entry.spot.line, column: entry.spot.column })
}

fn surface_calls(surface: Surface, callers: &[At<String>], callee: &Arc<str>, calls: &mut Vec<Call>) {
    for method in surface.methods() {
        let (deadline, idle) = match (surface, method.is_streaming()) {
            (_, false) => (CHECK_DEADLINE, None),
            (Surface::Health, true) => (WATCH, Some(WATCH)),
            (Surface::Reflection, true) => (SESSION, Some(SESSION_IDLE)),
        };
        let terms = Rule { deadline, idle, user: UserRule::None, line: 0, column: 0 };
        for caller in callers {
            calls.push(call(caller, callee, method.clone(), terms.clone()));
        }
    }
}

/// The pair, with the place where the caller is named.
fn call(caller: &At<String>, callee: &Arc<str>, method: Method, terms: Rule) -> Call {
    let Spot { line, column } = caller.spot;
    let caller = caller.value.as_str().into();
    Call { caller, callee: Arc::clone(callee), method, rule: Rule { line, column, ..terms } }
}

/// Fills the tables of the decision: every served path, whether or not a rule allows it to anyone.
fn index(policy: &mut Policy) {
    let count = policy.workloads.len();
    for (position, workload) in policy.workloads.iter().enumerate() {
        let mut table = HashMap::new();
        for method in served(workload, &policy.contract) {
            table.insert(Arc::clone(&method.path), vec![None; count]);
            let entry = policy.methods.entry(Arc::clone(&method.path));
            entry.or_insert_with(|| (method, Vec::new())).1.push(position);
        }
        policy.tables.push(table);
    }
    for (position, call) in policy.calls.iter().enumerate() {
        let callee = policy.by_name.get(&call.callee).and_then(|index| policy.tables.get_mut(*index));
        let callers = callee.and_then(|table| table.get_mut(&call.method.path));
        let caller = policy.by_name.get(&call.caller);
        if let Some(slot) = callers.zip(caller).and_then(|(callers, index)| callers.get_mut(*index)) {
            *slot = Some(position);
        }
    }
}

fn served(workload: &Workload, contract: &Contract) -> Vec<Method> {
    let Some(grpc) = &workload.grpc else { return Vec::new() };
    let own = grpc.services.iter().filter_map(|service| contract.methods_of(service)).flatten().cloned();
    own.chain(Surface::Health.methods()).chain(Surface::Reflection.methods()).collect()
}

//! What must hold between the parts of a policy file, and between the file and the contract.
//!
//! Every check runs, whatever the others found. A file that passes has no dangling name, no forgotten method, no
//! grant that nothing uses and no way to call in a circle.

mod calls;
mod cycle;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    contract::{Contract, Surface},
    fault::{Collector, Spot},
    file::{At, Document, ResourceEntry, WorkloadEntry},
    nearest::suggestion,
};

/// The word that stands for every source outside the mesh in the `from` of an HTTP listener.
pub(crate) const INTERNET: &str = "internet";

/// Adds every fault of `document` against itself and against `contract`.
pub(crate) fn check(document: &Document, contract: &Contract, faults: &mut Collector) {
    let names = Names::of(document);
    scopes(document, &names, faults);
    ports(document, faults);
    resources(document, &names, faults);
    monitoring(document, faults);
    let served = services(document, contract, faults);
    listeners(document, &names, faults);
    calls::check(document, contract, &names, &served, faults);
    unused(document, faults);
    cycle::check(document, &served, faults);
}

/// The names that the file declares.
struct Names<'d> {
    workloads: BTreeMap<&'d str, &'d WorkloadEntry>,
    scopes: BTreeSet<&'d str>,
}

impl<'d> Names<'d> {
    fn of(document: &'d Document) -> Self {
        let workloads =
            document.workloads.value.iter().map(|entry| (entry.name.value.as_str(), entry)).collect();
        Self { workloads, scopes: document.scopes.iter().map(|(name, _)| name.value.as_str()).collect() }
    }

    /// Checks that a caller is a workload, and not `callee` itself.
    fn caller(&self, caller: &At<String>, callee: &str, faults: &mut Collector) {
        let name = caller.value.as_str();
        if name == INTERNET {
            faults.at(caller.spot, "\"internet\" cannot call gRPC methods; only \"http\" listens to it");
        } else if name == callee {
            faults.at(caller.spot, format!("\"{name}\" would call itself"));
        } else if !self.workloads.contains_key(name) {
            let near = suggestion(name, self.workloads.keys().copied());
            faults.at(caller.spot, format!("unknown workload \"{name}\"{near}"));
        }
    }
}

/// Every scope is in a role (else nobody could ever have it), and roles hold only scopes that exist.
fn scopes(document: &Document, names: &Names<'_>, faults: &mut Collector) {
    let mut granted = BTreeSet::new();
    for scope in document.roles.iter().flat_map(|(_, scopes)| scopes) {
        granted.insert(scope.value.as_str());
        unknown_scope(scope, names, faults);
    }
    for (scope, _) in &document.scopes {
        if !granted.contains(scope.value.as_str()) {
            faults.at(scope.spot, format!("unused scope \"{}\": no role has it", scope.value));
        }
    }
}

fn unknown_scope(scope: &At<String>, names: &Names<'_>, faults: &mut Collector) {
    if !names.scopes.contains(scope.value.as_str()) {
        let near = suggestion(&scope.value, names.scopes.iter().copied());
        faults.at(scope.spot, format!("unknown scope \"{}\"{near}", scope.value));
    }
}

/// No two listeners share a port, because `quipu up` runs every workload on one machine.
fn ports(document: &Document, faults: &mut Collector) {
    let mut taken: BTreeMap<u16, &str> = BTreeMap::new();
    for workload in &document.workloads.value {
        let grpc = workload.grpc.as_ref().and_then(|grpc| grpc.port.as_ref());
        let http = workload.http.as_ref().and_then(|http| http.port.as_ref());
        for port in [grpc, http, workload.admin.as_ref()].into_iter().flatten() {
            if let Some(other) = taken.get(&port.value) {
                faults.at(port.spot, format!("port {} is taken by \"{other}\" already", port.value));
            } else {
                taken.insert(port.value, &workload.name.value);
            }
        }
    }
}

/// Resources are used, and their names and pods are not those of a workload.
fn resources(document: &Document, names: &Names<'_>, faults: &mut Collector) {
    let known: BTreeSet<&str> = document.resources.iter().map(|entry| entry.name.value.as_str()).collect();
    let mut used = BTreeSet::new();
    for name in document.workloads.value.iter().flat_map(|workload| &workload.uses) {
        used.insert(name.value.as_str());
        if !known.contains(name.value.as_str()) {
            let near = suggestion(&name.value, known.iter().copied());
            faults.at(name.spot, format!("unknown resource \"{}\"{near}", name.value));
        }
    }
    for resource in &document.resources {
        let (name, spot) = (resource.name.value.as_str(), resource.name.spot);
        if !used.contains(name) {
            faults.at(spot, format!("unused resource \"{name}\": no workload uses it"));
        }
        if names.workloads.contains_key(name) {
            faults.at(spot, format!("\"{name}\" is the name of a workload already"));
        } else if let Some(workload) = pods_of_workload(resource, document, names) {
            faults.at(spot, format!("the pods of resource \"{name}\" are those of workload \"{workload}\""));
        }
    }
}

fn pods_of_workload<'e>(entry: &'e ResourceEntry, document: &Document, names: &Names<'_>) -> Option<&'e str> {
    let inside = !entry.internet && (entry.namespace.is_none() || entry.namespace == document.namespace);
    let app = entry.app.as_deref().filter(|app| names.workloads.contains_key(app));
    app.filter(|_| inside)
}

/// The scraper stands outside the mesh's namespace, whose default deny would keep it from reading anything.
fn monitoring(document: &Document, faults: &mut Collector) {
    if let Some((namespace, _)) = &document.monitoring
        && document.namespace.as_ref() == Some(namespace)
    {
        let message =
            format!("monitoring must be in another namespace than the mesh, not in \"{namespace}\"");
        faults.at(document.monitoring_spot, message);
    }
}

/// Which workload serves each service. Every service of the contract is served exactly once.
fn services<'d>(
    document: &'d Document,
    contract: &Contract,
    faults: &mut Collector,
) -> BTreeMap<&'d str, &'d WorkloadEntry> {
    let mut served: BTreeMap<&str, &WorkloadEntry> = BTreeMap::new();
    for workload in &document.workloads.value {
        for service in workload.grpc.iter().flat_map(|grpc| &grpc.services) {
            let name = service.value.as_str();
            if unknown_service(name, service.spot, contract, faults) {
                continue;
            }
            if let Some(other) = served.get(name) {
                let message = format!("service \"{name}\" is served by \"{}\" already", other.name.value);
                faults.at(service.spot, message);
            } else {
                served.insert(name, workload);
            }
        }
    }
    for service in contract.services().filter(|service| !served.contains_key(service)) {
        faults.at(document.workloads.spot, format!("service \"{service}\" is served by no workload"));
    }
    served
}

/// Whether `name` is no service of the contract, which is then a fault.
fn unknown_service(name: &str, spot: Spot, contract: &Contract, faults: &mut Collector) -> bool {
    if contract.methods_of(name).is_some() {
        return false;
    }
    if Surface::of(name).is_some() {
        let message =
            format!("\"{name}\" is granted by the keys \"health\" and \"reflection\" of a workload");
        faults.at(spot, message);
    } else {
        let near = suggestion(name, contract.services());
        faults.at(spot, format!("unknown service \"{name}\"{near}"));
    }
    true
}

/// Who may reach the listeners as a whole: health, reflection, HTTP.
fn listeners(document: &Document, names: &Names<'_>, faults: &mut Collector) {
    for workload in &document.workloads.value {
        let callee = workload.name.value.as_str();
        for caller in workload.grpc.iter().flat_map(|grpc| grpc.health.iter().chain(&grpc.reflection)) {
            names.caller(caller, callee, faults);
        }
        let from = workload.http.iter().flat_map(|http| &http.from);
        for caller in from.filter(|caller| caller.value != INTERNET) {
            names.caller(caller, callee, faults);
        }
    }
}

/// A workload does something: it serves, it calls, or it uses a resource.
fn unused(document: &Document, faults: &mut Collector) {
    let calls =
        document.calls.value.iter().flat_map(|service| &service.methods).flat_map(|method| &method.rules);
    let mut callers: BTreeSet<&str> = calls.flat_map(|rule| &rule.from).map(|at| at.value.as_str()).collect();
    for workload in &document.workloads.value {
        let grpc = workload.grpc.iter().flat_map(|grpc| grpc.health.iter().chain(&grpc.reflection));
        let http = workload.http.iter().flat_map(|http| &http.from);
        callers.extend(grpc.chain(http).map(|at| at.value.as_str()));
    }
    for workload in &document.workloads.value {
        let busy = workload.grpc.is_some() || workload.http.is_some() || !workload.uses.is_empty();
        let name = &workload.name;
        if !busy && !callers.contains(name.value.as_str()) {
            let message =
                format!("unused workload \"{}\": it serves nothing and may call nothing", name.value);
            faults.at(name.spot, message);
        }
    }
}

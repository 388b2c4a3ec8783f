//! The `workloads` and `resources` of the file.

use std::ops::RangeInclusive;

use super::{
    At, at, check_key, entries, name,
    shape::{self, Fields},
    value,
};
use crate::{fault::Collector, yaml::Node};

/// Ports that a process without privileges may open.
pub(super) const LISTEN_PORTS: RangeInclusive<u16> = 1024..=65535;
/// Ports of the plain HTTP listener for probes and metrics.
pub(super) const ADMIN_PORTS: RangeInclusive<u16> = 9100..=9199;

/// One workload as it was written.
#[derive(Debug)]
pub(crate) struct WorkloadEntry {
    pub(crate) name: At<String>,
    pub(crate) external: bool,
    pub(crate) grpc: Option<GrpcEntry>,
    pub(crate) http: Option<HttpEntry>,
    pub(crate) admin: Option<At<u16>>,
    pub(crate) uses: Vec<At<String>>,
    pub(crate) max_unavailable: u16,
}

/// The mTLS gRPC listener of a workload.
#[derive(Debug)]
pub(crate) struct GrpcEntry {
    pub(crate) port: Option<At<u16>>,
    pub(crate) services: Vec<At<String>>,
    pub(crate) health: Vec<At<String>>,
    pub(crate) reflection: Vec<At<String>>,
}

/// The HTTP listener of a workload.
#[derive(Debug)]
pub(crate) struct HttpEntry {
    pub(crate) port: Option<At<u16>>,
    pub(crate) from: Vec<At<String>>,
}

/// Something that workloads connect to and that is no workload.
#[derive(Debug)]
pub(crate) struct ResourceEntry {
    pub(crate) name: At<String>,
    pub(crate) port: Option<u16>,
    pub(crate) namespace: Option<String>,
    pub(crate) app: Option<String>,
    pub(crate) internet: bool,
}

pub(super) fn read_workloads(node: &Node, faults: &mut Collector) -> Vec<WorkloadEntry> {
    let mut workloads = Vec::new();
    for (key, node) in entries(node, "workloads", faults) {
        check_key(key, value::name_problem(&key.text), faults);
        workloads.push(workload(at(key), node, faults));
    }
    workloads
}

fn workload(name: At<String>, node: &Node, faults: &mut Collector) -> WorkloadEntry {
    let mut entry = WorkloadEntry {
        name,
        external: false,
        grpc: None,
        http: None,
        admin: None,
        uses: Vec::new(),
        max_unavailable: 1,
    };
    let Some(fields) = shape::WORKLOAD.read(node, faults) else { return entry };
    entry.external =
        fields.get("external").and_then(|n| value::only_true(n, "\"external\"", faults)).is_some();
    if entry.external {
        refuse_of_external(&fields, faults);
        return entry;
    }
    if let Some(fields) = fields.get("listens").and_then(|node| shape::LISTENS.read(node, faults)) {
        entry.grpc = fields.get("grpc").and_then(|node| grpc(node, faults));
        entry.http = fields.get("http").and_then(|node| http(node, faults));
        entry.admin = fields.get("admin").and_then(|node| admin(node, faults));
    } else if fields.get("listens").is_none() {
        faults.at(entry.name.spot, format!("workload \"{}\" lacks the key \"listens\"", entry.name.value));
    }
    if let Some(node) = fields.get("uses") {
        entry.uses = value::list(node, "\"uses\"", faults);
    }
    let disruption = fields.get("disruption").and_then(|node| shape::DISRUPTION.read(node, faults));
    if let Some(node) = disruption.as_ref().and_then(|fields| fields.get("maxUnavailable")) {
        let number = value::number(node, "\"maxUnavailable\"", 1..=100, faults);
        entry.max_unavailable = number.map_or(1, |number| number.value);
    }
    entry
}

/// An external workload is a client only: nothing of it runs in the mesh.
fn refuse_of_external(fields: &Fields<'_>, faults: &mut Collector) {
    for key in ["listens", "uses", "disruption"] {
        if let Some(node) = fields.get(key) {
            faults.at(node.spot, format!("an external workload has no \"{key}\""));
        }
    }
}

fn grpc(node: &Node, faults: &mut Collector) -> Option<GrpcEntry> {
    let fields = shape::GRPC.read(node, faults)?;
    let mut list = |key: &str| {
        let node = fields.get(key);
        node.map(|node| value::list(node, &format!("\"{key}\""), faults)).unwrap_or_default()
    };
    let (services, health, reflection) = (list("services"), list("health"), list("reflection"));
    let port = fields.get("port").and_then(|node| value::number(node, "\"port\"", LISTEN_PORTS, faults));
    Some(GrpcEntry { port, services, health, reflection })
}

fn http(node: &Node, faults: &mut Collector) -> Option<HttpEntry> {
    let fields = shape::HTTP.read(node, faults)?;
    let port = fields.get("port").and_then(|node| value::number(node, "\"port\"", LISTEN_PORTS, faults));
    let from = fields.get("from").map(|node| value::list(node, "\"from\"", faults)).unwrap_or_default();
    Some(HttpEntry { port, from })
}

fn admin(node: &Node, faults: &mut Collector) -> Option<At<u16>> {
    let fields = shape::ADMIN.read(node, faults)?;
    fields.get("port").and_then(|node| value::number(node, "\"port\"", ADMIN_PORTS, faults))
}

pub(super) fn read_resources(node: &Node, faults: &mut Collector) -> Vec<ResourceEntry> {
    let mut resources = Vec::new();
    for (key, node) in entries(node, "resources", faults) {
        check_key(key, value::name_problem(&key.text), faults);
        resources.push(resource(at(key), node, faults));
    }
    resources
}

fn resource(resource: At<String>, node: &Node, faults: &mut Collector) -> ResourceEntry {
    let mut entry = ResourceEntry { name: resource, port: None, namespace: None, app: None, internet: false };
    let Some(fields) = shape::RESOURCE.read(node, faults) else { return entry };
    let port = fields.get("port").and_then(|node| value::number(node, "\"port\"", 1..=65535, faults));
    entry.port = port.map(|port| port.value);
    entry.namespace = fields.get("namespace").and_then(|node| name(node, "\"namespace\"", faults));
    entry.app = fields.get("app").and_then(|node| name(node, "\"app\"", faults));
    if let Some(node) = fields.get("egress") {
        if let Some(text) = value::text(node, "\"egress\"", faults)
            && text.value != "internet"
        {
            let message = format!("\"egress\" can only be internet, not \"{}\"", text.value);
            faults.at(text.spot, message);
        }
        entry.internet = true;
        for key in ["namespace", "app"] {
            if let Some(node) = fields.get(key) {
                faults.at(node.spot, format!("a resource on the internet has no \"{key}\""));
            }
        }
    }
    entry
}

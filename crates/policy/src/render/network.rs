//! NetworkPolicies: nothing flows in the namespace but what the policy says, in both directions.
//!
//! For each workload: in from exactly its callers, out to exactly its callees, its resources and the cluster's DNS. A
//! peer is always a namespace and a pod selector in one list item (two items would mean "or"). Ports are the
//! containers' own numbers. What these objects cannot bind: pods on the host's network and the nodes themselves, which
//! is also how the kubelet reaches the probes on the admin port.

use super::manifest::{Labels, Lines, app_labels, workload_labels};
use crate::policy::{Call, Policy, Reach, Resource, Workload};

/// Not part of the internet: what is local, private, shared, for tests, multicast or reserved (RFC 6890), with the
/// metadata address of every cloud (169.254.169.254).
const NOT_INTERNET_V4: [&str; 11] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
];
/// The same of IPv6, with the range that reaches IPv4 through a translator. IPv4-mapped addresses (`::ffff:0:0/96`) travel
/// as IPv4, where the list above counts; the API server refuses them here.
const NOT_INTERNET_V6: [&str; 5] = ["::/127", "64:ff9b::/96", "fc00::/7", "fe80::/10", "ff00::/8"];

/// The other end of a flow.
enum Peer {
    Pods { namespace: String, labels: Labels },
    Addresses { cidr: &'static str, except: &'static [&'static str] },
}

/// A flow that is allowed: any of the peers (all sources when there is none) on any of the ports.
struct Flow {
    comment: String,
    peers: Vec<Peer>,
    ports: Vec<(&'static str, u16)>,
}

/// The policies of the namespace: file name and YAML.
pub(super) fn policies(policy: &Policy) -> Vec<(String, String)> {
    let mut files = vec![file(policy, "default-deny", &Vec::new(), (Some(Vec::new()), Some(Vec::new())))];
    for workload in policy.workloads() {
        let flows = (Some(ingress(policy, workload)), Some(egress(policy, workload)));
        files.push(file(policy, &workload.name, &workload_labels(&workload.name), flows));
    }
    for resource in policy.resources() {
        // Where a resource lives in another namespace, that namespace's owner decides what may reach it.
        if let Reach::Pods { namespace, app } = &resource.reach
            && namespace == policy.namespace()
        {
            let flows = (Some(vec![resource_ingress(policy, resource)]), None);
            files.push(file(policy, &resource.name, &app_labels(app), flows));
        }
    }
    files
}

fn pods(policy: &Policy, workload: &str) -> Peer {
    Peer::Pods { namespace: policy.namespace().to_owned(), labels: workload_labels(workload) }
}

/// In: gRPC from the callers, HTTP from whoever is listed, the admin port from the monitoring.
fn ingress(policy: &Policy, workload: &Workload) -> Vec<Flow> {
    let mut flows = Vec::new();
    let mut allow = |comment: &str, peers: Vec<Peer>, port: u16| {
        flows.push(Flow { comment: comment.to_owned(), peers, ports: vec![("TCP", port)] });
    };
    if let Some(grpc) = &workload.grpc {
        let callers = callers(policy, workload);
        if !callers.is_empty() {
            allow("gRPC, from its callers", callers, grpc.port);
        }
    }
    if let Some(http) = &workload.http {
        if http.internet {
            allow("HTTP, from any source", Vec::new(), http.port);
        } else {
            allow(
                "HTTP, from its callers",
                http.from.iter().map(|name| pods(policy, name)).collect(),
                http.port,
            );
        }
    }
    if let Some(port) = workload.admin {
        let monitoring = policy.monitoring();
        let (namespace, labels) = (monitoring.namespace.clone(), app_labels(&monitoring.app));
        allow("metrics, from the monitoring", vec![Peer::Pods { namespace, labels }], port);
    }
    flows
}

/// Out: to the callees, over gRPC and HTTP, to the resources, and to the DNS that finds them.
fn egress(policy: &Policy, workload: &Workload) -> Vec<Flow> {
    let mut flows = Vec::new();
    for callee in policy.workloads() {
        let calls = |call: &Call| call.caller == workload.name && call.callee == callee.name;
        let grpc = callee.grpc.iter().filter(|_| policy.calls().iter().any(calls)).map(|grpc| grpc.port);
        let listed = |from: &[String]| from.iter().any(|name| **name == *workload.name);
        let http = callee.http.iter().filter(|http| listed(&http.from)).map(|http| http.port);
        let ports: Vec<_> = grpc.chain(http).map(|port| ("TCP", port)).collect();
        if !ports.is_empty() {
            let comment = format!("calls to {}", callee.name);
            flows.push(Flow { comment, peers: vec![pods(policy, &callee.name)], ports });
        }
    }
    for resource in policy.resources().iter().filter(|resource| workload.uses.contains(&resource.name)) {
        flows.push(resource_egress(resource));
    }
    flows.push(dns());
    flows
}

/// Who calls the workload over gRPC, each once, in the order of the file.
fn callers(policy: &Policy, workload: &Workload) -> Vec<Peer> {
    let calls = |caller: &&Workload| {
        policy.calls().iter().any(|call| call.caller == caller.name && call.callee == workload.name)
    };
    policy.workloads().iter().filter(calls).map(|caller| pods(policy, &caller.name)).collect()
}

fn resource_egress(resource: &Resource) -> Flow {
    let peers = match &resource.reach {
        Reach::Pods { namespace, app } => {
            vec![Peer::Pods { namespace: namespace.clone(), labels: app_labels(app) }]
        }
        Reach::Internet => vec![
            Peer::Addresses { cidr: "0.0.0.0/0", except: &NOT_INTERNET_V4 },
            Peer::Addresses { cidr: "::/0", except: &NOT_INTERNET_V6 },
        ],
    };
    Flow { comment: format!("resource {}", resource.name), peers, ports: vec![("TCP", resource.port)] }
}

fn resource_ingress(policy: &Policy, resource: &Resource) -> Flow {
    let users = policy.workloads().iter().filter(|workload| workload.uses.contains(&resource.name));
    let peers = users.map(|workload| pods(policy, &workload.name)).collect();
    Flow { comment: "from the workloads that use it".to_owned(), peers, ports: vec![("TCP", resource.port)] }
}

fn dns() -> Flow {
    let labels = vec![("k8s-app", "kube-dns".to_owned())];
    Flow {
        comment: "names".to_owned(),
        peers: vec![Peer::Pods { namespace: "kube-system".to_owned(), labels }],
        ports: vec![("UDP", 53), ("TCP", 53)],
    }
}

/// Ingress and egress of one policy; `None` leaves the direction to the other policies.
type Directions = (Option<Vec<Flow>>, Option<Vec<Flow>>);

fn file(policy: &Policy, name: &str, labels: &Labels, (ingress, egress): Directions) -> (String, String) {
    let mut lines = Lines::object("networking.k8s.io/v1", "NetworkPolicy", name, policy.namespace());
    lines.selector(1, "podSelector", labels);
    lines.add(1, "policyTypes:");
    for (direction, flows) in [("Ingress", &ingress), ("Egress", &egress)] {
        if flows.is_some() {
            lines.add(2, &format!("- {direction}"));
        }
    }
    for (key, end, flows) in [("ingress", "from", ingress), ("egress", "to", egress)] {
        match flows {
            None => {}
            Some(flows) if flows.is_empty() => lines.add(1, &format!("{key}: []")),
            Some(flows) => {
                lines.add(1, &format!("{key}:"));
                for flow in flows {
                    flow.write(&mut lines, end);
                }
            }
        }
    }
    (format!("networkpolicy-{name}.yaml"), lines.into_text())
}

impl Flow {
    /// One list item of `ingress` or `egress`; `end` is `from` or `to`. Without peers that key is left out, which
    /// means every source.
    fn write(&self, lines: &mut Lines, end: &str) {
        lines.add(2, &format!("# {}", self.comment));
        lines.add(2, "- ports:");
        for (protocol, port) in &self.ports {
            lines.add(4, &format!("- protocol: {protocol}"));
            lines.add(5, &format!("port: {port}"));
        }
        if !self.peers.is_empty() {
            lines.add(3, &format!("{end}:"));
        }
        for peer in &self.peers {
            peer.write(lines);
        }
    }
}

impl Peer {
    fn write(&self, lines: &mut Lines) {
        match self {
            Self::Pods { namespace, labels } => {
                lines.add(4, "- namespaceSelector:");
                lines.add(6, "matchLabels:");
                lines.add(7, &format!("kubernetes.io/metadata.name: {namespace}"));
                lines.selector(5, "podSelector", labels);
            }
            Self::Addresses { cidr, except } => {
                lines.add(4, "- ipBlock:");
                lines.add(6, &format!("cidr: \"{cidr}\""));
                lines.add(6, "except:");
                for range in *except {
                    lines.add(7, &format!("- \"{range}\""));
                }
            }
        }
    }
}

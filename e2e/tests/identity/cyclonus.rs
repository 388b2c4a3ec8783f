//! The rendered NetworkPolicies as `cyclonus` reads them, an analyser that shares nothing with this project.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use mesh_policy::{Policy, render};
use serde_json::{Value, json};

use crate::file::{File, object, texts};

/// A pod, by its key in the analyser's tables (`namespace/name`).
pub(crate) type Pod = String;

/// What is let through on each port: from, to, port.
pub(crate) type Flows = BTreeSet<(Pod, Pod, u16)>;

/// The analyser's three tables.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    pub(crate) ingress: Flows,
    pub(crate) egress: Flows,
    pub(crate) combined: Flows,
}

/// The pods of a cluster that runs the mesh and a few others, and the ports that anything listens on.
pub(crate) struct Cluster {
    pods: Vec<(String, String, BTreeMap<String, String>)>,
    ports: BTreeSet<u16>,
}

fn app(name: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("app.kubernetes.io/name".to_owned(), name.to_owned())])
}

fn member(name: &str) -> BTreeMap<String, String> {
    let mut labels = app(name);
    labels.insert("app.kubernetes.io/part-of".to_owned(), "quipu".to_owned());
    labels
}

fn port(value: &Value) -> Option<u16> {
    value.as_u64().map(|port| u16::try_from(port).unwrap())
}

/// Where what is outside of the cluster stands in the model, with an address of the public internet.
const INTERNET: &str = "internet";

/// Where a resource's pods are: namespace and name.
fn place(name: &str, resource: &Value) -> (String, String) {
    if resource["egress"] == INTERNET {
        return (INTERNET.to_owned(), name.to_owned());
    }
    let text = |key: &str, default: &str| resource[key].as_str().unwrap_or(default).to_owned();
    (text("namespace", "quipu"), text("app", name))
}

impl Cluster {
    /// Of the workloads, resources and the monitoring of a file, with strangers beside them.
    pub(crate) fn of(file: &File) -> Self {
        let mut pods = Vec::new();
        let mut ports = BTreeSet::from([53, 443]);
        let mut pod =
            |namespace: &str, name: &str, labels| pods.push((namespace.to_owned(), name.to_owned(), labels));
        for (name, workload) in object(&file.root["workloads"]) {
            pod("quipu", name, member(name));
            ports.extend(object(&workload["listens"]).filter_map(|(_, listener)| port(&listener["port"])));
        }
        for (name, resource) in object(&file.root["resources"]) {
            let (namespace, name) = place(name, resource);
            pod(&namespace, &name, app(&name));
            ports.extend(port(&resource["port"]));
        }
        pod("monitoring", "prometheus", app("prometheus"));
        pod("kube-system", "kube-dns", BTreeMap::from([("k8s-app".to_owned(), "kube-dns".to_owned())]));
        pod("quipu", "stray", BTreeMap::new());
        pod("quipu", "half", app("gateway"));
        pod("elsewhere", "double", member("gateway"));
        Self { pods, ports }
    }

    fn model(&self) -> Value {
        let containers: Vec<_> = self.ports.iter().map(|port| {
            json!({"Name": format!("c{port}"), "Port": port, "Protocol": "TCP", "PortName": format!("p{port}")})
        }).collect();
        let pods: Vec<_> = self.pods.iter().zip(1_u16..).map(|((namespace, name, labels), number)| {
            let network = if namespace == INTERNET { "93.184.216" } else { "10.0.0" };
            json!({"Namespace": namespace, "Name": name, "Labels": labels, "IP": format!("{network}.{number}"), "Containers": containers})
        }).collect();
        let own = |(namespace, ..): &(String, String, _)| {
            (namespace.clone(), json!({"kubernetes.io/metadata.name": namespace}))
        };
        let namespaces: serde_json::Map<_, _> = self.pods.iter().map(own).collect();
        let probes: Vec<_> = self.ports.iter().map(|port| json!({"Protocol": "TCP", "Port": port})).collect();
        json!({"Resources": {"Namespaces": namespaces, "Pods": pods}, "Probes": probes})
    }

    /// What the file means in each direction: a pod that the mesh's policies bind lets through only what the file grants,
    /// any other pod everything.
    pub(crate) fn expected(&self, file: &File) -> Tables {
        let mut tables = Tables::default();
        for (from_ns, from, _) in &self.pods {
            for (to_ns, to, _) in &self.pods {
                for port in &self.ports {
                    let flow = (format!("{from_ns}/{from}"), format!("{to_ns}/{to}"), *port);
                    let meant = meant(file, (from_ns, from), (to_ns, to), *port);
                    let inward = to_ns != "quipu" || meant.0;
                    let outward = from_ns != "quipu" || meant.1;
                    if inward && outward {
                        tables.combined.insert(flow.clone());
                    }
                    if inward {
                        tables.ingress.insert(flow.clone());
                    }
                    if outward {
                        tables.egress.insert(flow);
                    }
                }
            }
        }
        tables
    }

    /// What the analyser says of the objects that are rendered from a policy.
    pub(crate) fn analysed(&self, policy: &Policy) -> Tables {
        let folder = tempfile::tempdir().unwrap();
        let objects = folder.path().join("policies");
        fs::create_dir(&objects).unwrap();
        let manifests = render::manifests(policy);
        for (name, text) in manifests.iter().filter(|(name, _)| name.starts_with("networkpolicy-")) {
            fs::write(objects.join(name), text).unwrap();
        }
        let model = folder.path().join("model.json");
        fs::write(&model, self.model().to_string()).unwrap();
        let output = Command::new(program())
            .args(["analyze", "--mode", "probe", "--policy-path"])
            .arg(&objects)
            .arg("--probe-path")
            .arg(&model)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let names: Vec<Pod> =
            self.pods.iter().map(|(namespace, name, _)| format!("{namespace}/{name}")).collect();
        parse(&String::from_utf8(output.stdout).unwrap(), &self.ports, &names)
    }
}

/// Whether the file grants a flow at its end and at its beginning.
fn meant(file: &File, (from_ns, from): (&str, &str), (to_ns, to): (&str, &str), port_: u16) -> (bool, bool) {
    let workloads = &file.root["workloads"];
    let listens = |key: &str| &workloads[to]["listens"][key];
    let on = |key: &str| to_ns == "quipu" && port(&listens(key)["port"]) == Some(port_);
    let inside = from_ns == "quipu" && workloads[from].is_object();
    let called = inside && on("grpc") && file.edges().contains(&(from.to_owned(), to.to_owned()));
    let http = texts(&listens("http")["from"]);
    let listed = inside && on("http") && http.contains(&from.to_owned());
    let open = on("http") && http.contains(&"internet".to_owned());
    let scraped = on("admin") && (from_ns, from) == ("monitoring", "prometheus");
    let used = inside
        && object(&file.root["resources"]).any(|(name, resource)| {
            place(name, resource) == (to_ns.to_owned(), to.to_owned())
                && port(&resource["port"]) == Some(port_)
                && texts(&workloads[from]["uses"]).contains(name)
        });
    let named = inside && (to_ns, to, port_) == ("kube-system", "kube-dns", 53);
    (called || listed || open || scraped || used, called || listed || used || named)
}

/// Reads the tables: for each port, in the order of the model, one for each direction.
fn parse(text: &str, ports: &BTreeSet<u16>, pods: &[Pod]) -> Tables {
    let mut tables = Tables::default();
    for (number, direction) in ["Ingress:", "Egress:", "Combined:"].into_iter().enumerate() {
        let found: Vec<&str> = text.split(direction).skip(1).collect();
        assert!(found.len() >= ports.len(), "{direction} {} tables", found.len());
        for (port, table) in ports.iter().zip(found) {
            let rows: Vec<Vec<&str>> = table
                .lines()
                .skip(1)
                .take_while(|line| !line.is_empty())
                .filter(|line| line.starts_with('|'))
                .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
                .collect();
            assert_eq!(rows.len(), pods.len() + 1, "{table:.200}");
            for row in &rows[1..] {
                for (to, cell) in rows[0][1..].iter().zip(&row[1..]) {
                    assert!(matches!(*cell, "." | "X"), "{cell:?}");
                    if *cell == "." {
                        let flow = (row[0].to_owned(), to.to_lowercase(), *port);
                        let flows = [&mut tables.ingress, &mut tables.egress, &mut tables.combined];
                        flows.into_iter().nth(number).unwrap().insert(flow);
                    }
                }
            }
        }
    }
    tables
}

/// The analyser of `cargo xtask tools cyclonus`, or the one on the PATH.
fn program() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/cyclonus");
    if own.exists() { own } else { "cyclonus".into() }
}

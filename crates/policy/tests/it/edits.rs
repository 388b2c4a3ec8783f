//! Random legal edits: whatever a legal file says, the rendered objects let through exactly what is decided.

use std::{collections::BTreeSet, fmt::Write};

use mesh_policy::Policy;

use crate::{
    rendering::assert_equal_edges,
    support::{Random, contract, service},
};

const SERVICES: usize = 5;
const METHODS: usize = 3;

/// A mesh in a form that is easy to edit. Workload `i` serves service `i`; two more are clients only.
#[derive(Clone)]
struct Model {
    /// Callers of each method of each service, as numbers of workloads.
    callers: Vec<Vec<BTreeSet<usize>>>,
    health: Vec<BTreeSet<usize>>,
    reflection: Vec<BTreeSet<usize>>,
    uses: Vec<BTreeSet<usize>>,
    resources: [&'static str; 3],
    /// Who may reach the HTTP listener of the first workload; `None` is the internet.
    http: Option<BTreeSet<usize>>,
    port: u16,
}

fn name(workload: usize) -> String {
    if workload < SERVICES { format!("w{workload}") } else { format!("client-{workload}") }
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

impl Model {
    fn new() -> Self {
        let client = BTreeSet::from([SERVICES]);
        Self {
            callers: vec![vec![client; METHODS]; SERVICES],
            health: vec![BTreeSet::new(); SERVICES],
            reflection: vec![BTreeSet::new(); SERVICES],
            uses: vec![BTreeSet::from([0, 1, 2]); SERVICES],
            resources: [
                "{port: 5432}",
                "{port: 6379, namespace: data, app: redis}",
                "{port: 443, egress: internet}",
            ],
            http: None,
            port: 50_000,
        }
    }

    /// Changes one thing at random. The outcome may be illegal; then the parser says so and the edit is undone.
    fn edit(&mut self, random: &mut Random) {
        let (service, workload) = (random.below(SERVICES), random.below(SERVICES + 2));
        let toggle = |set: &mut BTreeSet<usize>| {
            if !set.remove(&workload) {
                set.insert(workload);
            }
        };
        match random.below(8) {
            0..=3 => toggle(&mut self.callers[service][random.below(METHODS)]),
            4 => toggle(&mut self.health[service]),
            5 => toggle(&mut self.reflection[service]),
            6 => {
                let resource = random.below(3);
                if !self.uses[service].remove(&resource) {
                    self.uses[service].insert(resource);
                }
            }
            _ => match (random.below(3), &mut self.http) {
                (0, http) => *http = None,
                (1, Some(from)) => toggle(from),
                (1, http) => *http = Some(BTreeSet::from([workload])),
                _ => self.port = 20_000 + u16::try_from(random.below(20_000)).unwrap(),
            },
        }
    }

    fn text(&self) -> String {
        let mut text = String::from(
            "version: 1\ntrustDomain: demo.local\nnamespace: demo\nmonitoring: {namespace: monitoring, app: prometheus}\n\
             scopes: {all: Everything.}\nroles: {user: [all]}\nworkloads:\n",
        );
        for workload in 0..SERVICES {
            self.workload(workload, &mut text);
        }
        writeln!(text, "  {}: {{external: true}}", name(SERVICES)).unwrap();
        writeln!(text, "  {}: {{listens: {{admin: {{port: 9199}}}}, uses: [r0]}}", name(SERVICES + 1))
            .unwrap();
        writeln!(text, "resources:").unwrap();
        for (number, resource) in self.resources.iter().enumerate() {
            writeln!(text, "  r{number}: {resource}").unwrap();
        }
        writeln!(text, "calls:").unwrap();
        for (service, methods) in self.callers.iter().enumerate() {
            writeln!(text, "  demo.v1.S{service}:").unwrap();
            for (method, callers) in methods.iter().enumerate() {
                if callers.is_empty() {
                    writeln!(text, "    M{method}: {{nobody: not needed any more}}").unwrap();
                } else {
                    let from = list(callers.iter().map(|caller| name(*caller)));
                    writeln!(text, "    M{method}: {{from: {from}, deadline: 1s}}").unwrap();
                }
            }
        }
        text
    }

    fn workload(&self, workload: usize, text: &mut String) {
        let names = |set: &BTreeSet<usize>| list(set.iter().map(|caller| name(*caller)));
        writeln!(text, "  {}:\n    listens:", name(workload)).unwrap();
        let port = usize::from(self.port) + workload;
        write!(text, "      grpc: {{port: {port}, services: [demo.v1.S{workload}]").unwrap();
        for (key, set) in [("health", &self.health[workload]), ("reflection", &self.reflection[workload])] {
            if !set.is_empty() {
                write!(text, ", {key}: {}", names(set)).unwrap();
            }
        }
        writeln!(text, "}}\n      admin: {{port: {}}}", 9100 + workload).unwrap();
        if workload == 0 {
            let from = self.http.as_ref().map_or("[internet]".to_owned(), names);
            writeln!(text, "      http: {{port: 8080, from: {from}}}").unwrap();
        }
        if !self.uses[workload].is_empty() {
            let uses = list(self.uses[workload].iter().map(|resource| format!("r{resource}")));
            writeln!(text, "    uses: {uses}").unwrap();
        }
    }
}

#[test]
fn rendered_edges_equal_decided_edges_after_random_legal_edits() {
    let methods = [("M0", None, false), ("M1", None, false), ("M2", None, false)];
    let services: Vec<String> = (0..SERVICES).map(|number| format!("S{number}")).collect();
    let contract = contract(services.iter().map(|name| service(name, methods)));
    let parse = |model: &Model| Policy::parse("edited.yaml", &model.text(), &contract);
    let (mut legal, mut illegal, mut edges) = (0, 0, BTreeSet::new());
    for seed in 0..5 {
        let mut random = Random(seed);
        let mut model = Model::new();
        assert_equal_edges(&parse(&model).unwrap_or_else(|faults| panic!("{faults}")));
        for _ in 0..36 {
            let before = model.clone();
            model.edit(&mut random);
            match parse(&model) {
                Ok(policy) => {
                    legal += 1;
                    assert_equal_edges(&policy);
                    let calls = policy.calls().iter();
                    edges.extend(calls.map(|call| (call.caller.to_string(), call.callee.to_string())));
                }
                Err(faults) => {
                    illegal += 1;
                    let known = ["calls go in a circle", "would call itself", "unused", "is an empty list"];
                    let expected =
                        |fault: &mesh_policy::Fault| known.iter().any(|one| fault.message.contains(one));
                    assert!(faults.list().iter().all(expected), "{faults}\n{}", model.text());
                    model = before;
                }
            }
        }
    }
    // The generator is worth something: many legal edits, some illegal ones, and most pairs seen.
    assert!(legal >= 100 && illegal >= 10 && edges.len() >= 20, "{legal} {illegal} {}", edges.len());
}

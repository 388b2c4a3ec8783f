//! Random legal edits of the policy file: edges between workloads are added, removed and turned round.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use mesh_policy::{Contract, Policy, UserRule};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

/// Who may call whom: the edges that exist or may be added without calling in a circle.
const EDGES: [(&str, &str); 10] = [
    ("gateway", "auth"),
    ("gateway", "jokes"),
    ("gateway", "sentiment"),
    ("operator", "auth"),
    ("operator", "jokes"),
    ("operator", "sentiment"),
    ("jokes", "auth"),
    ("jokes", "sentiment"),
    ("sentiment", "auth"),
    ("auth", "sentiment"),
];

/// The calls of the file in a form that is easy to edit; everything else stays as it is.
#[derive(Clone)]
pub(crate) struct Model {
    /// The text before the calls.
    head: String,
    /// Service, method, and whether it is a stream.
    methods: Vec<(String, String, bool)>,
    /// For each method (`service/method`) its callers and the terms of each.
    rules: BTreeMap<String, BTreeMap<String, String>>,
    /// For `(callee, health or reflection)` its callers.
    surfaces: BTreeMap<(String, &'static str), BTreeSet<String>>,
}

/// The kinds of edits, in the order in which they are wanted: at first every edge is there that may be.
pub(crate) const KINDS: [&str; 3] = ["reversed", "removed", "added"];

/// An edit: what it did to which edge.
pub(crate) type Edit = (&'static str, Vec<(String, String)>);

fn callee_of(service: &str) -> &str {
    service.split('.').nth(1).unwrap()
}

impl Model {
    pub(crate) fn of(policy: &Policy) -> Self {
        let (head, _) = policy.source().split_once("\ncalls:\n").unwrap();
        let (mut rules, mut surfaces) = (BTreeMap::<String, BTreeMap<_, _>>::new(), BTreeMap::new());
        for call in policy.calls() {
            let caller = call.caller.to_string();
            let surface = match &*call.method.service {
                "grpc.health.v1.Health" => "health",
                service if service.starts_with("grpc.reflection.") => "reflection",
                service => {
                    let mut terms = format!("deadline: {}ms", call.rule.deadline.as_millis());
                    if let Some(idle) = call.rule.idle {
                        write!(terms, ", idle: {}ms", idle.as_millis()).unwrap();
                    }
                    match &call.rule.user {
                        UserRule::None => {}
                        UserRule::Required { scope: None } => terms.push_str(", user: required"),
                        UserRule::Required { scope: Some(scope) } => {
                            write!(terms, ", user: {{scope: {scope}}}").unwrap();
                        }
                    }
                    let method = format!("{service}/{}", call.method.name);
                    rules.entry(method).or_default().insert(caller, terms);
                    continue;
                }
            };
            let key = (call.callee.to_string(), surface);
            surfaces.entry(key).or_insert_with(BTreeSet::new).insert(caller);
        }
        let method = |m: &mesh_policy::Method| (m.service.to_string(), m.name.to_string(), m.is_streaming());
        let methods = Contract::quipu().methods().map(method).collect();
        Self { head: head.to_owned(), methods, rules, surfaces }
    }

    /// The edited file.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for line in self.head.lines() {
            let served = line.split_once("grpc: {").and_then(|(_, rest)| rest.split_once("]"));
            match served {
                Some((listener, _)) => {
                    writeln!(text, "      grpc: {{{listener}]{}}}", self.surfaces_of(listener))
                }
                None => writeln!(text, "{line}"),
            }
            .unwrap();
        }
        text.push_str("calls:\n");
        let mut last = "";
        for (service, method, _) in &self.methods {
            if last != service {
                writeln!(text, "  {service}:").unwrap();
                last = service;
            }
            let rules = self.rules.get(&format!("{service}/{method}")).filter(|rules| !rules.is_empty());
            match rules {
                None => writeln!(text, "    {method}: {{nobody: not needed by anybody}}").unwrap(),
                Some(rules) => {
                    writeln!(text, "    {method}:").unwrap();
                    for (caller, terms) in rules {
                        writeln!(text, "      - {{from: [{caller}], {terms}}}").unwrap();
                    }
                }
            }
        }
        text
    }

    fn surfaces_of(&self, listener: &str) -> String {
        let callee = callee_of(listener);
        let mut text = String::new();
        for surface in ["health", "reflection"] {
            let callers =
                self.surfaces.get(&(callee.to_owned(), surface)).filter(|callers| !callers.is_empty());
            if let Some(callers) = callers {
                let callers: Vec<_> = callers.iter().map(String::as_str).collect();
                write!(text, ", {surface}: [{}]", callers.join(", ")).unwrap();
            }
        }
        text
    }

    fn has(&self, (caller, callee): (&str, &str)) -> bool {
        let calls = |(method, callers): (&String, &BTreeMap<String, String>)| {
            callee_of(method) == callee && callers.contains_key(caller)
        };
        let asks =
            |((c, _), callers): (&(String, _), &BTreeSet<String>)| c == callee && callers.contains(caller);
        self.rules.iter().any(calls) || self.surfaces.iter().any(asks)
    }

    fn remove(&mut self, (caller, callee): (&str, &str)) {
        let rules = self.rules.iter_mut().filter(|(method, _)| callee_of(method) == callee);
        for (_, callers) in rules {
            callers.remove(caller);
        }
        let surfaces = self.surfaces.iter_mut().filter(|((c, _), _)| c == callee);
        for (_, callers) in surfaces {
            callers.remove(caller);
        }
    }

    fn add(&mut self, (caller, callee): (&str, &str), random: &mut StdRng) {
        let own: Vec<_> = self.methods.iter().filter(|(service, ..)| callee_of(service) == callee).collect();
        let terms = ["", ", user: required", ", user: {scope: profile:read}"];
        for (service, method, streaming) in own.choose_multiple(random, 3) {
            let idle = if *streaming { ", idle: 1s" } else { "" };
            let terms = format!("deadline: 7s{idle}{}", terms[random.random_range(0..3)]);
            let callers = self.rules.entry(format!("{service}/{method}")).or_default();
            callers.insert(caller.to_owned(), terms);
        }
        if random.random() {
            let surface = if random.random() { "health" } else { "reflection" };
            self.surfaces.entry((callee.to_owned(), surface)).or_default().insert(caller.to_owned());
        }
    }

    /// One edit that leaves a legal file, which it gives as well; one of the kind that is wanted, where there is one.
    pub(crate) fn edit(&mut self, wanted: &str, random: &mut StdRng) -> (Edit, Policy) {
        for attempt in 0.. {
            let mut next = self.clone();
            let edge = EDGES[random.random_range(0..EDGES.len())];
            let back = (edge.1, edge.0);
            let edit: Edit = if !next.has(edge) {
                next.add(edge, random);
                ("added", owned(&[edge]))
            } else if EDGES.contains(&back) && random.random() {
                next.remove(edge);
                next.add(back, random);
                ("reversed", owned(&[edge, back]))
            } else {
                next.remove(edge);
                ("removed", owned(&[edge]))
            };
            if edit.0 != wanted && attempt < 100 {
                continue;
            }
            // Calls in a circle and workloads that nobody needs any more are illegal; then another edit.
            if let Ok(policy) = Policy::parse("policies/mesh.yaml", &next.text(), Contract::quipu()) {
                *self = next;
                return (edit, policy);
            }
        }
        unreachable!("some edit is legal")
    }
}

fn owned(edges: &[(&str, &str)]) -> Vec<(String, String)> {
    edges.iter().map(|(caller, callee)| ((*caller).to_owned(), (*callee).to_owned())).collect()
}

/// The generator of a seed.
pub(crate) fn random(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

//! F2: the file, the running mesh and Kubernetes say the same, also after edits of the file.

use std::collections::{BTreeMap, BTreeSet};

use mesh_policy::Policy;
use quipu_e2e::{
    Mesh, Proof, count,
    raw::{self, DENIED, Wire},
};

use crate::{
    callers::workload,
    cyclonus::{Cluster, Tables},
    edits::{KINDS, Model, random},
    file::{File, paths},
    forbidden::CALLEES,
};

/// Edges between workloads: caller, callee.
type Edges = BTreeSet<(String, String)>;

/// A connection for each caller and callee; the mesh decides each call anew.
struct Probe {
    wires: BTreeMap<(String, String), Wire>,
    paths: Vec<String>,
}

impl Probe {
    async fn new(mesh: &Mesh, callers: &[String]) -> Self {
        let mut wires = BTreeMap::new();
        for callee in CALLEES {
            for caller in callers {
                let wire =
                    Wire::open(mesh.part(callee).address, workload(mesh, caller, callee)).await.unwrap();
                wires.insert((caller.clone(), callee.to_owned()), wire);
            }
        }
        Self { wires, paths: paths() }
    }

    /// What the mesh does not deny now.
    async fn granted(&self) -> BTreeSet<(String, String, String)> {
        let mut granted = BTreeSet::new();
        for ((caller, callee), wire) in &self.wires {
            let ask = |path: &String| {
                let request = raw::grpc(path, None).unwrap().map(|()| bytes::Bytes::new());
                async move { wire.send(request).await.unwrap().code }
            };
            let codes = futures::future::join_all(self.paths.iter().map(ask)).await;
            for (path, code) in self.paths.iter().zip(codes) {
                if code != Some(DENIED) {
                    granted.insert((caller.clone(), callee.clone(), path.clone()));
                }
            }
        }
        granted
    }
}

/// The gRPC edges of the analyser's combined table.
fn edges_of(tables: &Tables, policy: &Policy) -> Edges {
    let mut edges = Edges::new();
    for (from, to, port) in &tables.combined {
        let (Some(from), Some(to)) = (from.strip_prefix("quipu/"), to.strip_prefix("quipu/")) else {
            continue;
        };
        let listens =
            policy.workload(to).and_then(|one| one.grpc.as_ref()).is_some_and(|grpc| grpc.port == *port);
        if listens && policy.workload(from).is_some() {
            edges.insert((from.to_owned(), to.to_owned()));
        }
    }
    edges
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f2_file_mesh_and_kubernetes_say_the_same_after_each_edit() {
    let mesh = Mesh::start().await;
    let mut policy = (*mesh.authority.policy().load()).clone();
    let mut proof = Proof::new(
        "F2",
        "policy file, running mesh and rendered NetworkPolicies allow the same, in both directions, also after legal edits",
    );
    let probe = Probe::new(&mesh, &File::read(quipu::POLICY).workloads()).await;
    let (mut model, mut random) = (Model::of(&policy), random(0x71));
    let mut kinds = BTreeMap::<&str, usize>::new();
    let mut last: Option<[Edges; 3]> = None;
    let edits = count(30);
    for step in 0..=edits {
        let mut edited = None;
        if step > 0 {
            let (edit, next) = model.edit(KINDS[(step - 1) % 3], &mut random);
            mesh.authority.policy().reload(next.source()).unwrap();
            *kinds.entry(edit.0).or_default() += 1;
            (policy, edited) = (next, Some(edit));
        }
        let edges = compare(&probe, &policy, step, &mut proof).await;
        if let (Some((kind, wanted)), Some(last)) = (edited, &last) {
            let wanted: Edges = wanted.into_iter().collect();
            for (name, (now, before)) in ["file", "mesh", "Kubernetes"].iter().zip(edges.iter().zip(last)) {
                let seen: Edges = now.symmetric_difference(before).cloned().collect();
                proof.check(seen == wanted, || {
                    format!("step {step}: {kind} {wanted:?}, in the {name}: {seen:?}")
                });
            }
        }
        last = Some(edges);
    }
    proof.require(kinds.len() == 3, || format!("only {kinds:?}"));
    proof.figure(format!("{edits} edits {kinds:?}; every edit seen in all three, all tables equal"));
    proof.limit("equal in both directions after each edit");
    proof.finish();
}

/// Compares the three matrices; their edges between workloads: file, mesh, Kubernetes.
async fn compare(probe: &Probe, policy: &Policy, step: usize, proof: &mut Proof) -> [Edges; 3] {
    let file = File::read(policy.source());
    let written: BTreeSet<_> = file.granted.keys().cloned().collect();
    let running = probe.granted().await;
    let differ: Vec<_> = written.symmetric_difference(&running).collect();
    proof.check(differ.is_empty(), || format!("step {step}: file and mesh differ in {differ:?}"));
    let cluster = Cluster::of(&file);
    let (expected, analysed) = (cluster.expected(&file), cluster.analysed(policy));
    let directions = [
        ("ingress", &expected.ingress, &analysed.ingress),
        ("egress", &expected.egress, &analysed.egress),
        ("both", &expected.combined, &analysed.combined),
    ];
    for (direction, expected, analysed) in directions {
        let differ: Vec<_> = expected.symmetric_difference(analysed).take(5).collect();
        proof.check(differ.is_empty(), || format!("step {step}: {direction}: {differ:?}"));
    }
    let fold = |(caller, callee, _): &(String, String, String)| (caller.clone(), callee.clone());
    let edges = [file.edges(), running.iter().map(fold).collect(), edges_of(&analysed, policy)];
    proof.check(edges[0] == edges[1] && edges[1] == edges[2], || format!("step {step}: {edges:?}"));
    edges
}

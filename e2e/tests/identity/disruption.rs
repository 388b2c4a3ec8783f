//! F2.pdb: the rendered PodDisruptionBudgets never block the drain of one node, and never let a workload go away whole.

use std::collections::BTreeMap;

use mesh_policy::{Policy, render};
use quipu_e2e::{Proof, count};
use serde_json::Value;

use crate::{
    edits::{KINDS, Model, random},
    file::yaml,
};

/// For the n-th replica of a workload: its node, and whether it is ready.
type Place<'a> = &'a dyn Fn(usize) -> (usize, bool);

/// A pod: which node it is on, and whether it is ready.
#[derive(Clone, Debug)]
struct Pod {
    labels: BTreeMap<String, String>,
    node: usize,
    ready: bool,
}

fn selects(budget: &Value, pod: &Pod) -> bool {
    let wanted = budget["spec"]["selector"]["matchLabels"].as_object().unwrap();
    !wanted.is_empty()
        && wanted.iter().all(|(key, value)| pod.labels.get(key).map(String::as_str) == value.as_str())
}

/// What the eviction API answers, as Kubernetes documents it.
fn may_evict(budgets: &[Value], pods: &[Pod], at: usize) -> Result<(), String> {
    let matching: Vec<_> = budgets.iter().filter(|budget| selects(budget, &pods[at])).collect();
    let budget = match matching.as_slice() {
        [] => return Ok(()),
        [budget] => budget,
        _ => return Err("more than one budget: the eviction API answers 500".to_owned()),
    };
    if !pods[at].ready && budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow" {
        return Ok(());
    }
    let own: Vec<_> = pods.iter().filter(|pod| selects(budget, pod)).collect();
    let healthy = own.iter().filter(|pod| pod.ready).count();
    let floor = match (&budget["spec"]["maxUnavailable"], &budget["spec"]["minAvailable"]) {
        (Value::Null, least) => usize::try_from(least.as_u64().unwrap()).unwrap(),
        (most, _) => own.len().saturating_sub(usize::try_from(most.as_u64().unwrap()).unwrap()),
    };
    if healthy > floor { Ok(()) } else { Err(format!("{healthy} healthy of {}, {floor} needed", own.len())) }
}

/// Drains node 0: each pod of it is evicted in turn, and its successor becomes ready elsewhere. How few pods of one
/// workload were ready at any time.
fn drain(budgets: &[Value], mut pods: Vec<Pod>) -> Result<usize, String> {
    let mut fewest = pods.len();
    while let Some(at) = pods.iter().position(|pod| pod.node == 0) {
        may_evict(budgets, &pods, at)?;
        let same = pods[at].labels.clone();
        (pods[at].node, pods[at].ready) = (1, false);
        fewest = fewest.min(pods.iter().filter(|pod| pod.ready && pod.labels == same).count());
        pods[at].ready = true;
    }
    Ok(fewest)
}

/// All pods of the mesh.
fn cluster(policy: &Policy, replicas: usize, place: Place<'_>) -> Vec<Pod> {
    let mut pods = Vec::new();
    for workload in policy.workloads().iter().filter(|workload| !workload.external) {
        for replica in 0..replicas {
            let labels =
                [("app.kubernetes.io/name", &*workload.name), ("app.kubernetes.io/part-of", "quipu")];
            let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
            let (node, ready) = place(replica);
            pods.push(Pod { labels, node, ready });
        }
    }
    pods
}

#[test]
fn f2_pdb_budgets_never_block_the_drain_of_one_node() {
    let mut policy =
        Policy::parse("policies/mesh.yaml", quipu::POLICY, mesh_policy::Contract::quipu()).unwrap();
    let mut proof = Proof::new(
        "F2.pdb",
        "the rendered PodDisruptionBudgets never block the drain of one node, nor let all of two replicas go",
    );
    let (mut model, mut random) = (Model::of(&policy), random(0x9db));
    let edits = count(30);
    for step in 0..=edits {
        if step > 0 {
            policy = model.edit(KINDS[(step - 1) % 3], &mut random).1;
        }
        let objects: Vec<_> = render::manifests(&policy).iter().map(|(_, text)| yaml(text)).collect();
        let budgets: Vec<_> =
            objects.into_iter().filter(|object| object["kind"] == "PodDisruptionBudget").collect();
        for replicas in 1..=5 {
            let places: [(&str, Place<'_>); 4] = [
                ("spread", &|replica| (replica % 2, true)),
                ("all on the node", &|_| (0, true)),
                ("broken on the node", &|_| (0, false)),
                ("broken elsewhere", &|replica| (usize::from(replica > 0), replica == 0)),
            ];
            for (name, place) in places {
                let drained = drain(&budgets, cluster(&policy, replicas, place));
                // Without another ready pod of the workload its last one is kept: that is what a budget is for.
                let kept = name == "broken elsewhere" && replicas > 1;
                let ok = match &drained {
                    Ok(fewest) => !kept && (replicas < 2 || name.starts_with("broken") || *fewest >= 1),
                    Err(_) => kept,
                };
                proof.check(ok, || format!("step {step}, {replicas} replicas, {name}: {drained:?}"));
            }
        }
        for pod in cluster(&policy, 1, &|_| (0, true)) {
            let own = budgets.iter().filter(|budget| selects(budget, &pod)).count();
            proof.check(own == 1, || format!("step {step}: {own} budgets select {pod:?}"));
        }
    }
    proof.figure("every eviction of a drain is allowed at once; one of two replicas stays ready");
    proof.limit("0 blocked drains");
    proof.finish();
}

//! K10: short elements in long messages do not become large in memory, at the services and at the gateway.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use futures::future::join_all;
use mesh_policy::Decision;
use quipu_e2e::{ProcessMesh, Proof, is_full};
use quipu_sentiment::grpc::MAX_REQUEST_BYTES;
use serde_json::json;

use crate::{
    contract::{Contract, is_list},
    memory::{AT_ONCE, MOST, Memory, mib},
    shapes::{self, Shape},
    wire::{Reply, Wire, frame},
    world::start,
};

/// The limit of every service but `sentiment`.
const USUAL: usize = 64 * 1024;

/// A method, who serves it, and connections of one who may call it.
struct Target {
    path: String,
    /// Of the request, where the contract has it.
    takes: Option<String>,
    limit: usize,
    /// Answers with a stream, which may have no end.
    watch: bool,
    wires: Vec<Wire>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k10_services_short_elements_in_long_messages_stay_small() {
    let mut proof = Proof::new("K10.services", "the longest messages of the shortest elements stay small");
    let mesh = start().await;
    let admin = mesh.administrator().await;
    let bearer = format!("Bearer {}", admin.token.unwrap());
    let contract = Contract::read();
    let targets = targets(&mesh, &contract).await;
    for target in &targets {
        flood(target, &bearer, 0, &[]).await;
    }
    let mut memory = Memory::now(&mesh);
    let mut seen = 0;
    for target in &targets {
        let first = std::mem::replace(&mut seen, target.limit) != target.limit;
        for shape in chosen(&contract, target, first) {
            assert!(shape.message.len() <= target.limit, "{}", shape.what);
            let context = format!("{} {}", target.path, shape.what);
            memory.begin();
            let replies = flood(target, &bearer, 0, &shape.message).await;
            let more = memory.end(&context);
            let broken = replies.iter().find(|reply| ![0, 1, 3, 4, 5, 8, 11, 13, 16].contains(&reply.code));
            proof.check(more <= MOST, || format!("{context}: +{:.1} MiB", mib(more)));
            proof.check(broken.is_none(), || format!("{context}: {broken:?}"));
        }
    }
    for target in &targets {
        let context = format!("{} compressed", target.path);
        memory.begin();
        let replies = flood(target, &bearer, 1, &bomb()).await;
        let more = memory.end(&context);
        proof.check(more <= MOST, || format!("{context}: +{:.1} MiB", mib(more)));
        // No service takes what is compressed.
        proof.check(replies.iter().all(|reply| reply.code == 12), || format!("{context}: {replies:?}"));
    }
    let works = mesh.person().with_token(&bearer[7..]).post("/v1/sentiment", &json!({"text": "Fine."})).await;
    proof.require(works.0 == 200, || format!("the control: {works:?}"));
    proof.require(targets.len() > 23, || format!("{} methods", targets.len()));
    proof.figure(format!("{} methods; {}", targets.len(), memory.figure()));
    proof.limit("8 at once take at most 64 MiB more; 0 crashes; compressed messages are not taken");
    proof.finish();
}

/// Every method that the policy knows, health and reflection included.
async fn targets(mesh: &ProcessMesh, contract: &Contract) -> Vec<Target> {
    let policy = mesh.policy();
    let mut targets = Vec::new();
    for (callee, caller, path, decision) in policy.pairs() {
        let known = targets.iter().any(|t: &Target| t.path == path && t.takes.is_some());
        let of_program = mesh.processes.iter().any(|p| p.name() == callee && callee != "gateway");
        if known || !of_program || !matches!(decision, Decision::Allow(_)) {
            continue;
        }
        let takes = contract.rpcs.iter().find(|rpc| rpc.path == path).map(|rpc| rpc.takes.clone());
        let limit = if path.starts_with("/quipu.sentiment.") { MAX_REQUEST_BYTES } else { USUAL };
        let wires = join_all((0..AT_ONCE).map(|_| Wire::to(mesh, callee, caller))).await;
        let method = policy.method(path).unwrap();
        let watch = method.server_streaming && !method.client_streaming;
        targets.push(Target { path: path.to_owned(), takes, limit, watch, wires });
    }
    targets
}

/// Every shape in the full form. In the short form the first method of a server gets those of messages that nobody knows, the
/// others only what their own fields make; and only lists are as long as can be.
fn chosen(contract: &Contract, target: &Target, first: bool) -> Vec<Shape> {
    let message = target.takes.as_deref().unwrap_or("google.protobuf.FieldMask");
    if is_full() {
        return shapes::of(contract, message, target.limit);
    }
    let lists = contract.fields(message).iter().any(is_list);
    let size = if first || lists { target.limit } else { USUAL };
    let mut shapes = shapes::of(contract, message, size);
    shapes.retain(|shape| shape.of_field || (first && !shape.nested));
    shapes
}

async fn flood(target: &Target, bearer: &str, flag: u8, message: &[u8]) -> Vec<Reply> {
    let frames = frame(flag, message);
    let limit = if target.watch { "100m" } else { "5S" };
    let mut headers = vec![("grpc-timeout", limit), ("authorization", bearer)];
    if flag == 1 {
        headers.push(("grpc-encoding", "gzip"));
    }
    join_all(target.wires.iter().map(|wire| wire.send(&target.path, &headers, frames.clone()))).await
}

/// 48 KiB that become 48 MiB.
fn bomb() -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..48 {
        gzip.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bomb = gzip.finish().unwrap();
    assert!(bomb.len() < USUAL, "{}", bomb.len());
    bomb
}
